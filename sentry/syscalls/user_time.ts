/**
 * Times in application memory: struct timespec and timeval, and what they mean as deadlines
 * (clock_gettime(2), nanosleep(2)). Times of the real-time clock are kept as two fields, because
 * nanoseconds since 1970 do not fit a Number exactly.
 */
import { EFAULT, EINVAL } from '../../spec/linux/errno.ts';
import {
  CLOCK_REALTIME,
  CLOCK_REALTIME_ALARM,
  CLOCK_TAI,
  NSEC_PER_SEC,
} from '../../spec/linux/time.ts';
import type { Task } from '../kernel/task.ts';
import type { Timestamp } from '../vfs/stat.ts';

const TWO_32 = 2 ** 32;
/** Beyond this many seconds (Linux's KTIME_SEC_MAX) everything is for ever. */
const SECONDS_MAX = 9223372036;

/** A signed 64-bit value, or NaN when it cannot be read. */
function readS64(t: Task, addr: number): number {
  const lo = t.mm.readU32(addr);
  const hi = t.mm.readU32(addr + 4);
  return lo < 0 || hi < 0 ? Number.NaN : lo + (hi | 0) * TWO_32;
}

/** A valid non-negative timespec: -EFAULT or -EINVAL otherwise. */
export function readTimespec(t: Task, addr: number): Timestamp | number {
  const sec = readS64(t, addr);
  const nsec = readS64(t, addr + 8);
  if (Number.isNaN(sec) || Number.isNaN(nsec)) return -EFAULT;
  return sec < 0 || nsec < 0 || nsec >= NSEC_PER_SEC ? -EINVAL : { sec, nsec };
}

/** The same for a timeval. */
export function readTimeval(t: Task, addr: number): Timestamp | number {
  const sec = readS64(t, addr);
  const usec = readS64(t, addr + 8);
  if (Number.isNaN(sec) || Number.isNaN(usec)) return -EFAULT;
  return sec < 0 || usec < 0 || usec >= 1e6 ? -EINVAL : { sec, nsec: usec * 1000 };
}

/** 0 or -EFAULT, here and below. */
export function writeTimespec(t: Task, addr: number, time: Timestamp): number {
  return t.mm.writeU64(addr, time.sec) < 0 || t.mm.writeU64(addr + 8, time.nsec) < 0 ? -EFAULT : 0;
}

export function writeTimeval(t: Task, addr: number, time: Timestamp): number {
  const usec = Math.floor(time.nsec / 1000);
  return t.mm.writeU64(addr, time.sec) < 0 || t.mm.writeU64(addr + 8, usec) < 0 ? -EFAULT : 0;
}

export function timestampOf(ns: number): Timestamp {
  const sec = Math.floor(ns / NSEC_PER_SEC);
  return { sec, nsec: Math.floor(ns - sec * NSEC_PER_SEC) };
}

/** As a duration in nanoseconds; Infinity beyond what Linux tells apart. */
export function durationNs(time: Timestamp): number {
  return time.sec >= SECONDS_MAX ? Number.POSITIVE_INFINITY : time.sec * NSEC_PER_SEC + time.nsec;
}

/** The monotonic moment `timeout` from now. */
export function monotonicAfter(t: Task, timeout: Timestamp): number {
  return t.kernel.clock.monotonicNs() + durationNs(timeout);
}

export function isRealtime(clock: number): boolean {
  return clock === CLOCK_REALTIME || clock === CLOCK_REALTIME_ALARM || clock === CLOCK_TAI;
}

/** The monotonic moment at which `clock` (real-time or monotonic) shows `time`. */
export function monotonicAt(t: Task, clock: number, time: Timestamp): number {
  if (!isRealtime(clock)) return durationNs(time);
  const now = t.kernel.clock.realtime();
  const ahead = (time.sec - now.sec) * NSEC_PER_SEC + (time.nsec - now.nsec);
  return t.kernel.clock.monotonicNs() + ahead;
}
