// The sphere from outside, which the user can rotate. At R = 1, +z points to the viewer, +x to the right,
// +y up, as in a StructureView.

import { Owners } from "./owners.js";
import { aboutAxis, IDENTITY, multiply, normalised, turnedAxes } from "./quaternion.js";

const FACE = 128; // pixels along each face of the cube on which the nearest axes are kept
const NAMES = ["x", "y", "z"].flatMap((name, k) => [1, -1].map((sign) => [`${sign > 0 ? "+" : "−"}${name}`, k, sign]));
const CIRCLE = Array.from({ length: 97 }, (_, k) => [Math.cos((k * Math.PI) / 48), Math.sin((k * Math.PI) / 48)]);

/** Directions through the pixels of a cube's six faces: +x, -x, +y, -y, +z, -z. */
function cube() {
  const at = (k) => (2 * k + 1) / FACE - 1;
  return [0, 1, 2].flatMap((main) =>
    [1, -1].flatMap((sign) =>
      Array.from({ length: FACE * FACE }, (_, k) => {
        const direction = [0, 0, 0];
        direction[main] = sign;
        direction[(main + 1) % 3] = at(Math.floor(k / FACE));
        direction[(main + 2) % 3] = at(k % FACE);
        return normalised(direction);
      }),
    ),
  );
}

/** Index of the cube's pixel in a direction. */
function cubePixel(x, y, z) {
  const [a, b, c] = [Math.abs(x), Math.abs(y), Math.abs(z)];
  if (a >= b && a >= c) return facePixel(0, x, y, z);
  return b >= c ? facePixel(1, y, z, x) : facePixel(2, z, x, y);
}

function facePixel(axis, main, next, last) {
  const along = (v) => Math.min(FACE - 1, Math.floor(((v / Math.abs(main) + 1) * FACE) / 2));
  return ((2 * axis + (main < 0 ? 1 : 0)) * FACE + along(next)) * FACE + along(last);
}

export class Globe {
  constructor() {
    Object.assign(this, { aspect: 1, widest: 320, quaternion: IDENTITY, owners: null });
  }

  /** The direction at a place of the disc (half widths, half heights; y up), or null outside. */
  directionAt(x, y) {
    const depth = 1 - x * x - y * y;
    if (depth < 0) return null;
    const seen = [x, y, Math.sqrt(depth)];
    return turnedAxes(this.quaternion).map((axis) => axis.reduce((sum, c, k) => sum + c * seen[k], 0));
  }

  /** Where a direction is seen (right, up, towards the viewer). */
  seen(direction) {
    const turned = turnedAxes(this.quaternion);
    return [0, 1, 2].map((k) => direction.reduce((sum, c, j) => sum + c * turned[j][k], 0));
  }

  /** Where an axis is seen; null if it is behind. */
  place(axis) {
    const [x, y, z] = this.seen(axis);
    return z < 0 ? null : [x, y];
  }

  names() {
    return NAMES.flatMap(([name, k, sign]) => {
      const [x, y, z] = turnedAxes(this.quaternion)[k].map((c) => sign * c);
      const edge = Math.hypot(x, y) > 0.85;
      return z < -0.05 ? [] : [[name, x, y, edge ? 11 * x : 0, edge ? -9 * y : -17]];
    });
  }

  /** The front halves of the three circles across the axes. */
  lines() {
    const turned = turnedAxes(this.quaternion);
    return [0, 1, 2].flatMap((k) => {
      const [u, v] = [turned[(k + 1) % 3], turned[(k + 2) % 3]];
      const points = CIRCLE.map(([c, s]) => [0, 1, 2].map((j) => c * u[j] + s * v[j]));
      return points.slice(1).flatMap((to, j) => (to[2] < 0 || points[j][2] < 0 ? [] : [[points[j], to]]));
    });
  }

  /** For each pixel inside: its number and the axis whose colour it has. */
  cells(width, height, axes, ready) {
    this.owners ??= new Owners(cube());
    this.owners.update(axes, ready);
    const [ex, ey, ez] = turnedAxes(this.quaternion);
    const [pixels, owner] = [[], []];
    for (let k = 0; k < width * height; k++) {
      const x = (2 * (k % width) + 1) / width - 1;
      const y = 1 - (2 * Math.floor(k / width) + 1) / height;
      if (x * x + y * y > 1) continue;
      const z = Math.sqrt(1 - x * x - y * y);
      const [along, up, front] = [ex, ey, ez].map(([a, b, c]) => a * x + b * y + c * z);
      pixels.push(k);
      owner.push(this.owners.owner[cubePixel(along, up, front)]);
    }
    return [pixels, owner];
  }

  /** Turn by degrees about an axis of the screen. */
  turn(axis, degrees) {
    this.quaternion = normalised(multiply(aboutAxis(axis, degrees), this.quaternion));
  }

  /** Bring a direction to the front, by the shortest turn, if it is not well in sight. */
  face(direction) {
    const [x, y, z] = this.seen(direction);
    if (z > 0.3) return;
    const across = Math.hypot(x, y);
    this.turn(across < 1e-9 ? [0, 1, 0] : [y / across, -x / across, 0], (Math.atan2(across, z) * 180) / Math.PI);
  }
}
