// SurfaceView: a function on the sphere as the surface |f(n)| n, rotated by mouse, touch or arrow keys.
// Painted on a 2D canvas: the surface is star-shaped, so drawing its front faces from far to near is exact
// enough, and it needs no WebGL context, whose number per page is limited.

import { aboutAxis, multiply, turnedAxes } from "./quaternion.js";
import { Turnable } from "./turnable.js";

const POSITIVE = [178, 24, 43]; // as in Heat: red above zero ...
const NEGATIVE = [33, 102, 172]; // ... and blue below
const LIGHT = [0.36, 0.48, 0.8];
const DEGREES_PER_PIXEL = 0.6;

/** Unit vectors of the grid in `views/sphere.py`, rows from pole to pole. */
function directions(rows, columns) {
  const found = [];
  for (let row = 0; row < rows; row++) {
    const theta = (Math.PI * row) / (rows - 1);
    for (let column = 0; column < columns; column++) {
      const phi = (2 * Math.PI * column) / columns;
      found.push([Math.sin(theta) * Math.cos(phi), Math.sin(theta) * Math.sin(phi), Math.cos(theta)]);
    }
  }
  return found;
}

const minus = (a, b) => [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];

/** The faces towards the viewer, from far to near, each with its corners and colour. */
function frontFaces(points, values, rows, columns) {
  const faces = [];
  for (let row = 0; row + 1 < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const next = (column + 1) % columns;
      const corners = [row * columns + column, row * columns + next];
      corners.push(corners[1] + columns, corners[0] + columns);
      const [a, b, c, d] = corners.map((k) => points[k]);
      const normal = cross(minus(c, a), minus(d, b));
      const middle = [0, 1, 2].map((k) => a[k] + b[k] + c[k] + d[k]);
      const outward = Math.sign(dot(normal, middle)); // a star-shaped surface faces away from 0
      const length = outward * Math.hypot(...normal);
      if (!length || normal[2] / length <= 0) continue;
      const bright = 0.5 + 0.5 * Math.max(0, dot(normal, LIGHT) / length);
      const sum = corners.reduce((total, k) => total + values[k], 0);
      const base = sum < 0 ? NEGATIVE : POSITIVE;
      const colour = base.map((v) => Math.round(Math.min(255, v * bright + 60 * (bright - 0.5))));
      faces.push({ at: [a, b, c, d], depth: middle[2], colour: `rgb(${colour.join()})` });
    }
  }
  return faces.sort((a, b) => a.depth - b.depth);
}

function render({ model, el }) {
  const canvas = document.createElement("canvas");
  canvas.style.cssText = "width: 100%; height: 100%; display: block;";
  let waiting = null;
  let last = null;
  const repaint = () => {
    if (waiting === null) waiting = requestAnimationFrame(draw);
  };
  const frame = new Turnable(model, el, "wb-surface", repaint);
  const { host, scene } = frame;
  if (model.get("fixed")) scene.style.cursor = "default";
  scene.append(canvas);

  function draw() {
    waiting = null;
    const [rows, columns] = model.get("grid");
    const view = model.get("values");
    const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
    const values = new Float32Array(bytes.slice().buffer); // a copy: the view may be unaligned
    const [width, height] = [scene.clientWidth, scene.clientHeight];
    if (!width || values.length !== rows * columns) return;
    const ratio = window.devicePixelRatio || 1;
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    const pen = canvas.getContext("2d");
    const scale = (0.45 * Math.min(width, height)) / model.get("reach");
    pen.setTransform(ratio, 0, 0, ratio, (width / 2) * ratio, (height / 2) * ratio);
    const [ex, ey, ez] = turnedAxes(frame.quaternion);
    const points = directions(rows, columns).map(([x, y, z], k) => {
      const r = Math.abs(values[k]) * scale;
      return [0, 1, 2].map((c) => r * (x * ex[c] + y * ey[c] + z * ez[c]));
    });
    pen.lineWidth = 0.8; // in the face's own colour: no seams between neighbours
    for (const { at, colour } of frontFaces(points, values, rows, columns)) {
      pen.fillStyle = pen.strokeStyle = colour;
      pen.beginPath();
      at.forEach(([x, y], k) => (k ? pen.lineTo(x, -y) : pen.moveTo(x, -y)));
      pen.closePath();
      pen.fill();
      pen.stroke();
    }
    host.dataset.sequence = model.get("sequence");
  }

  function onMove(event) {
    const here = [event.clientX, event.clientY];
    const [dx, dy] = last ? [here[0] - last[0], here[1] - last[1]] : [0, 0];
    last = frame.dragging ? here : null;
    const pixels = Math.hypot(dx, dy);
    if (!frame.dragging || !pixels) return;
    const step = aboutAxis([dy / pixels, dx / pixels, 0], DEGREES_PER_PIXEL * pixels);
    frame.moved(multiply(step, frame.quaternion));
    repaint();
  }

  const resizing = new ResizeObserver(repaint);
  resizing.observe(scene);
  window.addEventListener("pointermove", onMove);
  model.on("change:sequence", repaint);
  return () => {
    frame.dispose();
    resizing.disconnect();
    if (waiting !== null) cancelAnimationFrame(waiting);
    window.removeEventListener("pointermove", onMove);
    model.off("change:sequence", repaint);
    host.remove();
  };
}

export default { render };
