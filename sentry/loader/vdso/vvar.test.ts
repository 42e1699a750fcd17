/** The data page under counters that behave, drift, jump and stop. */

import { expect, test } from 'vitest';
import { type ClockSample, VVAR, VVAR_SYSCALL, VVAR_TSC, VvarWriter } from './vvar.ts';

const GHZ = 2.5;
const REALTIME_SEC = 1_700_000_000;

function writer(): { page: Uint8Array; vvar: VvarWriter } {
  const page = new Uint8Array(4096);
  return { page, vvar: new VvarWriter(page, { cpuCount: 4, boottimeOffsetNs: 7 }) };
}

/** A sample at `ns`, with the counter at `ghz`. */
function at(ns: number, ghz = GHZ): ClockSample {
  return {
    tsc: Math.round(ns * ghz),
    monotonicNs: ns,
    realtimeSec: REALTIME_SEC + Math.floor((ns + 5e8) / 1e9),
    realtimeNsec: (ns + 5e8) % 1e9,
  };
}

/** What the vDSO would show for CLOCK_MONOTONIC at a counter value. */
function shown(page: Uint8Array, tsc: number): number {
  const v = VVAR.decode(page);
  return v.monotonic_base + Math.floor(((tsc - v.tsc_base) * v.mult) / 2 ** 32);
}

test('needs two samples some milliseconds apart', () => {
  const { page, vvar } = writer();
  vvar.update(at(1e9));
  vvar.update(at(1e9 + 1e6));
  expect(VVAR.decode(page).mode).toBe(VVAR_SYSCALL);
  expect(vvar.isStale(1e9 + 2e6)).toBe(false);
  expect(vvar.isStale(1e9 + 10e6)).toBe(true);
  vvar.update(at(1e9 + 10e6));
  const v = VVAR.decode(page);
  expect(v.mode).toBe(VVAR_TSC);
  expect(v.seq % 2).toBe(0);
  expect(v.cpu_count).toBe(4);
  expect(v.boottime_offset).toBe(7);
  expect(v.realtime_offset_sec).toBe(REALTIME_SEC);
  expect(v.realtime_offset_nsec).toBe(5e8);
  expect(vvar.isStale(1e9 + 50e6)).toBe(false);
  expect(vvar.isStale(1e9 + 500e6)).toBe(true);
});

test('follows the counter to nanoseconds', () => {
  const { page, vvar } = writer();
  vvar.update(at(1e9));
  vvar.update(at(2e9));
  for (const ns of [2e9, 2.1e9, 3e9, 10e9]) {
    expect(Math.abs(shown(page, ns * GHZ) - ns)).toBeLessThan(10);
  }
});

test('a page that has run ahead slows down and is never set back', () => {
  const { page, vvar } = writer();
  vvar.update(at(1e9));
  // Half a microsecond of error over ten milliseconds: 50 ppm too fast.
  vvar.update({ ...at(1.01e9), tsc: (1.01e9 - 500) * GHZ });
  expect(shown(page, 1.5e9 * GHZ) - 1.5e9).toBeGreaterThan(20_000);
  let last = 0;
  for (let ns = 1.5e9; ns < 4e9; ns += 1e7) {
    const before = shown(page, ns * GHZ);
    vvar.update(at(ns));
    const after = shown(page, ns * GHZ);
    expect(after).toBeGreaterThanOrEqual(before);
    expect(after).toBeGreaterThanOrEqual(last);
    last = after;
  }
  expect(vvar.usesTsc).toBe(true);
  expect(Math.abs(shown(page, 4e9 * GHZ) - 4e9)).toBeLessThan(5_000);
});

test('keeps up with a host clock that is disciplined for hours', () => {
  const { page, vvar } = writer();
  let tsc = 0;
  let ns = 1e9;
  for (let i = 0; i < 20_000; i++) {
    vvar.update({ ...at(ns), tsc });
    const rate = 1 + 200e-6 * Math.sin(i / 3000);
    tsc += 1e9 * GHZ;
    ns += 1e9 * rate;
  }
  expect(vvar.usesTsc).toBe(true);
  expect(Math.abs(shown(page, tsc) - ns)).toBeLessThan(100_000);
});

test('gives up a counter that goes back, changes its rate or stands still', () => {
  const bad: readonly ClockSample[] = [
    { ...at(3e9), tsc: 0 },
    at(3e9, GHZ * 1.1),
    { ...at(60e9), tsc: 2e9 * GHZ },
  ];
  for (const sample of bad) {
    const { page, vvar } = writer();
    vvar.update(at(1e9));
    vvar.update(at(2e9));
    expect(vvar.usesTsc).toBe(true);
    vvar.update(sample);
    expect(vvar.usesTsc).toBe(false);
    expect(VVAR.decode(page).mode).toBe(VVAR_SYSCALL);
    vvar.update(at(70e9));
    expect(VVAR.decode(page).mode).toBe(VVAR_SYSCALL);
    expect(vvar.isStale(80e9)).toBe(false);
  }
});
