/**
 * Notices that a sandbox has come to rest: nothing ran on the host for a second. What is to be done
 * then is done once, until something has happened again: an idle sandbox uses no processor time.
 */
import type { Clock } from '../base/clock.ts';
import { Timer, type TimerQueue } from '../base/timer_queue.ts';

const REST_NS = 1e9;

export class IdleWatch {
  private readonly timers: TimerQueue;
  private readonly clock: Clock;
  private readonly atRest: () => void;
  private readonly timer = new Timer(() => this.expired());
  /** Stops there had been when the timer was started, and when it was last at rest. */
  private seen = -1;
  private rested = -1;
  private stops = 0;

  constructor(timers: TimerQueue, clock: Clock, atRest: () => void) {
    this.timers = timers;
    this.clock = clock;
    this.atRest = atRest;
  }

  /** No thread runs; `stops` is how often one has stopped so far. */
  nothingRuns(stops: number): void {
    this.stops = stops;
    if (this.timer.armed || stops === this.rested) return;
    this.seen = stops;
    this.timers.start(this.timer, this.clock.monotonicNs() + REST_NS);
  }

  private expired(): void {
    if (this.stops !== this.seen) return;
    this.rested = this.stops;
    this.atRest();
  }
}
