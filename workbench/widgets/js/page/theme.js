// Light or dark: as the system says, until the button says otherwise.

export class Theme {
  /**
   * @param {HTMLButtonElement} button
   * @param {() => void} changed called after each change
   */
  constructor(button, changed) {
    this.button = button;
    this.changed = changed;
    this.system = window.matchMedia("(prefers-color-scheme: dark)");
    this.system.addEventListener("change", () => this.apply(this.system.matches));
    button.addEventListener("click", () => this.apply(!this.dark));
    this.apply(this.system.matches);
  }

  apply(dark) {
    this.dark = dark;
    document.documentElement.dataset.theme = dark ? "dark" : "light";
    this.button.textContent = dark ? "light" : "dark";
    this.button.title = `Show the page in ${dark ? "light" : "dark"} colours`;
    this.changed();
  }
}
