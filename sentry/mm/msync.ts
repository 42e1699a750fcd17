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
  let filled = 0;
  let out = vector;
  for (let at = addr; at < end; at += PAGE_SIZE) {
    if (mm.vmas.find(at) === null) return -ENOMEM;
    chunk[filled++] = mm.pmas.find(at) === null ? 0 : 1;
    if (filled < chunk.length && at + PAGE_SIZE < end) continue;
    if (mm.copyOut(out, chunk, 0, filled) < 0) return -EFAULT;
    out += filled;
    filled = 0;
  }
  return 0;
}
