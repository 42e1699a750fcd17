/**
 * Priority-inheriting locks (futex(2), "Priority-inheritance futexes"): the kernel puts the owner's
 * thread id into the word. There are no priorities to inherit here, but ownership, hand-over, deadlock
 * detection for the simple case and the owner's death are as documented.
 */
import {
  EAGAIN,
  EDEADLK,
  EINVAL,
  EPERM,
  ERESTARTNOINTR,
  ESRCH,
  ETIMEDOUT,
} from '../../spec/linux/errno.ts';
import {
  FUTEX_BITSET_MATCH_ANY,
  FUTEX_OWNER_DIED,
  FUTEX_TID_MASK,
  FUTEX_WAITERS,
} from '../../spec/linux/futex.ts';
import type { FutexKey } from '../mm/futex_key.ts';
import { type FutexQueue, FutexWaiter, futexKeyOf } from './futex.ts';
import { TASK_DEAD, type Task } from './task.ts';

/** FUTEX_LOCK_PI, FUTEX_LOCK_PI2 and, with `tryOnly`, FUTEX_TRYLOCK_PI. */
export function lockPi(
  t: Task,
  addr: number,
  isPrivate: boolean,
  deadlineNs: number,
  tryOnly: boolean,
): number {
  const key = futexKeyOf(t, addr, isPrivate);
  if (typeof key === 'number') return key;
  const table = t.kernel.futexes;
  const { mm } = t;
  for (;;) {
    const word = mm.atomicLoadU32(addr);
    if (word < 0) return word;
    const ownerTid = word & FUTEX_TID_MASK;
    if (ownerTid === t.tid) return -EDEADLK;
    const queue = table.find(key);
    if (ownerTid === 0 && queue === undefined) {
      const mine = ((word & FUTEX_OWNER_DIED) | t.tid) >>> 0;
      const seen = mm.compareExchangeU32(addr, word, mine);
      if (seen < 0) return seen;
      if (seen === word) return 0;
      continue;
    }
    if (tryOnly) return -EAGAIN;
    const owner = t.container.pids.tasks.get(ownerTid);
    if (owner === undefined || owner.state === TASK_DEAD) return -ESRCH;
    const seen = mm.compareExchangeU32(addr, word, (word | FUTEX_WAITERS) >>> 0);
    if (seen < 0) return seen;
    if (seen !== word) continue;
    return sleepForLock(t, addr, key, owner, deadlineNs);
  }
}

function sleepForLock(
  t: Task,
  addr: number,
  key: FutexKey,
  owner: Task,
  deadlineNs: number,
): number {
  const table = t.kernel.futexes;
  const waiter = new FutexWaiter(t, addr, FUTEX_BITSET_MATCH_ANY, true);
  table.add(key, waiter);
  const queue = waiter.queue as FutexQueue;
  for (const other of queue.waiters) {
    if (other.isLock) continue;
    table.remove(waiter);
    return -EINVAL;
  }
  queue.owner = owner;
  table.contendedLocks.add(queue);
  const giveUp = (result: number) => () => {
    table.remove(waiter);
    return result;
  };
  return t.sleep([], 0, {
    attempt: () => (waiter.queue === null ? 0 : -EAGAIN),
    deadlineNs,
    onTimeout: giveUp(-ETIMEDOUT),
    onInterrupt: giveUp(-ERESTARTNOINTR),
  });
}

/** FUTEX_UNLOCK_PI. */
export function unlockPi(t: Task, addr: number, isPrivate: boolean): number {
  const key = futexKeyOf(t, addr, isPrivate);
  if (typeof key === 'number') return key;
  const word = t.mm.atomicLoadU32(addr);
  if (word < 0) return word;
  if ((word & FUTEX_TID_MASK) !== t.tid) return -EPERM;
  const queue = t.kernel.futexes.find(key);
  if (queue !== undefined) return handOver(queue, 0);
  for (;;) {
    const now = t.mm.atomicLoadU32(addr);
    if (now < 0) return now;
    const seen = t.mm.compareExchangeU32(addr, now, 0);
    if (seen < 0) return seen;
    if (seen === now) return 0;
  }
}

/** Makes the longest waiter the owner. */
function handOver(queue: FutexQueue, extra: number): number {
  const next = queue.waiters.values().next().value;
  if (next === undefined) return 0;
  if (!next.isLock) return -EINVAL;
  const more = queue.waiters.size > 1 ? FUTEX_WAITERS : 0;
  const word = (next.task.tid | more | extra) >>> 0;
  const result = next.task.mm.writeU32(next.addr, word);
  if (result < 0) return result;
  queue.owner = next.task;
  next.task.kernel.futexes.wakeOne(next);
  return 0;
}

/** The task dies: its locks with waiters go to them, marked FUTEX_OWNER_DIED. */
export function leavePiFutexes(t: Task): void {
  for (const queue of t.kernel.futexes.contendedLocks) {
    if (queue.owner === t) handOver(queue, FUTEX_OWNER_DIED);
  }
}
