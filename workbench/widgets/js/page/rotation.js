// Orientations of the page's controls: presets, axis and angle, random rotations.

import { aboutAxis, IDENTITY, normalised, turnedAxes } from "../quaternion.js";

/** Rows of the rotation matrix of a quaternion (x, y, z, w). @param {number[]} q */
export function matrixOf(q) {
  const columns = turnedAxes(normalised(q));
  return [0, 1, 2].map((row) => columns.map((column) => column[row]));
}

const unit = (axis) => axis.map((c) => c / Math.hypot(...axis));

export const PRESETS = new Map([
  ["identity", IDENTITY],
  ["90° x", aboutAxis([1, 0, 0], 90)],
  ["90° y", aboutAxis([0, 1, 0], 90)],
  ["90° z", aboutAxis([0, 0, 1], 90)],
  ["180° y", aboutAxis([0, 1, 0], 180)],
  ["40° (1,1,0)", aboutAxis(unit([1, 1, 0]), 40)],
]);

/** Polar angles of the axis and the angle, degrees; the axis of no rotation is null. @param {number[]} q */
export function anglesOf(q) {
  const [x, y, z, w] = q[3] < 0 ? q.map((c) => -c) : q;
  const sine = Math.hypot(x, y, z);
  const degrees = (radians) => (radians * 180) / Math.PI;
  const angle = degrees(2 * Math.atan2(sine, w));
  if (angle < 1e-6) return { polar: null, azimuth: null, angle: 0 };
  return { polar: degrees(Math.acos(Math.max(-1, Math.min(1, z / sine)))), azimuth: degrees(Math.atan2(y, x)), angle };
}

/** The quaternion of an axis in polar angles and an angle, degrees. */
export function fromAngles(polar, azimuth, angle) {
  const [theta, phi] = [polar, azimuth].map((degrees) => (degrees * Math.PI) / 180);
  return aboutAxis([Math.sin(theta) * Math.cos(phi), Math.sin(theta) * Math.sin(phi), Math.cos(theta)], angle);
}

/** A uniformly random rotation (Shoemake's method); `uniform` gives numbers from 0 to 1. */
export function random(uniform = Math.random) {
  const [a, b, c] = [uniform(), 2 * Math.PI * uniform(), 2 * Math.PI * uniform()];
  const [inner, outer] = [Math.sqrt(1 - a), Math.sqrt(a)];
  return [inner * Math.sin(b), inner * Math.cos(b), outer * Math.sin(c), outer * Math.cos(c)];
}
