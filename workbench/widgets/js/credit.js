// Flow control between a view that moves at 50 frames a second and a kernel that answers at 10:
// one orientation in flight, the newest wins, the kernel acknowledges after it has sent its repaint.

const TIMEOUT_MS = 5000;

export class Credit {
  /**
   * @param {(tick: number, value: any, movedAt: number) => void} send hands one value to the kernel
   * @param {(busy: boolean) => void} showBusy called when an answer is overdue, and when it came
   */
  constructor(send, showBusy) {
    this.send = send;
    this.showBusy = showBusy;
    this.sent = 0;
    this.acknowledged = 0;
    this.inFlight = null;
    this.newest = null;
    this.frame = null;
    this.timer = null;
  }

  /** Remember the newest value; it goes out at the next animation frame with a credit. */
  push(value) {
    this.newest = { value, movedAt: performance.now() };
    this.schedule();
  }

  /** Whether nothing waits to be sent or answered. */
  get idle() {
    return this.newest === null && this.inFlight === null;
  }

  schedule() {
    if (this.frame === null && this.inFlight === null && this.newest !== null) {
      this.frame = requestAnimationFrame(() => this.flush());
    }
  }

  flush() {
    this.frame = null;
    if (this.inFlight !== null || this.newest === null) return;
    const { value, movedAt } = this.newest;
    this.newest = null;
    this.inFlight = ++this.sent;
    this.timer = setTimeout(() => this.overdue(), TIMEOUT_MS);
    this.send(this.inFlight, value, movedAt);
  }

  acknowledge(tick) {
    this.acknowledged += 1;
    this.showBusy(false);
    if (tick === this.inFlight) this.free();
  }

  /** The kernel computes something long, or is gone: say so and let the next value try. */
  overdue() {
    this.showBusy(true);
    this.free();
  }

  free() {
    clearTimeout(this.timer);
    this.inFlight = null;
    this.schedule();
  }

  dispose() {
    clearTimeout(this.timer);
    if (this.frame !== null) cancelAnimationFrame(this.frame);
    this.newest = null;
  }
}
