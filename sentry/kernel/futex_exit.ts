/**
 * What an exiting task does for the futexes it holds (set_robust_list(2), set_tid_address(2); Linux's
 * exit_robust_list and mm_release). The lists are application memory: hostile, perhaps cyclic.
 */

import {
  FUTEX_OWNER_DIED,
  FUTEX_TID_MASK,
  FUTEX_WAITERS,
  ROBUST_LIST_LIMIT,
} from '../../spec/linux/futex.ts';
import { ROBUST_LIST_HEAD } from '../../spec/linux/layout/process.ts';
import { leavePiFutexes } from './futex_pi.ts';
import type { Task } from './task.ts';

/** Marks the robust mutexes that `t` holds as orphaned and wakes one waiter each. */
export function leaveRobustFutexes(t: Task): void {
  t.kernel.futexes.forget(t);
  const head = t.robustList;
  t.robustList = 0;
  if (head !== 0) walkRobustList(t, head);
  leavePiFutexes(t);
}

function walkRobustList(t: Task, head: number): void {
  const { mm } = t;
  const { list, futex_offset, list_op_pending } = ROBUST_LIST_HEAD.offsets;
  let entry = mm.readU64(head + list);
  const lo = mm.readU32(head + futex_offset);
  const hi = mm.readU32(head + futex_offset + 4);
  const pending = mm.readU64(head + list_op_pending);
  if (entry < 0 || lo < 0 || hi < 0 || pending < 0) return;
  const offset = lo + (hi | 0) * 2 ** 32;
  for (let i = 0; i < ROBUST_LIST_LIMIT && pointer(entry) !== head; i++) {
    const next = mm.readU64(pointer(entry));
    if (entry !== pending && !ownerDied(t, pointer(entry) + offset, isPi(entry), false)) return;
    if (next < 0) return;
    entry = next;
  }
  if (pending !== 0) ownerDied(t, pointer(pending) + offset, isPi(pending), true);
}

/** The lowest bit of an entry marks a priority-inheriting mutex. */
function isPi(entry: number): boolean {
  return entry % 2 === 1;
}

function pointer(entry: number): number {
  return entry - (entry % 2);
}

/** False when the word cannot be reached. */
function ownerDied(t: Task, addr: number, pi: boolean, pendingOp: boolean): boolean {
  if (addr <= 0 || addr % 4 !== 0) return false;
  const { mm } = t;
  for (;;) {
    const word = mm.atomicLoadU32(addr);
    if (word < 0) return false;
    if (pendingOp && !pi && word === 0) {
      // Died between unlocking and waking.
      wakeShared(t, addr);
      return true;
    }
    if ((word & FUTEX_TID_MASK) !== t.tid) return true;
    const orphaned = ((word & FUTEX_WAITERS) | FUTEX_OWNER_DIED) >>> 0;
    const seen = mm.compareExchangeU32(addr, word, orphaned);
    if (seen < 0) return false;
    if (seen !== word) continue;
    if (!pi && (word & FUTEX_WAITERS) !== 0) wakeShared(t, addr);
    return true;
  }
}

function wakeShared(t: Task, addr: number): void {
  const key = t.mm.futexKey(addr, false);
  if (typeof key !== 'number') t.kernel.futexes.wake(key, 1);
}

/** Clears the word that pthread_join waits for, if others can see it. */
export function wakeClearedTid(t: Task): void {
  const addr = t.clearChildTid;
  t.clearChildTid = 0;
  if (addr === 0 || t.mm.userCount < 2) return;
  if (t.mm.writeU32(addr, 0) === 0) wakeShared(t, addr);
}
