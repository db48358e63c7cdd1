// SphereCanvas: a non-negative function of direction as maps of the whole sphere (Mollweide), one for
// each subject, on one colour scale. Between computed directions nothing is made up: every point takes
// the colour of the nearest direction that is known, so that a map sharpens while it fills.

import { paint } from "./colour.js";
import { short } from "./colourbar.js";
import { drawModulusBar } from "./modulusbar.js";
import "./sphere_map.css";

const FONT = "13px system-ui, 'Segoe UI', 'Helvetica Neue', Arial, 'DejaVu Sans', sans-serif";
const MARGIN = { x: 22, y: 16 };
const AXES = [["+z", 0, 0], ["+x", 0.5, 0], ["−x", -0.5, 0], ["+y", 0, 1], ["−y", 0, -1], ["−z", 1, 0], ["−z", -1, 0]];
const KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
const named = (axis) => `(${axis.map((c) => c.toFixed(2).replace("-0.00", "0.00").replace("-", "−")).join(", ")})`;

function element(tag, className, parent) {
  const node = document.createElement(tag);
  node.className = className;
  parent.append(node);
  return node;
}

/** The direction at a place of the map (half widths, half heights; y up), or null outside. */
function directionAt(x, y) {
  if (x * x + y * y > 1) return null;
  const t = Math.asin(y);
  const sine = (2 * t + Math.sin(2 * t)) / Math.PI;
  const across = Math.sqrt(Math.max(0, 1 - sine * sine));
  const longitude = Math.abs(Math.cos(t)) < 1e-9 ? 0 : (Math.PI * x) / Math.cos(t);
  return [across * Math.sin(longitude), sine, across * Math.cos(longitude)];
}

function nearest(axes, direction) {
  let best = 0;
  axes.forEach((axis, k) => {
    if (dot(axis, direction) > dot(axes[best], direction)) best = k;
  });
  return best;
}

/** Which axis is the nearest one from here towards an arrow key, seen with +y up. */
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

/** For every pixel of the map the nearest axis among those known; further ones can be added. */
class Cells {
  constructor(width, height) {
    Object.assign(this, { width, height, used: new Set() });
    this.pixels = [];
    for (let k = 0; k < width * height; k++) {
      const [column, row] = [k % width, Math.floor(k / width)];
      const at = directionAt((2 * column + 1) / width - 1, 1 - (2 * row + 1) / height);
      if (at) this.pixels.push([k, ...at]);
    }
    this.owner = new Int32Array(this.pixels.length).fill(-1);
    this.cosine = new Float32Array(this.pixels.length).fill(-2);
  }

  add(index, [x, y, z]) {
    this.used.add(index);
    for (let p = 0; p < this.pixels.length; p++) {
      const pixel = this.pixels[p];
      const cosine = pixel[1] * x + pixel[2] * y + pixel[3] * z;
      if (cosine > this.cosine[p]) [this.cosine[p], this.owner[p]] = [cosine, index];
    }
  }

  image(values, limit, scale) {
    const colours = new Uint8ClampedArray(4 * (values.length + 1));
    paint([...values.map((v) => v ?? NaN), NaN], limit, scale, colours);
    const image = new ImageData(this.width, this.height);
    this.pixels.forEach(([k], p) => {
      const own = this.owner[p] < 0 ? values.length : this.owner[p];
      for (let c = 0; c < 4; c++) image.data[4 * k + c] = colours[4 * own + c];
    });
    return image;
  }
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
  let panels = [];
  let cells = null;
  let waiting = null;

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
      canvas.addEventListener("mousemove", (event) => hover(axisAt(event)));
      canvas.addEventListener("mouseleave", () => hover(null));
      canvas.addEventListener("click", (event) => pick(axisAt(event)));
      return canvas;
    });
    repaint();
  }

  /** Index of the axis nearest to the mouse, or null outside of the map. */
  function axisAt(event) {
    const { clientWidth, clientHeight } = event.target;
    const x = (event.offsetX - clientWidth / 2) / (clientWidth / 2 - MARGIN.x);
    const y = (clientHeight / 2 - event.offsetY) / (clientHeight / 2 - MARGIN.y);
    const direction = directionAt(x, y);
    return direction && nearest(model.get("axes"), direction);
  }

  function pick(index) {
    if (index === null) return;
    model.set("chosen", index);
    model.save_changes();
    repaint();
  }

  function hover(index) {
    const of = (k) => {
      const value = model.get("values")[k]?.[index];
      return `${model.get("titles")[k]} ${value == null ? "not yet" : `${short(value)} ${model.get("unit")}`}`;
    };
    hovered.textContent =
      index === null ? model.get("hint") : `${named(model.get("axes")[index])}: ${panels.map((_, k) => of(k)).join(", ")}`;
  }

  function known() {
    const all = model.get("values");
    return model.get("axes").flatMap((_, k) => (all.length && all[0][k] != null ? [k] : []));
  }

  function sizes() {
    const across = Math.min(panels.length, Math.max(1, Math.floor(row.clientWidth / 220)));
    const width = Math.min(model.get("max_width"), Math.floor((row.clientWidth - 10 * (across - 1)) / across) - 1);
    const inner = width - 2 * MARGIN.x;
    return { width, height: Math.round(inner / 2) + 2 * MARGIN.y };
  }

  function draw() {
    waiting = null;
    if (!row.clientWidth || !panels.length) return;
    const { width, height } = sizes();
    const ratio = window.devicePixelRatio || 1;
    const inner = [Math.round((width - 2 * MARGIN.x) * ratio), Math.round((height - 2 * MARGIN.y) * ratio)];
    const [axes, ready] = [model.get("axes"), known()];
    const fits = cells?.width === inner[0] && cells.axes === axes && [...cells.used].every((k) => ready.includes(k));
    if (!fits) cells = Object.assign(new Cells(...inner), { axes });
    ready.filter((k) => !cells.used.has(k)).forEach((k) => cells.add(k, axes[k]));
    panels.forEach((canvas, k) => drawMap(canvas, k, width, height, ratio, ready));
    drawModulusBar(bar, model.get("limits"), model.get("scale"), model.get("unit"));
    host.dataset.sequence = model.get("sequence");
    host.dataset.known = ready.length;
    host.dataset.chosen = model.get("chosen");
  }

  function drawMap(canvas, k, width, height, ratio, ready) {
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      [canvas.width, canvas.height] = [Math.round(width * ratio), Math.round(height * ratio)];
      [canvas.style.width, canvas.style.height] = [`${width}px`, `${height}px`];
    }
    const pen = canvas.getContext("2d");
    const values = model.get("values")[k] ?? model.get("axes").map(() => null);
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.clearRect(0, 0, canvas.width, canvas.height);
    const limits = model.get("limits");
    const image = cells.image(values, limits[k] ?? limits[0], model.get("scale"));
    pen.putImageData(image, Math.round(MARGIN.x * ratio), Math.round(MARGIN.y * ratio));
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    const [a, b] = [width / 2 - MARGIN.x, height / 2 - MARGIN.y];
    const at = ([x, y]) => [width / 2 + a * x, height / 2 - b * y];
    pen.strokeStyle = "#55606e";
    pen.lineWidth = 1.2;
    pen.beginPath();
    pen.ellipse(width / 2, height / 2, a, b, 0, 0, 2 * Math.PI);
    pen.stroke();
    const places = model.get("places");
    pen.fillStyle = "rgba(20, 24, 31, 0.45)";
    for (const index of ready) {
      const [x, y] = at(places[index]);
      pen.fillRect(x - 0.75, y - 0.75, 1.5, 1.5);
    }
    drawAxes(pen, at);
    drawChosen(pen, at(places[model.get("chosen")] ?? [9, 9]));
    canvas.setAttribute("aria-label", `${model.get("titles")[k]}: map of the error over the axes of the turn`);
  }

  function drawAxes(pen, at) {
    pen.font = FONT;
    pen.textBaseline = "middle";
    pen.textAlign = "center";
    pen.lineWidth = 3;
    pen.lineJoin = "round";
    pen.strokeStyle = "rgba(255, 255, 255, 0.85)";
    pen.fillStyle = "#14181f";
    for (const [name, x, y] of AXES) {
      const [left, top] = at([x, y]);
      const edge = Math.abs(x) === 1;
      const [dx, dy] = [edge ? 11 * x : 0, y ? -8 * y : edge ? 0 : -17];
      pen.strokeText(name, left + dx, top + dy);
      pen.fillText(name, left + dx, top + dy);
    }
  }

  function drawChosen(pen, [x, y]) {
    for (const [colour, width] of [["#ffffff", 5], ["#1d4ed8", 2.5]]) {
      pen.strokeStyle = colour;
      pen.lineWidth = width;
      pen.beginPath();
      pen.arc(x, y, 8, 0, 2 * Math.PI);
      pen.stroke();
    }
  }

  function onKey(event) {
    const { axes, values } = { axes: model.get("axes"), values: model.get("values")[0] ?? [] };
    let index = null;
    if (KEYS[event.key]) index = neighbour(axes, model.get("chosen"), KEYS[event.key]);
    if (event.key === "Home") index = values.reduce((best, v, k) => (v != null && v > (values[best] ?? -1) ? k : best), 0);
    if (index === null) return;
    event.preventDefault();
    event.stopPropagation();
    pick(index);
  }

  let announcing = null;
  function announce() {
    announcing ??= setTimeout(() => {
      announcing = null;
      live.textContent = model.get("announcement");
    }, 1000);
  }

  const label = () => host.setAttribute("aria-label", `${model.get("label")}. ${model.get("hint")}`);
  const resizing = new ResizeObserver(repaint);
  resizing.observe(row);
  host.addEventListener("keydown", onKey);
  for (const name of ["sequence", "chosen", "limits", "scale"]) model.on(`change:${name}`, repaint);
  model.on("change:titles", build);
  model.on("change:announcement", announce);
  model.on("change:label", label);
  label();
  build();
  hover(null);
  return () => {
    resizing.disconnect();
    clearTimeout(announcing);
    if (waiting !== null) cancelAnimationFrame(waiting);
    for (const name of ["sequence", "chosen", "limits", "scale"]) model.off(`change:${name}`, repaint);
    model.off("change:titles", build);
    model.off("change:announcement", announce);
    model.off("change:label", label);
    host.remove();
  };
}

export default { render };
