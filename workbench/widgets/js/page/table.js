// The table of errors and the sentence for screen readers, as workbench/widgets/parts/readout.py writes them.

import { MEV, milli, milliSigned } from "./numbers.js";

const COLUMNS = [
  ["error", "reference", "prediction at R x against the reference: the prediction error"],
  ["gaugeFree", "without μS", "the same without the shift of the zero of energy"],
  ["symmetry", "rotation", "prediction at R x against the rotated prediction at x: the error of the rotation law"],
  ["inversion", "inversion", "the same for x → −x"],
];
const ROWS = [["mean", "mean"], ["max", "max"]];

function cell(tag, text, attributes = {}) {
  const node = document.createElement(tag);
  node.textContent = text;
  Object.entries(attributes).forEach(([name, value]) => node.setAttribute(name, value));
  return node;
}

export class ErrorTable {
  /** @param {HTMLTableElement} table @param {string[]} names @param {HTMLElement} note the shifts */
  constructor(table, names, note) {
    this.cells = new Map();
    this.note = note;
    const head = document.createElement("tr");
    head.append(cell("td", ""));
    for (const [, text, title] of COLUMNS) head.append(cell("th", text, { scope: "col", title }));
    table.createTHead().append(head);
    for (const name of names) {
      const body = table.createTBody();
      body.insertRow().append(cell("th", name, { scope: "rowgroup", colspan: String(COLUMNS.length + 1) }));
      for (const [key, text] of ROWS) {
        const row = body.insertRow();
        row.append(cell("th", text, { scope: "row" }));
        for (const [column] of COLUMNS) {
          const place = cell("td", "–");
          this.cells.set(`${name} ${column} ${key}`, place);
          row.append(place);
        }
      }
    }
  }

  /** @param {any} snapshot of Experiment.at */
  show({ predictions }) {
    for (const prediction of predictions) {
      for (const [column] of COLUMNS) {
        for (const [key] of ROWS) {
          const place = this.cells.get(`${prediction.name} ${column} ${key}`);
          place.textContent = prediction[column] ? milli(MEV * prediction[column][key]) : "–";
        }
      }
    }
    const shifts = predictions.filter(({ shift }) => shift !== undefined);
    const words = shifts.map(({ name, shift }) => `${name} ${milliSigned(MEV * shift)} meV`).join(", ");
    this.note.textContent = words && `Shift μ of the zero of energy: ${words}. H + μS has the orbitals and gaps of H.`;
  }
}

/** Text equivalent of the pictures, for screen readers. */
export function summary(orientation, { predictions, drift }) {
  const sentences = predictions.map(({ name, error, symmetry, inversion }) => {
    const parts = [
      `error of the rotation law ${milli(MEV * symmetry.mean)} meV on average`,
      `${milli(MEV * inversion.mean)} meV under inversion`,
    ];
    if (error) parts.push(`error against the reference ${milli(MEV * error.mean)} meV on average and ${milli(MEV * error.max)} meV at most`);
    if (drift.has(name)) parts.push(`levels change by at most ${milli(MEV * drift.get(name))} meV`);
    return `${name}: ${parts.join(", ")}.`;
  });
  return [`Structure ${orientation}.`, ...sentences].join(" ");
}
