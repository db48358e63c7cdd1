// Making and unmaking a 3Dmol viewer. 3Dmol 2.5.5 has no destroy(): it leaves three listeners on
// the page and a WebGL context behind, of which a browser gives out about 16. All viewers of a page
// share one context (they share one 3Dmol, library.js), and the last of them takes it along.

const PAGE_EVENTS = ["mouseup", "touchend", "resize"];

/** Whether the CPU renders WebGL; multisampling then costs four fifths of the frame rate. */
function softwareRenderer() {
  const gl = document.createElement("canvas").getContext("webgl2");
  const info = gl?.getExtension("WEBGL_debug_renderer_info");
  const name = info ? gl.getParameter(info.UNMASKED_RENDERER_WEBGL) : "";
  const software = /swiftshader|llvmpipe|software|basic render/i.test(name);
  gl?.getExtension("WEBGL_lose_context")?.loseContext();
  return software;
}

/** Record which listeners a call adds to the page, so that they can be removed again. */
function recordListeners(call) {
  const added = [];
  const targets = [window, document.body];
  const originals = targets.map((target) => target.addEventListener);
  targets.forEach((target, k) => {
    target.addEventListener = (type, listener, options) => {
      if (PAGE_EVENTS.includes(type)) added.push([target, type, listener, options]);
      originals[k].call(target, type, listener, options);
    };
  });
  try {
    return [call(), added];
  } finally {
    targets.forEach((target) => delete target.addEventListener);
  }
}

/** @param {any} library of library.js */
export function createViewer(container, library) {
  library.software ??= softwareRenderer();
  const paper = getComputedStyle(container).getPropertyValue("--wb-paper").trim() || "#ffffff";
  const settings = { backgroundColor: paper, orthographic: true, antialias: !library.software };
  const [viewer, listeners] = recordListeners(() => library.$3Dmol.createViewer(container, settings));
  if (!viewer) throw new Error("3Dmol could not make a WebGL viewer");
  viewer.pageListeners = listeners;
  viewer.library = library;
  library.viewers += 1;
  return viewer;
}

/** Release what a viewer holds. `host` leaves the page first, or 3Dmol would revive the context. */
export function disposeViewer(viewer, host) {
  viewer.setViewChangeCallback(null);
  viewer.divwatcher?.disconnect();
  viewer.intwatcher?.disconnect();
  for (const [target, type, listener, options] of viewer.pageListeners) {
    target.removeEventListener(type, listener, options);
  }
  host.remove();
  delete viewer.getCanvas()._3dmol_viewer;
  viewer.clear();
  viewer.library.viewers -= 1;
  const gl = viewer.getRenderer().getContext();
  if (viewer.library.viewers === 0) gl?.getExtension("WEBGL_lose_context")?.loseContext();
}
