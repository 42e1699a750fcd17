/**
 * Waiting for children (wait4(2), waitid(2)).
 */
import { EAGAIN, ECHILD } from '../../spec/linux/errno.ts';
import { SIGCHLD } from '../../spec/linux/signal.ts';
import { __WALL, __WCLONE, WCONTINUED, WEXITED, WNOWAIT, WSTOPPED } from '../../spec/linux/wait.ts';
import { reap } from './exit.ts';
import type { Task } from './task.ts';
import type { ThreadGroup, Usage } from './thread_group.ts';

export const CLD_EXITED = 1;
export const CLD_KILLED = 2;
export const CLD_DUMPED = 3;
export const CLD_STOPPED = 5;
export const CLD_CONTINUED = 6;

/** Which children: P_ALL any, P_PID one, P_PGID a process group. */
export interface ChildSelector {
  readonly pid: number;
  readonly pgid: number;
}

export interface ChildEvent {
  readonly pid: number;
  readonly uid: number;
  /** CLD_*. */
  readonly code: number;
  /** wait(2) encoding. */
  readonly status: number;
  readonly usage: Usage;
}

/**
 * One look at the children: an event, -ECHILD when none could ever come, -EAGAIN when none is there
 * yet. Without WNOWAIT the event is consumed.
 */
export function lookForChild(t: Task, which: ChildSelector, options: number): ChildEvent | number {
  let candidates = false;
  for (const child of t.group.children) {
    if (!matches(child, which, options)) continue;
    candidates = true;
    const event = eventOf(child, options);
    if (event !== null) return event;
  }
  return candidates ? -EAGAIN : -ECHILD;
}

function matches(child: ThreadGroup, which: ChildSelector, options: number): boolean {
  if (which.pid > 0 && child.pid !== which.pid) return false;
  if (which.pgid > 0 && child.processGroup.id !== which.pgid) return false;
  if ((options & __WALL) !== 0) return true;
  return (child.exitSignal !== SIGCHLD) === ((options & __WCLONE) !== 0);
}

function eventOf(child: ThreadGroup, options: number): ChildEvent | null {
  const consume = (options & WNOWAIT) === 0;
  const uid = child.leader.creds.uid;
  if (child.zombie) {
    if ((options & WEXITED) === 0) return null;
    const event = {
      pid: child.pid,
      uid,
      code: exitCode(child),
      status: child.exitStatus,
      usage: child.ownUsage,
    };
    if (consume) reap(child);
    return event;
  }
  if (child.stopSignal !== 0 && !child.stopReported && (options & WSTOPPED) !== 0) {
    if (consume) child.stopReported = true;
    const status = (child.stopSignal << 8) | 0x7f;
    return { pid: child.pid, uid, code: CLD_STOPPED, status, usage: child.ownUsage };
  }
  if (!child.continueReported && (options & WCONTINUED) !== 0) {
    if (consume) child.continueReported = true;
    return { pid: child.pid, uid, code: CLD_CONTINUED, status: 0xffff, usage: child.ownUsage };
  }
  return null;
}

function exitCode(g: ThreadGroup): number {
  if ((g.exitStatus & 0x7f) === 0) return CLD_EXITED;
  return (g.exitStatus & 0x80) !== 0 ? CLD_DUMPED : CLD_KILLED;
}
