/**
 * Load averages (proc_loadavg(5)): how many tasks run or want to, sampled every five seconds and
 * forgotten exponentially over 1, 5 and 15 minutes. Counterpart of Linux's kernel/sched/loadavg.c, with its
 * fixed point and its rounding.
 *
 * A sandbox at rest is not woken for it: samples not taken are made up for, as nothing changed.
 */
import { NSEC_PER_SEC } from '../../spec/linux/time.ts';
import type { Clock } from '../base/clock.ts';
import { Timer, type TimerQueue } from '../base/timer_queue.ts';

/** Fraction bits of an average. */
export const LOAD_SHIFT = 11;
const ONE = 1 << LOAD_SHIFT;
const INTERVAL_NS = 5 * NSEC_PER_SEC;
/** What is left of an average after an interval: 2^11 / e^(5 s / 1, 5, 15 min). */
const REMAINS = [1884, 2014, 2037] as const;

export class LoadAverage {
  private readonly timers: TimerQueue;
  private readonly clock: Clock;
  private readonly countActive: () => number;
  private readonly timer = new Timer(() => this.expired());
  private readonly values = [0, 0, 0];
  /** When the last sample was due. */
  private sampledNs: number;
  /** Samples are taken: something has run since the sandbox was last at rest. */
  private watching = false;
  /** What counted then: parents that wait for their vfork children. */
  private activeAtRest = 0;

  constructor(timers: TimerQueue, clock: Clock, countActive: () => number) {
    this.timers = timers;
    this.clock = clock;
    this.countActive = countActive;
    this.sampledNs = clock.monotonicNs();
  }

  /** Something runs. */
  busy(): void {
    if (this.watching) return;
    this.catchUp();
    this.watching = true;
    this.timers.start(this.timer, this.sampledNs + INTERVAL_NS);
  }

  /** Nothing runs, and nothing will until `busy` is called. */
  atRest(): void {
    this.catchUp();
    this.activeAtRest = this.countActive();
    this.watching = false;
    this.timers.cancel(this.timer);
  }

  /** Over 1, 5 and 15 minutes, with LOAD_SHIFT fraction bits. */
  get averages(): readonly number[] {
    this.catchUp();
    return this.values;
  }

  private expired(): void {
    // Of several that fell due at once, as when the host was suspended, all but one are of the past.
    this.catchUp();
    this.timers.start(this.timer, this.sampledNs + INTERVAL_NS);
  }

  private catchUp(): void {
    const due = Math.floor((this.clock.monotonicNs() - this.sampledNs) / INTERVAL_NS);
    if (due <= 0) return;
    this.sampledNs += due * INTERVAL_NS;
    const active = (this.watching ? this.countActive() : this.activeAtRest) * ONE;
    for (let i = 0; i < due && this.sample(active); i++);
  }

  /** False when it changed nothing, and none to come will. */
  private sample(active: number): boolean {
    let changed = false;
    for (const [i, remains] of REMAINS.entries()) {
      const old = this.values[i] as number;
      const up = active >= old ? ONE - 1 : 0;
      const value = Math.floor((old * remains + active * (ONE - remains) + up) / ONE);
      changed ||= value !== old;
      this.values[i] = value;
    }
    return changed;
  }
}

/** As in /proc/loadavg: '0.08'. */
export function loadText(average: number): string {
  const rounded = average + ONE / 200;
  const whole = Math.floor(rounded / ONE);
  const hundredths = Math.floor(((rounded % ONE) * 100) / ONE);
  return `${whole}.${String(hundredths).padStart(2, '0')}`;
}
