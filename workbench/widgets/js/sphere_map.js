// SphereCanvas: a non-negative function of direction on the sphere, laid flat or as a globe that is turned by
// mouse and keys; one picture for each predictor, all turned together, on one colour scale. Between computed directions nothing is made up: every point takes
// the colour of the nearest direction that is known, so that a map sharpens while it fills.

import { paint } from "./colour.js";
import { short } from "./colourbar.js";
import { Flat } from "./flat.js";
import { Globe } from "./globe.js";
import { drawModulusBar } from "./modulusbar.js";
import { describe, TURN_KEYS } from "./quaternion.js";
import "./sphere_map.css";

const FONT = "13px system-ui, 'Segoe UI', 'Helvetica Neue', Arial, 'DejaVu Sans', sans-serif";
const MARGIN = { x: 22, y: 16 };
const KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
const DEGREES_PER_PIXEL = 0.6; // as a SurfaceView
const CLICK = 4; // pixels that a hand may tremble

const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
const named = (axis) => `(${axis.map((c) => c.toFixed(2).replace("-0.00", "0.00").replace("-", "−")).join(", ")})`;

function element(tag, className, parent) {
  const node = document.createElement(tag);
  node.className = className;
  parent.append(node);
  return node;
}

function nearest(axes, direction) {
  let best = 0;
  axes.forEach((axis, k) => {
    if (dot(axis, direction) > dot(axes[best], direction)) best = k;
  });
  return best;
}

/** The nearest axis in the direction of an arrow key, with +y up. */
function neighbour(axes, from, [right, up]) {
  const here = axes[from];
  let east = [here[2], 0, -here[0]];
  if (Math.hypot(...east) < 1e-6) east = [1, 0, 0];
  east = east.map((c) => c / Math.hypot(here[2], here[0]) || c);
  const north = [
    here[1] * east[2] - here[2] * east[1],
    here[2] * east[0] - here[0] * east[2],
    here[0] * east[1] - here[1] * east[0],
  ];
  const wanted = east.map((c, k) => right * c + up * north[k]);
  let best = from;
  let least = Infinity;
  axes.forEach((axis, k) => {
    const far = 1 - dot(axis, here);
    const along = dot(axis, wanted);
    const across = Math.hypot(...axis.map((c, j) => c - along * wanted[j] - dot(axis, here) * here[j]));
    if (k === from || along <= across) return; // within 45 degrees of the arrow
    if (far < least) [best, least] = [k, far];
  });
  return best;
}

/** The colours of cells by their nearest axis; -1 for a cell without a known axis. */
function image(width, height, [pixels, owner], values, limit, scale) {
  const colours = new Uint8ClampedArray(4 * (values.length + 1));
  paint([...values.map((v) => v ?? NaN), NaN], limit, scale, colours);
  const drawn = new ImageData(width, height);
  for (let p = 0; p < pixels.length; p++) {
    const own = 4 * (owner[p] < 0 ? values.length : owner[p]);
    for (let c = 0; c < 4; c++) drawn.data[4 * pixels[p] + c] = colours[own + c];
  }
  return drawn;
}

function render({ model, el }) {
  const host = element("div", "wb-sphere", el);
  host.tabIndex = 0;
  host.setAttribute("role", "application");
  host.dataset.lmSuppressShortcuts = "true";
  const row = element("div", "wb-sphere-maps", host);
  const foot = element("div", "wb-sphere-foot", host);
  const bar = element("canvas", "wb-sphere-bar", foot);
  const hovered = element("span", "wb-sphere-hover", foot);
  const live = element("div", "wb-sphere-live", host);
  live.setAttribute("aria-live", "polite");
  const [flat, globe] = [new Flat(), new Globe()];
  const shape = () => (model.get("shape") === "globe" ? globe : flat);
  let panels = [];
  let waiting = null;
  let grip = null; // where the mouse holds the globe, and whether it has moved since

  const repaint = () => {
    if (waiting === null) waiting = requestAnimationFrame(draw);
  };

  function build() {
    row.replaceChildren();
    panels = model.get("titles").map((title) => {
      const figure = element("figure", "", row);
      element("figcaption", "", figure).textContent = title;
      const canvas = element("canvas", "", figure);
      canvas.setAttribute("role", "img");
      canvas.addEventListener("pointerdown", (event) => grasp(canvas, event));
      canvas.addEventListener("pointermove", (event) => drag(event));
      canvas.addEventListener("mouseleave", () => hover(null));
      canvas.addEventListener("click", (event) => grip?.moved || pick(axisAt(event)));
      return canvas;
    });
    repaint();
  }

  /** Index of the axis nearest to the mouse, or null outside of the map. */
  function axisAt(event) {
    const { clientWidth, clientHeight } = event.target;
    const x = (event.offsetX - clientWidth / 2) / (clientWidth / 2 - MARGIN.x);
    const y = (clientHeight / 2 - event.offsetY) / (clientHeight / 2 - MARGIN.y);
    const direction = shape().directionAt(x, y);
    return direction && nearest(model.get("axes"), direction);
  }

  function grasp(canvas, event) {
    grip = { at: [event.clientX, event.clientY], moved: false };
    if (shape() === globe) canvas.setPointerCapture(event.pointerId);
  }

  /** The globe follows the mouse while a button is down; else the value under it is told. */
  function drag(event) {
    if (shape() === flat || !event.buttons || !grip) {
      hover(axisAt(event));
      return;
    }
    const [dx, dy] = [event.clientX - grip.at[0], event.clientY - grip.at[1]];
    const pixels = Math.hypot(dx, dy);
    if (!pixels || (!grip.moved && pixels < CLICK)) return;
    grip = { at: [event.clientX, event.clientY], moved: true };
    turn([dy / pixels, dx / pixels, 0], DEGREES_PER_PIXEL * pixels);
  }

  function turn(axis, degrees) {
    globe.turn(axis, degrees);
    hover(null);
    repaint();
  }

  function pick(index) {
    if (index === null) return;
    model.set("chosen", index);
    model.save_changes();
    repaint();
  }

  const hint = () => model.get(shape() === globe ? "globe_hint" : "hint");

  function hover(index) {
    const of = (k) => {
      const value = model.get("values")[k]?.[index];
      return `${model.get("titles")[k]} ${value == null ? "not yet" : `${short(value)} ${model.get("unit")}`}`;
    };
    hovered.textContent =
      index === null ? hint() : `${named(model.get("axes")[index])}: ${panels.map((_, k) => of(k)).join(", ")}`;
  }

  function known() {
    const all = model.get("values");
    return model.get("axes").flatMap((_, k) => (all.length && all[0][k] != null ? [k] : []));
  }

  function sizes() {
    const across = Math.min(panels.length, Math.max(1, Math.floor(row.clientWidth / 220)));
    const fair = Math.floor((row.clientWidth - 10 * (across - 1)) / across) - 1;
    const width = Math.min(model.get("max_width"), shape().widest, fair);
    const inner = width - 2 * MARGIN.x;
    return { width, height: Math.round(inner / shape().aspect) + 2 * MARGIN.y };
  }

  function draw() {
    waiting = null;
    if (!row.clientWidth || !panels.length) return;
    const { width, height } = sizes();
    const ratio = window.devicePixelRatio || 1;
    const inner = [Math.round((width - 2 * MARGIN.x) * ratio), Math.round((height - 2 * MARGIN.y) * ratio)];
    const ready = known();
    const cells = shape().cells(...inner, model.get("axes"), ready);
    panels.forEach((canvas, k) => {
      const pen = sized(canvas, width, height, ratio);
      const values = model.get("values")[k] ?? model.get("axes").map(() => null);
      const limit = model.get("limits")[k] ?? model.get("limits")[0];
      const picture = image(...inner, cells, values, limit, model.get("scale"));
      pen.putImageData(picture, Math.round(MARGIN.x * ratio), Math.round(MARGIN.y * ratio));
      drawMarks(pen, width, height, ready);
    });
    drawModulusBar(bar, model.get("limits"), model.get("scale"), model.get("unit"));
    tell(ready);
  }

  /** Said to screen readers, and to whoever measures. */
  function tell(ready) {
    const turned = shape() === globe ? `, globe, ${describe(globe.quaternion)}` : "";
    host.setAttribute("aria-label", `${model.get("label")}${turned}. ${hint()}`);
    panels.forEach((canvas, k) => {
      const kind = turned ? "globe" : "map";
      canvas.setAttribute("aria-label", `${model.get("titles")[k]}: ${kind} of the error over the rotation axes`);
      canvas.style.cursor = turned ? "grab" : "";
      canvas.style.touchAction = turned ? "none" : "";
    });
    Object.assign(host.dataset, { sequence: model.get("sequence"), known: ready.length, chosen: model.get("chosen") });
    host.dataset.shape = model.get("shape");
    host.dataset.quaternion = JSON.stringify(globe.quaternion);
  }

  function sized(canvas, width, height, ratio) {
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      [canvas.width, canvas.height] = [Math.round(width * ratio), Math.round(height * ratio)];
      [canvas.style.width, canvas.style.height] = [`${width}px`, `${height}px`];
    }
    const pen = canvas.getContext("2d");
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.clearRect(0, 0, canvas.width, canvas.height);
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    return pen;
  }

  /** Edge, circles, a dot for each axis that is known, names, and a ring around the picked one. */
  function drawMarks(pen, width, height, ready) {
    const [a, b] = [width / 2 - MARGIN.x, height / 2 - MARGIN.y];
    const at = ([x, y]) => [width / 2 + a * x, height / 2 - b * y];
    const [axes, places] = [model.get("axes"), model.get("places")];
    const place = (k) => (axes[k] ? shape().place(axes[k], places[k]) : null);
    pen.strokeStyle = "rgba(20, 24, 31, 0.28)";
    pen.lineWidth = 1;
    pen.beginPath();
    for (const [from, to] of shape().lines()) {
      pen.moveTo(...at(from));
      pen.lineTo(...at(to));
    }
    pen.stroke();
    pen.strokeStyle = "#55606e";
    pen.lineWidth = 1.2;
    pen.beginPath();
    pen.ellipse(width / 2, height / 2, a, b, 0, 0, 2 * Math.PI);
    pen.stroke();
    pen.fillStyle = "rgba(20, 24, 31, 0.45)";
    for (const [x, y] of ready.map(place).filter(Boolean).map(at)) pen.fillRect(x - 0.75, y - 0.75, 1.5, 1.5);
    drawNames(pen, at);
    const chosen = place(model.get("chosen"));
    if (chosen) drawRing(pen, at(chosen));
  }

  function drawNames(pen, at) {
    pen.font = FONT;
    pen.textBaseline = "middle";
    pen.textAlign = "center";
    pen.lineWidth = 3;
    pen.lineJoin = "round";
    pen.strokeStyle = "rgba(255, 255, 255, 0.85)";
    pen.fillStyle = "#14181f";
    for (const [name, x, y, dx, dy] of shape().names()) {
      const [left, top] = at([x, y]);
      pen.strokeText(name, left + dx, top + dy);
      pen.fillText(name, left + dx, top + dy);
    }
  }

  function drawRing(pen, [x, y]) {
    for (const [colour, width] of [["#ffffff", 5], ["#1d4ed8", 2.5]]) {
      pen.strokeStyle = colour;
      pen.lineWidth = width;
      pen.beginPath();
      pen.arc(x, y, 8, 0, 2 * Math.PI);
      pen.stroke();
    }
  }

  function worst() {
    const values = model.get("values")[0] ?? [];
    return values.reduce((best, v, k) => (v != null && v > (values[best] ?? -1) ? k : best), 0);
  }

  /** Arrow keys walk over the map, but turn the globe, where Enter picks what is in front. */
  function onKey(event) {
    const axes = model.get("axes");
    const steer = shape() === globe ? TURN_KEYS[event.key] : null;
    if (steer) turn(steer, event.shiftKey ? 1 : 5);
    else if (event.key === "Home") pick(worst());
    else if (shape() === globe && event.key === "Enter") pick(nearest(axes, globe.directionAt(0, 0)));
    else if (shape() === flat && KEYS[event.key]) pick(neighbour(axes, model.get("chosen"), KEYS[event.key]));
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  let announcing = null;
  function announce() {
    announcing ??= setTimeout(() => {
      announcing = null;
      live.textContent = model.get("announcement");
    }, 1000);
  }

  /** What is picked is seen: the globe turns to an axis behind it. */
  function chosen() {
    const axis = model.get("axes")[model.get("chosen")];
    if (axis) globe.face(axis);
    repaint();
  }

  function reshaped() {
    hover(null);
    chosen();
  }

  const resizing = new ResizeObserver(repaint);
  resizing.observe(row);
  host.addEventListener("keydown", onKey);
  const heard = { titles: build, announcement: announce, chosen, shape: reshaped };
  for (const name of ["sequence", "limits", "scale", "label"]) heard[name] = repaint;
  for (const [name, react] of Object.entries(heard)) model.on(`change:${name}`, react);
  build();
  reshaped();
  return () => {
    resizing.disconnect();
    clearTimeout(announcing);
    if (waiting !== null) cancelAnimationFrame(waiting);
    for (const [name, react] of Object.entries(heard)) model.off(`change:${name}`, react);
    host.remove();
  };
}

export default { render };
