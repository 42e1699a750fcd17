/** epoll instances: triggers, keys, ends of files, nesting, fairness. */
import { expect, test } from 'vitest';
import { EEXIST, EINVAL, ELOOP, ENOENT } from '../../../spec/linux/errno.ts';
import {
  EPOLLET,
  EPOLLEXCLUSIVE,
  EPOLLHUP,
  EPOLLIN,
  EPOLLONESHOT,
  EPOLLOUT,
  POLLHUP,
  POLLIN,
  POLLRDNORM,
} from '../../../spec/linux/poll.ts';
import { Waiter, WaitQueue } from '../../base/wait_queue.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import { OpenFile } from '../../vfs/open_file.ts';
import { fakeClock } from '../../vfs/operations/fake_files.ts';
import { anonPath } from '../anon/anon_inode.ts';
import { EpollFile } from './epoll.ts';

const kernel = { clock: fakeClock() } as unknown as Kernel;

/** A file whose events the test sets. */
class FakeFile extends OpenFile {
  private readonly queue = new WaitQueue();
  private events = 0;

  constructor() {
    const path = anonPath(kernel, 'fake');
    super(path, path.mount.fs.root, 2);
  }
  override get waitQueue(): WaitQueue {
    return this.queue;
  }
  override poll(): number {
    return this.events;
  }
  set(events: number): void {
    this.events = events;
    this.queue.notify(events);
  }
  get watched(): boolean {
    return !this.queue.empty;
  }
}

const interest = (events: number, tag = 0) => ({ events, dataLo: tag, dataHi: 0 });

/** Tags of the ready items, in order. */
function ready(e: EpollFile, max = 100): number[] {
  const tags: number[] = [];
  const n = e.collect(max, (item, events) => {
    expect(events).not.toBe(0);
    tags.push(item.interest.dataLo);
    return true;
  });
  expect(n).toBe(tags.length);
  return tags;
}

test('level, edge and one-shot', () => {
  const e = new EpollFile(kernel);
  const [level, edge, once] = [new FakeFile(), new FakeFile(), new FakeFile()];
  expect(e.add(level, 3, interest(EPOLLIN, 1))).toBe(0);
  expect(e.add(edge, 4, interest(EPOLLIN | EPOLLET, 2))).toBe(0);
  expect(e.add(once, 5, interest(EPOLLIN | EPOLLONESHOT, 3))).toBe(0);
  expect(ready(e)).toEqual([]);
  for (const f of [level, edge, once]) f.set(POLLIN | POLLRDNORM);
  expect(ready(e)).toEqual([1, 2, 3]);
  expect(ready(e)).toEqual([1]);
  // Another event without the file having been read.
  edge.set(POLLIN);
  once.set(POLLIN);
  expect(ready(e)).toEqual([1, 2]);
  level.set(0);
  expect(ready(e)).toEqual([]);
  expect(e.modify(once, 5, interest(EPOLLIN | EPOLLONESHOT, 4))).toBe(0);
  expect(ready(e)).toEqual([4]);
  once.set(POLLHUP);
  expect(ready(e)).toEqual([]);
});

test('hang-ups are told without being asked for', () => {
  const e = new EpollFile(kernel);
  const f = new FakeFile();
  e.add(f, 3, interest(EPOLLOUT));
  f.set(POLLIN);
  expect(e.poll()).toBe(0);
  f.set(POLLHUP);
  expect(e.collect(1, (_item, events) => events === EPOLLHUP)).toBe(1);
});

test('file and descriptor together are the key; the end of the file ends both', () => {
  const e = new EpollFile(kernel);
  const f = new FakeFile();
  expect(e.add(f, 3, interest(EPOLLIN, 1))).toBe(0);
  expect(e.add(f, 3, interest(EPOLLIN, 1))).toBe(-EEXIST);
  expect(e.add(f, 9, interest(EPOLLIN, 2))).toBe(0);
  expect(e.modify(f, 5, interest(0))).toBe(-ENOENT);
  expect(e.delete(f, 5)).toBe(-ENOENT);
  f.set(POLLIN);
  expect(ready(e)).toEqual([1, 2]);
  f.acquire();
  f.close();
  expect(ready(e)).toEqual([1, 2]);
  expect(e.delete(f, 3)).toBe(0);
  f.close();
  expect(ready(e)).toEqual([]);
  expect(f.watched).toBe(false);
});

test('closing the instance leaves the files alone', () => {
  const e = new EpollFile(kernel);
  const f = new FakeFile();
  e.add(f, 3, interest(EPOLLIN));
  e.close();
  expect(f.watched).toBe(false);
  expect(f.releaseListeners?.size).toBe(0);
  f.close();
});

test('everybody gets a turn', () => {
  const e = new EpollFile(kernel);
  const files = [1, 2, 3, 4, 5].map((tag) => {
    const f = new FakeFile();
    e.add(f, tag, interest(EPOLLIN, tag));
    f.set(POLLIN);
    return f;
  });
  expect(ready(e, 2)).toEqual([1, 2]);
  expect(ready(e, 2)).toEqual([3, 4]);
  expect(ready(e, 2)).toEqual([5, 1]);
  files[2]?.set(0);
  expect(ready(e)).toEqual([2, 4, 5, 1]);
  // What cannot be stored is not lost.
  expect(e.collect(9, () => false)).toBe(0);
  expect(ready(e)).toEqual([2, 4, 5, 1]);
});

test('an instance in an instance', () => {
  const [outer, inner] = [new EpollFile(kernel), new EpollFile(kernel)];
  const f = new FakeFile();
  outer.add(inner, 3, interest(EPOLLIN | EPOLLET, 7));
  let wakes = 0;
  outer.waitQueue.add(new Waiter(POLLIN, () => wakes++));
  inner.add(f, 4, interest(EPOLLIN, 8));
  f.set(POLLIN);
  expect(wakes).toBe(1);
  expect(ready(outer)).toEqual([7]);
  expect(ready(outer)).toEqual([]);
  f.set(POLLIN);
  expect(ready(outer)).toEqual([7]);
  expect(ready(inner)).toEqual([8]);
  inner.close();
  f.set(POLLIN);
  expect(ready(outer)).toEqual([]);
});

test('circles and deep nests are refused', () => {
  const e = [0, 1, 2, 3, 4, 5].map(() => new EpollFile(kernel));
  const add = (outer: number, inner: number): number =>
    (e[outer] as EpollFile).add(e[inner] as EpollFile, inner, interest(EPOLLIN));
  expect(add(0, 1)).toBe(0);
  expect(add(1, 2)).toBe(0);
  expect(add(2, 0)).toBe(-ELOOP);
  expect(add(1, 0)).toBe(-ELOOP);
  expect(add(3, 4)).toBe(0);
  expect(add(2, 3)).toBe(0);
  expect(add(4, 5)).toBe(-ELOOP);
  expect(add(5, 0)).toBe(-ELOOP);
});

test('what multiplies by nesting is refused, soon', () => {
  const layers = [0, 1, 2, 3].map(() => Array.from({ length: 60 }, () => new EpollFile(kernel)));
  const f = new FakeFile();
  const results = new Set<number>();
  const began = performance.now();
  // Each instance of a layer holds all of the layer below: 60 ** 4 ways from the file.
  for (const inner of layers[0]!) results.add(inner.add(f, 1, interest(EPOLLIN)));
  for (let n = 1; n < layers.length; n++) {
    for (const outer of layers[n]!) {
      for (const [i, inner] of layers[n - 1]!.entries()) {
        results.add(outer.add(inner, i, interest(EPOLLIN)));
      }
    }
  }
  expect(performance.now() - began).toBeLessThan(10_000);
  expect([...results].sort()).toEqual([-EINVAL, 0]);
  let wakes = 0;
  for (const outer of layers.flat()) outer.waitQueue.add(new Waiter(POLLIN, () => wakes++));
  f.set(POLLIN);
  expect(wakes).toBeLessThan(60 * 12);
});

test('one instance many times over in another counts as often', () => {
  const [outer, inner, f] = [new EpollFile(kernel), new EpollFile(kernel), new FakeFile()];
  inner.add(f, 1, interest(EPOLLIN));
  for (let fd = 0; fd < 500; fd++) expect(outer.add(inner, fd, interest(EPOLLIN))).toBe(0);
  expect(outer.add(inner, 500, interest(EPOLLIN))).toBe(-EINVAL);
  expect(outer.delete(inner, 500)).toBe(-ENOENT);
  expect(inner.add(new FakeFile(), 2, interest(EPOLLIN))).toBe(0);
  // Directly there may be any number.
  const g = new FakeFile();
  for (let i = 0; i < 2000; i++) expect(new EpollFile(kernel).add(g, 1, interest(EPOLLIN))).toBe(0);
});

test('EPOLLEXCLUSIVE: few companions, no changes', () => {
  const e = new EpollFile(kernel);
  const f = new FakeFile();
  expect(e.add(f, 1, interest(EPOLLEXCLUSIVE | EPOLLONESHOT))).toBe(-EINVAL);
  expect(e.add(new EpollFile(kernel), 1, interest(EPOLLEXCLUSIVE))).toBe(-EINVAL);
  expect(e.add(f, 1, interest(EPOLLEXCLUSIVE | EPOLLIN | EPOLLET))).toBe(0);
  expect(e.modify(f, 1, interest(EPOLLIN))).toBe(-EINVAL);
});
