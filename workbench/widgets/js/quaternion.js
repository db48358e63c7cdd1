// Quaternions as [x, y, z, w], scalar last, like 3Dmol's getView() and workbench.conventions.

export const IDENTITY = [0, 0, 0, 1];

/** Axes of the screen about which keys rotate a picture. */
export const TURN_KEYS = {
  ArrowLeft: [0, -1, 0],
  ArrowRight: [0, 1, 0],
  ArrowUp: [-1, 0, 0],
  ArrowDown: [1, 0, 0],
  PageUp: [0, 0, 1],
  PageDown: [0, 0, -1],
};

/** The rotation "first b, then a". */
export function multiply(a, b) {
  return [
    a[3] * b[0] + a[0] * b[3] + a[1] * b[2] - a[2] * b[1],
    a[3] * b[1] - a[0] * b[2] + a[1] * b[3] + a[2] * b[0],
    a[3] * b[2] + a[0] * b[1] - a[1] * b[0] + a[2] * b[3],
    a[3] * b[3] - a[0] * b[0] - a[1] * b[1] - a[2] * b[2],
  ];
}

/** A rotation by some degrees about an axis of the screen: x to the right, y up, z to the viewer. */
export function aboutAxis(axis, degrees) {
  const half = (degrees * Math.PI) / 360;
  return [...axis.map((c) => c * Math.sin(half)), Math.cos(half)];
}

export function normalised(q) {
  const length = Math.hypot(...q);
  return q.map((c) => c / length);
}

/** q and -q are the same rotation; zooming and panning do not change it. */
export function same(a, b) {
  const overlap = a[0] * b[0] + a[1] * b[1] + a[2] * b[2] + a[3] * b[3];
  return 1 - Math.abs(overlap) < 1e-12;
}

/** Columns of the rotation matrix: the images of the axes x, y, z. */
export function turnedAxes([x, y, z, w]) {
  return [
    [1 - 2 * (y * y + z * z), 2 * (x * y + z * w), 2 * (x * z - y * w)],
    [2 * (x * y - z * w), 1 - 2 * (x * x + z * z), 2 * (y * z + x * w)],
    [2 * (x * z + y * w), 2 * (y * z - x * w), 1 - 2 * (x * x + y * y)],
  ];
}

/** "40.0° about (0.71, 0.71, 0.00)". */
export function describe(q) {
  const [x, y, z, w] = q[3] < 0 ? q.map((c) => -c) : q;
  const sine = Math.hypot(x, y, z);
  const degrees = (2 * Math.atan2(sine, w) * 180) / Math.PI;
  if (degrees < 0.05) return "not rotated";
  const number = (c) => (c / sine).toFixed(2).replace("-0.00", "0.00").replace("-", "−");
  return `${degrees.toFixed(1)}° about (${number(x)}, ${number(y)}, ${number(z)})`;
}
