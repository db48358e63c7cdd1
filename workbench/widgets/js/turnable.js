// Common parts of all pictures that can be rotated: frame with text and axes, arrow keys, the text for screen
// readers, and the messages to Python with the flow control of credit.js.

import { Credit } from "./credit.js";
import { aboutAxis, describe, IDENTITY, multiply, normalised, same, TURN_KEYS, turnedAxes } from "./quaternion.js";
import "./turnable.css";

const AXIS_COLOURS = ["#b91c1c", "#15803d", "#1d4ed8"];

function element(tag, className, parent) {
  const node = document.createElement(tag);
  node.className = className;
  parent.append(node);
  return node;
}

/** The axes of the picture in the present orientation; x to the right, y up at R = 1. */
function drawAxes(svg, q) {
  const arrows = turnedAxes(q).map(([x, y, z], k) => ({ x: 36 + 22 * x, y: 36 - 22 * y, z, k }));
  arrows.sort((a, b) => a.z - b.z);
  svg.innerHTML = arrows
    .map(({ x, y, z, k }) => {
      const opacity = 0.55 + 0.45 * (z + 1) / 2;
      const endOn = Math.hypot(x - 36, y - 36) < 5;
      const [tx, ty] = endOn ? [x - 10, y + 8] : [36 + (x - 36) * 1.42, 36 + (y - 36) * 1.42];
      return (
        `<g opacity="${opacity}"><line x1="36" y1="36" x2="${x}" y2="${y}" stroke="${AXIS_COLOURS[k]}" stroke-width="2.5"/>` +
        `<circle cx="${x}" cy="${y}" r="2.6" fill="${AXIS_COLOURS[k]}"/>` +
        `<text x="${tx}" y="${ty}" fill="${AXIS_COLOURS[k]}">${"xyz"[k]}</text></g>`
      );
    })
    .join("");
}

export class Turnable {
  /**
   * @param {any} model of the widget; with a trait `fixed` that is true, nothing turns the picture
   * @param {HTMLElement} el what the page gives the widget
   * @param {string} name CSS class of the frame, and the beginning of its parts' classes
   * @param {(q: number[]) => void} show turns the picture itself to an orientation
   */
  constructor(model, el, name, show) {
    Object.assign(this, { model, name, show, quaternion: IDENTITY, dragging: false });
    this.view = `${Date.now()}-${Math.random()}`; // several views may show one model
    this.host = element("div", `wb-turnable ${name}`, el);
    this.host.dataset.lmSuppressShortcuts = "true";
    this.host.style.height = `${model.get("height")}px`;
    this.scene = this.part("scene");
    this.turn = this.part("turn");
    this.part("help").textContent = model.get("hint");
    this.axes = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    this.axes.setAttribute("class", "wb-turnable-axes");
    this.axes.setAttribute("width", "72");
    this.axes.setAttribute("height", "72");
    this.axes.setAttribute("aria-hidden", "true");
    this.host.append(this.axes);
    const busy = this.part("busy");
    busy.textContent = "kernel busy …";
    busy.hidden = true;
    this.live = this.part("live");
    this.live.setAttribute("aria-live", "polite");
    this.credit = new Credit(
      (tick, value, movedAt) => this.send(tick, value, movedAt),
      (isBusy) => (busy.hidden = !isBusy),
    );
    this.listen();
    this.showOrientation();
    model.send({ kind: "hello" });
  }

  part(what) {
    return element("div", `wb-turnable-${what} ${this.name}-${what}`, this.host);
  }

  send(tick, value, movedAt) {
    this.model.send({ kind: "turn", view: this.view, tick, ...value });
    this.host.dataset.sent = tick;
    this.host.dispatchEvent(new CustomEvent("workbench:sent", { bubbles: true, detail: { tick, movedAt } }));
  }

  /** Listen to Python; and, unless fixed, to keys and to where dragging begins and ends. */
  listen() {
    const on = new AbortController();
    this.off = on;
    const fixed = Boolean(this.model.get("fixed"));
    this.host.setAttribute("role", fixed ? "img" : "application");
    this.onMessage = (message) => this.received(message);
    this.onAnnouncement = () => this.announce();
    this.model.on("msg:custom", this.onMessage);
    this.model.on("change:announcement", this.onAnnouncement);
    if (fixed) return;
    this.host.tabIndex = 0;
    this.host.addEventListener("keydown", (event) => this.keyPressed(event), { signal: on.signal });
    const capture = { capture: true, signal: on.signal };
    this.scene.addEventListener("pointerdown", () => this.grabbed(), capture);
    window.addEventListener("pointerup", () => this.released(), capture);
  }

  showOrientation() {
    const words = describe(this.quaternion);
    const fixed = this.host.getAttribute("role") === "img";
    this.turn.textContent = fixed ? "" : words;
    drawAxes(this.axes, this.quaternion);
    const label = [this.model.get("label"), ...(fixed ? [] : [words])].join(", ");
    this.host.setAttribute("aria-label", `${label}. ${this.model.get("hint")}`);
    this.host.dataset.quaternion = JSON.stringify(this.quaternion);
  }

  /** Turn the picture without telling Python. */
  turnTo(q) {
    this.quaternion = normalised(q);
    this.show(this.quaternion);
    this.showOrientation();
  }

  /** The picture has been turned by the user: say so in words and to Python. */
  moved(q) {
    if (same(q, this.quaternion)) return;
    this.quaternion = normalised(q);
    this.showOrientation();
    this.push(this.dragging);
  }

  push(moving) {
    this.host.dataset.settled = "false";
    this.credit.push({ quaternion: this.quaternion, moving });
  }

  keyPressed(event) {
    const axis = TURN_KEYS[event.key];
    if (!axis && event.key !== "Home") return;
    event.preventDefault();
    event.stopPropagation();
    const step = aboutAxis(axis ?? [0, 0, 1], event.shiftKey ? 1 : 5);
    this.turnTo(axis ? multiply(step, this.quaternion) : IDENTITY);
    this.push(false);
  }

  grabbed() {
    this.dragging = true;
    this.host.focus({ preventScroll: true });
  }

  released() {
    if (!this.dragging) return;
    this.dragging = false;
    this.push(false);
  }

  received(message) {
    if (message.kind === "set") this.turnTo(message.quaternion);
    if (message.kind === "ack" && message.view === this.view) {
      this.credit.acknowledge(message.tick);
      this.host.dataset.acknowledged = this.credit.acknowledged;
      this.host.dataset.settled = this.credit.idle;
    }
  }

  /** A screen reader hears the newest sentence, at most once a second. */
  announce() {
    if (this.announcing) return;
    const wait = Math.max(0, (this.announced ?? 0) + 1000 - performance.now());
    this.announcing = setTimeout(() => {
      this.announcing = null;
      this.announced = performance.now();
      this.live.textContent = this.model.get("announcement");
    }, wait);
  }

  /** Let go of everything but the host, which whoever holds the picture removes. */
  dispose() {
    this.credit.dispose();
    clearTimeout(this.announcing);
    this.off.abort();
    this.model.off("msg:custom", this.onMessage);
    this.model.off("change:announcement", this.onAnnouncement);
  }
}
