/**
 * Advisory locks on one inode: byte ranges (POSIX and open-file-description locks, fcntl(2)) and whole
 * files (flock(2)). Linux's counterpart is fs/locks.c.
 *
 * The two kinds do not see each other. POSIX and OFD locks share one space and differ only in their
 * owner: the descriptor table, or the open file. Nothing here sleeps: a conflict is -EAGAIN, and `queue`
 * tells when something was released.
 */
import { EAGAIN, ENOLCK } from '../../spec/linux/errno.ts';
import { F_RDLCK, F_UNLCK, F_WRLCK } from '../../spec/linux/fcntl.ts';
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
  private ranges: RecordLock[] = [];
  private wholes: WholeLock[] = [];

  /** The first lock that stands in the way of `lock`, or null. */
  conflict(lock: RecordLock): RecordLock | null {
    for (const held of this.ranges) {
      if (held.owner === lock.owner) continue;
      if (held.end <= lock.start || held.start >= lock.end) continue;
      if (held.type === F_WRLCK || lock.type === F_WRLCK) return held;
    }
    return null;
  }

  /** Sets, changes or (F_UNLCK) removes a range. 0, -EAGAIN on a conflict, -ENOLCK. */
  set(lock: RecordLock): number {
    if (lock.type !== F_UNLCK && this.conflict(lock) !== null) return -EAGAIN;
    // Unlocking may split a range, but only so often.
    const most = lock.type === F_UNLCK ? 2 * MAX_RANGES : MAX_RANGES;
    if (this.ranges.length >= most) return -ENOLCK;
    const weakened = this.clear(lock);
    if (lock.type !== F_UNLCK) this.insert(lock);
    if (weakened) this.queue.notify(POLLOUT);
    return 0;
  }

  /** Cuts [lock.start, lock.end) out of the owner's ranges. True when that may let others in. */
  private clear(lock: RecordLock): boolean {
    const kept: RecordLock[] = [];
    let weakened = false;
    for (const held of this.ranges) {
      if (held.owner !== lock.owner || held.end <= lock.start || held.start >= lock.end) {
        kept.push(held);
        continue;
      }
      if (lock.type === F_UNLCK || (lock.type === F_RDLCK && held.type === F_WRLCK))
        weakened = true;
      if (held.start < lock.start) kept.push({ ...held, end: lock.start });
      if (held.end > lock.end) kept.push({ ...held, start: lock.end });
    }
    this.ranges = kept;
    return weakened;
  }

  /** Adds a range that overlaps none of its owner's, joining those that touch it. */
  private insert(lock: RecordLock): void {
    const added = { ...lock };
    this.ranges = this.ranges.filter((held) => {
      if (held.owner !== added.owner || held.type !== added.type) return true;
      if (held.end !== added.start && held.start !== added.end) return true;
      added.start = Math.min(added.start, held.start);
      added.end = Math.max(added.end, held.end);
      return false;
    });
    this.ranges.push(added);
    this.ranges.sort((a, b) => a.start - b.start);
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
    const left = this.ranges.filter((l) => l.owner !== owner);
    const changed = left.length !== this.ranges.length;
    this.ranges = left;
    this.unlockWhole(owner);
    if (changed) this.queue.notify(POLLOUT);
  }

  /** Everything held, for /proc/locks. */
  get held(): { readonly records: readonly RecordLock[]; readonly wholeCount: number } {
    return { records: this.ranges, wholeCount: this.wholes.length };
  }
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
