// Where 3Dmol draws: the part of a turnable picture that waits for the library and for a size, follows
// the size that the page gives it, and lets the page scroll past.

import { sharedLibrary } from "./library.js";

export class Scene {
  /**
   * @param {import("./turnable.js").Turnable} frame of the picture
   * @param {(library: any) => void} begin makes the viewers, once: there is a size and a library
   * @param {() => void} refit zooms them to the size that the page gives the picture now
   * @param {string} apology what stands there if the browser cannot draw
   */
  constructor(frame, begin, refit, apology) {
    Object.assign(this, { frame, begin, refit, apology, library: null, drawing: false, over: false });
    this.resizing = new ResizeObserver(() => this.place());
    this.resizing.observe(frame.scene);
    this.onWheel = (event) => this.wheel(event);
    frame.scene.addEventListener("wheel", this.onWheel, true);
    this.load();
  }

  async load() {
    try {
      this.library = await sharedLibrary(this.frame.model);
    } catch (error) {
      this.fail(error, "The drawing script is missing: run this cell again.");
    }
    this.place();
  }

  /** Called on every change of size; out of sight a scene has none and 3Dmol would start lost. */
  place() {
    const { clientWidth, clientHeight } = this.frame.scene;
    if (!clientWidth || !clientHeight || !this.library || this.over) return;
    if (this.drawing) {
      this.refit();
      return;
    }
    try {
      this.begin(this.library);
      this.drawing = true;
    } catch (error) {
      this.fail(error, this.apology);
    }
  }

  fail(error, apology) {
    if (this.over) return;
    this.over = true;
    this.frame.scene.textContent = apology;
    console.warn(error);
  }

  /** A page must scroll past the picture: the wheel zooms only after a click into it. */
  wheel(event) {
    if (document.activeElement !== this.frame.host) event.stopPropagation();
    else this.resizing.disconnect();
  }

  dispose() {
    this.over = true;
    this.resizing.disconnect();
    this.frame.scene.removeEventListener("wheel", this.onWheel, true);
  }
}
