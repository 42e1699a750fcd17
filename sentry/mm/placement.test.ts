/** The oracle looks at every gap each time. */
import { expect, test } from 'vitest';
import {
  MAP_ANONYMOUS,
  MAP_FIXED,
  MAP_GROWSDOWN,
  MAP_PRIVATE,
  PAGE_SIZE,
  PROT_NONE,
  PROT_READ,
} from '../../spec/linux/mman.ts';
import { FakeHost } from './fake_space.ts';
import type { MemoryManager } from './memory_manager.ts';
import { guardedStart } from './vma.ts';

const PRIVATE = MAP_PRIVATE | MAP_ANONYMOUS;

function map(mm: MemoryManager, pages: number, flags = PRIVATE, addr = 0): number {
  const prot = mm.vmas.items.length % 2 === 0 ? PROT_NONE : PROT_READ;
  return mm.mmap({ addr, length: pages * PAGE_SIZE, prot, flags, file: null, offset: 0 });
}

/** The highest place for `pages` below the mmap base. */
function highest(mm: MemoryManager, pages: number): number {
  const length = pages * PAGE_SIZE;
  let top = mm.layout.mmapBase;
  for (const vma of mm.vmas.items.toReversed()) {
    if (vma.start >= mm.layout.mmapBase) continue;
    if (top - vma.end >= length) break;
    top = guardedStart(vma);
  }
  return top - length;
}

function generator(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

test.each([1, 2, 3, 4])('the highest gap that fits, whatever was mapped and freed: %i', (seed) => {
  const random = generator(seed);
  const mm = new FakeHost(256 * 2 ** 20).newManager();
  const pages = (): number => 1 + random(random(3) === 0 ? 40 : 3);
  for (let step = 0; step < 4000; step++) {
    const victim = mm.vmas.items[random(mm.vmas.items.length)];
    switch (victim === undefined ? 0 : random(5)) {
      case 1:
      case 2: {
        const { start, end } = victim!;
        const from = start + random((end - start) / PAGE_SIZE) * PAGE_SIZE;
        expect(mm.munmap(from, pages() * PAGE_SIZE)).toBe(0);
        break;
      }
      case 3:
        if (random(8) > 0) break;
        map(mm, pages(), PRIVATE | MAP_FIXED | MAP_GROWSDOWN, victim!.start - 300 * PAGE_SIZE);
        break;
      default: {
        const wanted = pages();
        const expected = highest(mm, wanted);
        expect(map(mm, wanted)).toBe(expected);
      }
    }
  }
  expect(mm.vmas.items.length).toBeGreaterThan(50);
});

test('a full address space is searched once for a length, not once for each mapping', () => {
  const mm = new FakeHost(64 * 2 ** 20).newManager();
  const first = map(mm, 2);
  for (let i = 0; i < 3000; i++) map(mm, 2);
  let looks = 0;
  mm.vmas.items.forEach((vma) => {
    const { end } = vma;
    Object.defineProperty(vma, 'end', {
      get: () => {
        looks++;
        return end;
      },
    });
  });
  for (let i = 0; i < 100; i++) expect(map(mm, 3)).toBe(first - (6003 + 3 * i) * PAGE_SIZE);
  expect(looks).toBeLessThan(20_000);
});
