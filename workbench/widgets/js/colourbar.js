import { paint, paintPhases } from "./colour.js";

const WIDTH = 300;
export const HEIGHT = 30;
export const EDGE = 24; // room for the outer tick labels and the arrow heads

export const short = (v) => (v === 0 || Math.abs(v) >= 1e-3 ? String(Number(v.toPrecision(3))) : v.toExponential(0)).replace("-", "−");

/** Tick positions (-1 to 1 along the bar) and their values. Colours change uniformly along the bar. */
export function ticks(limit, scale) {
  if (scale !== "log") return [-1, -0.5, 0, 0.5, 1].map((at) => [at, at * limit]);
  const place = (ratio) => Math.log1p(1000 * ratio) / Math.log1p(1000);
  const half = [1, 0.1, 0.01];
  return [...half.map((r) => [-place(r), -r * limit]), [0, 0], ...half.map((r) => [place(r), r * limit])];
}

/** An arrow head at the end of the bar: the outermost colour also represents all values beyond. */
function drawArrow(pen, x, direction, rgb) {
  pen.fillStyle = `rgb(${rgb.join()})`;
  pen.beginPath();
  pen.moveTo(x, 1);
  pen.lineTo(x + 9 * direction, 6.5);
  pen.lineTo(x, 12);
  pen.fill();
}

/** A canvas of colours, one pixel per value. */
export function strip(width, height, fill) {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [width, height];
  const context = canvas.getContext("2d");
  const pixels = context.createImageData(width, height);
  fill(pixels.data);
  context.putImageData(pixels, 0, 0);
  return { canvas, rgba: pixels.data };
}

/** Signed values: from minus to plus the limit. */
function drawSigned(pen, length, limit, scale) {
  const values = Array.from({ length: 256 }, (_, k) => (k - 127.5) / 127.5);
  const { canvas, rgba } = strip(256, 1, (data) => paint(values, 1, "linear", data));
  pen.drawImage(canvas, EDGE, 1, length, 11);
  drawArrow(pen, EDGE, -1, rgba.subarray(0, 3));
  drawArrow(pen, EDGE + length, 1, rgba.subarray(4 * 255, 4 * 255 + 3));
  return ticks(limit, scale).map(([at, value]) => [(at + 1) / 2, short(value)]);
}

/** Phases from left to right; the modulus grows from white at the bottom to saturated colours at the top. */
function drawPhases(pen, length) {
  const pairs = [];
  for (let row = 10; row >= 0; row--) {
    for (let k = 0; k < 256; k++) {
      const phase = (k / 255 - 0.5) * 2 * Math.PI;
      pairs.push((row / 10) * Math.cos(phase), (row / 10) * Math.sin(phase));
    }
  }
  pen.drawImage(strip(256, 11, (data) => paintPhases(pairs, 1, "linear", data)).canvas, EDGE, 1, length, 11);
  return [-180, -90, 0, 90, 180].map((degrees) => [(degrees + 180) / 360, `${degrees}°`.replace("-", "−")]);
}

/** A colour bar with its unit; for complex values one of phases, with the modulus of saturated colours. */
export function drawColourBar(canvas, limit, scale, unit, phases) {
  const ratio = window.devicePixelRatio || 1;
  const ink = getComputedStyle(canvas).color;
  const key = [limit, scale, unit, phases, ratio, ink].join();
  if (canvas.dataset.key === key) return;
  canvas.dataset.key = key;
  const width = WIDTH + (phases ? 130 : 34);
  canvas.width = width * ratio;
  canvas.height = HEIGHT * ratio;
  canvas.style.width = `${width}px`;
  canvas.style.height = `${HEIGHT}px`;
  canvas.setAttribute("role", "img");
  const label = phases
    ? `Colours by phase from minus to plus 180 degrees, white at zero, saturated from ${limit} ${unit}`
    : `Colours from minus to plus ${limit} ${unit}, white at zero`;
  canvas.setAttribute("aria-label", label);
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  const length = WIDTH - 2 * EDGE;
  const marks = phases ? drawPhases(pen, length) : drawSigned(pen, length, limit, scale);
  pen.strokeStyle = "rgba(20, 24, 31, 0.5)";
  pen.strokeRect(EDGE + 0.5, 1.5, length - 1, 10);
  pen.fillStyle = ink;
  pen.font = "12px system-ui, 'DejaVu Sans', sans-serif";
  pen.textBaseline = "top";
  pen.textAlign = "center";
  for (const [at, text] of marks) {
    const x = EDGE + at * length;
    pen.fillRect(x - 0.5, 12, 1, 3);
    pen.fillText(text, x, 17);
  }
  pen.textAlign = "left";
  const full = `full at ${short(limit)} ${unit}${scale === "log" ? ", log" : ""}`;
  pen.fillText(phases ? full : unit, WIDTH + 4, 1);
}
