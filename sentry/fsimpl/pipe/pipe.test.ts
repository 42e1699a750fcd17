/** Pipes as state machines: atomic writes, ends, wake-ups, sizes, packets. */
import { expect, test } from 'vitest';
import { EAGAIN, EBUSY, EINVAL, ENFILE, EPERM, EPIPE } from '../../../spec/linux/errno.ts';
import { POLLERR, POLLHUP, POLLIN, POLLOUT } from '../../../spec/linux/poll.ts';
import { Waiter } from '../../base/wait_queue.ts';
import { PipeLimits } from '../../kernel/pipe_limits.ts';
import { IoBuffer } from '../../mm/io_buffer.ts';
import { ROOT, USER } from '../../vfs/operations/fake_files.ts';
import { Pipe } from './pipe.ts';

function open(limits = new PipeLimits()): Pipe {
  const p = new Pipe(limits);
  expect(p.prepare(USER)).toBe(0);
  p.addReader();
  p.addWriter();
  return p;
}

function write(p: Pipe, text: string | number, packet = false): number {
  const bytes = typeof text === 'number' ? new Uint8Array(text) : Buffer.from(text);
  return p.write(IoBuffer.over(bytes), packet);
}

function read(p: Pipe, length: number): string | number {
  const bytes = new Uint8Array(length);
  const n = p.read(IoBuffer.over(bytes));
  return n < 0 ? n : Buffer.from(bytes.subarray(0, n)).toString();
}

function wakes(p: Pipe, mask: number): () => number {
  let count = 0;
  p.queue.add(new Waiter(mask, () => count++));
  return () => count;
}

test('bytes come out as they went in, around the ring', () => {
  const p = open();
  const all: string[] = [];
  for (let i = 0; i < 60; i++) {
    const text = String.fromCharCode(97 + (i % 26)).repeat(3000);
    expect(write(p, text)).toBe(3000);
    all.push(text);
    if (i % 2 === 1) {
      const both = `${all.shift()}${all.shift()}`;
      expect(read(p, 6000)).toBe(both);
    }
  }
  expect(read(p, 1)).toBe(-EAGAIN);
});

test('small writes are all or nothing, large ones take what fits', () => {
  const p = open();
  expect(write(p, 70000)).toBe(65536);
  expect(write(p, 1)).toBe(-EAGAIN);
  read(p, 100);
  expect(write(p, 4096)).toBe(-EAGAIN);
  expect(write(p, 4097)).toBe(100);
});

test('the ends', () => {
  const p = open();
  write(p, 'rest');
  p.dropWriter();
  expect(p.pollRead(true)).toBe(POLLIN | 0x40 | POLLHUP);
  expect(read(p, 9)).toBe('rest');
  expect(read(p, 9)).toBe('');
  p.addWriter();
  expect(read(p, 9)).toBe(-EAGAIN);
  const woken = wakes(p, POLLERR);
  p.dropReader();
  expect(woken()).toBe(1);
  expect(write(p, 'x')).toBe(-EPIPE);
  expect(p.pollWrite() & POLLERR).toBe(POLLERR);
});

test('writers are woken once a page is free', () => {
  const p = open();
  write(p, 65536);
  const woken = wakes(p, POLLOUT);
  read(p, 4000);
  expect([woken(), p.pollWrite()]).toEqual([0, 0]);
  read(p, 96);
  expect(woken()).toBe(1);
  expect(p.pollWrite() & POLLOUT).toBe(POLLOUT);
  read(p, 4096);
  expect(woken()).toBe(1);
});

test('sizes', () => {
  const p = open();
  write(p, 'kept');
  expect(p.setCapacity(5000, USER)).toBe(8192);
  expect(read(p, 9)).toBe('kept');
  write(p, 8000);
  expect(p.setCapacity(4096, USER)).toBe(-EBUSY);
  expect(p.setCapacity(2 ** 31 + 1, USER)).toBe(-EINVAL);
  expect(p.setCapacity(2 ** 20 + 1, USER)).toBe(-EPERM);
  expect(p.setCapacity(2 ** 20, USER)).toBe(2 ** 20);
});

test('a user has only so many pages, and gets them back', () => {
  const limits = new PipeLimits();
  limits.softPages = 40;
  limits.hardPages = 41;
  const pipes = [open(limits), open(limits)];
  const small = open(limits);
  expect(small.capacity).toBe(8192);
  expect(small.setCapacity(8193, USER)).toBe(16384);
  expect(small.setCapacity(65536, USER)).toBe(-EPERM);
  const all = [...pipes, small, open(limits), open(limits)];
  expect(all.map((p) => p.capacity / 4096)).toEqual([16, 16, 4, 2, 2]);
  expect(new Pipe(limits).prepare(USER)).toBe(-ENFILE);
  expect(all[4]!.setCapacity(4096, USER)).toBe(4096);
  expect(all[4]!.setCapacity(16384, USER)).toBe(-EPERM);
  const privileged = new Pipe(limits);
  expect(privileged.prepare(ROOT)).toBe(0);
  expect(privileged.setCapacity(2 ** 21, ROOT)).toBe(2 ** 21);
  for (const p of all) {
    p.dropReader();
    p.dropWriter();
  }
  expect(open(limits).capacity).toBe(65536);
});

test('a resize that fails takes nothing', () => {
  const limits = new PipeLimits();
  limits.hardPages = 32;
  const p = open(limits);
  write(p, 8000);
  for (let i = 0; i < 3; i++) expect(p.setCapacity(4096, USER)).toBe(-EBUSY);
  expect([open(limits).capacity, new Pipe(limits).prepare(USER)]).toEqual([65536, -ENFILE]);
});

test('fs.pipe-max-size bounds new pipes too', () => {
  const limits = new PipeLimits();
  limits.maxSize = 8192;
  const p = open(limits);
  expect([p.capacity, p.setCapacity(8193, USER)]).toEqual([8192, -EPERM]);
});

test('packets are read one by one, and what does not fit is lost', () => {
  const p = open();
  expect(write(p, 'first', true)).toBe(5);
  expect(write(p, 'second', true)).toBe(6);
  write(p, 'plain ');
  write(p, 'bytes');
  write(p, 'third', true);
  expect(read(p, 3)).toBe('fir');
  expect(read(p, 100)).toBe('second');
  expect(read(p, 3)).toBe('pla');
  // As in Linux, a read takes stream bytes and the packet behind them at once.
  expect(read(p, 100)).toBe('in bytesthird');
  expect(read(p, 100)).toBe(-EAGAIN);
  write(p, 'ab');
  write(p, 'packet', true);
  expect(read(p, 2)).toBe('ab');
  expect(read(p, 9)).toBe('packet');
  // A long write is several packets.
  expect(write(p, 5000, true)).toBe(5000);
  expect(read(p, 9000)).toHaveLength(4096);
  expect(read(p, 9000)).toHaveLength(904);
  write(p, 'stream again');
  expect(read(p, 6)).toBe('stream');
  expect(p.length).toBe(6);
});

/** A generator of small numbers that repeats itself from run to run. */
function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    return (state >> 8) % below;
  };
}

test('random writes, reads and sizes keep the stream in order', () => {
  const next = numbers(7);
  const p = open();
  let written = 0;
  let expected = 0;
  for (let i = 0; i < 3000; i++) {
    const length = next(3) === 0 ? next(20000) : next(300);
    if (next(2) === 0) {
      const bytes = Uint8Array.from({ length }, (_, k) => (written + k) * 7);
      const n = p.write(IoBuffer.over(bytes));
      if (length > 0 && length <= 4096) expect([length, -EAGAIN]).toContain(n);
      if (n > 0) written += n;
    } else {
      const bytes = new Uint8Array(length);
      const n = Math.max(0, p.read(IoBuffer.over(bytes)));
      for (let k = 0; k < n; k++) {
        if (bytes[k] !== (((expected + k) * 7) & 255)) throw new Error(`byte ${expected + k}`);
      }
      expected += n;
    }
    if (next(50) === 0) p.setCapacity(4096 << next(6), USER);
    expect(p.length).toBe(written - expected);
    expect(p.length).toBeLessThanOrEqual(p.capacity);
  }
});
