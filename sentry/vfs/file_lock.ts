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
import { type Range, RangeMap } from '../base/range_map.ts';
import { WaitQueue } from '../base/wait_queue.ts';

/** Ranges that one inode may carry; Linux has no bound of its own, the Sentry's memory has. */
const MAX_RANGES = 65536;

/** Whoever may own a lock. */
export interface LockOwner {
  /** Whom the owner waits for in F_SETLKW, for finding deadlocks; null when it does not wait. */
  lockWait?: LockOwner | null;
}

/** A byte range [start, end); `end` is Infinity for "to the end of the file, wherever that is". */
export interface RecordLock extends Range {
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
  /**
   * Of each owner that has locked something and closed nothing since; who has, will again. Ranges that
   * touch differ in type.
   */
  private readonly ranges = new Map<LockOwner, RangeMap<RecordLock>>();
  private rangeCount = 0;
  private wholes: WholeLock[] = [];

  /** The first lock that stands in the way of `lock`, or null. */
  conflict(lock: RecordLock): RecordLock | null {
    if (this.ranges.size === 0) return null;
    if (this.ranges.size === 1 && this.ranges.has(lock.owner)) return null;
    let first: RecordLock | null = null;
    for (const [owner, own] of this.ranges) {
      if (owner === lock.owner) continue;
      for (let i = own.lowerBound(lock.start); i < own.items.length; i++) {
        const held = own.items[i]!;
        if (held.start >= lock.end || (first !== null && held.start >= first.start)) break;
        if (held.type === F_WRLCK || lock.type === F_WRLCK) first = held;
      }
    }
    return first;
  }

  /**
   * Sets, changes or (F_UNLCK) removes a range. 0, after which the lock is no longer the caller's,
   * -EAGAIN on a conflict, -ENOLCK.
   */
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
    const { type, owner } = lock;
    let own = this.ranges.get(owner);
    if (own === undefined) {
      if (type === F_UNLCK) return false;
      own = new RangeMap(splitLock);
      this.ranges.set(owner, own);
    }
    const { items } = own;
    const before = items.length;
    const first = own.splitAt(lock.start);
    const last = own.splitAt(lock.end);
    let weakened = false;
    for (let i = first; i < last; i++) {
      const held = items[i]!.type;
      if (held !== type && (type === F_UNLCK || held === F_WRLCK)) weakened = true;
    }
    own.removeAt(first, last - first);
    if (type !== F_UNLCK) {
      const at = own.insert(lock);
      own.merge(at, at + 1, sameType);
    }
    this.rangeCount += items.length - before;
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
    const released = this.ranges.get(owner)?.items.length ?? 0;
    this.ranges.delete(owner);
    this.rangeCount -= released;
    this.unlockWhole(owner);
    if (released > 0) this.queue.notify(POLLOUT);
  }

  /** Everything held, in ascending order. */
  get held(): { readonly records: readonly RecordLock[]; readonly wholeCount: number } {
    const records = Array.from(this.ranges.values(), (own) => own.items).flat();
    records.sort((a, b) => a.start - b.start);
    return { records, wholeCount: this.wholes.length };
  }
}

function splitLock(lock: RecordLock, at: number): RecordLock {
  const upper = { ...lock, start: at };
  lock.end = at;
  return upper;
}

function sameType(left: RecordLock, right: RecordLock): boolean {
  return left.type === right.type;
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
