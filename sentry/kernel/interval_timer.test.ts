/** IntervalTimer on a clock that the test moves. */
import { expect, test } from 'vitest';
import { TimerQueue } from '../base/timer_queue.ts';
import { IntervalTimer } from './interval_timer.ts';

const MS = 1e6;

function setup(isMonotonic: boolean) {
  const queue = new TimerQueue();
  const clock = { monotonic: 1000 * MS, cpu: 0, fired: 0 };
  const source = {
    nowNs: () => (isMonotonic ? clock.monotonic : clock.cpu),
    speed: 2,
    isMonotonic,
  };
  const timer = new IntervalTimer(
    queue,
    () => clock.monotonic,
    source,
    () => clock.fired++,
  );
  const advance = (ns: number, cpuNs = 0): void => {
    clock.monotonic += ns;
    clock.cpu += cpuNs;
    queue.runExpired(clock.monotonic);
  };
  return { queue, clock, timer, advance };
}

test('expires once, and stands still until it is rearmed', () => {
  const { clock, timer, advance } = setup(true);
  timer.set(clock.monotonic + 10 * MS, 10 * MS);
  advance(9 * MS);
  expect(clock.fired).toBe(0);
  expect(timer.remainingNs()).toBe(1 * MS);
  advance(1 * MS);
  advance(35 * MS);
  expect(clock.fired).toBe(1);
  expect(timer.expired).toBe(true);
  expect(timer.rearm()).toBe(3);
  expect(timer.remainingNs()).toBe(5 * MS);
  advance(5 * MS);
  expect(clock.fired).toBe(2);
});

test('a moment that has passed expires at once; one shot is off afterwards', () => {
  const { clock, timer } = setup(true);
  timer.set(clock.monotonic - 1, 0);
  expect(clock.fired).toBe(1);
  expect(timer.remainingNs()).toBe(0);
  expect(timer.rearm()).toBe(0);
  expect(timer.armed).toBe(false);
});

test('disarming forgets the deadline', () => {
  const { clock, timer, advance } = setup(true);
  timer.set(clock.monotonic + MS, MS);
  timer.disarm();
  advance(10 * MS);
  expect(clock.fired).toBe(0);
  expect(timer.remainingNs()).toBe(0);
});

test('a CPU clock is looked at when it could be there, and rarely while it stands still', () => {
  const { queue, clock, timer, advance } = setup(false);
  timer.set(100 * MS, 0);
  expect(queue.nextDeadlineNs).toBe(clock.monotonic + 50 * MS);
  advance(50 * MS, 90 * MS);
  expect(clock.fired).toBe(0);
  expect(queue.nextDeadlineNs).toBe(clock.monotonic + 5 * MS);
  let looks = 0;
  for (let spent = 0; spent < 10_000 * MS; looks++) {
    const step = queue.nextDeadlineNs - clock.monotonic;
    spent += step;
    advance(step);
  }
  expect(looks).toBeLessThan(60);
  advance(250 * MS, 10 * MS);
  expect(clock.fired).toBe(1);
});
