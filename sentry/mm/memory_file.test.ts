/** The allocator against a page-array oracle. */
import { expect, test } from 'vitest';
import { ENOMEM } from '../../spec/linux/errno.ts';
import { PAGE_SIZE } from '../../spec/linux/mman.ts';
import { MemoryFile, Reservation } from './memory_file.ts';

const PAGES = 256;

function newFile(): MemoryFile {
  const bytes = new Uint8Array(PAGES * PAGE_SIZE);
  return new MemoryFile(3, bytes.buffer, {
    punch: (offset, length) => {
      bytes.fill(0, offset, offset + length);
      return 0;
    },
    nextData: (offset) => offset,
    nextHole: (offset) => offset + PAGE_SIZE,
  });
}

test('random allocations come zeroed and never overlap', () => {
  let state = 5;
  const pick = (below: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  const file = newFile();
  const refs = new Array<number>(PAGES).fill(0);
  for (let i = 0; i < 20_000; i++) {
    const kind = pick(8);
    const start = pick(PAGES);
    if (kind < 3) {
      const count = 1 + pick(24);
      const hint = pick(2) === 0 ? -1 : start * PAGE_SIZE;
      const offset = file.allocate(count * PAGE_SIZE, hint);
      if (offset < 0) {
        expect(offset).toBe(-ENOMEM);
        continue;
      }
      for (let page = offset / PAGE_SIZE; page < offset / PAGE_SIZE + count; page++) {
        expect(refs[page]).toBe(0);
        refs[page] = 1;
        expect(file.bytes[page * PAGE_SIZE]).toBe(0);
        file.bytes[page * PAGE_SIZE] = 1;
      }
      continue;
    }
    let end = start;
    while (end < PAGES && end < start + 16 && refs[end]! > 0) end++;
    if (end === start) continue;
    const length = (end - start) * PAGE_SIZE;
    const delta = kind === 3 ? 1 : -1;
    if (delta > 0) file.retain(start * PAGE_SIZE, length);
    else file.release(start * PAGE_SIZE, length);
    for (let page = start; page < end; page++) refs[page]! += delta;
    if (pick(10) === 0) file.reclaim();
    const unique = file.uniqueAround(start * PAGE_SIZE);
    expect(unique !== null).toBe(refs[start] === 1);
    const live = refs.filter((count) => count > 0).length;
    expect(file.reservedBytes).toBe(live * PAGE_SIZE);
  }
});

test('a reservation keeps pieces in a row', () => {
  const file = newFile();
  const reservation = new Reservation(8 * PAGE_SIZE);
  const first = reservation.take(file, PAGE_SIZE);
  for (let i = 1; i < 8; i++) {
    expect(reservation.take(file, PAGE_SIZE)).toBe(first + i * PAGE_SIZE);
  }
  expect(reservation.take(file, 3 * PAGE_SIZE)).toBe(first + 8 * PAGE_SIZE);
  reservation.drop(file);
  expect(file.reservedBytes).toBe(11 * PAGE_SIZE);
  expect(file.committedBytes(0, 3 * PAGE_SIZE)).toBe(3 * PAGE_SIZE);
});

test('small freed ranges serve again without the host, until the sandbox is idle', () => {
  let punched = 0;
  const bytes = new Uint8Array(PAGES * PAGE_SIZE);
  const file = new MemoryFile(3, bytes.buffer, {
    punch: (offset, length) => {
      punched += length / PAGE_SIZE;
      bytes.fill(0, offset, offset + length);
      return 0;
    },
    nextData: (offset) => offset,
    nextHole: (offset) => offset + PAGE_SIZE,
  });
  const first = file.allocate(16 * PAGE_SIZE);
  bytes.fill(7, first, first + 16 * PAGE_SIZE);
  file.release(first, 16 * PAGE_SIZE);
  const again = file.allocate(4 * PAGE_SIZE);
  expect(again).toBe(first);
  expect(bytes.subarray(again, again + 4 * PAGE_SIZE).every((byte) => byte === 0)).toBe(true);
  // What may never be touched gets no pages.
  expect(file.allocate(PAGE_SIZE, -1, false)).toBe(first + 16 * PAGE_SIZE);
  const large = file.allocate(17 * PAGE_SIZE);
  file.release(large, 17 * PAGE_SIZE);
  expect(file.allocate(17 * PAGE_SIZE)).not.toBe(large);
  expect(punched).toBe(0);
  file.reclaim();
  expect(punched).toBe(12 + 17);
});

test('what a program maps at each start circulates without the host', () => {
  let punches = 0;
  const bytes = new Uint8Array(PAGES * PAGE_SIZE);
  const file = new MemoryFile(3, bytes.buffer, {
    punch: () => ++punches,
    nextData: (offset) => offset,
    nextHole: (offset) => offset + PAGE_SIZE,
  });
  const sizes = [3, 5, 4, 2, 7, 5, 6, 1];
  let highest = 0;
  for (let round = 0; round < 1000; round++) {
    const taken = sizes.map((pages) => file.allocate(pages * PAGE_SIZE));
    if (round === 0) highest = Math.max(...taken);
    for (const offset of taken) {
      expect(offset).toBeLessThanOrEqual(highest);
      expect(bytes[offset]).toBe(0);
      bytes[offset] = 1;
    }
    // Not in the order they were taken.
    sizes.forEach((_, i) => {
      const at = (i * 3 + round) % sizes.length;
      file.release(taken[at]!, sizes[at]! * PAGE_SIZE);
    });
  }
  expect(punches).toBe(0);
});

test('small ranges that nobody asks for again do not keep others from being kept', () => {
  let punched = 0;
  const bytes = new Uint8Array(16 * PAGES * PAGE_SIZE);
  const file = new MemoryFile(3, bytes.buffer, {
    punch: (_offset, length) => {
      punched += length;
      return 0;
    },
    nextData: (offset) => offset,
    nextHole: (offset) => offset + PAGE_SIZE,
  });
  const single = Array.from({ length: 2000 }, () => file.allocate(PAGE_SIZE));
  const other = file.allocate(8 * PAGE_SIZE);
  for (let i = 0; i < single.length; i += 2) file.release(single[i]!, PAGE_SIZE);
  file.release(other, 8 * PAGE_SIZE);
  expect(file.allocate(8 * PAGE_SIZE)).toBe(other);
  file.reclaim();
  expect(punched).toBe(1000 * PAGE_SIZE);
});
