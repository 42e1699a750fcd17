/** The clock stands still but where the test says so. The numbers are those of calc_load() in Linux. */
import { beforeEach, expect, test } from 'vitest';
import { TimerQueue } from '../base/timer_queue.ts';
import { LoadAverage, loadText } from './load_average.ts';

const SECOND_NS = 1e9;
const MINUTE = 60;

let timers: TimerQueue;
let load: LoadAverage;
let now: number;
let active: number;
/** How often a timer ran. */
let wakes: number;

beforeEach(() => {
  timers = new TimerQueue();
  now = 77;
  active = 0;
  wakes = 0;
  const clock = { monotonicNs: () => now, realtime: () => ({ sec: 0, nsec: 0 }) };
  load = new LoadAverage(timers, clock, () => active);
});

/** Time passes; timers run when they are due. */
function pass(seconds: number): void {
  const end = now + seconds * SECOND_NS;
  while (timers.nextDeadlineNs <= end) {
    now = timers.nextDeadlineNs;
    timers.runExpired(now);
    wakes++;
  }
  now = end;
}

const text = (): string => load.averages.map(loadText).join(' ');

test('one task that runs', () => {
  active = 1;
  load.busy();
  pass(4);
  expect(text()).toBe('0.00 0.00 0.00');
  pass(1);
  expect(text()).toBe('0.08 0.02 0.01');
  pass(5);
  expect(text()).toBe('0.15 0.03 0.01');
  pass(50);
  expect(text()).toBe('0.63 0.18 0.06');
  pass(30 * MINUTE);
  expect(text()).toBe('1.00 1.00 0.91');
  expect(load.averages[0]).toBe(2048);
});

test('at rest it falls without anybody waking', () => {
  active = 3;
  load.busy();
  pass(10 * MINUTE);
  const before = text();
  active = 0;
  load.atRest();
  expect(timers.nextDeadlineNs).toBe(Number.POSITIVE_INFINITY);
  wakes = 0;
  pass(MINUTE);
  const between = text();
  expect([before, between]).toEqual(['3.00 2.61 1.45', '1.10 2.13 1.36']);
  pass(1e9);
  expect([text(), wakes]).toEqual(['0.00 0.00 0.00', 0]);
});

test('what happens after a rest does not count for it', () => {
  active = 1;
  load.busy();
  pass(MINUTE);
  active = 0;
  load.atRest();
  pass(MINUTE);
  const rested = text();
  active = 2;
  load.busy();
  load.busy();
  expect(text()).toBe(rested);
  pass(5);
  expect(load.averages[0]).toBeGreaterThan(300);
});

test('a parent that waits for its vfork child counts, even at rest', () => {
  active = 1;
  load.busy();
  load.atRest();
  pass(MINUTE);
  expect([text(), wakes]).toEqual(['0.63 0.18 0.06', 0]);
});
