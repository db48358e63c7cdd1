import assert from "node:assert/strict";
import { test } from "node:test";
import { ink, paint, paintPhases, strength } from "../../../workbench/widgets/js/colour.js";
import { energyShift, errors } from "../../../workbench/widgets/js/page/dense.js";
import { levels } from "../../../workbench/widgets/js/page/eigenvalues.js";
import { milli, milliSigned } from "../../../workbench/widgets/js/page/numbers.js";
import { cases, difference } from "./cases.mjs";

const painted = (values, limit, scale) => {
  const rgba = new Uint8ClampedArray(4 * values.length);
  paint(values, limit, scale, rgba);
  return values.map((_, k) => [...rgba.subarray(4 * k, 4 * k + 4)]);
};

test("numbers are written as Python writes them", () => {
  for (const [value, text, signed] of cases.numbers) {
    assert.equal(milli(value), text);
    assert.equal(milliSigned(-value), signed);
  }
});

test("levels are LAPACK's, also equal ones", () => {
  for (const { n, H, S, levels: expected } of cases.levels) {
    const [h, s] = [H, S].map((matrix) => Float64Array.from(matrix.flat()));
    assert.ok(difference(levels(h, s, n), expected) < 1e-11, `n = ${n}`);
  }
  const unit = Float64Array.from([1, 0, 0, 0, 1, 0, 0, 0, 1]);
  assert.deepEqual([...levels(unit, unit, 3)], [1, 1, 1]);
  assert.throws(() => levels(unit, unit.map((value) => -value), 3), /positive definite/);
});

test("errors are means over the stored elements, and NaN is not hidden", () => {
  assert.deepEqual(errors(Float64Array.of(-3, 1, 0, 0), 2), { mean: 2, max: 3 });
  assert.ok(Number.isNaN(errors(Float64Array.of(1, NaN), 2).max));
  const S = Float64Array.of(1, 0.5, 0.5, 1);
  assert.ok(Math.abs(energyShift(S.map((value) => 0.25 * value), S) - 0.25) < 1e-15);
});

test("zero is white, the limit is darkest, and missing values are grey", () => {
  for (const scale of ["linear", "log"]) {
    const [zero, least, most, beyond, missing] = painted([0, -2, 2, 7, NaN], 2, scale);
    assert.deepEqual(zero, [255, 255, 255, 255]);
    assert.deepEqual(least, [5, 48, 97, 255]);
    assert.deepEqual(most, [103, 0, 31, 255]);
    assert.deepEqual(beyond, most);
    assert.deepEqual(missing, [236, 236, 236, 255]);
  }
});

test("a logarithmic scale is odd, monotonous, and linear near zero", () => {
  assert.equal(strength(0, 5, "log"), 0);
  assert.equal(strength(5, 5, "log"), 1);
  assert.ok(strength(0.05, 5, "log") > 10 * strength(0.05, 5, "linear"));
  const near = strength(1e-7, 5, "log") / strength(5e-8, 5, "log");
  assert.ok(Math.abs(near - 2) < 1e-3);
});

test("phases have hues, text is readable on both ends", () => {
  const rgba = new Uint8ClampedArray(12);
  paintPhases([1, 0, -1, 0, 0, 0], 1, "linear", rgba);
  assert.deepEqual([...rgba], [178, 24, 43, 255, 33, 102, 172, 255, 255, 255, 255, 255]);
  assert.equal(ink(1, 1, "linear"), "#ffffff");
  assert.equal(ink(0.1, 1, "linear"), "#14181f");
});
