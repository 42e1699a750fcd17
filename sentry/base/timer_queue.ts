/**
 * Deadlines in one binary heap. Counterpart of Linux's hrtimer base.
 */

/** A one-shot timer; re-arm it by starting it again. */
export class Timer {
  /** CLOCK_MONOTONIC, nanoseconds. */
  deadlineNs = Number.POSITIVE_INFINITY;
  readonly onExpiry: () => void;
  /** Position in the heap, -1 when not armed. */
  index = -1;

  constructor(onExpiry: () => void) {
    this.onExpiry = onExpiry;
  }

  get armed(): boolean {
    return this.index >= 0;
  }
}

export class TimerQueue {
  private readonly heap: Timer[] = [];

  /** The earliest deadline, Infinity when there is none. */
  get nextDeadlineNs(): number {
    return this.heap[0]?.deadlineNs ?? Number.POSITIVE_INFINITY;
  }

  start(timer: Timer, deadlineNs: number): void {
    this.cancel(timer);
    if (deadlineNs === Number.POSITIVE_INFINITY) return;
    timer.deadlineNs = deadlineNs;
    timer.index = this.heap.length;
    this.heap.push(timer);
    this.siftUp(timer.index);
  }

  cancel(timer: Timer): void {
    const i = timer.index;
    if (i < 0) return;
    timer.index = -1;
    const last = this.heap.pop() as Timer;
    if (last === timer) return;
    this.place(last, i);
    this.siftDown(i);
    this.siftUp(last.index);
  }

  /** Runs everything due at `nowNs`, in deadline order. */
  runExpired(nowNs: number): void {
    for (;;) {
      const first = this.heap[0];
      if (first === undefined || first.deadlineNs > nowNs) return;
      this.cancel(first);
      first.onExpiry();
    }
  }

  private place(timer: Timer, i: number): void {
    this.heap[i] = timer;
    timer.index = i;
  }

  private siftUp(from: number): void {
    const timer = this.heap[from] as Timer;
    let i = from;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      const p = this.heap[parent] as Timer;
      if (p.deadlineNs <= timer.deadlineNs) break;
      this.place(p, i);
      i = parent;
    }
    this.place(timer, i);
  }

  private siftDown(from: number): void {
    const timer = this.heap[from] as Timer;
    let i = from;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= this.heap.length) break;
      const right = this.heap[child + 1];
      if (right !== undefined && right.deadlineNs < (this.heap[child] as Timer).deadlineNs) child++;
      const c = this.heap[child] as Timer;
      if (c.deadlineNs >= timer.deadlineNs) break;
      this.place(c, i);
      i = child;
    }
    this.place(timer, i);
  }
}
