// Matrices (n x n, row by row, float64) in an atomic-orbital basis: D H D^T, errors, and the shift of the zero of energy.

/** Start and l of each shell among the rows. @param {number[]} ls */
export function shellsOf(ls) {
  let start = 0;
  return ls.map((l) => {
    const shell = { l, start, width: 2 * l + 1 };
    start += shell.width;
    return shell;
  });
}

/**
 * Rows of all shells times their Wigner matrices: D X, for X of n rows and some columns.
 * @param {Float64Array} x @param {number} columns @param {{l: number, start: number, width: number}[]} shells
 * @param {Float64Array[]} D of `wigner`
 */
export function rotateRows(x, columns, shells, D) {
  const result = new Float64Array(x.length);
  for (const { l, start, width } of shells) {
    const d = D[l];
    for (let a = 0; a < width; a++) {
      const to = (start + a) * columns;
      for (let b = 0; b < width; b++) {
        const factor = d[a * width + b];
        if (factor === 0) continue;
        const from = (start + b) * columns;
        for (let c = 0; c < columns; c++) result[to + c] += factor * x[from + c];
      }
    }
  }
  return result;
}

/** The transpose of an n x n matrix. */
export function transpose(x, n) {
  const result = new Float64Array(x.length);
  for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) result[j * n + i] = x[i * n + j];
  return result;
}

/** D H D^T. @param {Float64Array} H n x n @param {number} n */
export function rotate(H, n, shells, D) {
  const half = transpose(rotateRows(H, n, shells, D), n);
  return transpose(rotateRows(half, n, shells, D), n);
}

/** a + factor b. */
export function sum(a, b, factor = 1) {
  return Float64Array.from(a, (value, k) => value + factor * b[k]);
}

/** Mean modulus over `count` elements, and largest modulus. The other elements are not stored, so they are 0. */
export function errors(difference, count) {
  let [total, largest] = [0, 0];
  for (const value of difference) {
    const modulus = Math.abs(value);
    total += modulus;
    if (!(modulus <= largest)) largest = modulus; // NaN is seen
  }
  return { mean: total / count, max: largest };
}

/** The shift mu that makes b + mu S most similar to a (least squares); `difference` is a - b. */
export function energyShift(difference, S) {
  let [above, below] = [0, 0];
  S.forEach((s, k) => {
    above += s * difference[k];
    below += s * s;
  });
  return above / below;
}
