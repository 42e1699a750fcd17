/**
 * mlock(2), munlock(2), mlockall(2). Nothing is ever paged out by us, so locking is accounting: the
 * flags and limits are Linux's, and the pages are backed at once.
 */
import { EINVAL, ENOMEM, EPERM } from '../../spec/linux/errno.ts';
import { MCL_CURRENT, MCL_FUTURE, MCL_ONFAULT } from '../../spec/linux/mman.ts';
import { RLIMIT_MEMLOCK } from '../../spec/linux/resource.ts';
import { joinVmasIn } from './mapping.ts';
import type { MemoryManager } from './memory_manager.ts';
import { pageCeil, pageFloor } from './page.ts';
import { VM_LOCKED } from './vma.ts';

export function lockRange(mm: MemoryManager, addr: number, length: number): number {
  const limit = mm.limits.rlimit(RLIMIT_MEMLOCK);
  if (!mm.limits.mayLock && limit === 0) return -EPERM;
  const start = pageFloor(addr);
  const end = pageCeil(addr + length);
  if (end > mm.taskSize) return length === 0 ? 0 : -ENOMEM;
  if (!mm.limits.mayLock && mm.lockedBytes + (end - start) - lockedIn(mm, start, end) > limit) {
    return -ENOMEM;
  }
  const result = setLocked(mm, start, end, true);
  if (result === 0) mm.prefault(start, end);
  return result;
}

export function unlockRange(mm: MemoryManager, addr: number, length: number): number {
  const end = pageCeil(addr + length);
  if (end > mm.taskSize) return -ENOMEM;
  return setLocked(mm, pageFloor(addr), end, false);
}

/** mlockall(2); `flags` 0 is munlockall(2). */
export function lockAll(mm: MemoryManager, flags: number): number {
  if ((flags & ~(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT)) !== 0 || flags === MCL_ONFAULT) {
    return -EINVAL;
  }
  if (flags !== 0 && !mm.limits.mayLock) {
    const limit = mm.limits.rlimit(RLIMIT_MEMLOCK);
    if (limit === 0) return -EPERM;
    if (flags & MCL_CURRENT && mm.mappedBytes > limit) return -ENOMEM;
  }
  mm.futureFlags = flags & MCL_FUTURE ? VM_LOCKED : 0;
  if (flags !== 0 && !(flags & MCL_CURRENT)) return 0;
  for (const vma of mm.vmas.items) {
    vma.flags = flags & MCL_CURRENT ? vma.flags | VM_LOCKED : vma.flags & ~VM_LOCKED;
  }
  mm.lockedBytes = flags & MCL_CURRENT ? mm.mappedBytes : 0;
  joinVmasIn(mm, 0, mm.taskSize);
  return 0;
}

function lockedIn(mm: MemoryManager, start: number, end: number): number {
  let total = 0;
  for (const vma of mm.vmas.items) {
    const length = Math.min(vma.end, end) - Math.max(vma.start, start);
    if (length > 0 && vma.flags & VM_LOCKED) total += length;
  }
  return total;
}

/** Sets or clears VM_LOCKED from Vma to Vma; -ENOMEM at the first hole. */
function setLocked(mm: MemoryManager, start: number, end: number, locked: boolean): number {
  let at = start;
  while (at < end) {
    const found = mm.vmas.find(at);
    if (found === null) break;
    const stop = Math.min(found.end, end);
    if (((found.flags & VM_LOCKED) !== 0) !== locked) {
      mm.vmas.splitAt(at);
      mm.vmas.splitAt(stop);
      mm.vmas.find(at)!.flags ^= VM_LOCKED;
      mm.lockedBytes += locked ? stop - at : at - stop;
    }
    at = stop;
  }
  joinVmasIn(mm, start, end);
  return at < end ? -ENOMEM : 0;
}
