/**
 * Futexes and the thread bookkeeping around them (futex(2), set_robust_list(2), get_robust_list(2),
 * set_tid_address(2)). There is no rseq(2), as in Linux 4.4.
 */

import { CAP_SYS_PTRACE } from '../../spec/linux/capability.ts';
import {
  EFAULT,
  EINVAL,
  ENOSYS,
  EPERM,
  ERESTART_RESTARTBLOCK,
  ERESTARTSYS,
  ESRCH,
} from '../../spec/linux/errno.ts';
import {
  FUTEX_BITSET_MATCH_ANY,
  FUTEX_CLOCK_REALTIME,
  FUTEX_CMP_REQUEUE,
  FUTEX_LOCK_PI,
  FUTEX_LOCK_PI2,
  FUTEX_PRIVATE_FLAG,
  FUTEX_REQUEUE,
  FUTEX_UNLOCK_PI,
  FUTEX_WAIT,
  FUTEX_WAIT_BITSET,
  FUTEX_WAKE,
  FUTEX_WAKE_BITSET,
  FUTEX_WAKE_OP,
} from '../../spec/linux/futex.ts';
import { ROBUST_LIST_HEAD } from '../../spec/linux/layout/process.ts';
import {
  SYS_futex,
  SYS_get_robust_list,
  SYS_set_robust_list,
  SYS_set_tid_address,
} from '../../spec/linux/syscall_numbers.ts';
import { CLOCK_MONOTONIC, CLOCK_REALTIME } from '../../spec/linux/time.ts';
import { futexRequeue, futexWait, futexWake, futexWakeOp } from '../kernel/futex.ts';
import { lockPi, unlockPi } from '../kernel/futex_pi.ts';
import type { SyscallArgs } from '../kernel/syscall_args.ts';
import type { SyscallFragment } from '../kernel/syscall_table.ts';
import type { Task } from '../kernel/task.ts';
import { monotonicAfter, monotonicAt, readTimespec } from './user_time.ts';

/** FUTEX_TRYLOCK_PI, which takes no timeout. */
const FUTEX_TRYLOCK_PI = 8;

/** The deadline of a waiting operation: relative for FUTEX_WAIT, on some clock for the others. */
function readDeadline(t: Task, addr: number, op: number, realtime: boolean): number {
  if (addr === 0) return Number.POSITIVE_INFINITY;
  const time = readTimespec(t, addr);
  if (typeof time === 'number') return time;
  if (op === FUTEX_WAIT) return monotonicAfter(t, time);
  const clock = realtime || op === FUTEX_LOCK_PI ? CLOCK_REALTIME : CLOCK_MONOTONIC;
  // A time that has passed must not look like an error.
  return Math.max(0, monotonicAt(t, clock, time));
}

/** Waits; one with a deadline is resumed by restart_syscall(2), so that it does not begin anew. */
function wait(
  t: Task,
  addr: number,
  isPrivate: boolean,
  expected: number,
  bitset: number,
  deadlineNs: number,
): number {
  const interrupted = (): number => {
    if (deadlineNs === Number.POSITIVE_INFINITY) return -ERESTARTSYS;
    t.restartBlock = () => wait(t, addr, isPrivate, expected, bitset, deadlineNs);
    return -ERESTART_RESTARTBLOCK;
  };
  return futexWait(t, addr, isPrivate, expected, bitset, deadlineNs, interrupted);
}

/** futex(2). */
export function sysFutex(t: Task, a: SyscallArgs): number {
  const addr = a.addr(0);
  const word = a.uint(1);
  const value = a.uint(2);
  const fourth = a.addr(3);
  const addr2 = a.addr(4);
  const value3 = a.uint(5);
  const isPrivate = (word & FUTEX_PRIVATE_FLAG) !== 0;
  const realtime = (word & FUTEX_CLOCK_REALTIME) !== 0;
  const op = word & ~(FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME);
  const takesClock = op === FUTEX_WAIT_BITSET || op === FUTEX_LOCK_PI2;
  const count2 = Math.min(a.sizeT(3), 0x7fffffff);
  // Read before anything else is looked at.
  const waits =
    op === FUTEX_WAIT || op === FUTEX_WAIT_BITSET || op === FUTEX_LOCK_PI || op === FUTEX_LOCK_PI2;
  const deadlineNs = waits ? readDeadline(t, fourth, op, realtime) : 0;
  if (deadlineNs < 0) return deadlineNs;
  if (realtime && !takesClock) return -ENOSYS;
  switch (op) {
    case FUTEX_WAIT:
      return wait(t, addr, isPrivate, value, FUTEX_BITSET_MATCH_ANY, deadlineNs);
    case FUTEX_WAIT_BITSET:
      return wait(t, addr, isPrivate, value, value3, deadlineNs);
    case FUTEX_LOCK_PI:
    case FUTEX_LOCK_PI2:
      return lockPi(t, addr, isPrivate, deadlineNs, false);
    case FUTEX_WAKE:
      return futexWake(t, addr, isPrivate, value | 0);
    case FUTEX_WAKE_BITSET:
      return futexWake(t, addr, isPrivate, value | 0, value3);
    case FUTEX_REQUEUE:
      return futexRequeue(t, addr, addr2, isPrivate, value | 0, count2 | 0, null);
    case FUTEX_CMP_REQUEUE:
      return futexRequeue(t, addr, addr2, isPrivate, value | 0, count2 | 0, value3);
    case FUTEX_WAKE_OP:
      return futexWakeOp(t, addr, addr2, isPrivate, value | 0, count2 | 0, value3);
    case FUTEX_TRYLOCK_PI:
      return lockPi(t, addr, isPrivate, 0, true);
    case FUTEX_UNLOCK_PI:
      return unlockPi(t, addr, isPrivate);
    default:
      return -ENOSYS;
  }
}

/** set_robust_list(2). */
export function sysSetRobustList(t: Task, a: SyscallArgs): number {
  if (a.sizeT(1) !== ROBUST_LIST_HEAD.size) return -EINVAL;
  t.robustList = a.addr(0);
  return 0;
}

/** get_robust_list(2). */
export function sysGetRobustList(t: Task, a: SyscallArgs): number {
  const tid = a.int(0);
  const target = tid === 0 ? t : t.container.pids.tasks.get(tid);
  if (target === undefined) return -ESRCH;
  if (target.creds.uid !== t.creds.euid && !t.creds.has(CAP_SYS_PTRACE)) return -EPERM;
  if (t.mm.writeU64(a.addr(2), ROBUST_LIST_HEAD.size) < 0) return -EFAULT;
  return t.mm.writeU64(a.addr(1), target.robustList);
}

/** set_tid_address(2). */
export function sysSetTidAddress(t: Task, a: SyscallArgs): number {
  t.clearChildTid = a.addr(0);
  return t.tid;
}

export const futexSyscalls: SyscallFragment = {
  [SYS_futex]: {
    name: 'futex',
    args: 'hex futexop uint hex hex uint',
    fn: sysFutex,
    gap: 'FUTEX_FD, FUTEX_WAIT_REQUEUE_PI, FUTEX_CMP_REQUEUE_PI; no priorities are inherited',
  },
  [SYS_set_tid_address]: { name: 'set_tid_address', args: 'hex', fn: sysSetTidAddress },
  [SYS_set_robust_list]: { name: 'set_robust_list', args: 'hex size', fn: sysSetRobustList },
  [SYS_get_robust_list]: { name: 'get_robust_list', args: 'int hex hex', fn: sysGetRobustList },
};
