/** FilePages against a plain array: random reads, writes, truncations, holes, and quotas. */
import { describe, expect, test } from 'vitest';
import { ENOSPC, ENXIO } from '../../spec/linux/errno.ts';
import {
  MAP_PRIVATE,
  MAP_SHARED,
  PAGE_SIZE,
  PROT_READ,
  PROT_WRITE,
} from '../../spec/linux/mman.ts';
import { difference, FakeHost, load, store } from './fake_space.ts';
import { FilePages } from './file_pages.ts';
import { IoBuffer } from './io_buffer.ts';

const IDENTITY = { devMajor: 0, devMinor: 1, ino: 1, mapName: () => '/f' };
const MIB = 1024 * 1024;

function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

test.each([1, 2, 3])('random operations, seed %i', (seed) => {
  const pick = random(seed);
  const host = new FakeHost(32 * MIB);
  const mm = host.newManager();
  const file = new FilePages(host.memory, IDENTITY);
  const length = 20 * PAGE_SIZE;
  let oracle = new Uint8Array(0);
  const grow = (size: number) => {
    const grown = new Uint8Array(size);
    grown.set(oracle.subarray(0, size));
    oracle = grown;
  };
  const ask = { addr: 0, length, prot: PROT_READ | PROT_WRITE, file, offset: 0 };
  const mapped = mm.mmap({ ...ask, flags: MAP_SHARED });
  for (let i = 0; i < 3000; i++) {
    const at = pick(length);
    const n = 1 + pick(Math.min(3 * PAGE_SIZE, length - at));
    const kind = pick(12);
    if (kind < 4) {
      const data = new Uint8Array(n).fill(1 + pick(255));
      expect(file.write(IoBuffer.over(data), at)).toBe(n);
      if (at + n > oracle.length) grow(at + n);
      oracle.set(data, at);
    } else if (kind === 4) {
      file.truncate(at);
      grow(at);
    } else if (kind === 5) {
      file.punchHole(at, n);
      oracle.fill(0, at, at + n);
    } else if (kind === 6) {
      expect(file.allocate(at, n)).toBe(0);
    } else if (kind === 7 && at + 4 <= oracle.length) {
      const word = at - (at % 4);
      expect(store(host, mm, mapped + word, i)).toBe(0);
      new DataView(oracle.buffer).setUint32(word, i, true);
    } else if (kind === 8 && at + 4 <= oracle.length) {
      const word = at - (at % 4);
      const expected = new DataView(oracle.buffer).getUint32(word, true);
      expect(load(host, mm, mapped + word)).toBe(expected);
      expect(mm.readU32(mapped + word)).toBe(expected);
    } else {
      const back = new Uint8Array(n);
      const got = file.read(IoBuffer.over(back), at);
      expect(got).toBe(Math.max(0, Math.min(n, oracle.length - at)));
      expect(Buffer.compare(back.subarray(0, got), oracle.subarray(at, at + got))).toBe(0);
    }
    expect(file.size).toBe(oracle.length);
    expect(difference(mm)).toBe('');
  }
  file.release();
  mm.release();
  expect(file.allocatedBytes).toBe(0);
  expect(host.memory.reservedBytes).toBe(0);
});

describe('quota', () => {
  test('writes stop, mapped holes are SIGBUS, freeing gives back', () => {
    const host = new FakeHost(32 * MIB);
    let left = 4 * PAGE_SIZE;
    const quota = {
      charge: (bytes: number) => {
        if (bytes > left) return false;
        left -= bytes;
        return true;
      },
      uncharge: (bytes: number) => {
        left += bytes;
      },
    };
    const file = new FilePages(host.memory, IDENTITY, quota);
    const data = new Uint8Array(6 * PAGE_SIZE).fill(1);
    expect(file.write(IoBuffer.over(data), 100)).toBe(4 * PAGE_SIZE - 100);
    expect(file.write(IoBuffer.over(data), 4 * PAGE_SIZE)).toBe(-ENOSPC);
    file.truncate(PAGE_SIZE);
    expect(left).toBe(3 * PAGE_SIZE);
    file.truncate(100 * PAGE_SIZE);
    const mm = host.newManager();
    const length = 100 * PAGE_SIZE;
    const ask = { addr: 0, length, prot: PROT_READ, flags: MAP_PRIVATE, file, offset: 0 };
    const at = mm.mmap(ask);
    expect(at).toBeGreaterThan(0);
    expect(mm.readU32(at + 200)).toBe(0x01010101);
    expect(left).toBe(0);
    expect(load(host, mm, at + 50 * PAGE_SIZE)).toBe(-3);
    file.release();
    mm.release();
    expect(left).toBe(4 * PAGE_SIZE);
  });
});

test('data and holes', () => {
  const host = new FakeHost(MIB);
  const file = new FilePages(host.memory, IDENTITY);
  file.write(IoBuffer.over(new Uint8Array(10)), 3 * PAGE_SIZE);
  file.truncate(9 * PAGE_SIZE);
  expect(file.nextData(0)).toBe(3 * PAGE_SIZE);
  expect(file.nextHole(0)).toBe(0);
  expect(file.nextHole(3 * PAGE_SIZE + 5)).toBe(4 * PAGE_SIZE);
  expect(file.nextData(5 * PAGE_SIZE)).toBe(-ENXIO);
  expect(file.nextHole(9 * PAGE_SIZE)).toBe(-ENXIO);
  expect(file.allocatedBytes).toBe(PAGE_SIZE);
});

test('what is written to the application’s own mapping of the file', () => {
  const host = new FakeHost(MIB);
  const mm = host.newManager();
  const file = new FilePages(host.memory, IDENTITY);
  file.write(IoBuffer.over(new Uint8Array(2 * PAGE_SIZE).fill(9)), 0);
  const ask = { addr: 0, length: 2 * PAGE_SIZE, prot: PROT_READ | PROT_WRITE, file, offset: 0 };
  const at = mm.mmap({ ...ask, flags: MAP_SHARED });
  // read(2) from the file into its own mapping, one page further.
  const target = mm.userBuffer(at + PAGE_SIZE - 2, 4, true)!;
  mm.writeU16(at, 0x0201);
  expect(file.read(target, 0)).toBe(4);
  expect(mm.readU16(at + PAGE_SIZE - 2)).toBe(0x0201);
});
