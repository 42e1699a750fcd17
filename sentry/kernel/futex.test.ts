/**
 * Threads that see the counts of waiters may change a word and then ask nobody to wake: whatever they
 * do at the moment of counting, no waiter may be left that they did not see.
 */
import { describe, expect, test } from 'vitest';
import { EAGAIN } from '../../spec/linux/errno.ts';
import {
  MAP_ANONYMOUS,
  MAP_PRIVATE,
  PAGE_SIZE,
  PROT_READ,
  PROT_WRITE,
} from '../../spec/linux/mman.ts';
import { FakeHost } from '../mm/fake_space.ts';
import { FutexTable, FutexWaiter, futexRequeue, futexWait } from './futex.ts';
import { BLOCKED } from './syscall_table.ts';
import type { Task } from './task.ts';

const BITS = 0xffffffff;

/** A task that would sleep, a word and another, and who sleeps where by the counts. */
function setUp() {
  const mm = new FakeHost(64 * PAGE_SIZE).newManager();
  const flags = MAP_PRIVATE | MAP_ANONYMOUS;
  const prot = PROT_READ | PROT_WRITE;
  const word = mm.mmap({ addr: 0, length: PAGE_SIZE, prot, flags, file: null, offset: 0 });
  const other = word + 64;
  const counts = new Map<number, number>();
  const state = { onCount: (_addr: number) => {} };
  mm.space.countWaiter = (addr, change) => {
    counts.set(addr, (counts.get(addr) ?? 0) + change);
    if (change > 0) state.onCount(addr);
  };
  const futexes = new FutexTable();
  const kernel = { futexes, ready: () => undefined };
  const task = { mm, kernel, sleep: () => BLOCKED } as unknown as Task;
  const wait = () => futexWait(task, word, true, 0, BITS, Number.POSITIVE_INFINITY, () => 0);
  const counted = () => [counts.get(word) ?? 0, counts.get(other) ?? 0];
  return { mm, task, futexes, word, other, state, wait, counted };
}

describe('counts of waiters', () => {
  test('tell of everybody who sleeps', () => {
    const { mm, futexes, word, wait, counted } = setUp();
    expect(wait()).toBe(BLOCKED);
    expect(counted()).toEqual([1, 0]);
    const key = mm.futexKey(word, true);
    if (typeof key === 'number') throw new Error(`${key}`);
    expect(futexes.wake(key, 1)).toBe(1);
    expect(counted()).toEqual([0, 0]);
  });

  test('come before the last look at the word', () => {
    const { mm, word, state, wait, counted, futexes, task } = setUp();
    state.onCount = () => void mm.writeU32(word, 1);
    expect(wait()).toBe(-EAGAIN);
    expect(counted()).toEqual([0, 0]);
    mm.writeU32(word, 0);
    state.onCount = () => undefined;
    expect(wait()).toBe(BLOCKED);
    futexes.forget(task);
    expect(counted()).toEqual([0, 0]);
  });

  test('come before a requeue looks at the word', () => {
    const { mm, task, futexes, word, other, state, counted } = setUp();
    const key = mm.futexKey(word, true);
    if (typeof key === 'number') throw new Error(`${key}`);
    const waiters = [0, 1, 2].map(() => new FutexWaiter({ ...task } as Task, word, BITS, false));
    for (const waiter of waiters) futexes.add(key, waiter);
    state.onCount = (addr) => void (addr === other && mm.writeU32(word, 1));
    const requeue = () => futexRequeue(task, word, other, true, 1, 10, 0);
    expect(requeue()).toBe(-EAGAIN);
    expect(counted()).toEqual([3, 0]);
    state.onCount = () => undefined;
    mm.writeU32(word, 0);
    expect(requeue()).toBe(3);
    expect(counted()).toEqual([0, 2]);
    for (const waiter of waiters) futexes.remove(waiter);
    expect(counted()).toEqual([0, 0]);
  });
});
