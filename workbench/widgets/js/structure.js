// StructureView: a molecule or crystal that is turned by mouse, touch or arrow keys (3Dmol.js).
// Turning it and telling Python is turnable.js's affair. `$3Dmol` is no import:
// Python puts the one copy of 3Dmol.js, which also draws the still pictures, before this module.

import { addStructure, COLUMN_COLOUR, fit, labelAtoms, ROW_COLOUR } from "./molecule.js";
import { Turnable } from "./turnable.js";
import { createViewer, disposeViewer } from "./viewer.js";

function render({ model, el }) {
  let firstPick = null;
  let rings = [];
  let viewer = null;
  let failed = false;

  const frame = new Turnable(model, el, "wb-structure", (quaternion) => {
    if (viewer) viewer.setView([...viewer.getView().slice(0, 4), ...quaternion]);
  });
  const { host, scene } = frame;

  function showPair() {
    if (!viewer) return;
    rings.forEach((ring) => viewer.removeShape(ring));
    const pair = model.get("pair");
    const positions = model.get("structure").positions;
    rings = pair.map((atom, k) => {
      const [x, y, z] = positions[atom] ?? [0, 0, 0];
      const radius = pair[0] === pair[1] && k === 1 ? 0.53 : 0.47;
      return viewer.addSphere({ center: { x, y, z }, radius, color: k ? COLUMN_COLOUR : ROW_COLOUR, opacity: 0.5 });
    });
    labelAtoms(viewer, model.get("structure"), pair);
    viewer.render();
  }

  /** The first click picks an atom's own block, the second click the pair. */
  function pickAtom(atom) {
    const pair = firstPick === null ? [atom, atom] : [firstPick, atom];
    firstPick = firstPick === null ? atom : null;
    model.set("pair", pair);
    model.save_changes();
  }

  function showStructure() {
    if (!viewer) return;
    addStructure(viewer, model.get("structure"));
    viewer.setClickable({}, true, (atom) => pickAtom(atom.serial));
    rings = [];
    showPair();
    refit();
  }

  /** Zoom to the size that the page gives the picture now. */
  function refit() {
    viewer.resize();
    fit(viewer, scene, model.get("structure").positions);
    frame.turnTo(frame.quaternion);
  }

  /** Called on every change of size; out of sight a scene has none and 3Dmol would start lost. */
  function place() {
    if (!scene.clientWidth || !scene.clientHeight || failed) return;
    if (viewer) {
      refit();
      return;
    }
    try {
      viewer = createViewer(scene, $3Dmol);
      // 3Dmol calls on every redraw; zoom, pan and our own setView leave the quaternion alone.
      viewer.setViewChangeCallback((state) => frame.moved(state.slice(4, 8)));
      scene.viewer = viewer;
      showStructure();
    } catch (error) {
      failed = true;
      scene.textContent = "This browser has no WebGL, so the structure cannot be drawn; the controls still work.";
      console.warn(error);
    }
  }

  /** A page must scroll past the picture: the wheel zooms only after a click into it. */
  function onWheel(event) {
    if (document.activeElement !== host) event.stopPropagation();
    else resizing.disconnect();
  }

  const resizing = new ResizeObserver(place);
  resizing.observe(scene);
  scene.addEventListener("wheel", onWheel, true);
  model.on("change:structure", showStructure);
  model.on("change:pair", showPair);

  return () => {
    frame.dispose();
    resizing.disconnect();
    model.off("change:structure", showStructure);
    model.off("change:pair", showPair);
    if (viewer) disposeViewer(viewer, host);
    viewer = null;
    host.remove();
  };
}

export default { render };
