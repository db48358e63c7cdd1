// All numbers of a page at one orientation: what workbench/evaluation/orientation_comparison.py computes in Python.

import { exact } from "./arrays.js";
import { energyShift, errors, rotate, shellsOf, sum } from "./dense.js";
import { cholesky, levels } from "./eigenvalues.js";
import { Stage2 } from "./stage2.js";
import { wigner } from "./wigner.js";

export const REFERENCE = "reference";
const INVERSION = [[-1, 0, 0], [0, -1, 0], [0, 0, -1]];
const IDENTITY = [[1, 0, 0], [0, 1, 0], [0, 0, 1]];

export class Experiment {
  /** @param {any} data of the page, see workbench/views/page_data.py */
  constructor(data) {
    this.n = data.n;
    this.shells = shellsOf(data.shells);
    this.lmax = Math.max(...data.shells, 1);
    this.stage2 = data.stage2 ? new Stage2(data.stage2) : null;
    this.reference = data.reference ? exact(data.reference) : null;
    this.overlap = data.overlap ? exact(data.overlap) : null;
    this.predictors = data.predictors.map((p) => ({ ...p, matrix: exact(p.matrix), inverted: p.inverted && exact(p.inverted) }));
    this.upright = new Map(this.predictors.map((p) => [p.name, this.predicted(p, IDENTITY, wigner(this.lmax, IDENTITY))]));
    this.inversion = new Map(this.predictors.map((p) => [p.name, this.inversionError(p)]));
    this.before = this.at(IDENTITY).levels;
  }

  get names() {
    return this.predictors.map(({ name }) => name);
  }

  turned(matrix, D) {
    return rotate(matrix, this.n, this.shells, D);
  }

  /**
   * A predictor's matrix f(R x), eV. Its `matrix` is f(x), or for a predictor that runs stage 2 what the correction
   * is added to.
   */
  predicted({ matrix, corrected }, R, D) {
    const turned = this.turned(matrix, D);
    return corrected ? sum(turned, this.stage2.correction(R)) : turned;
  }

  /** The error of f(-x) against D f(x) D^T; `inverted` is f(-x), where the page cannot compute it. */
  inversionError(predictor) {
    const D = wigner(this.lmax, INVERSION);
    const expected = this.turned(this.upright.get(predictor.name), D);
    const inverted = predictor.inverted ?? this.predicted(predictor, INVERSION, D);
    return errors(sum(inverted, expected, -1), predictor.stored);
  }

  /**
   * Matrices (eV), errors (eV) and levels (eV) of the structure rotated by R.
   * @param {number[][]} R three rows
   */
  at(R) {
    const D = wigner(this.lmax, R);
    const S = this.overlap && this.turned(this.overlap, D);
    const reference = this.reference && this.turned(this.reference, D);
    const predictions = this.predictors.map((predictor) => {
      const { name, stored, compared } = predictor;
      const H = this.predicted(predictor, R, D);
      const turned = this.turned(this.upright.get(name), D);
      const result = { name, H, turned, symmetry: errors(sum(H, turned, -1), stored), inversion: this.inversion?.get(name) };
      if (!reference) return result;
      const difference = sum(H, reference, -1);
      result.difference = difference;
      result.error = errors(difference, compared);
      if (!S) return result;
      result.shift = energyShift(difference, S);
      result.gaugeFree = errors(sum(difference, S, -result.shift), compared);
      return result;
    });
    const matrices = [...(reference ? [[REFERENCE, reference]] : []), ...predictions.map(({ name, H }) => [name, H])];
    const L = S && cholesky(S, this.n);
    const energies = new Map(S ? matrices.map(([name, H]) => [name, levels(H, S, this.n, L)]) : []);
    return { R, reference, predictions, levels: energies, drift: this.drift(energies) };
  }

  /** Largest shift of a level from its value at R = 1, eV, by matrix. */
  drift(energies) {
    if (!this.before) return new Map();
    return new Map([...energies].map(([name, now]) => {
      const before = this.before.get(name);
      return [name, now.reduce((largest, value, k) => Math.max(largest, Math.abs(value - before[k])), 0)];
    }));
  }
}
