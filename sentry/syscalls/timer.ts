/**
 * Timers (setitimer(2), alarm(2), timer_create(2), timerfd_create(2)) and eventfd(2).
 */

import { CAP_WAKE_ALARM } from '../../spec/linux/capability.ts';
import { EBADF, EFAULT, EINVAL, EPERM } from '../../spec/linux/errno.ts';
import { SIGEVENT } from '../../spec/linux/layout/signal.ts';
import { EFD_CLOEXEC, EFD_NONBLOCK, EFD_SEMAPHORE } from '../../spec/linux/poll.ts';
import { ITIMER_REAL } from '../../spec/linux/resource.ts';
import {
  NSIG,
  SIGEV_NONE,
  SIGEV_SIGNAL,
  SIGEV_THREAD,
  SIGEV_THREAD_ID,
} from '../../spec/linux/signal.ts';
import {
  SYS_alarm,
  SYS_eventfd,
  SYS_eventfd2,
  SYS_getitimer,
  SYS_setitimer,
  SYS_timer_create,
  SYS_timer_delete,
  SYS_timer_getoverrun,
  SYS_timer_gettime,
  SYS_timer_settime,
  SYS_timerfd_create,
  SYS_timerfd_gettime,
  SYS_timerfd_settime,
} from '../../spec/linux/syscall_numbers.ts';
import {
  CLOCK_BOOTTIME_ALARM,
  CLOCK_REALTIME_ALARM,
  NSEC_PER_SEC,
  TFD_CLOEXEC,
  TFD_NONBLOCK,
  TFD_TIMER_ABSTIME,
  TFD_TIMER_CANCEL_ON_SET,
  TIMER_ABSTIME,
} from '../../spec/linux/time.ts';
import { EventFile } from '../fsimpl/eventfd/eventfd.ts';
import { TimerFile } from '../fsimpl/timerfd/timerfd.ts';
import type { TimeSource } from '../kernel/interval_timer.ts';
import { GroupTimers, monotonicSource, type TimerNotification } from '../kernel/posix_timers.ts';
import type { SyscallArgs } from '../kernel/syscall_args.ts';
import type { SyscallFragment } from '../kernel/syscall_table.ts';
import type { Task } from '../kernel/task.ts';
import type { Timestamp } from '../vfs/stat.ts';
import { clockKind, clockTakesTimers, cpuClockSource } from './clock_id.ts';
import { newDescriptor } from './new_descriptor.ts';
import {
  durationNs,
  monotonicAfter,
  monotonicAt,
  readTimespec,
  readTimeval,
  timestampOf,
  writeTimespec,
  writeTimeval,
} from './user_time.ts';

const DISARMED = Number.POSITIVE_INFINITY;

function timersOf(t: Task): GroupTimers {
  return GroupTimers.of(t.kernel, t.group);
}

// setitimer ---------------------------------------------------------------------------------------

/** Writes interval and remaining time as a struct itimerval. */
function writeItimerval(t: Task, addr: number, intervalNs: number, valueNs: number): number {
  // A timer that runs never shows zero.
  const value = valueNs > 0 ? Math.max(valueNs, 1000) : 0;
  if (writeTimeval(t, addr, timestampOf(intervalNs)) < 0) return -EFAULT;
  return writeTimeval(t, addr + 16, timestampOf(value));
}

/** getitimer(2). */
export function sysGetitimer(t: Task, a: SyscallArgs): number {
  const timer = timersOf(t).itimer(a.int(0));
  if (timer === undefined) return -EINVAL;
  return writeItimerval(t, a.addr(1), timer.intervalNs, timer.remainingNs());
}

/** setitimer(2). */
export function sysSetitimer(t: Task, a: SyscallArgs): number {
  const newAddr = a.addr(1);
  const oldAddr = a.addr(2);
  const timers = timersOf(t);
  const timer = timers.itimer(a.int(0));
  if (timer === undefined) return -EINVAL;
  let interval: Timestamp | number = { sec: 0, nsec: 0 };
  let value: Timestamp | number = interval;
  if (newAddr !== 0) {
    interval = readTimeval(t, newAddr);
    if (typeof interval === 'number') return interval;
    value = readTimeval(t, newAddr + 16);
    if (typeof value === 'number') return value;
  }
  const oldIntervalNs = timer.intervalNs;
  const oldValueNs = timer.remainingNs();
  timers.setItimer(timer, durationNs(value), durationNs(interval));
  return oldAddr === 0 ? 0 : writeItimerval(t, oldAddr, oldIntervalNs, oldValueNs);
}

/** alarm(2). */
export function sysAlarm(t: Task, a: SyscallArgs): number {
  const timers = timersOf(t);
  const timer = timers.itimer(ITIMER_REAL);
  if (timer === undefined) return -EINVAL;
  const left = timer.remainingNs() / NSEC_PER_SEC;
  timers.setItimer(timer, a.uint(0) * NSEC_PER_SEC, 0);
  return left > 0 && left < 1 ? 1 : Math.round(left);
}

// timer_create ------------------------------------------------------------------------------------

/** What timers on `clock` run on, or -EINVAL. */
function timerSource(t: Task, clock: number): TimeSource | number {
  if (!clockTakesTimers(clock)) return -EINVAL;
  return clockKind(clock) === 'cpu' ? cpuClockSource(t, clock) : monotonicSource(t.kernel);
}

function mayWake(t: Task, clock: number): boolean {
  const wakes = clock === CLOCK_REALTIME_ALARM || clock === CLOCK_BOOTTIME_ALARM;
  return !wakes || t.creds.has(CAP_WAKE_ALARM);
}

function readNotification(t: Task, addr: number): TimerNotification | number {
  const bytes = new Uint8Array(SIGEVENT.size);
  if (t.mm.copyIn(addr, bytes) < 0) return -EFAULT;
  const raw = SIGEVENT.decode(bytes);
  const kind = raw.sigev_notify;
  const signo = raw.sigev_signo;
  let target: Task | null = null;
  if (kind === SIGEV_THREAD_ID) {
    target = t.container.pids.tasks.get(raw.sigev_notify_thread_id) ?? null;
    if (target === null || target.group !== t.group) return -EINVAL;
  } else if (kind !== SIGEV_SIGNAL && kind !== SIGEV_NONE && kind !== SIGEV_THREAD) {
    return -EINVAL;
  }
  if (kind !== SIGEV_NONE && (signo < 1 || signo > NSIG)) return -EINVAL;
  const valueLo = raw.sigev_value[0] ?? 0;
  const valueHi = raw.sigev_value[1] ?? 0;
  return { kind, signo, valueLo, valueHi, target };
}

/** timer_create(2). */
export function sysTimerCreate(t: Task, a: SyscallArgs): number {
  const clock = a.int(0);
  const source = timerSource(t, clock);
  if (typeof source === 'number') return source;
  if (!mayWake(t, clock)) return -EPERM;
  const notify = a.addr(1) === 0 ? null : readNotification(t, a.addr(1));
  if (typeof notify === 'number') return notify;
  const timers = timersOf(t);
  const timer = timers.create(clock, source, notify);
  if (typeof timer === 'number') return timer;
  if (t.mm.writeU32(a.addr(2), timer.id) === 0) return 0;
  timers.delete(timer.id);
  return -EFAULT;
}

/** Interval and value of a struct itimerspec. */
function readItimerspec(
  t: Task,
  addr: number,
): { readonly interval: Timestamp; readonly value: Timestamp } | number {
  const interval = readTimespec(t, addr);
  if (typeof interval === 'number') return interval;
  const value = readTimespec(t, addr + 16);
  return typeof value === 'number' ? value : { interval, value };
}

function writeItimerspec(t: Task, addr: number, intervalNs: number, valueNs: number): number {
  if (writeTimespec(t, addr, timestampOf(intervalNs)) < 0) return -EFAULT;
  return writeTimespec(t, addr + 16, timestampOf(valueNs));
}

/** timer_settime(2). */
export function sysTimerSettime(t: Task, a: SyscallArgs): number {
  const timer = timersOf(t).get(a.int(0));
  const absolute = (a.int(1) & TIMER_ABSTIME) !== 0;
  const oldAddr = a.addr(3);
  if (timer === undefined || a.addr(2) === 0) return -EINVAL;
  const setting = readItimerspec(t, a.addr(2));
  if (typeof setting === 'number') return setting;
  const oldIntervalNs = timer.interval.intervalNs;
  const oldValueNs = timer.interval.remainingNs();
  const { value } = setting;
  let deadlineNs = DISARMED;
  if (value.sec !== 0 || value.nsec !== 0) {
    if (!absolute) deadlineNs = timer.source.nowNs() + durationNs(value);
    else if (timer.source.isMonotonic) deadlineNs = monotonicAt(t, timer.clock, value);
    else deadlineNs = durationNs(value);
  }
  timer.set(deadlineNs, durationNs(setting.interval));
  return oldAddr === 0 ? 0 : writeItimerspec(t, oldAddr, oldIntervalNs, oldValueNs);
}

/** timer_gettime(2). */
export function sysTimerGettime(t: Task, a: SyscallArgs): number {
  const timer = timersOf(t).get(a.int(0));
  if (timer === undefined) return -EINVAL;
  const { interval } = timer;
  return writeItimerspec(t, a.addr(1), interval.intervalNs, interval.remainingNs());
}

/** timer_getoverrun(2). */
export function sysTimerGetoverrun(t: Task, a: SyscallArgs): number {
  return timersOf(t).get(a.int(0))?.overrun ?? -EINVAL;
}

/** timer_delete(2). */
export function sysTimerDelete(t: Task, a: SyscallArgs): number {
  return timersOf(t).delete(a.int(0));
}

// timerfd -----------------------------------------------------------------------------------------

/** timerfd_create(2). */
export function sysTimerfdCreate(t: Task, a: SyscallArgs): number {
  const clock = a.int(0);
  const flags = a.int(1);
  if ((flags & ~(TFD_CLOEXEC | TFD_NONBLOCK)) !== 0) return -EINVAL;
  if (!clockTakesTimers(clock) || clockKind(clock) === 'cpu') return -EINVAL;
  if (!mayWake(t, clock)) return -EPERM;
  const file = new TimerFile(t.kernel, clock, flags & TFD_NONBLOCK);
  return newDescriptor(t, file, (flags & TFD_CLOEXEC) !== 0);
}

function timerFile(t: Task, fd: number): TimerFile | number {
  const file = t.files.get(fd);
  if (file === undefined) return -EBADF;
  return file instanceof TimerFile ? file : -EINVAL;
}

/** timerfd_settime(2). */
export function sysTimerfdSettime(t: Task, a: SyscallArgs): number {
  const flags = a.int(1);
  const oldAddr = a.addr(3);
  if ((flags & ~(TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET)) !== 0) return -EINVAL;
  const setting = readItimerspec(t, a.addr(2));
  if (typeof setting === 'number') return setting;
  const file = timerFile(t, a.int(0));
  if (typeof file === 'number') return file;
  const oldIntervalNs = file.intervalNs;
  const oldValueNs = file.remainingNs();
  const { value } = setting;
  let deadlineNs = DISARMED;
  if (value.sec !== 0 || value.nsec !== 0) {
    const absolute = (flags & TFD_TIMER_ABSTIME) !== 0;
    deadlineNs = absolute ? monotonicAt(t, file.clock, value) : monotonicAfter(t, value);
  }
  file.set(deadlineNs, durationNs(setting.interval), flags);
  return oldAddr === 0 ? 0 : writeItimerspec(t, oldAddr, oldIntervalNs, oldValueNs);
}

/** timerfd_gettime(2). */
export function sysTimerfdGettime(t: Task, a: SyscallArgs): number {
  const file = timerFile(t, a.int(0));
  if (typeof file === 'number') return file;
  return writeItimerspec(t, a.addr(1), file.intervalNs, file.remainingNs());
}

// eventfd -----------------------------------------------------------------------------------------

function makeEventFile(t: Task, initial: number, flags: number): number {
  if ((flags & ~(EFD_SEMAPHORE | EFD_CLOEXEC | EFD_NONBLOCK)) !== 0) return -EINVAL;
  const semaphore = (flags & EFD_SEMAPHORE) !== 0;
  const file = new EventFile(t.kernel, initial, semaphore, flags & EFD_NONBLOCK);
  return newDescriptor(t, file, (flags & EFD_CLOEXEC) !== 0);
}

/** eventfd(2), the old call without flags. */
export function sysEventfd(t: Task, a: SyscallArgs): number {
  return makeEventFile(t, a.uint(0), 0);
}

/** eventfd2(2). */
export function sysEventfd2(t: Task, a: SyscallArgs): number {
  return makeEventFile(t, a.uint(0), a.int(1));
}

export const timerSyscalls: SyscallFragment = {
  [SYS_getitimer]: { name: 'getitimer', args: 'int hex', fn: sysGetitimer },
  [SYS_alarm]: { name: 'alarm', args: 'uint', fn: sysAlarm },
  [SYS_setitimer]: { name: 'setitimer', args: 'int hex hex', fn: sysSetitimer },
  [SYS_timer_create]: { name: 'timer_create', args: 'int hex hex', fn: sysTimerCreate },
  [SYS_timer_settime]: { name: 'timer_settime', args: 'int hex hex hex', fn: sysTimerSettime },
  [SYS_timer_gettime]: { name: 'timer_gettime', args: 'int hex', fn: sysTimerGettime },
  [SYS_timer_getoverrun]: { name: 'timer_getoverrun', args: 'int', fn: sysTimerGetoverrun },
  [SYS_timer_delete]: { name: 'timer_delete', args: 'int', fn: sysTimerDelete },
  [SYS_timerfd_create]: { name: 'timerfd_create', args: 'int hex', fn: sysTimerfdCreate },
  [SYS_timerfd_settime]: {
    name: 'timerfd_settime',
    args: 'fd hex hex hex',
    fn: sysTimerfdSettime,
    gap: 'TFD_TIMER_CANCEL_ON_SET never cancels: the clock cannot be set',
  },
  [SYS_timerfd_gettime]: { name: 'timerfd_gettime', args: 'fd hex', fn: sysTimerfdGettime },
  [SYS_eventfd]: { name: 'eventfd', args: 'uint', fn: sysEventfd },
  [SYS_eventfd2]: { name: 'eventfd2', args: 'uint hex', fn: sysEventfd2 },
};
