/** The clock stands still but where the test says so. */
import { expect, it } from 'vitest';
import { TimerQueue } from '../base/timer_queue.ts';
import { IdleWatch } from './idle_watch.ts';

const SECOND_NS = 1e9;

it('acts once when nothing has run for a second, and again after something has', () => {
  const timers = new TimerQueue();
  let now = 0;
  let rests = 0;
  const clock = { monotonicNs: () => now, realtime: () => ({ sec: 0, nsec: 0 }) };
  const watch = new IdleWatch(timers, clock, () => rests++);
  const pass = (ns: number) => {
    now += ns;
    timers.runExpired(now);
  };
  watch.nothingRuns(10);
  pass(SECOND_NS / 2);
  expect(rests).toBe(0);
  // Something ran meanwhile: another second, which begins when it is over.
  watch.nothingRuns(11);
  pass(SECOND_NS / 2);
  watch.nothingRuns(11);
  pass(SECOND_NS / 2);
  expect(rests).toBe(0);
  pass(SECOND_NS / 2);
  expect(rests).toBe(1);
  watch.nothingRuns(11);
  expect(timers.nextDeadlineNs).toBe(Number.POSITIVE_INFINITY);
  watch.nothingRuns(12);
  pass(SECOND_NS);
  expect(rests).toBe(2);
});
