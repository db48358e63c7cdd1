// Stage 2 in the global frame: the forward pass of workbench/models/stage2.py with the weights of a model, in float64.
// The structure is rotated by rotating stage 1's features and blocks, as `Tokens.rotated` does: stage 1 is equivariant.

import { exact, unpacked } from "./arrays.js";
import { rotate, rotateRows, shellsOf, transpose } from "./dense.js";
import { determinant, wigner } from "./wigner.js";

const NORM_EPSILON = 1e-6; // of Norm in equivariant_layers.py
const LAYER_NORM_EPSILON = 1e-5; // of torch.nn.LayerNorm

const sigmoid = (x) => 1 / (1 + Math.exp(-x));

/** y = W x + b for rows (items, inner); W is (outer, inner), here some of its columns. */
function linear(x, inner, weight, outer, { bias = null, from = 0, columns = inner } = {}) {
  const items = x.length / inner;
  const y = new Float64Array(items * outer);
  for (let item = 0; item < items; item++) {
    for (let o = 0; o < outer; o++) {
      let total = bias ? bias[o] : 0;
      const [row, first] = [o * columns + from, item * inner];
      for (let k = 0; k < inner; k++) total += weight[row + k] * x[first + k];
      y[item * outer + o] = total;
    }
  }
  return y;
}

function silu(x) {
  return x.map((value) => value * sigmoid(value));
}

function layerNorm(x, width, weight, bias) {
  const y = new Float64Array(x.length);
  for (let first = 0; first < x.length; first += width) {
    let [mean, variance] = [0, 0];
    for (let k = 0; k < width; k++) mean += x[first + k] / width;
    for (let k = 0; k < width; k++) variance += (x[first + k] - mean) ** 2 / width;
    const scale = 1 / Math.sqrt(variance + LAYER_NORM_EPSILON);
    for (let k = 0; k < width; k++) y[first + k] = (x[first + k] - mean) * scale * weight[k] + bias[k];
  }
  return y;
}

/** Add rows of a table (classes, width) to rows x (items, width), in place. */
function addRows(x, width, table, places) {
  places.forEach((place, item) => {
    for (let k = 0; k < width; k++) x[item * width + k] += table[place * width + k];
  });
  return x;
}

export class Stage2 {
  /** @param {any} data the part "stage2" of a page's data, see workbench/views/page_data.py */
  constructor(data) {
    this.width = data.width;
    this.heads = data.heads;
    this.layers = data.layers;
    this.degrees = shellsOf(data.degrees.map(({ l }) => l)).map((shell, k) => ({ ...shell, pseudo: data.degrees[k].pseudo }));
    this.channels = data.channels;
    this.shells = shellsOf(data.layout);
    this.size = data.layout.reduce((total, l) => total + 2 * l + 1, 0); // M
    this.lmax = Math.max(...data.layout, ...data.degrees.map(({ l }) => l), 1);
    this.weights = Object.fromEntries(Object.entries(data.weights).map(([name, packed]) => [name, exact(packed)]));
    const { tokens } = data;
    for (const name of ["nodes", "edges", "node_blocks", "pair_blocks", "direction", "radial", "envelope"]) {
      this[name] = exact(tokens[name]);
    }
    for (const name of ["row", "column", "node_class", "pair_class", "reverse"]) this[name] = unpacked(tokens[name]);
    [this.atoms, this.pairs] = [this.node_class.length, this.row.length];
    this.readsFeatures = data.reads_features;
    this.residuals = { node: exact(data.residuals.node), pair: exact(data.residuals.pair) };
    this.change = { rows: unpacked(data.change.rows), columns: unpacked(data.change.columns), values: exact(data.change.values) };
    this.slots = data.slots; // places of each atom's orbitals among the M of a block
  }

  /**
   * Stage 2's correction for the structure rotated by R, n x n, eV.
   * @param {number[][]} R three rows, proper or improper
   */
  correction(R) {
    const D = wigner(this.lmax, R);
    const sign = Math.sign(determinant(R));
    let x = this.firstAtoms(D, sign);
    let e = this.firstPairs(D, sign, R);
    for (let k = 0; k < this.layers; k++) [x, e] = this.layer(`layers.${k}.`, x, e);
    const nodes = this.head("node_head.", x, this.node_class, this.residuals.node, null);
    const pairs = this.head("pair_head.", e, this.pair_class, this.residuals.pair, this.envelope);
    return this.assembled(nodes, pairs);
  }

  // ---- tokens ----

  /** Features of one kind, rotated and normalised: (items, K * C). */
  features(x, weight, D, sign) {
    const [c, k] = [this.channels, this.degrees.reduce((total, d) => total + d.width, 0)];
    const result = new Float64Array(x.length);
    for (let first = 0; first < x.length; first += k * c) {
      const item = rotateRows(x.subarray(first, first + k * c), c, this.degrees, D);
      let power = 0;
      for (const { start, width } of this.degrees) {
        let square = 0;
        for (let at = start * c; at < (start + width) * c; at++) square += item[at] ** 2;
        power += square / (width * this.degrees.length * c);
      }
      const scale = 1 / Math.sqrt(power + NORM_EPSILON);
      this.degrees.forEach(({ start, width, pseudo }, degree) => {
        const factor = scale * (pseudo ? sign : 1);
        for (let at = start * c; at < (start + width) * c; at++) {
          result[first + at] = item[at] * factor * weight[degree * c + (at % c)];
        }
      });
    }
    return result;
  }

  /** Blocks (items, B, M, M), rotated: D h D^T. */
  blocks(x, D) {
    const result = new Float64Array(x.length);
    const each = this.size ** 2;
    for (let first = 0; first < x.length; first += each) {
      result.set(rotate(x.subarray(first, first + each), this.size, this.shells, D), first);
    }
    return result;
  }

  firstAtoms(D, sign) {
    const w = this.weights;
    const columns = w["node_in.weight"].length / this.width;
    const x = this.inputs("node_in", columns, this.nodes, this.node_blocks, "node_norm.weight", this.atoms, D, sign);
    return addRows(addRows(x, this.width, w["node_species.weight"], this.node_class), this.width, w["node_in.bias"], new Int32Array(this.atoms));
  }

  firstPairs(D, sign, R) {
    const w = this.weights;
    const columns = w["edge_in.weight"].length / this.width;
    const x = this.inputs("edge_in", columns, this.edges, this.pair_blocks, "edge_norm.weight", this.pairs, D, sign);
    const radial = this.radial.length / this.pairs;
    const geometry = new Float64Array(this.pairs * (radial + 3));
    for (let p = 0; p < this.pairs; p++) {
      geometry.set(this.radial.subarray(p * radial, (p + 1) * radial), p * (radial + 3));
      const d = this.direction.subarray(3 * p, 3 * p + 3);
      geometry.set(R.map((row) => row[0] * d[0] + row[1] * d[1] + row[2] * d[2]), p * (radial + 3) + radial);
    }
    const from = columns - radial - 3;
    const part = linear(geometry, radial + 3, w["edge_in.weight"], this.width, { bias: w["edge_in.bias"], from, columns });
    part.forEach((value, k) => (x[k] += value));
    return addRows(x, this.width, w["pair_species.weight"], this.pair_class);
  }

  /** The linear map of features and blocks to first tokens, without its bias. */
  inputs(name, columns, features, blocks, norm, items, D, sign) {
    const weight = this.weights[`${name}.weight`];
    const x = new Float64Array(items * this.width);
    let from = 0;
    const add = (part, inner) => {
      linear(part, inner, weight, this.width, { from, columns }).forEach((value, k) => (x[k] += value));
      from += inner;
    };
    if (this.readsFeatures) add(this.features(features, this.weights[norm], D, sign), features.length / items);
    if (blocks.length) add(this.blocks(blocks, D), blocks.length / items);
    return x;
  }

  // ---- the Transformer ----

  norm(name, x) {
    return layerNorm(x, this.width, this.weights[`${name}.weight`], this.weights[`${name}.bias`]);
  }

  linear(name, x, inner, outer) {
    return linear(x, inner, this.weights[`${name}.weight`], outer, { bias: this.weights[`${name}.bias`] });
  }

  /** A linear map of (atoms .., pair): of each atom's part and of the pair's, added per pair. */
  ofPairs(name, atoms, pair) {
    const weight = this.weights[`${name}.weight`];
    const columns = (atoms.length + 1) * this.width;
    const outer = weight.length / columns;
    const settings = { bias: this.weights[`${name}.bias`], from: atoms.length * this.width, columns };
    const y = linear(pair, this.width, weight, outer, settings);
    atoms.forEach(([x, places], k) => {
      addRows(y, outer, linear(x, this.width, weight, outer, { from: k * this.width, columns }), places);
    });
    return y;
  }

  layer(name, x, e) {
    const width = this.width;
    const normalised = this.norm(`${name}node_norm`, x);
    const pair = this.norm(`${name}edge_norm`, e);
    const out = this.linear(`${name}out`, this.attention(name, normalised, pair), width, width);
    const gate = this.linear(`${name}gate`, normalised, width, width);
    x = x.map((value, k) => value + sigmoid(gate[k]) * out[k]);
    const hidden = silu(this.linear(`${name}ffn.0`, this.norm(`${name}ffn_norm`, x), width, 2 * width));
    const ffn = this.linear(`${name}ffn.2`, hidden, 2 * width, width);
    x = x.map((value, k) => value + ffn[k]);
    const ends = this.norm(`${name}pair_norm`, x);
    const first = silu(this.ofPairs(`${name}pair.0`, [[ends, this.row], [ends, this.column]], pair));
    const update = this.linear(`${name}pair.2`, first, width, width);
    return [x, e.map((value, k) => value + update[k])];
  }

  attention(name, normalised, pair) {
    const [width, heads] = [this.width, this.heads];
    const each = width / heads;
    const query = this.linear(`${name}query`, normalised, width, width);
    const key = this.ofPairs(`${name}key`, [[normalised, this.column]], pair);
    const ends = [[normalised, this.row], [normalised, this.column]];
    const value = this.linear(`${name}value.2`, silu(this.ofPairs(`${name}value.0`, ends, pair)), width, width);
    const score = new Float64Array(this.pairs * heads);
    const largest = new Float64Array(this.atoms * heads).fill(-Infinity);
    for (let p = 0; p < this.pairs; p++) {
      for (let h = 0; h < heads; h++) {
        let total = 0;
        for (let k = 0; k < each; k++) total += query[this.row[p] * width + h * each + k] * key[p * width + h * each + k];
        score[p * heads + h] = total / Math.sqrt(each);
        const at = this.row[p] * heads + h;
        largest[at] = Math.max(largest[at], score[p * heads + h]);
      }
    }
    const sums = new Float64Array(this.atoms * heads);
    for (let p = 0; p < this.pairs; p++) {
      for (let h = 0; h < heads; h++) {
        const at = this.row[p] * heads + h;
        score[p * heads + h] = Math.exp(score[p * heads + h] - largest[at]);
        sums[at] += score[p * heads + h];
      }
    }
    const result = new Float64Array(this.atoms * width);
    for (let p = 0; p < this.pairs; p++) {
      for (let k = 0; k < width; k++) {
        const head = Math.floor(k / each);
        const weight = (score[p * heads + head] / sums[this.row[p] * heads + head]) * this.envelope[p];
        result[this.row[p] * width + k] += weight * value[p * width + k];
      }
    }
    return result;
  }

  // ---- the correction ----

  /** Blocks (items, M, M), eV, not yet hermitian. */
  head(name, x, classes, residual, envelope) {
    const [width, outer] = [this.width, this.size ** 2];
    const free = silu(this.linear(`${name}free.1`, this.norm(`${name}free.0`, x), width, width));
    const shared = this.weights[`${name}readout.shared.0`];
    const solution = this.weights[`${name}readout.solution_0`];
    const bias = this.weights[`${name}readout.bias`];
    const blocks = new Float64Array(classes.length * outer);
    classes.forEach((kind, item) => {
      const table = solution?.subarray(kind * (width + 1) * outer, (kind + 1) * (width + 1) * outer) ?? shared;
      const y = Float64Array.from(solution ? table.subarray(width * outer) : bias); // a solution's last row is its bias
      for (let k = 0; k < width; k++) {
        const factor = free[item * width + k];
        for (let o = 0; o < outer; o++) y[o] += factor * table[k * outer + o];
      }
      const scale = envelope ? envelope[item] : 1;
      for (let o = 0; o < outer; o++) y[o] *= scale * residual[kind * outer + o];
      this.decode(y, blocks.subarray(item * outer, (item + 1) * outer));
    });
    return blocks;
  }

  /** Irrep coefficients to a block: block = change @ coefficients; the matrix is sparse. */
  decode(coefficients, block) {
    const { rows, columns, values } = this.change;
    values.forEach((value, k) => (block[rows[k]] += value * coefficients[columns[k]]));
  }

  /** The hermitian part of all blocks, as one matrix without padding. */
  assembled(nodes, pairs) {
    const [m, each] = [this.size, this.size ** 2];
    const starts = [0];
    this.slots.forEach((places) => starts.push(starts.at(-1) + places.length));
    const n = starts.at(-1);
    const result = new Float64Array(n * n);
    const put = (block, partner, i, j) => {
      const other = transpose(partner, m);
      this.slots[i].forEach((a, row) => {
        this.slots[j].forEach((b, column) => {
          result[(starts[i] + row) * n + starts[j] + column] = (block[a * m + b] + other[a * m + b]) / 2;
        });
      });
    };
    const of = (blocks, k) => blocks.subarray(k * each, (k + 1) * each);
    for (let i = 0; i < this.atoms; i++) put(of(nodes, i), of(nodes, i), i, i);
    for (let p = 0; p < this.pairs; p++) put(of(pairs, p), of(pairs, this.reverse[p]), this.row[p], this.column[p]);
    return result;
  }
}
