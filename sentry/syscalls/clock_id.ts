/**
 * Clock ids (clock_gettime(2), clock_getcpuclockid(3)): the well-known ones, and CPU clocks of other
 * processes and threads, which are negative: ~id shifted left by three, with the kind in the low bits.
 */
import { EINVAL } from '../../spec/linux/errno.ts';
import {
  CLOCK_BOOTTIME,
  CLOCK_BOOTTIME_ALARM,
  CLOCK_MONOTONIC,
  CLOCK_MONOTONIC_COARSE,
  CLOCK_MONOTONIC_RAW,
  CLOCK_PROCESS_CPUTIME_ID,
  CLOCK_REALTIME,
  CLOCK_REALTIME_ALARM,
  CLOCK_REALTIME_COARSE,
  CLOCK_TAI,
  CLOCK_THREAD_CPUTIME_ID,
} from '../../spec/linux/time.ts';
import type { TimeSource } from '../kernel/interval_timer.ts';
import { groupCpuSource, taskCpuSource } from '../kernel/posix_timers.ts';
import type { Task } from '../kernel/task.ts';

const CPU_CLOCK_PER_THREAD = 4;
const CPU_CLOCK_KIND = 3;
/** The low bits of a clock that is a descriptor (PTP hardware). */
const CLOCK_IS_FD = 3;

export type ClockKind = 'realtime' | 'monotonic' | 'cpu' | null;

/** Null for a clock there is not. */
export function clockKind(clock: number): ClockKind {
  switch (clock) {
    case CLOCK_REALTIME:
    case CLOCK_REALTIME_COARSE:
    case CLOCK_REALTIME_ALARM:
    case CLOCK_TAI:
      return 'realtime';
    case CLOCK_MONOTONIC:
    case CLOCK_MONOTONIC_RAW:
    case CLOCK_MONOTONIC_COARSE:
    case CLOCK_BOOTTIME:
    case CLOCK_BOOTTIME_ALARM:
      return 'monotonic';
    case CLOCK_PROCESS_CPUTIME_ID:
    case CLOCK_THREAD_CPUTIME_ID:
      return 'cpu';
    default:
      return clock < 0 && (clock & CPU_CLOCK_KIND) !== CLOCK_IS_FD ? 'cpu' : null;
  }
}

/** Whether timers can run on `clock`. */
export function clockTakesTimers(clock: number): boolean {
  switch (clock) {
    case CLOCK_REALTIME:
    case CLOCK_REALTIME_ALARM:
    case CLOCK_TAI:
    case CLOCK_MONOTONIC:
    case CLOCK_BOOTTIME:
    case CLOCK_BOOTTIME_ALARM:
      return true;
    default:
      return clockKind(clock) === 'cpu';
  }
}

/** The CPU time that `clock` counts; -EINVAL when its process or thread is not there. */
export function cpuClockSource(t: Task, clock: number): TimeSource | number {
  if (clock === CLOCK_PROCESS_CPUTIME_ID) return groupCpuSource(t.group);
  if (clock === CLOCK_THREAD_CPUTIME_ID) return taskCpuSource(t);
  const id = ~(clock >> 3);
  const { pids } = t.container;
  if ((clock & CPU_CLOCK_PER_THREAD) !== 0) {
    const task = id === 0 ? t : pids.tasks.get(id);
    return task === undefined || task.group !== t.group ? -EINVAL : taskCpuSource(task);
  }
  const group = id === 0 ? t.group : pids.groups.get(id);
  return group === undefined ? -EINVAL : groupCpuSource(group);
}
