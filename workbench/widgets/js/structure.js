// StructureView: a molecule or crystal that is turned by mouse, touch or arrow keys (3Dmol.js).
// Turning it and telling Python is turnable.js's affair. `$3Dmol` is no import:
// Python puts the one copy of 3Dmol.js, which also draws the still pictures, before this module.

import { Turnable } from "./turnable.js";
import { createViewer, disposeViewer } from "./viewer.js";

const ROW_COLOUR = "#d97706";
const COLUMN_COLOUR = "#0f766e";
const ELEMENT_COLOURS = { ...$3Dmol.elementColors.Jmol, H: 0xe6ebf1 };
const LABELLED_ATOMS = 40; // beyond this many, names hide the structure

function addStructure(viewer, { symbols, positions, bonds, cell }) {
  viewer.removeAllModels();
  viewer.removeAllLabels();
  viewer.removeAllShapes();
  const neighbours = symbols.map(() => []);
  for (const [i, j] of bonds) {
    neighbours[i].push(j);
    neighbours[j].push(i);
  }
  const atoms = symbols.map((elem, k) => {
    const [x, y, z] = positions[k];
    return { elem, x, y, z, serial: k, bonds: neighbours[k], bondOrder: neighbours[k].map(() => 1) };
  });
  const scheme = { prop: "elem", map: ELEMENT_COLOURS };
  viewer.addModel().addAtoms(atoms);
  viewer.setStyle({}, { sphere: { scale: 0.27, colorscheme: scheme }, stick: { radius: 0.13, colorscheme: scheme } });
  for (const [from, to] of cell) {
    const [start, end] = [from, to].map(([x, y, z]) => ({ x, y, z }));
    viewer.addLine({ start, end, color: "#8a94a3" });
  }
}

/** Zoom so that the structure, however it is turned, fills most of the picture. */
function fit(viewer, scene, positions) {
  viewer.zoomTo();
  const centre = viewer.getView().slice(0, 3).map((c) => -c);
  const away = positions.map((p) => Math.hypot(...p.map((c, k) => c - centre[k])));
  const wanted = (0.42 * Math.min(scene.clientWidth, scene.clientHeight)) / (Math.max(...away) + 0.45);
  const tips = [0, 1, 2].map((k) => centre.map((c, m) => c + (k === m ? 1 : 0)));
  const ends = [centre, ...tips].map(([x, y, z]) => ({ x, y, z }));
  for (let round = 0; round < 8; round++) {
    const [origin, ...shown] = viewer.modelToScreen(ends);
    const squares = shown.map((t) => (t.x - origin.x) ** 2 + (t.y - origin.y) ** 2);
    const scale = Math.sqrt(squares.reduce((a, b) => a + b) / 2); // pixels an Angstrom
    if (!(scale > 0 && wanted > 0) || Math.abs(wanted / scale - 1) < 0.02) return;
    viewer.zoom(wanted / scale);
  }
}

/** Names of the atoms; those of the picked pair stand on the colours of row and column. */
function labelAtoms(viewer, { symbols, positions }, pair) {
  viewer.removeAllLabels();
  symbols.forEach((symbol, k) => {
    const picked = pair.indexOf(k);
    if (symbols.length > LABELLED_ATOMS && picked < 0) return;
    const [x, y, z] = positions[k];
    const settings = {
      position: { x, y, z },
      fontSize: 13,
      fontColor: picked < 0 ? "#14181f" : "#ffffff",
      backgroundColor: picked < 0 ? "#ffffff" : [ROW_COLOUR, COLUMN_COLOUR][picked],
      backgroundOpacity: picked < 0 ? 0.72 : 0.92,
      borderRadius: 5,
      padding: 2,
      inFront: true,
      alignment: "center",
    };
    viewer.addLabel(`${symbol}${k + 1}`, settings, undefined, true);
  });
}

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
