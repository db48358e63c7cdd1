// The page's buttons and sliders: presets, axis and angle, colours, and what the differences are taken against.

import { anglesOf, fromAngles, PRESETS, random } from "./rotation.js";

const DECADES = [-3, 1]; // of the colour sliders, around their first limit

function pressed(buttons, chosen) {
  buttons.forEach((button) => button.setAttribute("aria-pressed", String(button === chosen)));
}

export class Controls {
  /** @param {any} page the page that the controls act on */
  constructor(page) {
    this.page = page;
    this.angles = ["polar", "azimuth", "angle"].map((id) => document.getElementById(id));
    this.outputs = this.angles.map((slider) => document.querySelector(`output[for=${slider.id}]`));
    this.angles.forEach((slider) => slider.addEventListener("input", () => this.slid()));
    this.presets(document.getElementById("presets"));
    this.choices("against", (value) => page.compare(value));
    this.choices("scale", (value) => {
      page.matrices.set("scale", value);
      page.block.show();
    });
    this.limit("limit", page.matrices, "eV");
    this.limit("error-limit", page.differences, "meV");
  }

  presets(place) {
    const add = (name, title, orientation) => {
      const button = document.createElement("button");
      Object.assign(button, { type: "button", textContent: name, title });
      button.addEventListener("click", () => this.page.turnTo(orientation()));
      place.append(button);
    };
    for (const [name, q] of PRESETS) add(name, name === "identity" ? "Return to R = 1" : `Rotate by ${name}`, () => q);
    add("random", "A uniformly random rotation", () => random());
  }

  /** Buttons of which one is pressed. */
  choices(id, chosen) {
    const buttons = [...document.querySelectorAll(`#${id} button`)];
    for (const button of buttons) {
      button.addEventListener("click", () => {
        pressed(buttons, button);
        chosen(button.value);
      });
    }
  }

  limit(id, model, unit) {
    const slider = document.getElementById(id);
    const output = document.querySelector(`output[for=${id}]`);
    const first = Math.log10(model.get("limit"));
    Object.assign(slider, { min: first + DECADES[0], max: first + DECADES[1], step: 0.05, value: first });
    const say = () => {
      output.textContent = `± ${Number(model.get("limit").toPrecision(3))} ${unit}`;
      slider.setAttribute("aria-valuetext", output.textContent);
    };
    slider.addEventListener("input", () => {
      model.set("limit", 10 ** slider.valueAsNumber);
      this.page.block.show();
      say();
    });
    say();
  }

  slid() {
    this.sliding = true;
    this.page.turnTo(fromAngles(...this.angles.map((slider) => slider.valueAsNumber)));
    this.sliding = false;
    this.say();
  }

  /** Set the sliders to an orientation; at R = 1 the axis stays. @param {number[]} quaternion */
  follow(quaternion) {
    if (this.sliding) return;
    const { polar, azimuth, angle } = anglesOf(quaternion);
    [polar, azimuth, angle].forEach((value, k) => {
      if (value !== null) this.angles[k].value = value;
    });
    this.say();
  }

  say() {
    this.angles.forEach((slider, k) => {
      this.outputs[k].textContent = `${Math.round(slider.valueAsNumber)}°`.replace("-", "−");
    });
  }
}
