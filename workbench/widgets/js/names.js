// Accessible names that ipywidgets does not provide: for sliders and their numbers, for groups of buttons
// and of radio buttons, for lists and fields without a label, and the state of buttons that can be selected.

const LABS = ".wb-lab";
const CHOICES = [
  [".widget-toggle-buttons", "group"],
  [".widget-radio", "radiogroup"],
];

function set(node, name, value) {
  if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}

/** The text of its label, of a label before it, or of its tooltip. */
function nameOf(control) {
  const before = control.previousElementSibling;
  const labels = [control.querySelector(":scope > .widget-label"), before?.matches(".widget-label") ? before : null];
  const tips = [control, ...control.querySelectorAll("[title]")].map(({ title }) => title);
  const words = [...labels.map((label) => label?.textContent.trim()), ...tips];
  return words.find((text) => text && text !== "null") ?? "";
}

/** The handle announces the number beside the slider: a logarithmic slider would announce the exponent. */
function nameSlider(slider) {
  const name = nameOf(slider);
  const number = slider.querySelector(".widget-readout");
  for (const handle of slider.querySelectorAll(".noUi-handle")) {
    set(handle, "aria-label", name);
    if (number?.textContent) set(handle, "aria-valuetext", number.textContent.trim());
  }
  if (!number) return;
  set(number, "role", "textbox");
  set(number, "aria-label", `${name}, number`);
}

/** A tooltip alone is no name that everybody gets. */
function nameField(field) {
  const labelled = [...(field.labels ?? [])].some((label) => label.textContent.trim());
  if (!labelled && field.title !== "null") set(field, "aria-label", field.title);
}

function nameAll(lab) {
  lab.querySelectorAll(".widget-slider:has(.noUi-handle)").forEach(nameSlider);
  lab.querySelectorAll(":is(select, input, textarea)[title]:not([title=''])").forEach(nameField);
  for (const [kind, role] of CHOICES) {
    for (const choice of lab.querySelectorAll(kind)) {
      set(choice, "role", role);
      set(choice, "aria-label", nameOf(choice));
    }
  }
  for (const button of lab.querySelectorAll(".widget-toggle-button")) {
    set(button, "aria-pressed", String(button.classList.contains("mod-active")));
  }
}

/**
 * JupyterLab (4.6) keeps the callbacks of a closed channel to the kernel, and with them the widget and its
 * content. A page whose cells run repeatedly would grow, so a closed channel removes them.
 */
function forgetClosedChannels(model) {
  const channel = model.get("layout")?.comm?.jsServicesComm;
  const kind = channel && Object.getPrototypeOf(channel);
  if (typeof kind?.dispose !== "function" || kind.workbenchForgets) return;
  const dispose = kind.dispose;
  kind.workbenchForgets = true;
  kind.dispose = function () {
    dispose.call(this);
    this.onClose = this.onMsg = undefined;
  };
}

/** Names all controls of the lab that contains this (invisible) widget, also those added later. */
function render({ model, el }) {
  let frame = null;
  forgetClosedChannels(model);
  const watcher = new MutationObserver(() => (frame ??= requestAnimationFrame(name)));

  function name() {
    frame = null;
    const lab = el.closest(LABS);
    if (lab) nameAll(lab);
  }

  /** Widgets are put together before they come to the page: wait for the lab around this one. */
  function begin() {
    const lab = el.closest(LABS);
    if (!lab) {
      frame = requestAnimationFrame(begin);
      return;
    }
    name();
    const attributeFilter = ["class", "aria-valuetext", "title"];
    watcher.observe(lab, { childList: true, subtree: true, attributes: true, attributeFilter });
  }

  begin();
  return () => {
    watcher.disconnect();
    if (frame !== null) cancelAnimationFrame(frame);
  };
}

export default { render };
