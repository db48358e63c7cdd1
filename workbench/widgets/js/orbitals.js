// OrbitalPictures: isosurfaces of functions around one molecule, side by side; all pictures rotate, zoom
// and move together.

import { isosurface, Volume } from "./isosurface.js";
import { addStructure, fit, labelAtoms } from "./molecule.js";
import { Scene } from "./scene.js";
import { Turnable } from "./turnable.js";
import { createViewer, disposeViewer } from "./viewer.js";
import "./orbitals.css";

const POSITIVE = "#b2182b"; // as in Heat and SurfaceView: red above zero, blue below
const NEGATIVE = "#2166ac";
const OPACITY = 0.8;
const BALL = 0.16; // small enough that a core orbital is seen around it
const BEYOND = 1.3; // Angstrom around the nuclei: most orbitals reach as far

/** One of the pictures: a viewer with its caption and its two surfaces. */
class Picture {
  constructor(parent, library, onView) {
    this.host = document.createElement("figure");
    this.scene = document.createElement("div");
    this.caption = document.createElement("figcaption");
    this.host.append(this.scene, this.caption);
    parent.append(this.host);
    this.lobes = [];
    this.viewer = createViewer(this.scene, library);
    this.viewer.setViewChangeCallback((state) => onView(this, state));
    this.scene.viewer = this.viewer;
  }

  showStructure(structure) {
    this.lobes = [];
    addStructure(this.viewer, structure, BALL);
    labelAtoms(this.viewer, structure, []);
  }

  showSurfaces(volume, level) {
    this.lobes.forEach((shape) => this.viewer.removeShape(shape));
    const surfaces = [[level, POSITIVE], [-level, NEGATIVE]].map(([at, color]) => ({ ...isosurface(volume, at), color }));
    const drawn = surfaces.filter((surface) => surface.faceArr.length);
    this.lobes = drawn.map(({ vertexArr, normalArr, faceArr, color }) =>
      this.viewer.addCustom({ vertexArr, normalArr, faceArr, color, opacity: OPACITY }),
    );
    this.scene.surfaces = surfaces; // for whoever measures
    this.host.dataset.triangles = JSON.stringify(surfaces.map((surface) => surface.faceArr.length / 3));
    this.viewer.render();
  }

  dispose() {
    disposeViewer(this.viewer, this.host);
  }
}

/** The data from Python, one volume per picture. */
function volumes(model) {
  const view = model.get("values");
  const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
  const all = new Float32Array(bytes.slice().buffer); // a copy: the view may be unaligned
  const { origin, step, shape } = model.get("grid");
  const each = shape[0] * shape[1] * shape[2];
  return model.get("titles").map((_, k) => new Volume(all.subarray(k * each, (k + 1) * each), shape, origin, step));
}

function render({ model, el }) {
  let pictures = [];
  let following = false;
  let waiting = null;
  const frame = new Turnable(model, el, "wb-orbitals", (quaternion) => {
    if (pictures.length) show([...pictures[0].viewer.getView().slice(0, 4), ...quaternion]);
  });
  const { host, scene } = frame;

  /** Bring all pictures to one view; 3Dmol reports each change, ours too. */
  function show(state, except = null) {
    following = true;
    pictures.filter((picture) => picture !== except).forEach((picture) => picture.viewer.setView(state));
    following = false;
  }

  function onView(picture, state) {
    if (following) return;
    show(state, picture);
    frame.moved(state.slice(4, 8));
  }

  function makePictures() {
    pictures.forEach((picture) => picture.dispose());
    pictures = model.get("titles").map(() => new Picture(scene, place.library, onView));
    showStructure();
  }

  function showStructure() {
    following = true;
    pictures.forEach((picture) => picture.showStructure(model.get("structure")));
    following = false;
    refit();
    showSurfaces();
  }

  function refit() {
    if (!pictures.length) return;
    following = true;
    pictures.forEach((picture) => {
      picture.viewer.resize();
      fit(picture.viewer, picture.scene, model.get("structure").positions, BEYOND);
    });
    following = false;
    frame.turnTo(frame.quaternion);
  }

  function showSurfaces() {
    waiting = null;
    if (!pictures.length) return;
    const level = model.get("level");
    following = true;
    volumes(model).forEach((volume, k) => pictures[k].showSurfaces(volume, level));
    following = false;
    host.dataset.sequence = model.get("sequence");
  }

  /** At the next frame: of several changes at once the last one counts. */
  function repaint() {
    if (waiting === null) waiting = requestAnimationFrame(update);
  }

  function update() {
    waiting = null;
    if (!place.library || place.over || !scene.clientWidth) return;
    const titles = model.get("titles");
    if (titles.length !== pictures.length) makePictures();
    else showSurfaces();
    pictures.forEach((picture, k) => (picture.caption.textContent = titles[k]));
  }

  const apology = "This browser has no WebGL, so orbitals cannot be drawn; the table below still compares them.";
  const place = new Scene(frame, update, refit, apology);
  model.on("change:structure", showStructure);
  model.on("change:sequence", repaint);

  return () => {
    frame.dispose();
    place.dispose();
    if (waiting !== null) cancelAnimationFrame(waiting);
    model.off("change:structure", showStructure);
    model.off("change:sequence", repaint);
    pictures.forEach((picture) => picture.dispose());
    pictures = [];
    host.remove();
  };
}

export default { render };
