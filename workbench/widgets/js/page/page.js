// A page that turns a molecule without Python: the notebooks' pictures, fed by the page's own computation.

import heat from "../heat.js";
import { describe } from "../quaternion.js";
import structure from "../structure.js";
import { BlockPicture } from "./block.js";
import { Controls } from "./controls.js";
import { Experiment, REFERENCE } from "./experiment.js";
import { LevelPicture } from "./levels.js";
import { LocalModel } from "./local_model.js";
import { MEV } from "./numbers.js";
import { matrixOf } from "./rotation.js";
import { ErrorTable, summary } from "./table.js";
import { Theme } from "./theme.js";
import "./page.css";

const AGAINST_REFERENCE = "reference";
const SCRIPT = "3Dmol.js of the page";
const NARROW = "(max-width: 620px)"; // one heat map under the other

const byId = (id) => document.getElementById(id);

class Page {
  constructor(data) {
    this.data = data;
    this.experiment = new Experiment(data);
    this.pair = [0, Math.min(1, data.axis.atoms.length - 1)];
    this.against = data.reference ? AGAINST_REFERENCE : "rotated";
    this.shapeOf = (count) => [count, data.n, data.n];
    this.table = new ErrorTable(byId("errors"), this.experiment.names, byId("shifts"));
    this.levels = new LevelPicture(byId("levels"), data.occupied);
    this.matrices = this.heat("matrices", "eV", data.limits.matrix, "log", 3);
    this.differences = this.heat("differences", "meV", data.limits.error, "linear", 3);
    const settings = { show_values: true, max_size: 0, hint: "Click a block of a matrix, or two atoms." };
    this.block = new BlockPicture(this, this.heat("block", "eV", data.limits.matrix, "log", 2, settings), byId("block-of"));
    this.controls = new Controls(this);
    this.show([0, 0, 0, 1]);
    this.structure = this.picture();
    this.theme = new Theme(byId("theme"), () => this.recolour());
    this.arrange();
    window.matchMedia(NARROW).addEventListener("change", () => this.arrange());
  }

  heat(id, unit, limit, scale, digits, settings = {}) {
    const model = new LocalModel({
      unit, limit, scale, digits, sequence: 0, tick: 0, across: 0, panel_height: 0, max_size: 420, at_once: true,
      phases: false, show_values: false, titles: [], notes: [], pair: this.pair, shape: [0, 0, 0], values: null,
      rows: this.data.axis, columns: this.data.axis, hint: "Point at a cell to read its value.", ...settings,
    });
    heat.render({ model, el: byId(id) });
    model.on("change:pair", () => this.pick(model.get("pair")));
    return model;
  }

  picture() {
    const model = new LocalModel(
      {
        structure: this.data.structure, pair: this.pair, label: this.data.formula, height: 260, fixed: false,
        hint: "drag, or arrow keys", announcement: "", script: "3Dmol", script_text: `${SCRIPT}\n`,
      },
      (content) => this.received(content),
    );
    structure.render({ model, el: byId("structure") });
    model.on("change:pair", () => this.pick(model.get("pair")));
    return model;
  }

  /** The structure has been turned by hand: show everything there, then ask for the next orientation. */
  received(content) {
    if (content.kind !== "turn") return;
    this.show(content.quaternion, content.tick);
    this.structure.set("announcement", summary(describe(content.quaternion), this.snapshot));
    this.structure.deliver({ kind: "ack", view: content.view, tick: content.tick });
  }

  /** Turn the structure and everything else. @param {number[]} quaternion scalar last */
  turnTo(quaternion) {
    this.structure.deliver({ kind: "set", quaternion });
    this.show(quaternion);
    this.structure.set("announcement", summary(describe(quaternion), this.snapshot));
  }

  show(quaternion, tick = 0) {
    this.quaternion = quaternion;
    this.snapshot = this.experiment.at(matrixOf(quaternion));
    this.table.show(this.snapshot);
    this.levels.show(this.snapshot);
    this.showMatrices(tick);
    this.showDifferences(tick);
    this.block.show(tick);
    this.controls?.follow(quaternion);
  }

  showMatrices(tick = 0) {
    const { reference, predictions } = this.snapshot;
    const shown = [...(reference ? [[REFERENCE, reference]] : []), ...predictions.map(({ name, H }) => [name, H])];
    this.paint(this.matrices, shown, 1, tick);
  }

  showDifferences(tick = 0) {
    const toReference = this.against === AGAINST_REFERENCE;
    const shown = this.snapshot.predictions.map(({ name, H, turned, difference }) =>
      toReference ? [`${name} − reference`, difference] : [`${name} − rotated ${name}`, H.map((value, k) => value - turned[k])]);
    if (shown.length) this.paint(this.differences, shown, MEV, tick);
  }

  /** Float32 bytes of several matrices, as the heat maps read them. */
  bytes(matrices, factor) {
    const values = Float32Array.from(matrices.flatMap((matrix) => Array.from(matrix, (value) => factor * value)));
    return new DataView(values.buffer);
  }

  paint(model, shown, factor, tick) {
    const titles = shown.map(([title]) => title);
    const same = String(titles) === String(model.get("titles"));
    model.update({
      titles: same ? model.get("titles") : titles,
      shape: this.shapeOf(shown.length),
      values: this.bytes(shown.map(([, matrix]) => matrix), factor),
      tick,
      sequence: model.get("sequence") + 1,
    });
  }

  pick(pair) {
    if (String(pair) === String(this.pair)) return;
    this.pair = pair;
    for (const model of [this.structure, this.matrices, this.differences]) model.set("pair", pair);
    this.block.show();
  }

  /** Heat maps side by side, or on a phone one below the other. */
  arrange() {
    const across = window.matchMedia(NARROW).matches ? 1 : 0;
    for (const model of [this.matrices, this.differences]) model.set("across", across);
  }

  /** Canvases read their colours when they draw. */
  recolour() {
    for (const model of [this.matrices, this.differences, this.block.model]) model.fire("change:limit");
    const paper = getComputedStyle(document.documentElement).getPropertyValue("--wb-paper").trim();
    byId("structure").querySelector(".wb-structure-scene").viewer?.setBackgroundColor(paper);
  }

  compare(against) {
    this.against = against;
    this.showDifferences();
  }
}

const data = JSON.parse(byId("data").textContent);
// The script of 3Dmol stands in the page; `library.js` finds it under the name that it gives a widget's.
globalThis[Symbol.for(SCRIPT)] = Promise.resolve({ $3Dmol: globalThis.$3Dmol, viewers: 0 });
globalThis.workbenchPage = new Page(data);
