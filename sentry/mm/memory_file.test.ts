/** The allocator against a page-array oracle. */
import { expect, test } from 'vitest';
import { ENOMEM, ENOSPC } from '../../spec/linux/errno.ts';
import { PAGE_SIZE } from '../../spec/linux/mman.ts';
import { MemoryFile, Reservation } from './memory_file.ts';
import { HUGE_PAGE_BYTES } from './page.ts';

const PAGES = 256;

function newFile(): MemoryFile {
  const bytes = new Uint8Array(PAGES * PAGE_SIZE);
  return new MemoryFile(3, bytes.buffer, {
    punch: (_fd, offset, length) => {
      bytes.fill(0, offset, offset + length);
      return 0;
    },
    nextData: (_fd, offset) => offset,
    nextHole: (_fd, offset) => offset + PAGE_SIZE,
    write: (_fd, offset, from) => {
      bytes.set(from, offset);
      return from.length;
    },
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
    punch: (_fd, offset, length) => {
      punched += length / PAGE_SIZE;
      bytes.fill(0, offset, offset + length);
      return 0;
    },
    nextData: (_fd, offset) => offset,
    nextHole: (_fd, offset) => offset + PAGE_SIZE,
    write: (_fd, offset, from) => {
      bytes.set(from, offset);
      return from.length;
    },
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
    nextData: (_fd, offset) => offset,
    nextHole: (_fd, offset) => offset + PAGE_SIZE,
    write: (_fd, offset, from) => {
      bytes.set(from, offset);
      return from.length;
    },
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
    punch: (_fd, _offset, length) => {
      punched += length;
      return 0;
    },
    nextData: (_fd, offset) => offset,
    nextHole: (_fd, offset) => offset + PAGE_SIZE,
    write: (_fd, offset, from) => {
      bytes.set(from, offset);
      return from.length;
    },
  });
  const single = Array.from({ length: 2000 }, () => file.allocate(PAGE_SIZE));
  const other = file.allocate(8 * PAGE_SIZE);
  for (let i = 0; i < single.length; i += 2) file.release(single[i]!, PAGE_SIZE);
  file.release(other, 8 * PAGE_SIZE);
  expect(file.allocate(8 * PAGE_SIZE)).toBe(other);
  file.reclaim();
  expect(punched).toBe(1000 * PAGE_SIZE);
});

test('huge pages are of their own file, aligned, and nobody else gets them', () => {
  const start = 8 * HUGE_PAGE_BYTES;
  const bytes = new Uint8Array(16 * HUGE_PAGE_BYTES);
  const punched: number[] = [];
  const file = new MemoryFile(
    3,
    bytes.buffer,
    {
      punch: (fd, offset, length) => {
        punched.push(fd);
        bytes.fill(0, offset, offset + length);
        return 0;
      },
      nextData: (_fd, offset) => offset,
      nextHole: (_fd, offset) => offset + PAGE_SIZE,
      write: () => 0,
    },
    { fd: 4, start },
  );
  expect(file.allocate(start)).toBe(-ENOMEM);
  const first = file.allocateHuge(3 * HUGE_PAGE_BYTES);
  const second = file.allocateHuge(4 * HUGE_PAGE_BYTES, first + 3 * HUGE_PAGE_BYTES);
  expect([first, second]).toEqual([start, start + 3 * HUGE_PAGE_BYTES]);
  expect([file.fdAt(start - PAGE_SIZE), file.fdAt(start)]).toEqual([3, 4]);
  expect(file.allocateHuge(2 * HUGE_PAGE_BYTES)).toBe(-ENOMEM);
  // What is cut out of one serves neither as a small page nor as a huge one before all of it is free.
  bytes.fill(7, first, first + 2 * HUGE_PAGE_BYTES);
  file.release(first, PAGE_SIZE);
  expect(file.isHuge(file.allocate(PAGE_SIZE))).toBe(false);
  file.release(first + PAGE_SIZE, HUGE_PAGE_BYTES);
  expect(file.allocateHuge(HUGE_PAGE_BYTES)).toBe(start + 7 * HUGE_PAGE_BYTES);
  expect(file.allocateHuge(HUGE_PAGE_BYTES)).toBe(first);
  expect(file.allocateHuge(HUGE_PAGE_BYTES)).toBe(-ENOMEM);
  expect(punched).toContain(4);
  expect(punched).not.toContain(3);
  expect(bytes.subarray(first, first + HUGE_PAGE_BYTES).every((byte) => byte === 0)).toBe(true);
  expect(bytes[first + HUGE_PAGE_BYTES + PAGE_SIZE]).toBe(7);
});

test('without a file of huge pages there are none', () => {
  const file = newFile();
  expect(file.allocateHuge(HUGE_PAGE_BYTES)).toBe(-ENOMEM);
  expect(file.isHuge((PAGES - 1) * PAGE_SIZE)).toBe(false);
  expect(file.fds).toEqual([3]);
});

test('a copy to fresh pages takes as many writes as the host makes of it, and none of a hole', () => {
  const bytes = new Uint8Array(PAGES * PAGE_SIZE);
  const writes: number[] = [];
  let data = 0;
  let refused = 0;
  const file = new MemoryFile(3, bytes.buffer, {
    punch: () => 0,
    nextData: () => data,
    nextHole: (_fd, offset) => offset + PAGE_SIZE,
    write: (_fd, offset, from) => {
      if (refused < 0) return refused;
      const part = from.subarray(0, 3 * PAGE_SIZE);
      bytes.set(part, offset);
      writes.push(part.length / PAGE_SIZE);
      return part.length;
    },
  });
  const source = file.allocate(8 * PAGE_SIZE);
  const target = file.allocate(8 * PAGE_SIZE);
  for (let i = 0; i < 8; i++) bytes[source + i * PAGE_SIZE] = i + 1;
  expect(file.copyToFresh(target, source, 8 * PAGE_SIZE)).toBe(8 * PAGE_SIZE);
  expect(writes).toEqual([3, 3, 2]);
  for (let i = 0; i < 8; i++) expect(bytes[target + i * PAGE_SIZE]).toBe(i + 1);
  data = source + 8 * PAGE_SIZE;
  expect(file.copyToFresh(target, source, 8 * PAGE_SIZE)).toBe(0);
  expect(writes.length).toBe(3);
  data = 0;
  refused = -ENOSPC;
  expect(file.copyToFresh(target, source, PAGE_SIZE)).toBe(-ENOSPC);
});
