import assert from "node:assert/strict";
import { test } from "node:test";
import { anglesOf, fromAngles, matrixOf, PRESETS, random } from "../../../workbench/widgets/js/page/rotation.js";
import { describe, same } from "../../../workbench/widgets/js/quaternion.js";
import { cases, difference } from "./cases.mjs";

test("a quaternion has Python's matrix", () => {
  for (const { q, R } of cases.quaternions) assert.ok(difference(matrixOf(q), R) < 1e-14);
});

test("axis and angle lead back to the same rotation", () => {
  for (const { q } of cases.quaternions) {
    const unit = q.map((c) => c / Math.hypot(...q));
    const { polar, azimuth, angle } = anglesOf(unit);
    assert.ok(angle >= 0 && angle <= 180);
    assert.ok(same(fromAngles(polar, azimuth, angle), unit));
  }
  assert.deepEqual(anglesOf([0, 0, 0, 1]), { polar: null, azimuth: null, angle: 0 });
});

test("presets are what their names say", () => {
  assert.equal(describe(PRESETS.get("90° x")), "90.0° about (1.00, 0.00, 0.00)");
  assert.equal(describe(PRESETS.get("40° (1,1,0)")), "40.0° about (0.71, 0.71, 0.00)");
  assert.equal(describe(PRESETS.get("identity")), "not rotated");
});

test("random rotations are unit quaternions that cover all angles", () => {
  const angles = Array.from({ length: 500 }, () => random()).map((q) => {
    assert.ok(Math.abs(Math.hypot(...q) - 1) < 1e-12);
    return anglesOf(q).angle;
  });
  const mean = angles.reduce((sum, angle) => sum + angle / angles.length, 0);
  assert.ok(Math.abs(mean - 126.5) < 10); // pi / 2 + 2 / pi
});
