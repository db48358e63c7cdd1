import { paint } from "./colour.js";

const WIDTH = 300;
const HEIGHT = 30;
const EDGE = 24; // room for the outer tick labels and the arrow heads

const short = (v) => (v === 0 || Math.abs(v) >= 1e-3 ? String(Number(v.toPrecision(3))) : v.toExponential(0)).replace("-", "−");

/** Tick positions (-1 to 1 along the bar) and values. The bar itself is even in colour. */
function ticks(limit, scale) {
  if (scale !== "log") return [-1, -0.5, 0, 0.5, 1].map((at) => [at, at * limit]);
  const place = (ratio) => Math.log1p(1000 * ratio) / Math.log1p(1000);
  const half = [1, 0.1, 0.01];
  return [...half.map((r) => [-place(r), -r * limit]), [0, 0], ...half.map((r) => [place(r), r * limit])];
}

/** An arrow head at the end of the bar: the outermost colour also stands for all beyond. */
function drawArrow(pen, x, direction, rgb) {
  pen.fillStyle = `rgb(${rgb.join()})`;
  pen.beginPath();
  pen.moveTo(x, 1);
  pen.lineTo(x + 9 * direction, 6.5);
  pen.lineTo(x, 12);
  pen.fill();
}

/** A colour bar with its unit. */
export function drawColourBar(canvas, limit, scale, unit) {
  const ratio = window.devicePixelRatio || 1;
  const key = [limit, scale, unit, ratio].join();
  if (canvas.dataset.key === key) return;
  canvas.dataset.key = key;
  const width = WIDTH + 34;
  canvas.width = width * ratio;
  canvas.height = HEIGHT * ratio;
  canvas.style.width = `${width}px`;
  canvas.style.height = `${HEIGHT}px`;
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", `Colours from minus to plus ${limit} ${unit}, white at zero`);
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  const length = WIDTH - 2 * EDGE;
  const strip = document.createElement("canvas");
  strip.width = 256;
  strip.height = 1;
  const context = strip.getContext("2d");
  const pixels = context.createImageData(256, 1);
  paint(Array.from({ length: 256 }, (_, k) => (k - 127.5) / 127.5), 1, "linear", pixels.data);
  context.putImageData(pixels, 0, 0);
  pen.drawImage(strip, EDGE, 1, length, 11);
  pen.strokeStyle = "rgba(20, 24, 31, 0.5)";
  pen.strokeRect(EDGE + 0.5, 1.5, length - 1, 10);
  drawArrow(pen, EDGE, -1, pixels.data.subarray(0, 3));
  drawArrow(pen, EDGE + length, 1, pixels.data.subarray(4 * 255, 4 * 255 + 3));
  pen.fillStyle = "#14181f";
  pen.font = "12px system-ui, 'DejaVu Sans', sans-serif";
  pen.textBaseline = "top";
  pen.textAlign = "center";
  for (const [at, value] of ticks(limit, scale)) {
    const x = EDGE + ((at + 1) / 2) * length;
    pen.fillRect(x - 0.5, 12, 1, 3);
    pen.fillText(short(value), x, 17);
  }
  pen.textAlign = "left";
  pen.fillText(unit, WIDTH + 4, 1);
}
