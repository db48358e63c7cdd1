// The model of a picture on a page without a kernel: traits and events as anywidget gives them, so that the modules
// of the notebooks' widgets draw here as well.

export class LocalModel {
  /**
   * @param {Record<string, any>} traits
   * @param {(content: any, model: LocalModel) => void} received what Python would be sent
   */
  constructor(traits, received = () => {}) {
    this.traits = traits;
    this.received = received;
    this.listeners = new Map();
    this.widget_manager = { get_model: async () => new LocalModel({ text: traits.script_text }) };
  }

  get(name) {
    return this.traits[name];
  }

  /** Set several traits, then say once of each that it has changed. */
  update(traits) {
    const changed = Object.keys(traits).filter((name) => traits[name] !== this.traits[name]);
    Object.assign(this.traits, traits);
    changed.forEach((name) => this.fire(`change:${name}`));
  }

  set(name, value) {
    this.update({ [name]: value });
  }

  save_changes() {}

  on(events, listener) {
    for (const event of events.split(" ")) {
      this.listeners.set(event, [...(this.listeners.get(event) ?? []), listener]);
    }
  }

  off(events, listener) {
    for (const event of events.split(" ")) {
      this.listeners.set(event, (this.listeners.get(event) ?? []).filter((known) => known !== listener));
    }
  }

  fire(event, ...values) {
    (this.listeners.get(event) ?? []).forEach((listener) => listener(...values));
  }

  /** To Python, were there one. */
  send(content) {
    this.received(content, this);
  }

  /** From Python, were there one. */
  deliver(message) {
    this.fire("msg:custom", message);
  }
}
