// The one diverging map: blue - white - red (ColorBrewer RdBu, safe for colour-blind readers),
// exactly white at zero.

const NEGATIVE = ["#f7fbff", "#d1e5f0", "#92c5de", "#4393c3", "#2166ac", "#053061"];
const POSITIVE = ["#fff9f5", "#fddbc7", "#f4a582", "#d6604d", "#b2182b", "#67001f"];
const WHITE = [255, 255, 255];
const STEPS = 255;

const parse = (hex) => [1, 3, 5].map((k) => parseInt(hex.slice(k, k + 2), 16));

function ramp(stops) {
  const anchors = [WHITE, ...stops.slice(1).map(parse)];
  const table = new Uint8Array(3 * (STEPS + 1));
  for (let k = 0; k <= STEPS; k++) {
    const place = (k / STEPS) * (anchors.length - 1);
    const low = Math.min(Math.floor(place), anchors.length - 2);
    for (let c = 0; c < 3; c++) {
      const [a, b] = [anchors[low][c], anchors[low + 1][c]];
      table[3 * k + c] = Math.round(a + (place - low) * (b - a));
    }
  }
  return table;
}

const TABLES = { negative: ramp(NEGATIVE), positive: ramp(POSITIVE) };

/** Part of the colour range (0 to 1) that a modulus uses; "log" starts at a thousandth of the limit. */
export function strength(modulus, limit, scale) {
  const ratio = Math.min(modulus / limit, 1);
  return scale === "log" ? Math.log1p(1000 * ratio) / Math.log1p(1000) : ratio;
}

/** Write the colours of values into RGBA bytes; missing values (NaN) become light grey. */
export function paint(values, limit, scale, rgba) {
  for (let k = 0; k < values.length; k++) {
    const v = values[k];
    const table = v < 0 ? TABLES.negative : TABLES.positive;
    const step = 3 * Math.round(STEPS * strength(Math.abs(v), limit, scale));
    const missing = Number.isNaN(v);
    for (let c = 0; c < 3; c++) rgba[4 * k + c] = missing ? 236 : table[step + c];
    rgba[4 * k + 3] = 255;
  }
}

// Hue by phase from 0 to 360 degrees (`CYCLIC` in views/spin_panels.py): red and blue on the real axis, as
// above, light and dark on the imaginary axis, so that lightness separates similar hues.
const CYCLE = [
  ...["#b2182b", "#d9681d", "#e8b92e", "#5aa46a", "#2166ac", "#2a3f8f", "#351257", "#7a1650"],
  "#b2182b",
].map(parse);

/** Full colour [r, g, b] of a phase in radians. */
function hue(phase) {
  const turns = phase / (2 * Math.PI);
  const place = (turns - Math.floor(turns)) * (CYCLE.length - 1);
  const low = Math.min(Math.floor(place), CYCLE.length - 2);
  return [0, 1, 2].map((c) => CYCLE[low][c] + (place - low) * (CYCLE[low + 1][c] - CYCLE[low][c]));
}

/** As `paint`, for complex values given as pairs: hue by phase, white at zero. */
export function paintPhases(pairs, limit, scale, rgba) {
  for (let k = 0; 2 * k < pairs.length; k++) {
    const [re, im] = [pairs[2 * k], pairs[2 * k + 1]];
    const full = hue(Math.atan2(im, re));
    const part = strength(Math.hypot(re, im), limit, scale);
    const missing = Number.isNaN(re);
    for (let c = 0; c < 3; c++) rgba[4 * k + c] = missing ? 236 : Math.round(255 + part * (full[c] - 255));
    rgba[4 * k + 3] = 255;
  }
}

/** Black or white text, whichever is readable on the colour of a value (complex: of its modulus). */
export function ink(value, limit, scale) {
  return strength(Math.abs(value), limit, scale) > 0.62 ? "#ffffff" : "#14181f";
}
