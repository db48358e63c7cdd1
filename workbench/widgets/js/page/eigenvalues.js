// Eigenvalues of H c = eps S c for real symmetric H and positive definite S: Cholesky's S = L L^T, Householder's
// reduction of L^-1 H L^-T to a tridiagonal matrix, then the QL method with implicit shifts.

import { transpose } from "./dense.js";

/** L of S = L L^T, lower triangle, n x n row by row. */
export function cholesky(S, n) {
  const L = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      let rest = S[i * n + j];
      for (let k = 0; k < j; k++) rest -= L[i * n + k] * L[j * n + k];
      if (i === j && !(rest > 0)) throw new Error("The overlap is not positive definite.");
      L[i * n + j] = i === j ? Math.sqrt(rest) : rest / L[j * n + j];
    }
  }
  return L;
}

/** L^-1 X, for X with the rows of H. */
function solveLower(L, X, n) {
  const result = Float64Array.from(X);
  for (let i = 0; i < n; i++) {
    for (let k = 0; k < i; k++) {
      const factor = L[i * n + k];
      for (let c = 0; c < n; c++) result[i * n + c] -= factor * result[k * n + c];
    }
    for (let c = 0; c < n; c++) result[i * n + c] /= L[i * n + i];
  }
  return result;
}

/** Diagonal and subdiagonal of a tridiagonal matrix with the eigenvalues of A, which is overwritten. */
function tridiagonal(A, n) {
  const [diagonal, beside] = [new Float64Array(n), new Float64Array(n)];
  const [v, p] = [new Float64Array(n), new Float64Array(n)];
  for (let k = 0; k < n - 2; k++) {
    let square = 0;
    for (let i = k + 1; i < n; i++) square += A[i * n + k] ** 2;
    const first = A[(k + 1) * n + k];
    const length = first > 0 ? -Math.sqrt(square) : Math.sqrt(square);
    beside[k] = length;
    const norm = square - first * length; // half the square of v
    if (!(norm > 0)) continue;
    for (let i = k + 1; i < n; i++) v[i] = A[i * n + k];
    v[k + 1] -= length;
    let overlap = 0;
    for (let i = k + 1; i < n; i++) {
      let total = 0;
      for (let j = k + 1; j < n; j++) total += A[i * n + j] * v[j];
      p[i] = total / norm;
      overlap += p[i] * v[i];
    }
    for (let i = k + 1; i < n; i++) p[i] -= (overlap / (2 * norm)) * v[i];
    for (let i = k + 1; i < n; i++) {
      for (let j = k + 1; j < n; j++) A[i * n + j] -= v[i] * p[j] + p[i] * v[j];
    }
  }
  for (let i = 0; i < n; i++) diagonal[i] = A[i * n + i];
  if (n > 1) beside[n - 2] = A[(n - 1) * n + n - 2];
  return [diagonal, beside];
}

const ROUNDS = 60; // two or three are usual for each eigenvalue

/** Eigenvalues of a tridiagonal matrix, in place in `d`. */
function implicitQL(d, e, n) {
  for (let l = 0; l < n; l++) {
    for (let round = 0; ; round++) {
      let m = l;
      while (m < n - 1) {
        const scale = Math.abs(d[m]) + Math.abs(d[m + 1]);
        if (Math.abs(e[m]) <= Number.EPSILON * scale) break;
        m++;
      }
      if (m === l) break;
      if (round === ROUNDS) throw new Error("The eigenvalues do not converge.");
      chase(d, e, l, m);
    }
  }
}

/** One step of QL with an implicit shift on the rows l to m. */
function chase(d, e, l, m) {
  const start = (d[l + 1] - d[l]) / (2 * e[l]);
  const root = Math.hypot(start, 1);
  let g = d[m] - d[l] + e[l] / (start + (start < 0 ? -root : root));
  let [sine, cosine, p] = [1, 1, 0];
  for (let i = m - 1; i >= l; i--) {
    const [f, b] = [sine * e[i], cosine * e[i]];
    const r = Math.hypot(f, g);
    e[i + 1] = r;
    if (r === 0) {
      d[i + 1] -= p;
      e[m] = 0;
      return;
    }
    [sine, cosine] = [f / r, g / r];
    g = d[i + 1] - p;
    const t = (d[i] - g) * sine + 2 * cosine * b;
    p = sine * t;
    d[i + 1] = g + p;
    g = cosine * t - b;
  }
  d[l] -= p;
  e[l] = g;
  e[m] = 0;
}

/**
 * Eigenvalues, ascending.
 * @param {Float64Array} H n x n @param {Float64Array} S n x n @param {number} n
 * @param {Float64Array} L of `cholesky`, which several H with one S share
 */
export function levels(H, S, n, L = cholesky(S, n)) {
  const half = solveLower(L, H, n); // L^-1 H
  const A = solveLower(L, transpose(half, n), n);
  const [diagonal, beside] = tridiagonal(A, n);
  implicitQL(diagonal, beside, n);
  return diagonal.sort();
}
