/**
 * Advisory locks on one inode: byte ranges (POSIX and open-file-description locks, fcntl(2)) and whole
 * files (flock(2)). Linux's counterpart is fs/locks.c.
 *
 * The two kinds do not see each other. POSIX and OFD locks share one space and differ only in their
 * owner: the descriptor table, or the open file. Nothing here sleeps: a conflict is -EAGAIN, and `queue`
 * tells when something was released.
 */
import { EAGAIN, ENOLCK } from '../../spec/linux/errno.ts';
import { F_UNLCK, F_WRLCK } from '../../spec/linux/fcntl.ts';
import { POLLOUT } from '../../spec/linux/poll.ts';
import { WaitQueue } from '../base/wait_queue.ts';

/** Ranges that one inode may carry; Linux has no bound of its own, the Sentry's memory has. */
const MAX_RANGES = 65536;

/** Whoever may own a lock. */
export interface LockOwner {
  /** Whom the owner waits for in F_SETLKW, for finding deadlocks; null when it does not wait. */
  lockWait?: LockOwner | null;
}

/** A byte range [start, end); `end` is Infinity for "to the end of the file, wherever that is". */
export interface RecordLock {
  start: number;
  end: number;
  /** F_RDLCK or F_WRLCK; F_UNLCK only as an argument of `set`. */
  type: number;
  readonly owner: LockOwner;
  /** For F_GETLK: the process that locked, -1 for OFD locks. */
  readonly pid: number;
}

interface WholeLock {
  readonly owner: LockOwner;
  exclusive: boolean;
}

export class FileLocks {
  /** Notified (POLLOUT) when a lock is released or weakened. */
  readonly queue = new WaitQueue();
  /** Of each owner in ascending order; they do not overlap, and those that touch differ in type. */
  private readonly ranges = new Map<LockOwner, RecordLock[]>();
  private rangeCount = 0;
  private wholes: WholeLock[] = [];

  /** The first lock that stands in the way of `lock`, or null. */
  conflict(lock: RecordLock): RecordLock | null {
    if (this.ranges.size === 0) return null;
    if (this.ranges.size === 1 && this.ranges.has(lock.owner)) return null;
    let first: RecordLock | null = null;
    for (const [owner, own] of this.ranges) {
      if (owner === lock.owner) continue;
      for (let i = firstBehind(own, lock.start); i < own.length; i++) {
        const held = own[i]!;
        if (held.start >= lock.end || (first !== null && held.start >= first.start)) break;
        if (held.type === F_WRLCK || lock.type === F_WRLCK) first = held;
      }
    }
    return first;
  }

  /** Sets, changes or (F_UNLCK) removes a range. 0, -EAGAIN on a conflict, -ENOLCK. */
  set(lock: RecordLock): number {
    if (lock.type !== F_UNLCK && this.conflict(lock) !== null) return -EAGAIN;
    // Unlocking may split a range, but only so often.
    const most = lock.type === F_UNLCK ? 2 * MAX_RANGES : MAX_RANGES;
    if (this.rangeCount >= most) return -ENOLCK;
    if (this.replace(lock)) this.queue.notify(POLLOUT);
    return 0;
  }

  /**
   * Puts `lock` in the place of what its owner holds of [start, end), joined with what touches it and is
   * of the same type. True when that may let others in.
   */
  private replace(lock: RecordLock): boolean {
    const { start, end, type, owner, pid } = lock;
    const added: RecordLock = { start, end, type, owner, pid };
    const own = this.ranges.get(owner);
    // What most programs do: one lock, and the end of it.
    if (own === undefined) {
      if (type === F_UNLCK) return false;
      this.ranges.set(owner, [added]);
      this.rangeCount++;
      return false;
    }
    if (type === F_UNLCK && own.length === 1 && start <= own[0]!.start && own[0]!.end <= end) {
      this.ranges.delete(owner);
      this.rangeCount--;
      return true;
    }
    let weakened = false;
    let from = firstBehind(own, lock.start);
    // The one that ends where this begins.
    if (from > 0 && own[from - 1]!.end === lock.start && own[from - 1]!.type === lock.type) from--;
    let to = from;
    const pieces: RecordLock[] = [];
    for (; to < own.length && own[to]!.start <= lock.end; to++) {
      const held = own[to]!;
      if (held.type === lock.type) {
        added.start = Math.min(added.start, held.start);
        added.end = Math.max(added.end, held.end);
        continue;
      }
      if (held.start === lock.end) break;
      weakened ||= lock.type === F_UNLCK || held.type === F_WRLCK;
      if (held.start < lock.start) pieces.push({ ...held, end: lock.start });
      if (held.end > lock.end) pieces.push({ ...held, start: lock.end });
    }
    if (lock.type !== F_UNLCK) pieces.push(added);
    pieces.sort((a, b) => a.start - b.start);
    own.splice(from, to - from, ...pieces);
    this.rangeCount += pieces.length - (to - from);
    if (own.length > 0) this.ranges.set(lock.owner, own);
    else this.ranges.delete(lock.owner);
    return weakened;
  }

  /**
   * flock(2): a lock on the whole file, replacing the owner's present one. A conversion gives up the
   * old lock first and is not atomic, as in Linux. 0 or -EAGAIN.
   */
  setWhole(owner: LockOwner, exclusive: boolean): number {
    const present = this.wholes.find((l) => l.owner === owner);
    if (present !== undefined) {
      if (present.exclusive === exclusive) return 0;
      this.unlockWhole(owner);
    }
    for (const held of this.wholes) if (held.exclusive || exclusive) return -EAGAIN;
    this.wholes.push({ owner, exclusive });
    return 0;
  }

  unlockWhole(owner: LockOwner): void {
    const left = this.wholes.filter((l) => l.owner !== owner);
    if (left.length === this.wholes.length) return;
    this.wholes = left;
    this.queue.notify(POLLOUT);
  }

  /** Releases everything `owner` holds: a descriptor was closed, or an open file ended. */
  releaseOwner(owner: LockOwner): void {
    const released = this.ranges.get(owner)?.length ?? 0;
    this.ranges.delete(owner);
    this.rangeCount -= released;
    this.unlockWhole(owner);
    if (released > 0) this.queue.notify(POLLOUT);
  }

  /** Everything held, in ascending order. */
  get held(): { readonly records: readonly RecordLock[]; readonly wholeCount: number } {
    const records = [...this.ranges.values()].flat().sort((a, b) => a.start - b.start);
    return { records, wholeCount: this.wholes.length };
  }
}

/** Index of the first range in `own` that ends behind `start`. */
function firstBehind(own: readonly RecordLock[], start: number): number {
  let low = 0;
  let high = own.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (own[middle]!.end <= start) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Would `owner` waiting for `holder` close a circle of waiters? */
export function wouldDeadlock(owner: LockOwner, holder: LockOwner): boolean {
  // Long chains are cut off, as Linux does: a missed deadlock is no error, an endless search is.
  let at: LockOwner | null | undefined = holder;
  for (let steps = 0; at && steps < 64; steps++) {
    if (at === owner) return true;
    at = at.lockWait;
  }
  return false;
}
