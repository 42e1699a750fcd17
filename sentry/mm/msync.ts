/** msync(2) and mincore(2). */
import { EBUSY, EFAULT, EINVAL, ENOMEM } from '../../spec/linux/errno.ts';
import { MS_ASYNC, MS_INVALIDATE, MS_SYNC, PAGE_SIZE } from '../../spec/linux/mman.ts';
import type { MemoryManager } from './memory_manager.ts';
import { isPageAligned, pageCeil } from './page.ts';
import { isShared, VM_LOCKED } from './vma.ts';

export function msync(mm: MemoryManager, addr: number, length: number, flags: number): number {
  if ((flags & ~(MS_ASYNC | MS_INVALIDATE | MS_SYNC)) !== 0) return -EINVAL;
  if (flags & MS_ASYNC && flags & MS_SYNC) return -EINVAL;
  if (!isPageAligned(addr)) return -EINVAL;
  const end = addr + pageCeil(length);
  if (end > mm.taskSize) return -ENOMEM;
  let unmapped = false;
  for (let at = addr; at < end; ) {
    const vma = mm.vmas.firstIn(at, end);
    if (vma === null) return -ENOMEM;
    if (vma.start > at) unmapped = true;
    const from = Math.max(vma.start, at);
    at = Math.min(vma.end, end);
    if (flags & MS_INVALIDATE && vma.flags & VM_LOCKED) return -EBUSY;
    if (flags & MS_SYNC && vma.file !== null && isShared(vma)) {
      const result = vma.file.syncRange(vma.offset + (from - vma.start), at - from);
      if (result < 0) return result;
    }
  }
  return unmapped ? -ENOMEM : 0;
}

/** Tells a page as resident when something backs it: what the host has paged out is not our matter. */
export function mincore(mm: MemoryManager, addr: number, length: number, vector: number): number {
  if (!isPageAligned(addr)) return -EINVAL;
  const end = addr + pageCeil(length);
  if (end > mm.taskSize) return -ENOMEM;
  const chunk = new Uint8Array(PAGE_SIZE);
  let out = vector;
  for (let at = addr; at < end; ) {
    const covered = mappedUntil(mm, at, Math.min(end, at + chunk.length * PAGE_SIZE));
    if (covered === at) return -ENOMEM;
    const pages = (covered - at) / PAGE_SIZE;
    markBacked(mm, at, covered, chunk);
    if (mm.copyOut(out, chunk, 0, pages) < 0) return -EFAULT;
    out += pages;
    at = covered;
  }
  return 0;
}

/** Where what is mapped from `at` on without a gap ends, at most `limit`; `at` itself if nothing is. */
function mappedUntil(mm: MemoryManager, at: number, limit: number): number {
  let end = at;
  for (let i = mm.vmas.lowerBound(at); end < limit; i++) {
    const vma = mm.vmas.items[i];
    if (vma === undefined || vma.start > end) return end;
    end = vma.end;
  }
  return limit;
}

/** Sets a byte for each page of [start, end): 1 where there is a Pma. */
function markBacked(mm: MemoryManager, start: number, end: number, into: Uint8Array): void {
  into.fill(0);
  for (let i = mm.pmas.lowerBound(start); ; i++) {
    const pma = mm.pmas.items[i];
    if (pma === undefined || pma.start >= end) return;
    const from = Math.max(pma.start, start) - start;
    into.fill(1, from / PAGE_SIZE, (Math.min(pma.end, end) - start) / PAGE_SIZE);
  }
}
