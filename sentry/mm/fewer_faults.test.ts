/** What is mapped late and what is copied early: deferred.ts, write_history.ts, copy_on_write.ts. */
import { expect, test } from 'vitest';
import {
  MAP_ANONYMOUS,
  MAP_DENYWRITE,
  MAP_FIXED,
  MAP_PRIVATE,
  PAGE_SIZE,
  PROT_EXEC,
  PROT_READ,
  PROT_WRITE,
} from '../../spec/linux/mman.ts';
import type { Context } from '../platform/platform.ts';
import { difference, FakeFile, FakeHost, fakeSpace, load, store } from './fake_space.ts';
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
