/**
 * System V semaphores (semget(2), semop(2)). Counterpart of Linux's ipc/sem.c: who sleeps is served by whoever
 * changes a value, in the order of coming, those first who wait for zero.
 *
 * Deviations: there are fewer semaphores in all (SEMMNS), and what is to be undone belongs to a process, not
 * to the threads that clone(2) shared it among.
 */
import {
  E2BIG,
  EAGAIN,
  EFBIG,
  EIDRM,
  EINTR,
  EINVAL,
  ENOMEM,
  ENOSPC,
  ERANGE,
} from '../../spec/linux/errno.ts';
import { IPC_NOWAIT, SEM_UNDO, SEMMNI, SEMMSL, SEMOPM, SEMVMX } from '../../spec/linux/ipc.ts';
import { POLLIN } from '../../spec/linux/poll.ts';
import { WaitQueue } from '../base/wait_queue.ts';
import { IpcIds, type IpcObject, type IpcPermissions } from './ipc_ids.ts';
import { TASK_DEAD, type Task } from './task.ts';
import type { ThreadGroup } from './thread_group.ts';

/** kernel.sem: semaphores of a container. Linux has a thousand times as many. */
export const SEMMNS = 1_024_000;
/** Values to be undone that a container keeps. */
const MAX_UNDO = 1_024_000;

export interface Operation {
  readonly number: number;
  readonly change: number;
  /** SEM_UNDO, IPC_NOWAIT. */
  readonly flags: number;
}

/** A task that sleeps in semop(2). */
export interface Sleeper {
  readonly task: Task;
  readonly operations: readonly Operation[];
  /** The one that cannot be done yet. */
  blocking: Operation;
  /** Null until it is served. */
  result: number | null;
  /** Notified then. */
  readonly queue: WaitQueue;
}

/** By semaphore. */
type Adjustments = Map<number, number>;

export class SemaphoreSet implements IpcObject {
  readonly permissions: IpcPermissions;
  readonly values: Uint16Array;
  /** Who changed each last. */
  readonly pids: Int32Array;
  /** Seconds since 1970. */
  operationTime = 0;
  changeTime: number;
  /** In the order of coming. */
  sleepers: Sleeper[] = [];
  readonly undo = new Map<ThreadGroup, Adjustments>();

  constructor(permissions: IpcPermissions, count: number, now: number) {
    this.permissions = permissions;
    this.values = new Uint16Array(count);
    this.pids = new Int32Array(count);
    this.changeTime = now;
  }
}

/** The sets of one container. */
export class Semaphores {
  readonly ids = new IpcIds<SemaphoreSet>(SEMMNI);
  /** Semaphores in all sets. */
  total = 0;
  private undoCount = 0;
  /** Where processes have something to undo. */
  private readonly undoers = new Map<ThreadGroup, Set<SemaphoreSet>>();

  /** semget(2). */
  get(t: Task, key: number, count: number, flags: number): number {
    if (count < 0 || count > SEMMSL) return -EINVAL;
    const fits = (present: SemaphoreSet): number => (present.values.length < count ? -EINVAL : 0);
    return this.ids.get(t.creds, key, flags, fits, (permissions) => {
      if (count === 0) return -EINVAL;
      if (this.total + count > SEMMNS || this.ids.count >= SEMMNI) return -ENOSPC;
      this.total += count;
      return new SemaphoreSet(permissions, count, now(t));
    });
  }

  /** semtimedop(2) until `deadlineNs`; semop(2) with Infinity. */
  operate(t: Task, id: number, operations: readonly Operation[], deadlineNs: number): number {
    const set = this.ids.find(id);
    if (typeof set === 'number') return set;
    if (operations.some((o) => o.number >= set.values.length)) return -EFBIG;
    const alters = operations.some((o) => o.change !== 0);
    const allowed = set.permissions.check(t.creds, alters ? 0o222 : 0o444);
    if (allowed < 0) return allowed;
    const first = operations[0] as Operation;
    const queue = new WaitQueue();
    const sleeper: Sleeper = { task: t, operations, blocking: first, result: null, queue };
    const r = this.attempt(set, sleeper);
    if (r !== null) {
      if (r === 0) this.happened(set, t, alters);
      return r;
    }
    set.sleepers.push(sleeper);
    const leave = (result: number): number => {
      set.sleepers = set.sleepers.filter((s) => s !== sleeper);
      return result;
    };
    return t.sleep([queue], POLLIN, {
      attempt: () => sleeper.result ?? -EAGAIN,
      deadlineNs,
      onTimeout: () => leave(-EAGAIN),
      onInterrupt: () => leave(-EINTR),
    });
  }

  /** Does all operations or none: 0, -errno, or null when it must wait. */
  private attempt(set: SemaphoreSet, s: Sleeper): number | null {
    const { values } = set;
    const { group } = s.task;
    const undo = set.undo.get(group);
    const changed = new Map<number, number>();
    const adjusted: Adjustments = new Map();
    for (const o of s.operations) {
      const value = changed.get(o.number) ?? (values[o.number] as number);
      const next = value + o.change;
      if (next < 0 || (o.change === 0 && value !== 0)) {
        s.blocking = o;
        return (o.flags & IPC_NOWAIT) !== 0 ? -EAGAIN : null;
      }
      if (next > SEMVMX) return -ERANGE;
      changed.set(o.number, next);
      if ((o.flags & SEM_UNDO) === 0) continue;
      const back = (adjusted.get(o.number) ?? undo?.get(o.number) ?? 0) - o.change;
      if (back < -SEMVMX - 1 || back > SEMVMX) return -ERANGE;
      adjusted.set(o.number, back);
    }
    if (adjusted.size > 0 && !this.keepUndo(set, group, adjusted)) return -ENOMEM;
    for (const [number, value] of changed) {
      values[number] = value;
      set.pids[number] = s.task.pid;
    }
    return 0;
  }

  private keepUndo(set: SemaphoreSet, group: ThreadGroup, adjusted: Adjustments): boolean {
    if (this.undoCount + adjusted.size > MAX_UNDO) return false;
    const undo = set.undo.get(group) ?? new Map<number, number>();
    this.undoCount -= undo.size;
    for (const [number, back] of adjusted) {
      if (back === 0) undo.delete(number);
      else undo.set(number, back);
    }
    this.undoCount += undo.size;
    set.undo.set(group, undo);
    const sets = this.undoers.get(group);
    if (sets === undefined) this.undoers.set(group, new Set([set]));
    else sets.add(set);
    return true;
  }

  private happened(set: SemaphoreSet, t: Task, altered: boolean): void {
    set.operationTime = now(t);
    if (altered) this.serve(set, now(t));
  }

  /** Values changed: does what sleepers wait for, as far as that goes. */
  private serve(set: SemaphoreSet, time: number): void {
    do this.serveThose(set, time, false);
    while (this.serveThose(set, time, true));
    set.sleepers = set.sleepers.filter((s) => s.result === null);
  }

  /** Those who wait for zero, or (`altering`) the others. True when others may go on because of it. */
  private serveThose(set: SemaphoreSet, time: number, altering: boolean): boolean {
    let changed = false;
    for (const s of set.sleepers) {
      if (s.result !== null || alters(s) !== altering) continue;
      const r = s.task.state === TASK_DEAD ? -EINTR : this.attempt(set, s);
      if (r === null) continue;
      this.answer(s, r);
      if (r < 0) continue;
      set.operationTime = time;
      changed = altering;
      // A single decrement lets nobody go on who came earlier and was to wait for more.
      if (altering && s.operations.length > 1) return true;
    }
    return changed;
  }

  private answer(s: Sleeper, result: number): void {
    s.result = result;
    s.queue.notify(POLLIN);
  }

  /** SETVAL, SETALL: `values` from `first` on. Nobody undoes what was before. */
  assign(set: SemaphoreSet, t: Task, first: number, values: ArrayLike<number>): void {
    set.values.set(values, first);
    set.pids.fill(t.pid, first, first + values.length);
    for (const undo of set.undo.values()) {
      for (const number of [...undo.keys()]) {
        if (number < first || number >= first + values.length) continue;
        undo.delete(number);
        this.undoCount--;
      }
    }
    set.changeTime = now(t);
    this.serve(set, now(t));
  }

  /** GETNCNT (`forZero` false) and GETZCNT: who sleeps because of that semaphore. */
  waiting(set: SemaphoreSet, number: number, forZero: boolean): number {
    return set.sleepers.filter(
      (s) =>
        s.task.state !== TASK_DEAD &&
        s.blocking.number === number &&
        (s.blocking.change === 0) === forZero,
    ).length;
  }

  /** IPC_RMID. */
  remove(set: SemaphoreSet): void {
    this.ids.remove(set);
    this.total -= set.values.length;
    for (const [group, undo] of set.undo) {
      this.undoCount -= undo.size;
      this.undoers.get(group)?.delete(set);
    }
    set.undo.clear();
    for (const s of set.sleepers) this.answer(s, -EIDRM);
    set.sleepers = [];
  }

  /** A process is gone: takes back what it did with SEM_UNDO. */
  processEnded(t: Task): void {
    const { group } = t;
    for (const set of this.undoers.get(group) ?? []) {
      const undo = set.undo.get(group);
      if (undo === undefined) continue;
      set.undo.delete(group);
      this.undoCount -= undo.size;
      for (const [number, back] of undo) {
        const value = (set.values[number] as number) + back;
        set.values[number] = Math.min(Math.max(value, 0), SEMVMX);
        set.pids[number] = t.pid;
      }
      this.happened(set, t, true);
    }
    this.undoers.delete(group);
  }
}

function alters(s: Sleeper): boolean {
  return s.operations.some((o) => o.change !== 0);
}

function now(t: Task): number {
  return t.kernel.clock.realtime().sec;
}

/** Checks how many operations semop(2) was given: 0, -E2BIG or -EINVAL. */
export function checkCount(count: number): number {
  if (count > SEMOPM) return -E2BIG;
  return count < 1 ? -EINVAL : 0;
}
