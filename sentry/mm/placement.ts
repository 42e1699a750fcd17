/**
 * Where a mapping goes when its address is left to the kernel: into the highest gap below the mmap base
 * that holds it.
 *
 * A search begins where the last for a like length found a gap: nothing above it has become free since, or
 * `freed` has been told. With tens of thousands of mappings it would else pass them all each time.
 */
import { ENOMEM } from '../../spec/linux/errno.ts';
import { PAGE_SIZE } from '../../spec/linux/mman.ts';
import type { MemoryManager } from './memory_manager.ts';
import { pageFloor } from './page.ts';
import { guardedStart } from './vma.ts';

/** MAP_32BIT: the second gigabyte, searched upwards. */
const LOW_START = 0x40000000;
const LOW_END = 0x80000000;

/** Powers of two, in pages, that an address space can hold. */
const CLASSES = 48;

/** Where the searches of one address space begin. */
export class SearchStart {
  /** No gap above tops[k] holds 2^k pages. */
  private readonly tops = new Array<number>(CLASSES).fill(Infinity);
  /** What has been freed since the tops were right lies below this. */
  private freedBelow = 0;

  /** Nothing is mapped any more between some address and `top`. */
  freed(top: number): void {
    if (top > this.freedBelow) this.freedBelow = top;
  }

  top(sizeClass: number): number {
    const { tops, freedBelow } = this;
    if (freedBelow > 0) {
      for (let k = 0; k < CLASSES; k++) tops[k] = Math.max(tops[k] as number, freedBelow);
      this.freedBelow = 0;
    }
    return tops[sizeClass] as number;
  }

  set(sizeClass: number, top: number): void {
    this.tops[sizeClass] = top;
  }
}

/** True when nothing lies in [start, end) nor guards it. */
export function isFree(mm: MemoryManager, start: number, end: number): boolean {
  if (start < mm.layout.minAddress || end > mm.taskSize) return false;
  const next = mm.vmas.items[mm.vmas.lowerBound(start)];
  return next === undefined || guardedStart(next) >= end;
}

/** An address for `length` bytes, at `hint` (0: none) if that is free, or -ENOMEM. */
export function place(mm: MemoryManager, hint: number, length: number, low: boolean): number {
  if (hint > 0) {
    const start = pageFloor(hint);
    if (start + length <= mm.taskSize && isFree(mm, start, start + length)) return start;
  }
  if (low) return placeUpwards(mm, length, LOW_START, LOW_END);
  const below = placeDownwards(mm, length);
  return below >= 0 ? below : placeUpwards(mm, length, mm.layout.mmapBase, mm.taskSize);
}

function placeDownwards(mm: MemoryManager, length: number): number {
  const { items } = mm.vmas;
  const { minAddress, mmapBase } = mm.layout;
  const sizeClass = Math.floor(Math.log2(length / PAGE_SIZE));
  const classBytes = 2 ** sizeClass * PAGE_SIZE;
  let top = Math.min(mm.searchStart.top(sizeClass), mmapBase);
  let index = mm.vmas.lowerBound(top);
  const above = items[index];
  if (above !== undefined) top = Math.min(top, guardedStart(above));
  let found = false;
  for (;;) {
    const vma = items[--index];
    const gap = top - (vma === undefined ? minAddress : vma.end);
    if (!found && (gap >= classBytes || vma === undefined)) {
      mm.searchStart.set(sizeClass, top);
      found = true;
    }
    if (gap >= length) return top - length;
    if (vma === undefined) return -ENOMEM;
    top = guardedStart(vma);
  }
}

function placeUpwards(mm: MemoryManager, length: number, from: number, to: number): number {
  let start = from;
  for (let i = mm.vmas.lowerBound(from); ; i++) {
    const vma = mm.vmas.items[i];
    const end = vma === undefined ? to : Math.min(guardedStart(vma), to);
    if (end - start >= length) return start;
    if (vma === undefined || vma.end >= to) return -ENOMEM;
    start = Math.max(start, vma.end);
  }
}
