/**
 * One timer that expires at a mark and perhaps every interval after it, on the monotonic clock or on
 * somebody's CPU time (Linux's hrtimer and cpu_timer under setitimer(2), timer_create(2), timerfd).
 *
 * It does not start its next period by itself: `rearm` does, and tells how many periods were missed.
 *
 * CPU time has no tick to hang on: the timer looks when the clock could at the earliest have reached
 * the mark, and less and less often while the clock stands still.
 */

import { NSEC_PER_MSEC } from '../../spec/linux/time.ts';
import { Timer, type TimerQueue } from '../base/timer_queue.ts';

/** What a timer runs on. */
export interface TimeSource {
  /** Nanoseconds. */
  nowNs(): number;
  /** How many times faster than the monotonic clock it may run: the threads that use CPU time. */
  readonly speed: number;
  /** Whether it is the monotonic clock itself, which the timer queue runs on. */
  readonly isMonotonic: boolean;
}

/** CPU time is looked at no more often than this. */
const CPU_RESOLUTION_NS = NSEC_PER_MSEC;
/** And no less often than this, so that a process that goes on is noticed. */
const CPU_PATIENCE_NS = 250 * NSEC_PER_MSEC;

const DISARMED = Number.POSITIVE_INFINITY;

export class IntervalTimer {
  private readonly queue: TimerQueue;
  private readonly monotonicNs: () => number;
  private readonly source: TimeSource;
  private readonly onExpiry: () => void;
  private readonly timer = new Timer(() => this.look());
  /** Of the source; DISARMED when off. Stays at the mark after it expired, until `rearm`. */
  deadlineNs = DISARMED;
  intervalNs = 0;
  private lastSeenNs = -1;
  private waitNs = 0;

  constructor(
    queue: TimerQueue,
    monotonicNs: () => number,
    source: TimeSource,
    onExpiry: () => void,
  ) {
    this.queue = queue;
    this.monotonicNs = monotonicNs;
    this.source = source;
    this.onExpiry = onExpiry;
  }

  get armed(): boolean {
    return this.deadlineNs !== DISARMED;
  }

  /** Expires at `deadlineNs` of its source, then (once rearmed) every `intervalNs` if that is not 0. */
  set(deadlineNs: number, intervalNs: number): void {
    this.queue.cancel(this.timer);
    this.deadlineNs = deadlineNs;
    this.intervalNs = intervalNs;
    this.lastSeenNs = -1;
    this.waitNs = 0;
    if (!this.armed) return;
    const now = this.source.nowNs();
    if (now < deadlineNs) this.schedule(now);
    else this.onExpiry();
  }

  /** Expires now if it is due, without waiting for the kernel's loop to come to it. */
  check(): void {
    if (!this.timer.armed || this.source.nowNs() < this.deadlineNs) return;
    this.queue.cancel(this.timer);
    this.onExpiry();
  }

  disarm(): void {
    this.set(DISARMED, 0);
  }

  /** Nanoseconds to the next expiry, at least 1; 0 when it is off. */
  remainingNs(): number {
    if (!this.armed) return 0;
    const left = this.deadlineNs - this.source.nowNs();
    if (left > 0) return left;
    if (this.intervalNs === 0) return this.timer.armed ? 1 : 0;
    return this.intervalNs - (-left % this.intervalNs);
  }

  /** Expired, and not armed again. */
  get expired(): boolean {
    return this.armed && !this.timer.armed;
  }

  /** After an expiry: starts the next period. The number of whole periods missed meanwhile. */
  rearm(): number {
    if (!this.expired) return 0;
    if (this.intervalNs === 0) {
      this.deadlineNs = DISARMED;
      return 0;
    }
    const now = this.source.nowNs();
    const missed = Math.max(0, Math.floor((now - this.deadlineNs) / this.intervalNs));
    this.deadlineNs += (missed + 1) * this.intervalNs;
    this.schedule(now);
    return missed;
  }

  private schedule(sourceNow: number): void {
    if (this.source.isMonotonic) {
      this.queue.start(this.timer, this.deadlineNs);
      return;
    }
    const left = Math.max(0, this.deadlineNs - sourceNow);
    const soonest = Math.max(CPU_RESOLUTION_NS, left / this.source.speed);
    const stoodStill = sourceNow - this.lastSeenNs < CPU_RESOLUTION_NS / 10;
    this.waitNs = stoodStill ? Math.min(this.waitNs * 2, CPU_PATIENCE_NS) : 0;
    this.lastSeenNs = sourceNow;
    this.waitNs = Math.max(this.waitNs, soonest);
    this.queue.start(this.timer, this.monotonicNs() + this.waitNs);
  }

  private look(): void {
    const now = this.source.nowNs();
    if (now < this.deadlineNs) this.schedule(now);
    else this.onExpiry();
  }
}
