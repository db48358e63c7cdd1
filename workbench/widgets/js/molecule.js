// How a structure is drawn with 3Dmol.js: its atoms and bonds, their names, and how near it stands.

export const ROW_COLOUR = "#d97706";
export const COLUMN_COLOUR = "#0f766e";
const HYDROGEN = 0xe6ebf1; // white would vanish on a white page
const LABELLED_ATOMS = 40; // beyond this many, names hide the structure

/** @param {number} ball radius of an atom, relative to its van der Waals radius */
export function addStructure(viewer, { symbols, positions, bonds, cell }, ball = 0.27) {
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
  const scheme = { prop: "elem", map: { ...viewer.library.$3Dmol.elementColors.Jmol, H: HYDROGEN } };
  viewer.addModel().addAtoms(atoms);
  viewer.setStyle({}, { sphere: { scale: ball, colorscheme: scheme }, stick: { radius: Math.min(0.13, ball / 2), colorscheme: scheme } });
  for (const [from, to] of cell) {
    const [start, end] = [from, to].map(([x, y, z]) => ({ x, y, z }));
    viewer.addLine({ start, end, color: "#8a94a3" });
  }
}

/**
 * Zoom so that the structure fills most of the picture in any orientation.
 * @param {number} beyond visible margin around the outermost nucleus, Angstrom
 */
export function fit(viewer, scene, positions, beyond = 0.45) {
  viewer.zoomTo();
  const centre = viewer.getView().slice(0, 3).map((c) => -c);
  const away = positions.map((p) => Math.hypot(...p.map((c, k) => c - centre[k])));
  const wanted = (0.42 * Math.min(scene.clientWidth, scene.clientHeight)) / (Math.max(...away) + beyond);
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

/** Names of the atoms; those of the selected pair have the colours of row and column. */
export function labelAtoms(viewer, { symbols, positions }, pair) {
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
