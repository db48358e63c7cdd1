// StructureView: a molecule or crystal that is turned by mouse, touch or arrow keys (3Dmol.js).
// It tells Python each orientation under the flow control of credit.js. `$3Dmol` is no import:
// Python puts the one copy of 3Dmol.js, which also draws the still pictures, before this module.

import { Credit } from "./credit.js";
import { aboutAxis, describe, IDENTITY, multiply, normalised, same, turnedAxes } from "./quaternion.js";
import { createViewer, disposeViewer } from "./viewer.js";
import "./structure.css";

const ROW_COLOUR = "#d97706";
const COLUMN_COLOUR = "#0f766e";
const AXIS_COLOURS = ["#b91c1c", "#15803d", "#1d4ed8"];
const ELEMENT_COLOURS = { ...$3Dmol.elementColors.Jmol, H: 0xe6ebf1 };
const LABELLED_ATOMS = 40; // beyond this many, names hide the structure
const KEYS = {
  ArrowLeft: [0, -1, 0],
  ArrowRight: [0, 1, 0],
  ArrowUp: [-1, 0, 0],
  ArrowDown: [1, 0, 0],
  PageUp: [0, 0, 1],
  PageDown: [0, 0, -1],
};

function element(tag, className, parent) {
  const node = document.createElement(tag);
  node.className = className;
  parent.append(node);
  return node;
}

/** The model's own axes, drawn as they now point; x to the right, y up when not turned. */
function drawAxes(svg, q) {
  const arrows = turnedAxes(q).map(([x, y, z], k) => ({ x: 36 + 22 * x, y: 36 - 22 * y, z, k }));
  arrows.sort((a, b) => a.z - b.z);
  svg.innerHTML = arrows
    .map(({ x, y, z, k }) => {
      const opacity = 0.55 + 0.45 * (z + 1) / 2;
      const endOn = Math.hypot(x - 36, y - 36) < 5;
      const [tx, ty] = endOn ? [x - 10, y + 8] : [36 + (x - 36) * 1.42, 36 + (y - 36) * 1.42];
      return (
        `<g opacity="${opacity}"><line x1="36" y1="36" x2="${x}" y2="${y}" stroke="${AXIS_COLOURS[k]}" stroke-width="2.5"/>` +
        `<circle cx="${x}" cy="${y}" r="2.6" fill="${AXIS_COLOURS[k]}"/>` +
        `<text x="${tx}" y="${ty}" fill="${AXIS_COLOURS[k]}">${"xyz"[k]}</text></g>`
      );
    })
    .join("");
}

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
  const host = element("div", "wb-structure", el);
  host.tabIndex = 0;
  host.setAttribute("role", "application");
  host.dataset.lmSuppressShortcuts = "true";
  host.style.height = `${model.get("height")}px`;
  const scene = element("div", "wb-structure-scene", host);
  const turn = element("div", "wb-structure-turn", host);
  const help = element("div", "wb-structure-help", host);
  help.textContent = model.get("hint");
  const axes = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  axes.setAttribute("class", "wb-structure-axes");
  axes.setAttribute("width", "72");
  axes.setAttribute("height", "72");
  axes.setAttribute("aria-hidden", "true");
  host.append(axes);
  const busy = element("div", "wb-structure-busy", host);
  busy.textContent = "kernel busy …";
  busy.hidden = true;
  const live = element("div", "wb-structure-live", host);
  live.setAttribute("aria-live", "polite");

  const view = `${Date.now()}-${Math.random()}`; // several views may show one model
  const name = model.get("label");
  let quaternion = IDENTITY;
  let dragging = false;
  let firstPick = null;
  let rings = [];
  let viewer = null;
  let failed = false;

  const credit = new Credit(
    (tick, value, movedAt) => {
      model.send({ kind: "turn", view, tick, ...value });
      host.dataset.sent = tick;
      host.dispatchEvent(new CustomEvent("workbench:sent", { bubbles: true, detail: { tick, movedAt } }));
    },
    (isBusy) => (busy.hidden = !isBusy),
  );

  function showOrientation() {
    turn.textContent = describe(quaternion);
    drawAxes(axes, quaternion);
    host.setAttribute("aria-label", `${name}, ${describe(quaternion)}. ${model.get("hint")}`);
    host.dataset.quaternion = JSON.stringify(quaternion);
  }

  /** Turn the picture without telling Python. */
  function setOrientation(q) {
    quaternion = normalised(q);
    if (viewer) {
      const state = viewer.getView();
      viewer.setView([...state.slice(0, 4), ...quaternion]);
    }
    showOrientation();
  }

  /** Called by 3Dmol on every redraw; zoom, pan and our own setView leave the quaternion alone. */
  function viewChanged(state) {
    const q = state.slice(4, 8);
    if (same(q, quaternion)) return;
    quaternion = normalised(q);
    showOrientation();
    credit.push({ quaternion, moving: dragging });
  }

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
    setOrientation(quaternion);
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
      viewer.setViewChangeCallback(viewChanged);
      scene.viewer = viewer;
      showStructure();
    } catch (error) {
      failed = true;
      scene.textContent = "This browser has no WebGL, so the structure cannot be drawn; the controls still work.";
      console.warn(error);
    }
  }

  function onKey(event) {
    const axis = KEYS[event.key];
    if (!axis && event.key !== "Home") return;
    event.preventDefault();
    event.stopPropagation();
    const step = aboutAxis(axis ?? [0, 0, 1], event.shiftKey ? 1 : 5);
    setOrientation(axis ? multiply(step, quaternion) : IDENTITY);
    credit.push({ quaternion, moving: false });
  }

  function onPointerDown() {
    dragging = true;
    host.focus({ preventScroll: true });
  }

  function onPointerUp() {
    if (!dragging) return;
    dragging = false;
    credit.push({ quaternion, moving: false });
  }

  /** A page must scroll past the picture: the wheel zooms only after a click into it. */
  function onWheel(event) {
    if (document.activeElement !== host) event.stopPropagation();
    else resizing.disconnect();
  }

  function onMessage(message) {
    if (message.kind === "set") setOrientation(message.quaternion);
    if (message.kind === "ack" && message.view === view) {
      credit.acknowledge(message.tick);
      host.dataset.acknowledged = credit.acknowledged;
    }
  }

  // A screen reader hears the newest sentence, at most once a second.
  let announced = 0;
  let announcing = null;
  function announce() {
    if (announcing !== null) return;
    announcing = setTimeout(() => {
      announcing = null;
      announced = performance.now();
      live.textContent = model.get("announcement");
    }, Math.max(0, announced + 1000 - performance.now()));
  }

  showOrientation();

  const resizing = new ResizeObserver(place);
  resizing.observe(scene);
  host.addEventListener("keydown", onKey);
  scene.addEventListener("pointerdown", onPointerDown, true);
  window.addEventListener("pointerup", onPointerUp, true);
  scene.addEventListener("wheel", onWheel, true);
  model.on("msg:custom", onMessage);
  model.on("change:structure", showStructure);
  model.on("change:pair", showPair);
  model.on("change:announcement", announce);
  model.send({ kind: "hello" });

  return () => {
    credit.dispose();
    resizing.disconnect();
    clearTimeout(announcing);
    window.removeEventListener("pointerup", onPointerUp, true);
    model.off("msg:custom", onMessage);
    model.off("change:structure", showStructure);
    model.off("change:pair", showPair);
    model.off("change:announcement", announce);
    if (viewer) disposeViewer(viewer, host);
    viewer = null;
    host.remove();
  };
}

export default { render };
