// Orbital energies: moves the bars of the picture that workbench/views/level_picture.py has drawn at R = 1.

import { MEV, milli } from "./numbers.js";

export class LevelPicture {
  /** @param {HTMLElement} place contains the SVG element @param {number | null} occupied number of occupied orbitals */
  constructor(place, occupied) {
    const svg = place.querySelector("svg");
    const of = (name) => [...(svg?.querySelectorAll(`.${name}`) ?? [])].map((node) => ({ node, ...node.dataset }));
    this.bars = of("wb-level");
    this.gaps = of("wb-gap");
    this.drifts = of("wb-drift");
    this.occupied = occupied;
    this.scale = svg ? Object.fromEntries(Object.entries(svg.dataset).map(([name, value]) => [name, Number(value)])) : null;
  }

  /** @param {any} snapshot of Experiment.at */
  show({ levels, drift }) {
    if (!this.scale) return;
    const [energies, drifts] = [[...levels.values()], [...drift.values()]];
    const { top, high, scale } = this.scale;
    for (const { node, column, index } of this.bars) {
      const y = (top + (high - energies[column][index]) * scale).toFixed(2);
      node.setAttribute("y1", y);
      node.setAttribute("y2", y);
    }
    for (const { node, column } of this.gaps) {
      node.textContent = (energies[column][this.occupied] - energies[column][this.occupied - 1]).toFixed(4);
    }
    for (const { node, column } of this.drifts) node.textContent = milli(MEV * drifts[column]);
  }
}
