// Isosurface of a function on a grid by marching tetrahedra. Each cell of the grid is divided into six
// tetrahedra about its long diagonal, and an edge whose ends lie on both sides is cut where a straight line
// between its two values says. 3Dmol's own surfaces cut every edge in its middle.

// Corner c of a cell lies at (c & 1, c >> 1 & 1, c >> 2). Of two corners on one edge the lower is a part of the
// higher, so that an edge is known by its lower end and a direction, whichever cells share it.
const TETRAHEDRA = [[0, 1, 3, 7], [0, 3, 2, 7], [0, 2, 6, 7], [0, 6, 4, 7], [0, 4, 5, 7], [0, 5, 1, 7]];

/** Which edges (lower corner, higher corner) carry the corners of each triangle, for a set of inner corners. */
function triangles(mask) {
  return TETRAHEDRA.flatMap((tetrahedron) => {
    const inner = tetrahedron.filter((c) => mask & (1 << c));
    const outer = tetrahedron.filter((c) => !(mask & (1 << c)));
    const cuts = inner.flatMap((c) => outer.map((d) => [Math.min(c, d), Math.max(c, d)]));
    if (cuts.length === 4) return [...cuts.slice(0, 3), ...cuts.slice(1)]; // a quadrangle, as two triangles
    return cuts;
  });
}

const CELLS = Array.from({ length: 256 }, (_, mask) => triangles(mask));

/** A function on a grid: values (z fastest), points along each axis, first point and step in Angstrom. */
export class Volume {
  constructor(values, size, origin, step) {
    Object.assign(this, { values, size, strides: [size[1] * size[2], size[2], 1], origin, step });
    this.corners = Array.from({ length: 8 }, (_, c) => this.strides[0] * (c & 1) + this.strides[1] * ((c >> 1) & 1) + (c >> 2));
  }

  /** Derivative along an axis, per step, at a point of the grid that is the n-th along this axis. */
  slope(point, n, axis) {
    const stride = this.strides[axis];
    const back = n > 0 ? 1 : 0;
    const on = n < this.size[axis] - 1 ? 1 : 0;
    return (this.values[point + on * stride] - this.values[point - back * stride]) / (back + on);
  }
}

/** Vertices, normals and triangles of a surface that grows cell by cell, as 3Dmol's addCustom takes them. */
class Surface {
  constructor(volume, level) {
    Object.assign(this, { volume, level, outward: level < 0 ? 1 : -1 });
    Object.assign(this, { vertexArr: [], normalArr: [], faceArr: [] });
    this.known = new Int32Array(8 * volume.values.length); // vertex by edge, counted from 1
  }

  /** Index of the vertex on the edge between two corners of the cell at a point, the (i, j, k)-th. */
  cut(point, i, j, k, low, high) {
    const { values, corners } = this.volume;
    const a = point + corners[low];
    const key = 8 * a + (high ^ low);
    if (!this.known[key]) {
      const b = point + corners[high];
      const share = (this.level - values[a]) / (values[b] - values[a]);
      const from = [i + (low & 1), j + ((low >> 1) & 1), k + (low >> 2)];
      const to = [i + (high & 1), j + ((high >> 1) & 1), k + (high >> 2)];
      this.known[key] = this.add(a, b, from, to, share);
    }
    return this.known[key] - 1;
  }

  /** A new vertex some share of the way from one point of the grid to another; returns how many there are. */
  add(a, b, from, to, share) {
    const { volume } = this;
    const [px, py, pz] = [0, 1, 2].map((c) => volume.origin[c] + volume.step * (from[c] + share * (to[c] - from[c])));
    const slopes = [0, 1, 2].map((c) => (1 - share) * volume.slope(a, from[c], c) + share * volume.slope(b, to[c], c));
    const scale = this.outward / (Math.hypot(...slopes) || 1);
    this.normalArr.push({ x: scale * slopes[0], y: scale * slopes[1], z: scale * slopes[2] });
    return this.vertexArr.push({ x: px, y: py, z: pz });
  }

  /** A triangle, whichever way round its corners come: it faces outward. */
  face(i, j, k) {
    const [a, b, c, n] = [this.vertexArr[i], this.vertexArr[j], this.vertexArr[k], this.normalArr[i]];
    const [ux, uy, uz, vx, vy, vz] = [b.x - a.x, b.y - a.y, b.z - a.z, c.x - a.x, c.y - a.y, c.z - a.z];
    const side = n.x * (uy * vz - uz * vy) + n.y * (uz * vx - ux * vz) + n.z * (ux * vy - uy * vx);
    this.faceArr.push(i, side < 0 ? k : j, side < 0 ? j : k);
  }
}

/**
 * The isosurface of a volume at a level; it encloses larger values, or smaller ones for a negative level.
 * @returns {{vertexArr: object[], normalArr: object[], faceArr: number[]}}
 */
export function isosurface(volume, level) {
  const { values, size, strides, corners } = volume;
  const surface = new Surface(volume, level);
  const inner = Uint8Array.from(values, level < 0 ? (v) => v < level : (v) => v > level);
  for (let i = 0; i + 1 < size[0]; i++) {
    for (let j = 0; j + 1 < size[1]; j++) {
      for (let k = 0; k + 1 < size[2]; k++) {
        const point = i * strides[0] + j * strides[1] + k;
        let mask = 0;
        for (let c = 0; c < 8; c++) mask |= inner[point + corners[c]] << c;
        const cuts = CELLS[mask];
        for (let n = 0; n < cuts.length; n += 3) {
          const vertices = [0, 1, 2].map((m) => surface.cut(point, i, j, k, ...cuts[n + m]));
          surface.face(...vertices);
        }
      }
    }
  }
  return surface;
}
