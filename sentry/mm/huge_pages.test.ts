/** Which memory is of huge pages, and what becomes of it: mapping.ts, copy_on_write.ts, madvise.ts. */
import { expect, test } from 'vitest';
import {
  MADV_DONTNEED,
  MADV_HUGEPAGE,
  MADV_NOHUGEPAGE,
  MAP_ANONYMOUS,
  MAP_FIXED,
  MAP_NORESERVE,
  MAP_PRIVATE,
  MAP_SHARED,
  MAP_STACK,
  MREMAP_MAYMOVE,
  PAGE_SIZE,
  PROT_NONE,
  PROT_READ,
  PROT_WRITE,
} from '../../spec/linux/mman.ts';
import type { Context } from '../platform/platform.ts';
import { difference, FakeHost, load, store } from './fake_space.ts';
import type { MemoryManager } from './memory_manager.ts';
import { HUGE_PAGE_BYTES, hugePageCeil, hugePageFloor } from './page.ts';

const RW = PROT_READ | PROT_WRITE;
const MB = 2 ** 20;
const LENGTH = 12 * MB;

function newHost(hugeBytes = 48 * MB): FakeHost {
  return new FakeHost(128 * MB, hugeBytes);
}

function map(mm: MemoryManager, flags = 0, prot = RW, addr = 0, length = LENGTH): number {
  const kind = flags & MAP_SHARED ? MAP_ANONYMOUS : MAP_PRIVATE | MAP_ANONYMOUS;
  return mm.mmap({ addr, length, prot, flags: kind | flags, file: null, offset: 0 });
}

/** Bytes of huge pages in [start, end). */
function hugeBytes(mm: MemoryManager, start: number, end: number): number {
  let bytes = 0;
  for (const pma of mm.pmas.items) {
    const from = Math.max(pma.start, start);
    const to = Math.min(pma.end, end);
    if (from < to && pma.fd < 0 && mm.memory.isHuge(pma.offset)) bytes += to - from;
  }
  return bytes;
}

function fork(mm: MemoryManager): MemoryManager {
  const forked = mm.fork(null as unknown as Context);
  if (typeof forked === 'number') throw new Error(`fork: ${forked}`);
  return forked.mm;
}

test('the middle of a large mapping is of huge pages, mapped as such', () => {
  const host = newHost();
  const mm = host.newManager();
  const at = map(mm, MAP_FIXED, RW, 0x10000000 + 5 * PAGE_SIZE);
  expect(hugeBytes(mm, at, at + LENGTH)).toBe(LENGTH - HUGE_PAGE_BYTES);
  const middle = mm.pmas.find(hugePageCeil(at))!;
  expect(middle.start).toBe(hugePageCeil(at));
  expect(middle.end).toBe(hugePageFloor(at + LENGTH));
  expect(middle.offset % HUGE_PAGE_BYTES).toBe(0);
  for (let page = at; page < at + LENGTH; page += 64 * PAGE_SIZE) store(host, mm, page, page);
  for (let page = at; page < at + LENGTH; page += 64 * PAGE_SIZE) {
    expect(mm.readU32(page)).toBe(page >>> 0);
  }
  expect(difference(mm)).toBe('');
  mm.release();
  expect(host.memory.reservedBytes).toBe(0);
});

test('memory that is likely to stay empty, small or shared is not', () => {
  const mm = newHost().newManager();
  for (const [flags, prot] of [
    [MAP_NORESERVE, RW],
    [MAP_STACK, RW],
    [MAP_SHARED, RW],
    [0, PROT_READ],
    [0, PROT_NONE],
  ] as const) {
    const at = map(mm, flags, prot);
    expect(hugeBytes(mm, at, at + LENGTH)).toBe(0);
    expect(mm.munmap(at, LENGTH)).toBe(0);
  }
  const small = map(mm, 0, RW, 0, 8 * MB - PAGE_SIZE);
  expect(hugeBytes(mm, small, small + 8 * MB)).toBe(0);
});

test('what goes beyond the share for huge pages gets others', () => {
  const host = newHost(16 * MB);
  const mm = host.newManager();
  const first = map(mm);
  const second = map(mm);
  expect(hugeBytes(mm, first, first + LENGTH)).toBeGreaterThan(0);
  expect(hugeBytes(mm, second, second + LENGTH)).toBe(0);
  mm.munmap(first, LENGTH);
  const third = map(mm);
  expect(hugeBytes(mm, third, third + LENGTH)).toBeGreaterThan(0);
  expect(difference(mm)).toBe('');
});

test('after fork who writes in order gets huge pages, who writes here and there does not', () => {
  const host = newHost(64 * MB);
  const mm = host.newManager();
  const at = hugePageCeil(0x10000000);
  map(mm, MAP_FIXED, RW, at);
  for (let page = at; page < at + LENGTH; page += PAGE_SIZE) store(host, mm, page, page);
  const scattered = fork(mm);
  const inOrder = fork(mm);
  for (let page = at; page < at + LENGTH; page += 2 * MB) store(host, scattered, page, 1);
  const before = host.memory.reservedBytes;
  for (let page = at; page < at + LENGTH; page += PAGE_SIZE) store(host, inOrder, page, ~page);
  expect(host.memory.reservedBytes).toBeGreaterThan(before);
  const copied = (child: MemoryManager) => {
    const own = child.pmas.items.filter((pma) => !pma.cow && child.memory.isHuge(pma.offset));
    return own.reduce((bytes, pma) => bytes + pma.end - pma.start, 0);
  };
  expect(copied(scattered)).toBe(0);
  expect(copied(inOrder)).toBe(LENGTH - HUGE_PAGE_BYTES);
  for (let page = at; page < at + LENGTH; page += PAGE_SIZE) {
    expect(mm.readU32(page)).toBe(page >>> 0);
    expect(load(host, inOrder, page)).toBe(~page >>> 0);
    const own = (page - at) % (2 * MB) === 0;
    expect(load(host, scattered, page)).toBe(own ? 1 : page >>> 0);
  }
  for (const one of [mm, scattered, inOrder]) {
    expect(difference(one)).toBe('');
    one.release();
  }
  expect(host.memory.reservedBytes).toBe(0);
});

test('advice against huge pages holds for what nobody has touched', () => {
  const host = newHost();
  const mm = host.newManager();
  const at = map(mm);
  store(host, mm, at + 4 * MB, 5);
  // The fake host holds pages for everything.
  expect(mm.madvise(at, LENGTH, MADV_NOHUGEPAGE)).toBe(0);
  expect(hugeBytes(mm, at, at + LENGTH)).toBeGreaterThan(0);
  expect(mm.readU32(at + 4 * MB)).toBe(5);
  expect(mm.munmap(at, LENGTH)).toBe(0);
  host.memory.committedBytes = () => 0;
  const empty = map(mm);
  expect(hugeBytes(mm, empty, empty + LENGTH)).toBeGreaterThan(0);
  expect(mm.madvise(empty, LENGTH, MADV_NOHUGEPAGE)).toBe(0);
  expect(hugeBytes(mm, empty, empty + LENGTH)).toBe(0);
  expect(mm.vmas.find(empty)!.flags).not.toBe(0);
  expect(mm.madvise(empty, LENGTH, MADV_HUGEPAGE)).toBe(0);
  expect(mm.vmas.find(empty)!.flags).toBe(0);
  expect(difference(mm)).toBe('');
});

test('pieces of huge pages are unmapped, emptied and moved like others', () => {
  const host = newHost();
  const mm = host.newManager();
  const at = map(mm);
  for (let page = at; page < at + LENGTH; page += PAGE_SIZE) store(host, mm, page, page);
  expect(mm.munmap(at + 5 * MB, 3 * PAGE_SIZE)).toBe(0);
  expect(mm.madvise(at + 6 * MB, PAGE_SIZE, MADV_DONTNEED)).toBe(0);
  expect(mm.readU32(at + 6 * MB)).toBe(0);
  expect(mm.readU32(at + 6 * MB + PAGE_SIZE)).toBe((at + 6 * MB + PAGE_SIZE) >>> 0);
  expect(mm.readU32(at + 6 * MB - PAGE_SIZE)).toBe((at + 6 * MB - PAGE_SIZE) >>> 0);
  const moved = mm.mremap(at, 5 * MB, 20 * MB, MREMAP_MAYMOVE, 0);
  expect(moved).toBeGreaterThan(0);
  expect(mm.readU32(moved + 4 * MB)).toBe((at + 4 * MB) >>> 0);
  expect(mm.readU32(moved + 19 * MB)).toBe(0);
  const filler = map(mm, 0, RW, 0, PAGE_SIZE);
  expect(hugeBytes(mm, filler, filler + PAGE_SIZE)).toBe(0);
  expect(difference(mm)).toBe('');
  mm.release();
  expect(host.memory.reservedBytes).toBe(0);
});
