// The whole sphere in the equal-area Mollweide projection. +z is in the middle, +y at the top.

import { Owners } from "./owners.js";

const NAMES = [["+z", 0, 0], ["+x", 0.5, 0], ["−x", -0.5, 0], ["+y", 0, 1], ["−y", 0, -1], ["−z", 1, 0], ["−z", -1, 0]];

export class Flat {
  constructor() {
    Object.assign(this, { aspect: 2, widest: Infinity, size: "", pixels: [], owners: new Owners([]) });
  }

  /** The direction at a place (half widths, half heights; y up), or null outside. */
  directionAt(x, y) {
    if (x * x + y * y > 1) return null;
    const t = Math.asin(y);
    const sine = (2 * t + Math.sin(2 * t)) / Math.PI;
    const across = Math.sqrt(Math.max(0, 1 - sine * sine));
    const longitude = Math.abs(Math.cos(t)) < 1e-9 ? 0 : (Math.PI * x) / Math.cos(t);
    return [across * Math.sin(longitude), sine, across * Math.cos(longitude)];
  }

  /** Where an axis lies; Python says so, whose formula is tested. */
  place(_, place) {
    return place;
  }

  /** Name, place, and how far from it the name stands, in pixels to the right and down. */
  names() {
    return NAMES.map(([name, x, y]) => {
      const edge = Math.abs(x) === 1;
      return [name, x, y, edge ? 11 * x : 0, y ? -8 * y : edge ? 0 : -17];
    });
  }

  lines() {
    return [];
  }

  /** For each pixel inside: its number and the axis whose colour it has. */
  cells(width, height, axes, ready) {
    if (this.size !== `${width}x${height}`) {
      this.size = `${width}x${height}`;
      const found = [...Array(width * height).keys()].flatMap((k) => {
        const [column, row] = [k % width, Math.floor(k / width)];
        const at = this.directionAt((2 * column + 1) / width - 1, 1 - (2 * row + 1) / height);
        return at ? [[k, at]] : [];
      });
      this.pixels = found.map(([k]) => k);
      this.owners = new Owners(found.map(([, at]) => at));
    }
    this.owners.update(axes, ready);
    return [this.pixels, this.owners.owner];
  }
}
