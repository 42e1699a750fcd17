/** What is mapped late and what is copied early: deferred.ts, touch_history.ts, write_history.ts, copy_on_write.ts. */
import { expect, test } from 'vitest';
import {
  MAP_ANONYMOUS,
  MAP_DENYWRITE,
  MAP_FIXED,
  MAP_PRIVATE,
  PAGE_SIZE,
  PROT_EXEC,
  PROT_NONE,
  PROT_READ,
  PROT_WRITE,
} from '../../spec/linux/mman.ts';
import type { Context } from '../platform/platform.ts';
import { difference, FakeFile, FakeHost, fakeSpace, load, store } from './fake_space.ts';
import { FAULT_ACCERR, FAULT_MAPERR } from './fault.ts';
import type { MemoryManager } from './memory_manager.ts';

const RW = PROT_READ | PROT_WRITE;
const LIBRARY_PAGES = 40;

function library(host: FakeHost): FakeFile {
  const bytes = new Uint8Array(LIBRARY_PAGES * PAGE_SIZE);
  const view = new DataView(bytes.buffer);
  for (let page = 0; page < LIBRARY_PAGES; page++) view.setUint32(page * PAGE_SIZE, page, true);
  return new FakeFile(host, 7, bytes);
}

/** As a dynamic linker does: all of it, then text and data over that. Returns its address. */
function mapLibrary(mm: MemoryManager, file: FakeFile): number {
  const part = (addr: number, page: number, pages: number, prot: number, fixed: number): number =>
    mm.mmap({
      addr,
      length: pages * PAGE_SIZE,
      prot,
      flags: MAP_PRIVATE | MAP_DENYWRITE | fixed,
      file,
      offset: page * PAGE_SIZE,
    });
  const at = part(0, 0, LIBRARY_PAGES, PROT_READ, 0);
  part(at + 8 * PAGE_SIZE, 8, 16, PROT_READ | PROT_EXEC, MAP_FIXED);
  return at;
}

function fork(mm: MemoryManager): MemoryManager {
  const forked = mm.fork(null as unknown as Context);
  if (typeof forked === 'number') throw new Error(`fork: ${forked}`);
  return forked.mm;
}

test('text is mapped at the first touch, all of it at once', () => {
  const host = new FakeHost(2 ** 24);
  const mm = host.newManager();
  const at = mapLibrary(mm, library(host));
  expect(fakeSpace(mm).pages.size).toBe(0);
  expect(mm.readU32(at + 9 * PAGE_SIZE)).toBe(9);
  expect(load(host, mm, at + 30 * PAGE_SIZE)).toBe(30);
  expect(fakeSpace(mm).pages.size).toBe(LIBRARY_PAGES);
  expect(difference(mm)).toBe('');
});

test('a change that cannot wait takes along what waits', () => {
  const host = new FakeHost(2 ** 24);
  const mm = host.newManager();
  const file = library(host);
  const at = mapLibrary(mm, file);
  expect(mm.munmap(at + 32 * PAGE_SIZE, 4 * PAGE_SIZE)).toBe(0);
  expect(mm.mprotect(at, PAGE_SIZE, PROT_READ)).toBe(0);
  expect(fakeSpace(mm).pages.size).toBe(LIBRARY_PAGES - 4);
  const again = mapLibrary(mm, file);
  const child = fork(mm);
  expect(load(host, child, again + 8 * PAGE_SIZE)).toBe(8);
  expect(difference(mm)).toBe('');
  expect(difference(child)).toBe('');
});

test('data of a program is its own when it is mapped', () => {
  const host = new FakeHost(2 ** 24);
  const mm = host.newManager();
  const file = library(host);
  const flags = MAP_PRIVATE | MAP_DENYWRITE;
  const length = 4 * PAGE_SIZE;
  const at = mm.mmap({ addr: 0, length, prot: RW, flags, file, offset: 36 * PAGE_SIZE });
  const { flushes } = fakeSpace(mm);
  expect(store(host, mm, at + PAGE_SIZE, 99)).toBe(0);
  expect(fakeSpace(mm).flushes).toBe(flushes);
  expect(load(host, mm, at)).toBe(36);
  expect(load(host, mm, at + PAGE_SIZE)).toBe(99);
  expect(file.bytes[37 * PAGE_SIZE]).toBe(37);
  mm.release();
  expect(host.memory.reservedBytes).toBe(0);
});

test('pages written around one fork do not fault after the next', () => {
  const host = new FakeHost(2 ** 24);
  const mm = host.newManager();
  const flags = MAP_PRIVATE | MAP_ANONYMOUS;
  const at = mm.mmap({ addr: 0, length: 2 ** 20, prot: RW, flags, file: null, offset: 0 });
  const word = at + 100 * PAGE_SIZE;
  store(host, mm, word, 1);
  const first = fork(mm);
  store(host, mm, word, 2);
  store(host, first, word, 3);
  first.release();
  const child = fork(mm);
  const before = fakeSpace(mm).flushes + fakeSpace(child).flushes;
  expect(store(host, mm, word, 4)).toBe(0);
  expect(load(host, child, word)).toBe(2);
  expect(store(host, child, word, 5)).toBe(0);
  expect(load(host, mm, word)).toBe(4);
  expect(fakeSpace(mm).flushes + fakeSpace(child).flushes).toBe(before);
  // What lies beside the window is shared as ever.
  expect(store(host, child, at, 6)).toBe(0);
  expect(load(host, mm, at)).toBe(0);
  expect(difference(mm)).toBe('');
  expect(difference(child)).toBe('');
  child.release();
  mm.release();
  expect(host.memory.reservedBytes).toBe(0);
});

test('what children write is theirs from the fork on, though the parent does not write it', () => {
  const host = new FakeHost(2 ** 24);
  const mm = host.newManager();
  const flags = MAP_PRIVATE | MAP_ANONYMOUS;
  const at = mm.mmap({ addr: 0, length: 2 ** 20, prot: RW, flags, file: null, offset: 0 });
  const word = at + 100 * PAGE_SIZE;
  store(host, mm, word, 1);
  const first = fork(mm);
  store(host, first, word, 3);
  first.release();
  for (let i = 0; i < 3; i++) {
    const child = fork(mm);
    const { flushes } = fakeSpace(child);
    expect(store(host, child, word, 5)).toBe(0);
    expect(fakeSpace(child).flushes).toBe(flushes);
    expect(load(host, mm, word)).toBe(1);
    expect(difference(mm)).toBe('');
    expect(difference(child)).toBe('');
    child.release();
  }
  expect(store(host, mm, word, 2)).toBe(0);
  mm.release();
  expect(host.memory.reservedBytes).toBe(0);
});

/** Forks until children get only what earlier ones have touched. `each` is what those do. */
function forkOften(mm: MemoryManager, each: (child: MemoryManager) => void): void {
  for (let i = 0; i < 20; i++) {
    const child = fork(mm);
    each(child);
    expect(difference(child)).toBe('');
    child.release();
  }
}

/** A child in whose space the host has copied nothing. */
function forkEmpty(mm: MemoryManager): MemoryManager {
  const child = fork(mm);
  if (child.deferred.items.length > 0) return child;
  child.release();
  return fork(mm);
}

function mapOf(mm: MemoryManager, pages: number, prot: number, file: FakeFile | null): number {
  const flags = MAP_PRIVATE | (file === null ? MAP_ANONYMOUS : 0);
  return mm.mmap({ addr: 0, length: pages * PAGE_SIZE, prot, flags, file, offset: 0 });
}

test('a child gets what no child has touched when it does, and the next one at once', () => {
  const host = new FakeHost(2 ** 24);
  const mm = host.newManager();
  mm.space.owner = 'somebody';
  const [used, unused] = [library(host), library(host)];
  const text = mapOf(mm, 4, PROT_READ, used);
  const constants = mapOf(mm, 4, PROT_READ, unused);
  const data = mapOf(mm, 64, RW, null);
  store(host, mm, data + 8 * PAGE_SIZE, 8);
  forkOften(mm, (child) => expect(load(host, child, text)).toBe(0));
  const child = forkEmpty(mm);
  expect(fakeSpace(child).pages.size).toBe(4);
  const { flushes } = fakeSpace(child);
  expect(load(host, child, text + PAGE_SIZE)).toBe(1);
  expect(fakeSpace(child).flushes).toBe(flushes);
  expect(load(host, child, constants + 3 * PAGE_SIZE)).toBe(3);
  expect(load(host, child, constants)).toBe(0);
  expect(fakeSpace(child).flushes).toBe(flushes + 1);
  // Who writes where nothing is mapped gets it all in one fault.
  expect(store(host, child, data + 8 * PAGE_SIZE, 9)).toBe(0);
  expect(fakeSpace(child).flushes).toBe(flushes + 2);
  expect(load(host, child, data + 40 * PAGE_SIZE)).toBe(0);
  expect(load(host, mm, data + 8 * PAGE_SIZE)).toBe(8);
  expect(difference(child)).toBe('');
  child.release();
  const next = forkEmpty(mm);
  expect(fakeSpace(next).pages.get(constants)).toBeDefined();
  next.release();
  mm.release();
  expect(host.memory.reservedBytes).toBe(0);
});

test('the first children get everything, and those of whom many touch much', () => {
  const host = new FakeHost(2 ** 24);
  const mm = host.newManager();
  mm.space.owner = 'somebody';
  const file = library(host);
  const at = Array.from({ length: 80 }, () => mapOf(mm, 1, PROT_READ, file));
  for (let i = 0; i < 7; i++) {
    const child = fork(mm);
    expect(fakeSpace(child).pages.size).toBe(80);
    child.release();
  }
  forkOften(mm, (child) => {
    for (const addr of at) expect(load(host, child, addr)).toBe(0);
  });
  for (let i = 0; i < 2; i++) {
    const child = fork(mm);
    expect(fakeSpace(child).pages.size).toBe(80);
    child.release();
  }
});

test('what a child has not touched stays out of its other mappings, until they change it', () => {
  const host = new FakeHost(2 ** 24);
  const mm = host.newManager();
  mm.space.owner = 'somebody';
  const at = mapOf(mm, LIBRARY_PAGES, PROT_READ, library(host));
  forkOften(mm, () => {});
  const child = forkEmpty(mm);
  // A library of its own waits, and is mapped with the next that cannot wait: only that.
  const own = mapLibrary(child, library(host));
  expect(fakeSpace(child).pages.size).toBe(0);
  mapOf(child, 1, RW, null);
  expect(fakeSpace(child).pages.size).toBe(LIBRARY_PAGES + 1);
  expect(child.readU32(at + 2 * PAGE_SIZE)).toBe(2);
  expect(child.munmap(at + 4 * PAGE_SIZE, 4 * PAGE_SIZE)).toBe(0);
  expect(fakeSpace(child).pages.get(at)).toBeUndefined();
  expect(difference(child)).toBe('');
  const grandchild = fork(child);
  expect(load(host, grandchild, at + 3 * PAGE_SIZE)).toBe(3);
  expect(load(host, grandchild, at + 5 * PAGE_SIZE)).toBe(-FAULT_MAPERR);
  expect(load(host, grandchild, own + PAGE_SIZE)).toBe(1);
  expect(child.mprotect(at, 2 * PAGE_SIZE, PROT_NONE)).toBe(0);
  expect(load(host, child, at)).toBe(-FAULT_ACCERR);
  expect(load(host, child, at + 3 * PAGE_SIZE)).toBe(3);
  expect(difference(child)).toBe('');
  expect(difference(grandchild)).toBe('');
});
