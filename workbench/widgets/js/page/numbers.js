// Numbers as text, as workbench/views/numbers.py writes them.

export const MEV = 1000; // meV in 1 eV

/** A number, usually of meV: 12.3, 0.187, 0.042; a tiny one as 3e−7. @param {number} value */
export function milli(value) {
  if (value >= 999.5) return Math.round(value).toLocaleString("en").replaceAll(",", "\u202f");
  if (value >= 0.001) return value.toPrecision(value >= 0.1 ? 3 : 2);
  return value ? value.toExponential(0).replace("-", "−") : "0";
}

/** A difference with its sign, e.g. "+12.3". @param {number} value */
export function milliSigned(value) {
  const sign = value === 0 ? "" : value > 0 ? "+" : "−";
  return sign + milli(Math.abs(value));
}
