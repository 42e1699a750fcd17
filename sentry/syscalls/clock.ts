/**
 * Clocks and sleeping (clock_gettime(2), clock_getres(2), clock_settime(2), gettimeofday(2), time(2),
 * times(2), adjtimex(2), nanosleep(2), clock_nanosleep(2)). The host's clocks show through unchanged; nothing
 * here can set them.
 */
import {
  EAGAIN,
  EFAULT,
  EINVAL,
  EPERM,
  ERESTART_RESTARTBLOCK,
  ERESTARTNOHAND,
} from '../../spec/linux/errno.ts';
import { TIMEX, TMS } from '../../spec/linux/layout/time.ts';
import { POLLIN } from '../../spec/linux/poll.ts';
import {
  SYS_adjtimex,
  SYS_clock_adjtime,
  SYS_clock_getres,
  SYS_clock_gettime,
  SYS_clock_nanosleep,
  SYS_clock_settime,
  SYS_gettimeofday,
  SYS_nanosleep,
  SYS_settimeofday,
  SYS_time,
  SYS_times,
} from '../../spec/linux/syscall_numbers.ts';
import {
  CLOCK_MONOTONIC_COARSE,
  CLOCK_REALTIME,
  CLOCK_REALTIME_COARSE,
  CLOCK_THREAD_CPUTIME_ID,
  NSEC_PER_SEC,
  STA_UNSYNC,
  TIME_ERROR,
  TIMER_ABSTIME,
  USER_HZ,
} from '../../spec/linux/time.ts';
import { WaitQueue } from '../base/wait_queue.ts';
import { IntervalTimer, type TimeSource } from '../kernel/interval_timer.ts';
import type { SyscallArgs } from '../kernel/syscall_args.ts';
import type { SyscallFragment } from '../kernel/syscall_table.ts';
import type { Task } from '../kernel/task.ts';
import type { Timestamp } from '../vfs/stat.ts';
import { clockKind, cpuClockSource } from './clock_id.ts';
import {
  durationNs,
  monotonicAfter,
  monotonicAt,
  readTimespec,
  timestampOf,
  writeTimespec,
  writeTimeval,
} from './user_time.ts';

const NS_PER_TICK = NSEC_PER_SEC / USER_HZ;
/** Of the coarse clocks: one tick of a kernel with CONFIG_HZ=250. */
const COARSE_RESOLUTION_NS = 4_000_000;
/** What adjtimex(2) shows of a clock nobody steers. */
const UNSTEERED = { maxerror: 16_000_000, esterror: 16_000_000, constant: 2, precision: 1 };
const TOLERANCE = 32_768_000;
const TICK_US = 10_000;

/** What `clock` shows, or -EINVAL. */
function readClock(t: Task, clock: number): Timestamp | number {
  switch (clockKind(clock)) {
    case 'realtime':
      return t.kernel.clock.realtime();
    case 'monotonic':
      return timestampOf(t.kernel.clock.monotonicNs());
    case 'cpu': {
      const source = cpuClockSource(t, clock);
      return typeof source === 'number' ? source : timestampOf(source.nowNs());
    }
    default:
      return -EINVAL;
  }
}

/** clock_gettime(2). */
export function sysClockGettime(t: Task, a: SyscallArgs): number {
  const now = readClock(t, a.int(0));
  return typeof now === 'number' ? now : writeTimespec(t, a.addr(1), now);
}

/** clock_getres(2). */
export function sysClockGetres(t: Task, a: SyscallArgs): number {
  const clock = a.int(0);
  const now = readClock(t, clock);
  if (typeof now === 'number') return now;
  const coarse = clock === CLOCK_REALTIME_COARSE || clock === CLOCK_MONOTONIC_COARSE;
  const resolution = { sec: 0, nsec: coarse ? COARSE_RESOLUTION_NS : 1 };
  return a.addr(1) === 0 ? 0 : writeTimespec(t, a.addr(1), resolution);
}

/** clock_settime(2): -EPERM for the only clock that could be set. */
export function sysClockSettime(t: Task, a: SyscallArgs): number {
  if (a.int(0) !== CLOCK_REALTIME) return -EINVAL;
  const time = readTimespec(t, a.addr(1));
  return typeof time === 'number' ? time : -EPERM;
}

/** settimeofday(2). */
export function sysSettimeofday(): number {
  return -EPERM;
}

/** gettimeofday(2). */
export function sysGettimeofday(t: Task, a: SyscallArgs): number {
  const timeAddr = a.addr(0);
  const zoneAddr = a.addr(1);
  if (timeAddr !== 0 && writeTimeval(t, timeAddr, t.kernel.clock.realtime()) < 0) return -EFAULT;
  return zoneAddr === 0 ? 0 : t.mm.writeU64(zoneAddr, 0);
}

/** time(2). */
export function sysTime(t: Task, a: SyscallArgs): number {
  const { sec } = t.kernel.clock.realtime();
  return a.addr(0) !== 0 && t.mm.writeU64(a.addr(0), sec) < 0 ? -EFAULT : sec;
}

/** times(2). */
export function sysTimes(t: Task, a: SyscallArgs): number {
  const ticks = (ns: number): number => Math.floor(ns / NS_PER_TICK);
  if (a.addr(0) !== 0) {
    const g = t.group;
    const bytes = TMS.encode({
      tms_utime: ticks(g.cpuTimeNs),
      tms_cutime: ticks(g.childrenUsage.cpuNs),
    });
    if (t.mm.copyOut(a.addr(0), bytes) < 0) return -EFAULT;
  }
  return ticks(t.kernel.clock.monotonicNs());
}

function adjustClock(t: Task, addr: number): number {
  const modes = t.mm.readU32(addr);
  if (modes < 0) return -EFAULT;
  if (modes !== 0) return -EPERM;
  const now = t.kernel.clock.realtime();
  const bytes = TIMEX.encode({
    ...UNSTEERED,
    status: STA_UNSYNC,
    tolerance: TOLERANCE,
    tick: TICK_US,
    time: { tv_sec: now.sec, tv_usec: Math.floor(now.nsec / 1000) },
  });
  return t.mm.copyOut(addr, bytes) < 0 ? -EFAULT : TIME_ERROR;
}

/** adjtimex(2), only to look. */
export function sysAdjtimex(t: Task, a: SyscallArgs): number {
  return adjustClock(t, a.addr(0));
}

/** clock_adjtime(2), only to look. */
export function sysClockAdjtime(t: Task, a: SyscallArgs): number {
  return a.int(0) === CLOCK_REALTIME ? adjustClock(t, a.addr(1)) : -EINVAL;
}

// Sleeping ---------------------------------------------------------------------------------------

/** Sleeps to a monotonic moment; interrupted, it says how much is left and can be resumed. */
function sleepRelative(t: Task, deadlineNs: number, remainAddr: number): number {
  return t.sleep([], 0, {
    attempt: () => -EAGAIN,
    deadlineNs,
    onTimeout: () => 0,
    onInterrupt: () => {
      const left = deadlineNs - t.kernel.clock.monotonicNs();
      if (left <= 0) return 0;
      if (remainAddr !== 0 && Number.isFinite(left)) {
        if (writeTimespec(t, remainAddr, timestampOf(left)) < 0) return -EFAULT;
      }
      t.restartBlock = () => sleepRelative(t, deadlineNs, remainAddr);
      return -ERESTART_RESTARTBLOCK;
    },
  });
}

/** Sleeps to a moment that a restart finds again by itself. */
function sleepAbsolute(t: Task, deadlineNs: number): number {
  if (deadlineNs <= t.kernel.clock.monotonicNs()) return 0;
  return t.sleep([], 0, {
    attempt: () => -EAGAIN,
    deadlineNs,
    onTimeout: () => 0,
    onInterrupt: () => -ERESTARTNOHAND,
  });
}

/** Sleeps until a CPU clock shows `deadlineNs`. */
function sleepOnCpuClock(t: Task, source: TimeSource, deadlineNs: number): number {
  const { kernel } = t;
  const queue = new WaitQueue();
  let done = false;
  const timer = new IntervalTimer(
    kernel.timers,
    () => kernel.clock.monotonicNs(),
    source,
    () => {
      done = true;
      queue.notify(POLLIN);
    },
  );
  timer.set(deadlineNs, 0);
  return t.sleep([queue], POLLIN, {
    attempt: () => (done ? 0 : -EAGAIN),
    onInterrupt: () => {
      timer.disarm();
      return -ERESTARTNOHAND;
    },
  });
}

/** nanosleep(2). */
export function sysNanosleep(t: Task, a: SyscallArgs): number {
  const time = readTimespec(t, a.addr(0));
  if (typeof time === 'number') return time;
  return sleepRelative(t, monotonicAfter(t, time), a.addr(1));
}

/** clock_nanosleep(2). */
export function sysClockNanosleep(t: Task, a: SyscallArgs): number {
  const clock = a.int(0);
  const absolute = (a.int(1) & TIMER_ABSTIME) !== 0;
  const remainAddr = a.addr(3);
  const kind = clockKind(clock);
  if (kind === null || clock === CLOCK_THREAD_CPUTIME_ID) return -EINVAL;
  const time = readTimespec(t, a.addr(2));
  if (typeof time === 'number') return time;
  if (kind === 'cpu') {
    const source = cpuClockSource(t, clock);
    if (typeof source === 'number') return source;
    return sleepOnCpuClock(t, source, durationNs(time) + (absolute ? 0 : source.nowNs()));
  }
  if (absolute) return sleepAbsolute(t, monotonicAt(t, clock, time));
  return sleepRelative(t, monotonicAfter(t, time), remainAddr);
}

export const clockSyscalls: SyscallFragment = {
  [SYS_nanosleep]: { name: 'nanosleep', args: 'timespec hex', fn: sysNanosleep },
  [SYS_gettimeofday]: { name: 'gettimeofday', args: 'hex hex', fn: sysGettimeofday },
  [SYS_times]: { name: 'times', args: 'hex', fn: sysTimes },
  [SYS_adjtimex]: { name: 'adjtimex', args: 'hex', fn: sysAdjtimex, gap: 'only reads' },
  [SYS_settimeofday]: {
    name: 'settimeofday',
    args: 'hex hex',
    fn: sysSettimeofday,
    gap: 'the clock cannot be set: EPERM',
  },
  [SYS_time]: { name: 'time', args: 'hex', fn: sysTime },
  [SYS_clock_settime]: {
    name: 'clock_settime',
    args: 'int timespec',
    fn: sysClockSettime,
    gap: 'the clock cannot be set: EPERM',
  },
  [SYS_clock_gettime]: { name: 'clock_gettime', args: 'int hex', fn: sysClockGettime },
  [SYS_clock_getres]: { name: 'clock_getres', args: 'int hex', fn: sysClockGetres },
  [SYS_clock_nanosleep]: {
    name: 'clock_nanosleep',
    args: 'int hex timespec hex',
    fn: sysClockNanosleep,
  },
  [SYS_clock_adjtime]: {
    name: 'clock_adjtime',
    args: 'int hex',
    fn: sysClockAdjtime,
    gap: 'only reads',
  },
};
