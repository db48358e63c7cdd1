import assert from "node:assert/strict";
import { test } from "node:test";
import { rotate, rotateRows, shellsOf, transpose } from "../../../workbench/widgets/js/page/dense.js";
import { determinant, wigner } from "../../../workbench/widgets/js/page/wigner.js";
import { cases, difference } from "./cases.mjs";

const product = (A, B) => A.map((row) => B[0].map((_, k) => row.reduce((sum, a, j) => sum + a * B[j][k], 0)));
const rows = (x, n) => Array.from({ length: n }, (_, k) => Array.from(x.subarray(k * n, (k + 1) * n)));

test("the matrices are Python's, for proper and improper rotations", () => {
  const signs = new Set();
  for (const { R, D } of cases.wigner) {
    signs.add(Math.sign(determinant(R)));
    wigner(D.length - 1, R).forEach((found, l) => assert.ok(difference(found, D[l]) < 1e-13, `l = ${l}`));
  }
  assert.deepEqual([...signs].sort(), [-1, 1]);
});

test("p is (y, z, x), and s does not turn", () => {
  const { R } = cases.wigner[0];
  const [s, p] = wigner(1, R);
  assert.deepEqual([...s], [1]);
  assert.deepEqual(rows(p, 3), [1, 2, 0].map((i) => [1, 2, 0].map((k) => R[i][k])));
});

test("the matrices obey the group law up to l = 12", () => {
  const [first, second] = cases.wigner.map(({ R }) => R);
  const [a, b, both] = [first, second, product(second, first)].map((R) => wigner(12, R));
  for (let l = 0; l <= 12; l++) {
    const expected = product(rows(b[l], 2 * l + 1), rows(a[l], 2 * l + 1));
    assert.ok(difference(both[l], expected) < 1e-12, `l = ${l}`);
  }
});

test("a shell has the parity (-1)^l", () => {
  wigner(5, [[-1, 0, 0], [0, -1, 0], [0, 0, -1]]).forEach((D, l) => {
    const expected = D.map((_, k) => (k % (2 * l + 2) === 0 ? (-1) ** l : 0));
    assert.ok(difference(D, expected) < 1e-15);
  });
});

test("D H D^T keeps the norm, and the transposed rotation brings H back", () => {
  const { R } = cases.wigner[1];
  const shells = shellsOf([0, 1, 2, 0]);
  const n = 10;
  const H = Float64Array.from({ length: n * n }, (_, k) => Math.sin(k * k));
  const turned = rotate(H, n, shells, wigner(2, R));
  assert.ok(difference(turned, H) > 0.1);
  assert.ok(Math.abs(Math.hypot(...turned) - Math.hypot(...H)) < 1e-12);
  const back = wigner(2, R[0].map((_, k) => R.map((row) => row[k])));
  assert.ok(difference(rotate(turned, n, shells, back), H) < 1e-13);
  assert.deepEqual(transpose(transpose(H, n), n), H);
  assert.equal(rotateRows(H, n, shells, wigner(2, R)).length, n * n);
});
