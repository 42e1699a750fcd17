/** Where a mapping goes when its address is left to the kernel: downwards from the mmap base. */
import { ENOMEM } from '../../spec/linux/errno.ts';
import type { MemoryManager } from './memory_manager.ts';
import { pageFloor } from './page.ts';
import { guardedStart } from './vma.ts';

/** MAP_32BIT: the second gigabyte, searched upwards. */
const LOW_START = 0x40000000;
const LOW_END = 0x80000000;

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
  let top = mm.layout.mmapBase;
  let index = mm.vmas.lowerBound(top);
  const above = items[index];
  if (above !== undefined) top = Math.min(top, guardedStart(above));
  while (--index >= 0) {
    const vma = items[index]!;
    if (top - vma.end >= length) return top - length;
    top = Math.min(top, guardedStart(vma));
  }
  return top - mm.layout.minAddress >= length ? top - length : -ENOMEM;
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
