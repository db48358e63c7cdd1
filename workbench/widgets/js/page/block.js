// The block of the chosen pair of atoms, enlarged, with its numbers.

import { MEV } from "./numbers.js";
import { REFERENCE } from "./experiment.js";

const MINUS = " − reference";
const [ROW, LEAST] = [19, 44]; // px

/** Names of the rows of one atom, from those of all. */
export function axisOf({ atoms, borders, orbitals }, atom) {
  const [start, end] = [borders[atom], borders[atom + 1]];
  return { atoms: [atoms[atom]], borders: [0, end - start], orbitals: orbitals.slice(start, end) };
}

/** The block of two atoms of an n x n matrix. */
export function blockOf(matrix, n, { borders }, [i, j]) {
  const block = [];
  for (let row = borders[i]; row < borders[i + 1]; row++) {
    block.push(...matrix.slice(row * n + borders[j], row * n + borders[j + 1]));
  }
  return block;
}

export class BlockPicture {
  /**
   * @param {any} page whose matrices and chosen pair are shown
   * @param {any} model of the heat map
   * @param {HTMLSelectElement} choice of the matrix
   */
  constructor(page, model, choice) {
    Object.assign(this, { page, model, choice });
    const known = page.data.reference !== null;
    const names = page.experiment.names;
    const offered = known ? [REFERENCE, ...names, ...names.map((name) => name + MINUS)] : names;
    choice.append(...offered.map((name) => new Option(name, name)));
    choice.addEventListener("change", () => this.show());
  }

  /** The chosen matrix, its factor, and whether it is a difference. */
  chosen() {
    const name = this.choice.value;
    const { reference, predictions } = this.page.snapshot;
    if (name === REFERENCE) return { matrix: reference, difference: false };
    const prediction = predictions.find((p) => p.name === name.replace(MINUS, ""));
    const difference = name.endsWith(MINUS);
    return { matrix: difference ? prediction.difference : prediction.H, difference };
  }

  show(tick = 0) {
    const { data, pair, matrices, differences } = this.page;
    const { matrix, difference } = this.chosen();
    const source = difference ? differences : matrices;
    const [rows, columns] = pair.map((atom) => axisOf(data.axis, atom));
    const limit = source.get("limit");
    this.model.traits.digits = Math.max(2, 2 - Math.floor(Math.log10(limit)));
    this.model.traits.unit = difference ? "meV" : "eV";
    this.model.traits.panel_height = 24 + Math.max(ROW * rows.orbitals.length, LEAST);
    const title = `${rows.atoms[0]} | ${columns.atoms[0]}: ${this.choice.value}`;
    const titles = this.model.get("titles");
    this.model.update({
      titles: titles[0] === title ? titles : [title],
      rows,
      columns,
      limit,
      scale: source.get("scale"),
      shape: [1, rows.orbitals.length, columns.orbitals.length],
      values: this.page.bytes([blockOf(matrix, data.n, data.axis, pair)], difference ? MEV : 1),
      tick,
      sequence: this.model.get("sequence") + 1,
    });
  }
}
