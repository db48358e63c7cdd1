// StructureView: a molecule or crystal that is turned by mouse, touch or arrow keys (3Dmol.js).
// turnable.js handles rotation and messages to Python, scene.js the time and size of drawing.

import { addStructure, COLUMN_COLOUR, fit, labelAtoms, ROW_COLOUR } from "./molecule.js";
import { Scene } from "./scene.js";
import { Turnable } from "./turnable.js";
import { createViewer, disposeViewer } from "./viewer.js";

function render({ model, el }) {
  let firstPick = null;
  let rings = [];
  let viewer = null;

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

  function refit() {
    viewer.resize();
    fit(viewer, scene, model.get("structure").positions);
    frame.turnTo(frame.quaternion);
  }

  function begin(library) {
    viewer = createViewer(scene, library);
    scene.viewer = viewer;
    showStructure();
    // 3Dmol calls on every redraw; zoom, pan and our own setView leave the quaternion alone. Only now:
    // a page loaded anew knows the kernel's orientation already, which a fresh viewer has not.
    viewer.setViewChangeCallback((state) => frame.moved(state.slice(4, 8)));
  }

  const apology = "This browser has no WebGL, so the structure cannot be drawn; the controls still work.";
  const place = new Scene(frame, begin, refit, apology);
  model.on("change:structure", showStructure);
  model.on("change:pair", showPair);

  return () => {
    frame.dispose();
    place.dispose();
    model.off("change:structure", showStructure);
    model.off("change:pair", showPair);
    if (viewer) disposeViewer(viewer, host);
    viewer = null;
    host.remove();
  };
}

export default { render };
