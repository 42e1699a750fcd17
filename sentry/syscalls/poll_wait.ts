/**
 * The wait that poll(2) and select(2) share: many files, one deadline, and what the two system calls
 * do with their time limit afterwards.
 */
import { EAGAIN, EINTR, ERESTARTNOHAND } from '../../spec/linux/errno.ts';
import type { Task } from '../kernel/task.ts';
import type { OpenFile } from '../vfs/open_file.ts';
import type { Timestamp } from '../vfs/stat.ts';
import { monotonicAfter, timestampOf } from './user_time.ts';

export const FOREVER = Number.POSITIVE_INFINITY;
/** The deadline of a call that only looks. */
export const NOT_WAITING = 0;

export interface PollWait {
  readonly files: readonly OpenFile[];
  /** POLL* that matter for any of the files. */
  readonly mask: number;
  readonly deadlineNs: number;
  /** How many are ready; stores the answer and passes it on when there is one. */
  readonly look: () => number;
  /** The result when time runs out, and when a signal comes. */
  readonly onTimeout: () => number;
  readonly onInterrupt: () => number;
}

/** Looks, then waits: the result or BLOCKED. */
export function pollWait(t: Task, w: PollWait): number {
  const attempt = (): number => {
    const n = w.look();
    return n === 0 ? -EAGAIN : n;
  };
  const r = attempt();
  if (r !== -EAGAIN) return r;
  if (w.deadlineNs === NOT_WAITING) return t.signalPending ? w.onInterrupt() : w.onTimeout();
  const { deadlineNs, onTimeout, onInterrupt } = w;
  return t.sleep(w.files, w.mask, { attempt, deadlineNs, onTimeout, onInterrupt });
}

/** The moment a time limit ends. */
export function deadlineAfter(t: Task, limit: Timestamp): number {
  return limit.sec === 0 && limit.nsec === 0 ? NOT_WAITING : monotonicAfter(t, limit);
}

/**
 * Ends a call whose time limit the application sees run down (select, pselect, ppoll): stores the rest
 * by `write`. If that fails, a call that would be restarted cannot be, and answers -EINTR.
 */
export function storeRest(
  t: Task,
  deadlineNs: number,
  write: ((rest: Timestamp) => number) | null,
  result: number,
): number {
  if (write === null || deadlineNs === NOT_WAITING || deadlineNs === FOREVER) return result;
  const rest = Math.max(0, deadlineNs - t.kernel.clock.monotonicNs());
  return write(timestampOf(rest)) < 0 && result === -ERESTARTNOHAND ? -EINTR : result;
}
