// The nearest known axis of each of a set of fixed directions. Axes can be added, so that a map becomes
// sharper while it fills.

export class Owners {
  /** @param {number[][]} directions unit vectors */
  constructor(directions) {
    this.directions = Float32Array.from(directions.flat());
    this.count = directions.length;
    this.forget(null);
  }

  forget(axes) {
    this.axes = axes;
    this.used = new Set();
    this.owner = new Int32Array(this.count).fill(-1);
    this.cosine = new Float32Array(this.count).fill(-2);
  }

  /** @param {number[]} ready which of the axes are known */
  update(axes, ready) {
    const known = new Set(ready);
    if (axes !== this.axes || [...this.used].some((k) => !known.has(k))) this.forget(axes);
    ready.filter((k) => !this.used.has(k)).forEach((k) => this.add(k, axes[k]));
  }

  add(index, [x, y, z]) {
    this.used.add(index);
    const at = this.directions;
    for (let p = 0; p < this.count; p++) {
      const cosine = at[3 * p] * x + at[3 * p + 1] * y + at[3 * p + 2] * z;
      if (cosine > this.cosine[p]) [this.cosine[p], this.owner[p]] = [cosine, index];
    }
  }
}
