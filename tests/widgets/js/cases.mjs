// Numbers of Python: tests/support/javascript_cases.py, written by tests/widgets/test_javascript.py.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";

export const cases = JSON.parse(readFileSync(process.env.WORKBENCH_CASES, "utf8"));

/** The largest difference of two arrays of equal length, also nested ones. */
export function difference(found, expected) {
  const [a, b] = [Array.from(found), Array.from(expected)].map((values) => values.flat(3));
  assert.equal(a.length, b.length);
  return a.reduce((largest, value, k) => Math.max(largest, Math.abs(value - b[k]) || (value === b[k] ? 0 : Infinity)), 0);
}
