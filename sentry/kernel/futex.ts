/**
 * Futexes: sleeping on a word of application memory (futex(2)). One queue per word, first come first
 * served; the word itself is touched atomically, because application threads run meanwhile.
 *
 * Priority inheritance has no effect on scheduling here: PI locks (futex_pi.ts) are handed over in
 * order of arrival.
 */
import { EAGAIN, EFAULT, EINVAL, ENOSYS, ETIMEDOUT } from '../../spec/linux/errno.ts';
import {
  FUTEX_BITSET_MATCH_ANY,
  FUTEX_OP_ADD,
  FUTEX_OP_ANDN,
  FUTEX_OP_CMP_EQ,
  FUTEX_OP_CMP_GE,
  FUTEX_OP_CMP_GT,
  FUTEX_OP_CMP_LE,
  FUTEX_OP_CMP_LT,
  FUTEX_OP_CMP_NE,
  FUTEX_OP_OPARG_SHIFT,
  FUTEX_OP_OR,
  FUTEX_OP_SET,
  FUTEX_OP_XOR,
} from '../../spec/linux/futex.ts';
import type { FutexKey } from '../mm/futex_key.ts';
import type { Task } from './task.ts';

/** One sleeping task. */
export class FutexWaiter {
  readonly task: Task;
  /** The word in the task's own memory. */
  readonly addr: number;
  readonly bitset: number;
  /** Waits for a PI lock: only unlocking hands it over, waking does not apply. */
  readonly isLock: boolean;
  /** Null once woken or given up. */
  queue: FutexQueue | null = null;

  constructor(task: Task, addr: number, bitset: number, isLock: boolean) {
    this.task = task;
    this.addr = addr;
    this.bitset = bitset;
    this.isLock = isLock;
  }
}

/** Those who sleep on one word. */
export class FutexQueue {
  readonly key: FutexKey;
  readonly waiters = new Set<FutexWaiter>();
  /** Of a PI lock. */
  owner: Task | null = null;

  constructor(key: FutexKey) {
    this.key = key;
  }
}

export class FutexTable {
  private readonly spaces = new Map<object, Map<number, FutexQueue>>();
  /** What each sleeping task waits for, so that one that dies leaves nothing behind. */
  private readonly sleeping = new Map<Task, FutexWaiter>();
  /** PI locks with waiters. */
  readonly contendedLocks = new Set<FutexQueue>();

  find(key: FutexKey): FutexQueue | undefined {
    return this.spaces.get(key.object)?.get(key.offset);
  }

  add(key: FutexKey, waiter: FutexWaiter): void {
    let space = this.spaces.get(key.object);
    if (space === undefined) {
      space = new Map();
      this.spaces.set(key.object, space);
    }
    let queue = space.get(key.offset);
    if (queue === undefined) {
      queue = new FutexQueue(key);
      space.set(key.offset, queue);
    }
    queue.waiters.add(waiter);
    key.space?.countWaiter(key.offset, 1);
    waiter.queue = queue;
    this.sleeping.set(waiter.task, waiter);
  }

  /** Ends the wait without waking. */
  remove(waiter: FutexWaiter): void {
    this.unlink(waiter);
    if (this.sleeping.get(waiter.task) === waiter) this.sleeping.delete(waiter.task);
  }

  private unlink(waiter: FutexWaiter): void {
    const queue = waiter.queue;
    if (queue === null) return;
    waiter.queue = null;
    queue.waiters.delete(waiter);
    queue.key.space?.countWaiter(queue.key.offset, -1);
    if (queue.waiters.size > 0) return;
    this.contendedLocks.delete(queue);
    const space = this.spaces.get(queue.key.object);
    space?.delete(queue.key.offset);
    if (space?.size === 0) this.spaces.delete(queue.key.object);
  }

  /** The task exits. */
  forget(t: Task): void {
    const waiter = this.sleeping.get(t);
    if (waiter !== undefined) this.remove(waiter);
  }

  wakeOne(waiter: FutexWaiter): void {
    this.remove(waiter);
    waiter.task.kernel.ready(waiter.task);
  }

  /** Wakes at most `count` waiters whose bitset meets `bitset`. How many, or -EINVAL. */
  wake(key: FutexKey, count: number, bitset = FUTEX_BITSET_MATCH_ANY): number {
    const queue = this.find(key);
    if (queue === undefined) return 0;
    let woken = 0;
    for (const waiter of queue.waiters) {
      if (woken >= count) break;
      if (waiter.isLock) return -EINVAL;
      if ((waiter.bitset & bitset) === 0) continue;
      this.wakeOne(waiter);
      woken++;
    }
    return woken;
  }

  /** Wakes `wakeCount`, moves at most `requeueCount` others to `to`. Those woken and moved. */
  requeue(from: FutexKey, to: FutexKey, wakeCount: number, requeueCount: number): number {
    const woken = this.wake(from, wakeCount);
    if (woken < 0) return woken;
    const queue = this.find(from);
    if (queue === undefined) return woken;
    const same = from.object === to.object && from.offset === to.offset;
    let moved = 0;
    for (const waiter of [...queue.waiters]) {
      if (moved >= requeueCount) break;
      if (waiter.isLock) return -EINVAL;
      if (!same) {
        this.unlink(waiter);
        this.add(to, waiter);
      }
      moved++;
    }
    return woken + moved;
  }
}

/**
 * FUTEX_WAIT and FUTEX_WAIT_BITSET: sleeps while the word at `addr` is `expected`, until
 * `deadlineNs` (CLOCK_MONOTONIC; Infinity for none). `interrupted` says what a signal makes of it.
 */
export function futexWait(
  t: Task,
  addr: number,
  isPrivate: boolean,
  expected: number,
  bitset: number,
  deadlineNs: number,
  interrupted: () => number,
): number {
  if (bitset === 0) return -EINVAL;
  const key = futexKeyOf(t, addr, isPrivate);
  if (typeof key === 'number') return key;
  const error = checkWord(t, addr, expected);
  if (error < 0) return error;
  const table = t.kernel.futexes;
  const waiter = new FutexWaiter(t, addr, bitset, false);
  table.add(key, waiter);
  // Until it was counted, whoever changed the word did not have to ask us to wake it.
  const changed = checkWord(t, addr, expected);
  if (changed < 0) {
    table.remove(waiter);
    return changed;
  }
  return t.sleep([], 0, {
    attempt: () => (waiter.queue === null ? 0 : -EAGAIN),
    deadlineNs,
    onTimeout: () => {
      table.remove(waiter);
      return -ETIMEDOUT;
    },
    onInterrupt: () => {
      table.remove(waiter);
      return interrupted();
    },
  });
}

/** 0 while the word at `addr` is `expected`, else -EAGAIN; -EFAULT. */
function checkWord(t: Task, addr: number, expected: number): number {
  const value = t.mm.atomicLoadU32(addr);
  if (value < 0) return value;
  return value === expected ? 0 : -EAGAIN;
}

/** Where the futex at `addr` sleeps; -EINVAL for a misaligned one, -EFAULT. */
export function futexKeyOf(t: Task, addr: number, isPrivate: boolean): FutexKey | number {
  if (addr % 4 !== 0) return -EINVAL;
  return t.mm.futexKey(addr, isPrivate);
}

/** FUTEX_WAKE and FUTEX_WAKE_BITSET. */
export function futexWake(
  t: Task,
  addr: number,
  isPrivate: boolean,
  count: number,
  bitset = FUTEX_BITSET_MATCH_ANY,
): number {
  if (bitset === 0) return -EINVAL;
  const key = futexKeyOf(t, addr, isPrivate);
  if (typeof key === 'number') return key;
  return t.kernel.futexes.wake(key, Math.max(count, 1), bitset);
}

/** FUTEX_REQUEUE (`expected` null) and FUTEX_CMP_REQUEUE. */
export function futexRequeue(
  t: Task,
  addr: number,
  addr2: number,
  isPrivate: boolean,
  wakeCount: number,
  requeueCount: number,
  expected: number | null,
): number {
  if (wakeCount < 0 || requeueCount < 0) return -EINVAL;
  const from = futexKeyOf(t, addr, isPrivate);
  if (typeof from === 'number') return from;
  const to = futexKeyOf(t, addr2, isPrivate);
  if (typeof to === 'number') return to;
  // Counted before the word is looked at: whoever changes it after that finds those who are moved.
  to.space?.countWaiter(to.offset, 1);
  const error = expected === null ? 0 : checkWord(t, addr, expected);
  const result = error || t.kernel.futexes.requeue(from, to, wakeCount, requeueCount);
  to.space?.countWaiter(to.offset, -1);
  return result;
}

/** FUTEX_WAKE_OP: changes the second word, wakes on the first and, if the old value says so, there. */
export function futexWakeOp(
  t: Task,
  addr: number,
  addr2: number,
  isPrivate: boolean,
  count: number,
  count2: number,
  encodedOp: number,
): number {
  const key = futexKeyOf(t, addr, isPrivate);
  if (typeof key === 'number') return key;
  const key2 = futexKeyOf(t, addr2, isPrivate);
  if (typeof key2 === 'number') return key2;
  const old = modifyWord(t, addr2, encodedOp);
  if (old < 0) return old;
  const holds = compareWord(old | 0, encodedOp);
  if (holds < 0) return holds;
  const woken = t.kernel.futexes.wake(key, Math.max(count, 1));
  if (woken < 0 || holds === 0) return woken;
  const more = t.kernel.futexes.wake(key2, Math.max(count2, 1));
  return more < 0 ? more : woken + more;
}

/** Carries out the operation atomically. The old value as unsigned, or -errno. */
function modifyWord(t: Task, addr: number, encodedOp: number): number {
  const op = (encodedOp >>> 28) & 7;
  let operand = (encodedOp << 8) >> 20;
  if (((encodedOp >>> 28) & FUTEX_OP_OPARG_SHIFT) !== 0) operand = 1 << (operand & 31);
  for (;;) {
    const old = t.mm.atomicLoadU32(addr);
    if (old < 0) return -EFAULT;
    let next: number;
    if (op === FUTEX_OP_SET) next = operand;
    else if (op === FUTEX_OP_ADD) next = old + operand;
    else if (op === FUTEX_OP_OR) next = old | operand;
    else if (op === FUTEX_OP_ANDN) next = old & ~operand;
    else if (op === FUTEX_OP_XOR) next = old ^ operand;
    else return -ENOSYS;
    const seen = t.mm.compareExchangeU32(addr, old, next >>> 0);
    if (seen < 0) return seen;
    if (seen === old) return old;
  }
}

/** 1 when the comparison holds, 0 when not, or -ENOSYS. */
function compareWord(old: number, encodedOp: number): number {
  const operand = (encodedOp << 20) >> 20;
  switch ((encodedOp >>> 24) & 15) {
    case FUTEX_OP_CMP_EQ:
      return Number(old === operand);
    case FUTEX_OP_CMP_NE:
      return Number(old !== operand);
    case FUTEX_OP_CMP_LT:
      return Number(old < operand);
    case FUTEX_OP_CMP_LE:
      return Number(old <= operand);
    case FUTEX_OP_CMP_GT:
      return Number(old > operand);
    case FUTEX_OP_CMP_GE:
      return Number(old >= operand);
    default:
      return -ENOSYS;
  }
}
