// Real Wigner matrices D^l(R) with Y_l(R x) = D^l(R) Y_l(x), for harmonics in the order m = -l..l without the
// Condon-Shortley phase (docs/explanation/conventions.md). R may be improper: D^l then has the parity (-1)^l.
//
// D^l is built from D^1 and D^(l-1): an element of degree l is a sum of products of those, with the coefficients
// u, v, w of Ivanic and Ruedenberg (J. Phys. Chem. 100, 6342 (1996), with the correction of 102, 9099 (1998)).

const XYZ_OF_M = [1, 2, 0]; // a p shell is (y, z, x)

/** @param {number[][]} R three rows @returns {Float64Array} D^1, 3 x 3 row by row */
function first(R) {
  return Float64Array.from(XYZ_OF_M.flatMap((row) => XYZ_OF_M.map((column) => R[row][column])));
}

/** The matrix of degree l from those of degree 1 and l - 1. */
function next(l, one, before) {
  const [size, inner] = [2 * l + 1, 2 * l - 1];
  const r = (i, k) => one[3 * (i + 1) + k + 1];
  const q = (m, n) => before[(m + l - 1) * inner + n + l - 1];
  const p = (i, m, n) => {
    if (n === l) return r(i, 1) * q(m, l - 1) - r(i, -1) * q(m, 1 - l);
    if (n === -l) return r(i, 1) * q(m, 1 - l) + r(i, -1) * q(m, l - 1);
    return r(i, 0) * q(m, n);
  };
  const v = (m, n) => {
    if (m === 0) return p(1, 1, n) + p(-1, -1, n);
    if (m === 1) return Math.SQRT2 * p(1, 0, n);
    if (m === -1) return Math.SQRT2 * p(-1, 0, n);
    return m > 0 ? p(1, m - 1, n) - p(-1, 1 - m, n) : p(1, m + 1, n) + p(-1, -m - 1, n);
  };
  const w = (m, n) => (m > 0 ? p(1, m + 1, n) + p(-1, -m - 1, n) : p(1, m - 1, n) - p(-1, 1 - m, n));
  const result = new Float64Array(size * size);
  for (let m = -l; m <= l; m++) {
    const k = Math.abs(m);
    const [a, b, c] = [
      (l + m) * (l - m),
      m === 0 ? 2 * l * (l - 1) : (l + k - 1) * (l + k),
      m === 0 ? 0 : (l - k - 1) * (l - k),
    ];
    for (let n = -l; n <= l; n++) {
      const whole = Math.abs(n) === l ? 2 * l * (2 * l - 1) : (l + n) * (l - n);
      let sum = 0;
      if (a) sum += Math.sqrt(a / whole) * p(0, m, n);
      if (b) sum += (m === 0 ? -0.5 : 0.5) * Math.sqrt(b / whole) * v(m, n);
      if (c) sum -= 0.5 * Math.sqrt(c / whole) * w(m, n);
      result[(m + l) * size + n + l] = sum;
    }
  }
  return result;
}

/**
 * The matrices of all degrees up to lmax.
 * @param {number} lmax
 * @param {number[][]} R three rows of an orthogonal matrix
 * @returns {Float64Array[]} at l the matrix D^l, (2l+1) x (2l+1) row by row
 */
export function wigner(lmax, R) {
  const matrices = [Float64Array.of(1)];
  if (lmax > 0) matrices.push(first(R));
  for (let l = 2; l <= lmax; l++) matrices.push(next(l, matrices[1], matrices[l - 1]));
  return matrices;
}

/** The determinant of three rows: 1 or -1 for an orthogonal matrix, up to rounding. */
export function determinant([[a, b, c], [d, e, f], [g, h, i]]) {
  return a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g);
}
