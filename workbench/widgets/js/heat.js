// Heat: small multiples of matrices on one colour scale, with linked hover and selected block.
// Python sends shape, float32 bytes and a sequence number together; only a new sequence number redraws.

import { ink, paint, paintPhases } from "./colour.js";
import { drawColourBar } from "./colourbar.js";
import "./heat.css";

const FONT = "system-ui, 'Segoe UI', 'Helvetica Neue', Arial, 'DejaVu Sans', sans-serif";
const GRID = "rgba(20, 24, 31, 0.42)";
const NARROW = 34; // px of a column: below it the orbitals' names stand upright
const ROW_COLOUR = "#d97706";
const COLUMN_COLOUR = "#0f766e";

/** Bytes arrive as a DataView at any offset: copy, then read as floats. */
function floats(view) {
  if (!view || !view.byteLength) return new Float32Array(0);
  const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
  return new Float32Array(bytes.slice().buffer);
}

/** Index of the group (atom) that contains a row. */
function groupOf(borders, index) {
  let group = 0;
  while (group + 2 < borders.length && index >= borders[group + 1]) group++;
  return group;
}

/** Name of a group: its atom, and the spin of its orbitals if every atom occurs twice. */
function groupName({ atoms, borders }, group) {
  const spin = borders.length - 1 > atoms.length ? "↑↓"[Math.floor(group / atoms.length)] : "";
  return (atoms[group % atoms.length] ?? "") + spin;
}

export function formatted(value, digits) {
  if (Number.isNaN(value)) return "none";
  const text = Math.abs(value) >= 1e5 ? value.toExponential(2) : value.toFixed(digits);
  return (Number(text) === 0 ? text.replace("-", "") : text).replace("-", "−");
}

class Panel {
  constructor(index, onHover, onPick) {
    this.index = index;
    this.figure = document.createElement("figure");
    this.caption = document.createElement("figcaption");
    this.title = document.createElement("b");
    this.note = document.createElement("span");
    this.caption.append(this.title, this.note);
    this.canvas = document.createElement("canvas");
    this.canvas.setAttribute("role", "img");
    this.figure.append(this.caption, this.canvas);
    this.image = document.createElement("canvas");
    this.canvas.addEventListener("mousemove", (e) => onHover(this.cellAt(e)));
    this.canvas.addEventListener("mouseleave", () => onHover(null));
    this.canvas.addEventListener("click", (e) => onPick(this.cellAt(e)));
  }

  /** [row, column] under the mouse, or null in the margins. */
  cellAt(event) {
    if (!this.frame) return null;
    const { left, top, width, height, n, m } = this.frame;
    const column = Math.floor(((event.offsetX - left) / width) * m);
    const row = Math.floor(((event.offsetY - top) / height) * n);
    return row >= 0 && row < n && column >= 0 && column < m ? [row, column] : null;
  }

  draw(values, n, m, look) {
    const { size, rows, columns } = look;
    const ratio = window.devicePixelRatio || 1;
    const byOrbital = look.height / Math.max(n, 1) >= 15 && rows.atoms.length === 1;
    const left = byOrbital ? 62 : 30;
    const upright = byOrbital && (size - left) / m < NARROW; // names of the columns
    const top = upright ? 66 : 20;
    const height = look.height + top - 20;
    const inner = { left, top, width: size - left - 2, height: height - top - 2, n, m };
    this.frame = inner;
    this.resize(Math.round(size * ratio), Math.round(height * ratio), height);
    const pen = this.canvas.getContext("2d");
    this.ink = getComputedStyle(this.canvas).color;
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, size, height);
    this.drawImage(pen, values, inner, look);
    if (look.showValues) this.drawValues(pen, values, inner, look);
    this.drawBorders(pen, inner, rows, columns);
    this.drawLabels(pen, inner, rows, columns, byOrbital, upright);
    this.drawPair(pen, inner, rows, columns, look.pair);
    if (look.hover) this.drawHover(pen, inner, look.hover);
  }

  /** A new size throws the canvas's memory away, so only set what has changed. */
  resize(width, height, shownHeight) {
    if (this.canvas.width === width && this.canvas.height === height) return;
    this.canvas.width = width;
    this.canvas.height = height;
    this.canvas.style.height = `${shownHeight}px`;
  }

  drawImage(pen, values, f, { limit, scale, phases }) {
    const context = this.image.getContext("2d");
    if (this.pixels?.width !== f.m || this.pixels?.height !== f.n) {
      this.image.width = f.m;
      this.image.height = f.n;
      this.pixels = context.createImageData(f.m, f.n);
    }
    (phases ? paintPhases : paint)(values, limit, scale, this.pixels.data);
    context.putImageData(this.pixels, 0, 0);
    pen.imageSmoothingEnabled = false;
    pen.drawImage(this.image, f.left, f.top, f.width, f.height);
  }

  drawValues(pen, values, f, look) {
    const [w, h] = [f.width / f.m, f.height / f.n];
    if (w < 30 || h < 13) return;
    pen.font = `${Math.min(13, h - 3, w / 3.6)}px ${FONT}`;
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    for (let k = 0; k < f.n * f.m; k++) {
      const value = look.phases ? Math.hypot(values[2 * k], values[2 * k + 1]) : values[k];
      if (Number.isNaN(value)) continue;
      pen.fillStyle = ink(value, look.limit, look.scale);
      const [row, column] = [Math.floor(k / f.m), k % f.m];
      const text = formatted(value, look.digits);
      pen.fillText(text, f.left + (column + 0.5) * w, f.top + (row + 0.55) * h, w - 2);
    }
  }

  drawBorders(pen, f, rows, columns) {
    pen.strokeStyle = GRID;
    pen.lineWidth = 1;
    pen.beginPath();
    for (const row of rows.borders) {
      const y = Math.round(f.top + (row / f.n) * f.height) + (row === 0 ? -0.5 : 0.5);
      pen.moveTo(f.left, y);
      pen.lineTo(f.left + f.width, y);
    }
    for (const column of columns.borders) {
      const x = Math.round(f.left + (column / f.m) * f.width) + (column === 0 ? -0.5 : 0.5);
      pen.moveTo(x, f.top);
      pen.lineTo(x, f.top + f.height);
    }
    pen.stroke();
  }

  drawLabels(pen, f, rows, columns, byOrbital, upright) {
    pen.fillStyle = this.ink;
    pen.textBaseline = "middle";
    pen.font = `${byOrbital ? 12 : 13}px ${FONT}`;
    const place = (axis, extent, least, put) => {
      const borders = byOrbital ? axis.orbitals.map((_, k) => k).concat(axis.orbitals.length) : axis.borders;
      const names = byOrbital ? axis.orbitals : borders.slice(1).map((_, k) => groupName(axis, k));
      const unit = extent / axis.orbitals.length;
      let free = -Infinity;
      names.forEach((name, k) => {
        const middle = ((borders[k] + borders[k + 1]) / 2) * unit;
        if (middle - free < least) return; // would overprint its neighbour
        put(name, middle, (borders[k + 1] - borders[k]) * unit);
        free = middle;
      });
    };
    pen.textAlign = "right";
    place(rows, f.height, 13, (name, y) => pen.fillText(name, f.left - 5, f.top + y, f.left - 6));
    if (upright) {
      pen.textAlign = "left";
      pen.save();
      pen.rotate(-Math.PI / 2);
      place(columns, f.width, 12, (name, x) => pen.fillText(name, 5 - f.top, f.left + x, f.top - 6));
      pen.restore();
      return;
    }
    pen.textAlign = "center";
    place(columns, f.width, 22, (name, x, w) => pen.fillText(name, f.left + x, 10, Math.max(w - 2, 22)));
  }

  /** The picked block of every spin: outlined, with row atom and column atom in their two colours. */
  drawPair(pen, f, rows, columns, pair) {
    if (pair.length !== 2 || rows.atoms.length < 2) return;
    const groups = (axis, atom) => axis.borders.slice(1).map((_, k) => k).filter((k) => k % axis.atoms.length === atom);
    for (const i of groups(rows, pair[0])) {
      for (const j of groups(columns, pair[1])) this.outline(pen, f, rows, columns, i, j);
    }
  }

  outline(pen, f, rows, columns, i, j) {
    const x0 = f.left + (columns.borders[j] / f.m) * f.width;
    const x1 = f.left + (columns.borders[j + 1] / f.m) * f.width;
    const y0 = f.top + (rows.borders[i] / f.n) * f.height;
    const y1 = f.top + (rows.borders[i + 1] / f.n) * f.height;
    pen.lineWidth = 2.5;
    pen.strokeStyle = "#14181f";
    pen.strokeRect(x0, y0, x1 - x0, y1 - y0);
    pen.fillStyle = ROW_COLOUR;
    pen.fillRect(f.left - 4, y0, 3, y1 - y0);
    pen.fillStyle = COLUMN_COLOUR;
    pen.fillRect(x0, f.top - 4, x1 - x0, 3);
  }

  drawHover(pen, f, [row, column]) {
    const [w, h] = [f.width / f.m, f.height / f.n];
    pen.lineWidth = 2;
    pen.strokeStyle = "#14181f";
    pen.strokeRect(f.left + column * w - 1, f.top + row * h - 1, w + 2, h + 2);
    pen.lineWidth = 1;
    pen.strokeStyle = "#ffffff";
    pen.strokeRect(f.left + column * w + 0.5, f.top + row * h + 0.5, w - 1, h - 1);
  }
}

function render({ model, el }) {
  const host = document.createElement("div");
  host.className = "wb-heat";
  const grid = document.createElement("div");
  grid.className = "wb-heat-grid";
  const foot = document.createElement("div");
  foot.className = "wb-heat-foot";
  const readout = document.createElement("div");
  readout.className = "wb-heat-hover";
  const bar = document.createElement("canvas");
  foot.append(readout, bar);
  host.append(grid, foot);
  el.append(host);

  let panels = [];
  let hover = null;
  let frame = null;

  const axis = (name) => model.get(name);
  const repaint = () => {
    if (frame === null) frame = requestAnimationFrame(draw);
  };

  function setHover(cell) {
    if (String(cell) === String(hover)) return;
    hover = cell;
    repaint();
  }

  function pick(cell) {
    if (cell === null || axis("rows").atoms.length < 2) return;
    const atom = ({ atoms, borders }, index) => groupOf(borders, index) % atoms.length;
    model.set("pair", [atom(axis("rows"), cell[0]), atom(axis("columns"), cell[1])]);
    model.save_changes();
  }

  function build() {
    const titles = model.get("titles");
    if (panels.length !== titles.length) {
      panels = titles.map((_, k) => new Panel(k, setHover, pick));
      grid.replaceChildren(...panels.map((p) => p.figure));
    }
    const notes = model.get("notes");
    panels.forEach((panel, k) => {
      panel.title.textContent = titles[k];
      panel.note.textContent = notes[k] || "";
    });
    const widest = model.get("max_size") ? `${model.get("max_size")}px` : "1fr";
    grid.style.gridTemplateColumns = `repeat(${model.get("across") || titles.length}, minmax(0, ${widest}))`;
    repaint();
  }

  function draw() {
    if (frame !== null) cancelAnimationFrame(frame);
    frame = null;
    const [count, n, m] = model.get("shape");
    const values = floats(model.get("values"));
    const size = panels.length ? panels[0].figure.clientWidth : 0;
    const phases = model.get("phases");
    const each = n * m * (phases ? 2 : 1); // floats in a panel
    if (!size || values.length !== count * each || count !== panels.length) return;
    const height = model.get("panel_height") || size - 10;
    const look = {
      size,
      height,
      rows: axis("rows"),
      columns: axis("columns"),
      limit: model.get("limit"),
      scale: model.get("scale"),
      phases,
      showValues: model.get("show_values"),
      digits: model.get("digits"),
      pair: model.get("pair"),
      hover: hover && hover[0] < n && hover[1] < m ? hover : null,
    };
    panels.forEach((panel, k) => {
      const part = values.subarray(k * each, (k + 1) * each);
      panel.draw(part, n, m, look);
      const kind = phases ? "complex matrix" : "matrix";
      const label = `${model.get("titles")[k]}: ${n} by ${m} ${kind} in ${model.get("unit")}`;
      if (panel.canvas.ariaLabel !== label) panel.canvas.ariaLabel = label;
    });
    describeHover(values, n, m, look);
    drawColourBar(bar, look.limit, look.scale, model.get("unit"), phases);
    host.dataset.tick = model.get("tick");
    host.dataset.sequence = model.get("sequence");
    const detail = { tick: model.get("tick"), sequence: model.get("sequence"), at: performance.now() };
    host.dispatchEvent(new CustomEvent("workbench:painted", { bubbles: true, detail }));
  }

  function describeHover(values, n, m, look) {
    if (!look.hover) {
      readout.textContent = model.get("hint");
      return;
    }
    const [row, column] = look.hover;
    const name = ({ atoms, borders, orbitals }, k) => `${atoms[groupOf(borders, k) % atoms.length] ?? ""} ${orbitals[k]}`;
    const numbers = model.get("titles").map((title, k) => {
      const at = (k * n + row) * m + column;
      const [value, imaginary] = look.phases ? [values[2 * at], values[2 * at + 1]] : [values[at]];
      if (Number.isNaN(value)) return null;
      if (!look.phases) return `${title} ${formatted(value, look.digits)}`;
      const degrees = (Math.atan2(imaginary, value) * 180) / Math.PI;
      return `${title} ${formatted(Math.hypot(value, imaginary), look.digits)} ∠ ${formatted(degrees, 0)}°`;
    });
    const where = `${name(look.rows, row)} | ${name(look.columns, column)}`;
    readout.textContent = `${where}:  ${numbers.filter((t) => t !== null).join("  ·  ")} ${model.get("unit")}`;
  }

  /** A page that computes in the browser is already in an animation frame, and has nothing to wait for. */
  const valuesChanged = () => (model.get("at_once") ? draw() : repaint());

  build();
  const watcher = new ResizeObserver(repaint);
  watcher.observe(host);
  model.on("change:sequence", valuesChanged);
  model.on("change:titles change:notes change:across", build);
  model.on("change:limit change:scale change:pair change:rows change:hint", repaint);
  return () => {
    watcher.disconnect();
    if (frame !== null) cancelAnimationFrame(frame);
    model.off("change:sequence", valuesChanged);
    model.off("change:titles change:notes change:across", build);
    model.off("change:limit change:scale change:pair change:rows change:hint", repaint);
    host.remove();
  };
}

export default { render };
