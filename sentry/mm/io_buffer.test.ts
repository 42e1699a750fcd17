/** Buffers that serve again, and the short ways of copying and filling. */
import { expect, it } from 'vitest';
import { EFAULT } from '../../spec/linux/errno.ts';
import { copyBytes, IoBuffer, type UserMemoryAccess } from './io_buffer.ts';

const bytes = new Uint8Array(256);

/** Addresses are indices of `bytes`; from 200 on nothing is there. */
const memory: UserMemoryAccess = {
  epoch: 0,
  locate(addr, length, _write, into) {
    if (addr >= 200) return -EFAULT;
    into.bytes = bytes;
    into.start = addr;
    into.length = Math.min(length, 200 - addr);
    into.fd = -1;
    return 0;
  },
  readHost: () => 0,
  writeHost: () => 0,
};

it('makes a buffer of the one that was freed', () => {
  const first = IoBuffer.single(memory, 190, 60, true);
  expect(first.write(new Uint8Array(60))).toBe(10);
  expect(first.faulted).toBe(true);
  first.free();
  const second = IoBuffer.single(memory, 3, 2, true);
  expect(second).toBe(first);
  expect([second.done, second.remaining, second.faulted]).toEqual([0, 2, false]);
  expect(IoBuffer.single(memory, 3, 2, true)).not.toBe(second);
  expect(second.write(Uint8Array.of(7, 8, 9))).toBe(2);
  expect([...bytes.subarray(2, 6)]).toEqual([0, 7, 8, 0]);
  expect(second.take(5).remaining).toBe(0);
});

it('does not make one of a vector or of kernel memory', () => {
  const vector = IoBuffer.user(memory, [0, 1, 5, 1], 2, false);
  vector.free();
  IoBuffer.over(bytes).free();
  const single = IoBuffer.single(memory, 0, 1, false);
  expect(single).not.toBe(vector);
  expect(single.copy().read(new Uint8Array(9))).toBe(1);
});

it('moves and fills as few bytes as it should', () => {
  for (const length of [0, 1, 7, 23, 24, 25, 60]) {
    for (const [from, to] of [
      [10, 10],
      [10, 13],
      [13, 10],
      [10, 100],
    ] as const) {
      const have = Uint8Array.from({ length: 200 }, (_, i) => i);
      const wanted = have.slice().copyWithin(to, from, from + length);
      copyBytes(have, from, have, to, length);
      expect(have).toEqual(wanted);
    }
    const have = new Uint8Array(100);
    expect(IoBuffer.over(have, 5, 90).fill(3, length)).toBe(length);
    expect(have).toEqual(new Uint8Array(100).fill(3, 5, 5 + length));
  }
});
