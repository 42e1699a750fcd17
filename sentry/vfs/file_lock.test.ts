/** Record locks, flock and deadlocks. */
import { describe, expect, test } from 'vitest';
import { EAGAIN, ENOLCK } from '../../spec/linux/errno.ts';
import { F_RDLCK, F_UNLCK, F_WRLCK } from '../../spec/linux/fcntl.ts';
import { POLLOUT } from '../../spec/linux/poll.ts';
import { Waiter } from '../base/wait_queue.ts';
import { FileLocks, type LockOwner, type RecordLock, wouldDeadlock } from './file_lock.ts';

const A: LockOwner = {};
const B: LockOwner = {};

function range(owner: LockOwner, type: number, start: number, end: number): RecordLock {
  return { owner, type, start, end, pid: owner === A ? 1 : 2 };
}

function shape(locks: FileLocks): string[] {
  const name = (o: LockOwner): string => (o === A ? 'A' : 'B');
  return locks.held.records.map((l) => `${name(l.owner)}${l.type} ${l.start}-${l.end}`);
}

describe('byte ranges', () => {
  test('readers share, writers exclude', () => {
    const locks = new FileLocks();
    expect(locks.set(range(A, F_RDLCK, 0, 10))).toBe(0);
    expect(locks.set(range(B, F_RDLCK, 5, 15))).toBe(0);
    expect(locks.set(range(B, F_WRLCK, 10, 20))).toBe(0);
    expect(locks.set(range(B, F_WRLCK, 9, 20))).toBe(-EAGAIN);
    expect(locks.conflict(range(B, F_WRLCK, 0, 3))?.pid).toBe(1);
  });

  test('a full table can be emptied', () => {
    const locks = new FileLocks();
    const began = performance.now();
    for (let i = 0; i < 65536; i++) locks.set(range(A, F_WRLCK, 2 * i, 2 * i + 1));
    // One operation costs what it changes, not what is there: all of them took a minute before.
    expect(performance.now() - began).toBeLessThan(5000);
    expect(locks.held.records.length).toBe(65536);
    expect(locks.conflict(range(B, F_RDLCK, 131_070, 131_071))?.start).toBe(131_070);
    expect(locks.conflict(range(B, F_RDLCK, 131_071, Infinity))).toBe(null);
    expect(locks.set(range(A, F_WRLCK, 200_000, 200_001))).toBe(-ENOLCK);
    expect(locks.set(range(A, F_UNLCK, 0, 1))).toBe(0);
    expect(locks.set(range(A, F_UNLCK, 0, Infinity))).toBe(0);
    expect(locks.held.records).toEqual([]);
  });

  test('an owner splits, joins and changes its own', () => {
    const locks = new FileLocks();
    locks.set(range(A, F_WRLCK, 0, 100));
    locks.set(range(A, F_UNLCK, 40, 60));
    expect(shape(locks)).toEqual(['A1 0-40', 'A1 60-100']);
    locks.set(range(A, F_RDLCK, 30, 70));
    expect(shape(locks)).toEqual(['A1 0-30', 'A0 30-70', 'A1 70-100']);
    locks.set(range(A, F_WRLCK, 30, 70));
    expect(shape(locks)).toEqual(['A1 0-100']);
    locks.set(range(A, F_UNLCK, 0, Infinity));
    expect(shape(locks)).toEqual([]);
  });

  test('any order of changes agrees with one byte at a time', () => {
    const owners = [A, B];
    const locks = new FileLocks();
    const bytes = owners.map(() => new Array<number>(24).fill(F_UNLCK));
    let seed = 5;
    const random = (n: number): number => {
      seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
      return Math.floor((seed / 2 ** 32) * n);
    };
    for (let round = 0; round < 5000; round++) {
      const [who, type, start] = [random(2), random(3), random(20)];
      const end = start + 1 + random(4);
      const own = bytes[who]!;
      const others = bytes[1 - who]!.slice(start, end);
      const blocked =
        type !== F_UNLCK &&
        others.some((held) => held === F_WRLCK || (held === F_RDLCK && type === F_WRLCK));
      expect(locks.set(range(owners[who]!, type, start, end))).toBe(blocked ? -EAGAIN : 0);
      if (!blocked) own.fill(type, start, end);
      const held = bytes.flatMap((b, i) => {
        const runs: string[] = [];
        for (let at = 0; at < b.length; at++) {
          if (b[at] === F_UNLCK) continue;
          const first = at;
          while (b[at + 1] === b[first]) at++;
          runs.push(`${'AB'[i]}${b[first]} ${first}-${at + 1}`);
        }
        return runs;
      });
      expect(shape(locks).sort()).toEqual(held.sort());
    }
  });

  test('releasing wakes waiters', () => {
    const locks = new FileLocks();
    let woken = 0;
    locks.queue.add(new Waiter(POLLOUT, () => woken++));
    locks.set(range(A, F_WRLCK, 0, 10));
    expect(woken).toBe(0);
    locks.set(range(A, F_RDLCK, 0, 10));
    expect(woken).toBe(1);
    locks.releaseOwner(A);
    expect(woken).toBe(2);
    expect(locks.set(range(B, F_WRLCK, 0, 1))).toBe(0);
  });
});

test('whole-file locks convert by giving up the old one', () => {
  const locks = new FileLocks();
  expect(locks.setWhole(A, false)).toBe(0);
  expect(locks.setWhole(B, false)).toBe(0);
  expect(locks.setWhole(A, true)).toBe(-EAGAIN);
  // A lost its shared lock by asking for more.
  expect(locks.setWhole(B, true)).toBe(0);
  locks.unlockWhole(B);
  expect(locks.setWhole(A, true)).toBe(0);
});

test('a circle of waiters is seen', () => {
  const c: LockOwner = {};
  A.lockWait = B;
  B.lockWait = c;
  expect(wouldDeadlock(c, A)).toBe(true);
  expect(wouldDeadlock({}, A)).toBe(false);
  A.lockWait = null;
  B.lockWait = null;
});
