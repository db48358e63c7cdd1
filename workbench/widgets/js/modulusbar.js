import { paint } from "./colour.js";
import { EDGE, HEIGHT, short, strip, ticks } from "./colourbar.js";

/** A colour bar for non-negative values: from white at zero to the saturated colour at each limit. */
export function drawModulusBar(canvas, limits, scale, unit) {
  const ratio = window.devicePixelRatio || 1;
  const key = [limits, scale, unit, ratio].join();
  if (canvas.dataset.key === key) return;
  canvas.dataset.key = key;
  const [width, length] = [300, 170];
  [canvas.width, canvas.height] = [width * ratio, HEIGHT * ratio];
  [canvas.style.width, canvas.style.height] = [`${width}px`, `${HEIGHT}px`];
  canvas.setAttribute("role", "img");
  const common = limits.every((limit) => limit === limits[0]);
  const full = common ? `${short(limits[0])} ${unit}` : "the map's largest";
  canvas.setAttribute("aria-label", `Colours from white at zero to dark red at ${full}`);
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  const values = Array.from({ length: 256 }, (_, k) => k / 255);
  pen.drawImage(strip(256, 1, (data) => paint(values, 1, "linear", data)).canvas, EDGE, 1, length, 11);
  pen.strokeStyle = "rgba(20, 24, 31, 0.5)";
  pen.strokeRect(EDGE + 0.5, 1.5, length - 1, 10);
  pen.fillStyle = "#14181f";
  pen.font = "12px system-ui, 'DejaVu Sans', sans-serif";
  pen.textBaseline = "top";
  pen.textAlign = "center";
  const marks = ticks(common ? limits[0] : 1, scale).filter(([at]) => at >= 0);
  for (const [at, value] of marks) {
    const x = EDGE + at * length;
    pen.fillRect(x - 0.5, 12, 1, 3);
    pen.fillText(common || at === 0 ? short(value) : `${short(100 * value)} %`, x, 17);
  }
  pen.textAlign = "left";
  pen.fillText(common ? unit : "of each map's largest", EDGE + length + 16, 1);
}
