import assert from "node:assert/strict";
import { test } from "node:test";
import { unpacked } from "../../../workbench/widgets/js/page/arrays.js";
import { axisOf, blockOf } from "../../../workbench/widgets/js/page/block.js";
import { Experiment } from "../../../workbench/widgets/js/page/experiment.js";
import { LocalModel } from "../../../workbench/widgets/js/page/local_model.js";
import { Stage2 } from "../../../workbench/widgets/js/page/stage2.js";
import { cases, difference } from "./cases.mjs";

for (const [name, { stage2, R, correction }] of Object.entries(cases.corrections)) {
  test(`stage 2 corrects a rotated and inverted ethanol as in Python: ${name}`, () => {
    const largest = Math.max(...correction.flat().map(Math.abs));
    assert.ok(largest > 0.01);
    assert.ok(difference(new Stage2(stage2).correction(R), correction) < 1e-9 * largest);
  });
}

test("water's weights arrive as they are stored", () => {
  const { weights } = cases.experiments.water.data.stage2;
  assert.equal(weights["node_in.weight"].type, "float32");
  const values = unpacked(weights["node_in.weight"]);
  assert.ok(values instanceof Float32Array);
  assert.equal(values.length, weights["node_in.weight"].shape.reduce((a, b) => a * b));
});

test("matrices, errors and levels of water are Python's", () => {
  const { data, at } = cases.experiments.water;
  const experiment = new Experiment(data);
  const names = { "stage 1": "baseline", "stages 1+2": "refined", reference: "reference" };
  for (const expected of at) {
    const found = experiment.at(expected.R);
    const largest = Math.max(...found.predictions.map(({ error }) => 1000 * error.max));
    const close = (a, b) => assert.ok(Math.abs(a - b) < 1e-5 * largest, `${a} is not ${b}, meV`);
    assert.ok(difference(found.reference, expected.reference) < 1e-11);
    for (const { name, H, error, gaugeFree, symmetry, inversion, shift } of found.predictions) {
      const python = expected[names[name]];
      assert.ok(difference(H, python.matrix) < 1e-8);
      close(1000 * shift, 1000 * python.shift);
      const pairs = [[error, "errors"], [gaugeFree, "gauge_free"], [symmetry, "symmetry"], [inversion, "inversion"]];
      for (const [{ mean, max }, key] of pairs) [mean, max].forEach((value, k) => close(1000 * value, python[key][k]));
    }
    for (const [name, energies] of found.levels) {
      assert.ok(difference(energies, expected.levels[names[name]]) < 1e-9);
    }
    assert.ok(1000 * found.drift.get("reference") < 1e-8);
  }
});

test("a local model tells its listeners once, and messages arrive", () => {
  const heard = [];
  const model = new LocalModel({ a: 1, b: 1 }, (content) => heard.push(content));
  const listener = () => heard.push(model.get("a"));
  model.on("change:a change:b", listener);
  model.update({ a: 2, b: 1 });
  model.set("a", 2);
  model.on("msg:custom", (message) => heard.push(message));
  model.deliver("hello");
  model.send("turn");
  model.off("change:a change:b", listener);
  model.set("b", 3);
  assert.deepEqual(heard, [2, "hello", "turn"]);
});

test("the block of two atoms has their orbitals", () => {
  const axis = { atoms: ["O1", "H2"], borders: [0, 2, 3], orbitals: ["1s", "2s", "1s"] };
  const matrix = Float64Array.from({ length: 9 }, (_, k) => k);
  assert.deepEqual(blockOf(matrix, 3, axis, [0, 1]), [2, 5]);
  assert.deepEqual(blockOf(matrix, 3, axis, [1, 0]), [6, 7]);
  assert.deepEqual(axisOf(axis, 0), { atoms: ["O1"], borders: [0, 2], orbitals: ["1s", "2s"] });
});
