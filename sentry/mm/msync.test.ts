/** mincore(2) against a host made of arrays. */
import { expect, test } from 'vitest';
import { EFAULT, EINVAL, ENOMEM } from '../../spec/linux/errno.ts';
import {
  MAP_ANONYMOUS,
  MAP_PRIVATE,
  PAGE_SIZE,
  PROT_READ,
  PROT_WRITE,
} from '../../spec/linux/mman.ts';
import { FakeHost, store } from './fake_space.ts';
import type { MemoryManager } from './memory_manager.ts';

const MIB = 2 ** 20;

function anon(mm: MemoryManager, pages: number): number {
  const flags = MAP_PRIVATE | MAP_ANONYMOUS;
  const prot = PROT_READ | PROT_WRITE;
  return mm.mmap({ addr: 0, length: pages * PAGE_SIZE, prot, flags, file: null, offset: 0 });
}

test('mincore over more than anybody could look at page by page', () => {
  const host = new FakeHost(64 * MIB);
  const mm = host.newManager();
  const pages = 4096 * 2048;
  const vector = anon(mm, pages / PAGE_SIZE + 1);
  const huge = anon(mm, pages);
  const touched = [0, 5, 4095, 4096, pages - 1];
  for (const page of touched) expect(store(host, mm, huge + page * PAGE_SIZE, 1)).toBe(0);
  const resident = (): number[] => {
    const found: number[] = [];
    const bytes = new Uint8Array(pages);
    expect(mm.copyIn(vector, bytes)).toBe(0);
    bytes.forEach((byte, page) => {
      if (byte !== 0) found.push(page);
    });
    return found;
  };
  expect(mm.mincore(huge, pages * PAGE_SIZE, vector)).toBe(0);
  const before = resident();
  for (const page of touched) expect(before).toContain(page);
  expect(mm.munmap(huge + 4096 * PAGE_SIZE, PAGE_SIZE)).toBe(0);
  expect(mm.mincore(huge, pages * PAGE_SIZE, vector)).toBe(-ENOMEM);
  expect(mm.mincore(huge + 1, PAGE_SIZE, vector)).toBe(-EINVAL);
  expect(mm.mincore(huge, PAGE_SIZE, 8)).toBe(-EFAULT);
});
