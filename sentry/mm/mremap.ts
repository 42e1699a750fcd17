/** mremap(2). */
import { EAGAIN, EFAULT, EINVAL, ENOMEM } from '../../spec/linux/errno.ts';
import {
  MREMAP_DONTUNMAP,
  MREMAP_FIXED,
  MREMAP_MAYMOVE,
  PROT_NONE,
} from '../../spec/linux/mman.ts';
import { RLIMIT_AS, RLIMIT_MEMLOCK } from '../../spec/linux/resource.ts';
import { giveRoom } from './call_sites.ts';
import {
  addVma,
  hostMap,
  isLazy,
  joinPmasIn,
  joinVmasIn,
  MAX_MAP_COUNT,
  populate,
  unmapRange,
} from './mapping.ts';
import type { MemoryManager } from './memory_manager.ts';
import { countsAsData, exceedsData } from './mmap.ts';
import { isPageAligned, pageCeil } from './page.ts';
import { isFree, place } from './placement.ts';
import { isShared, VM_LOCKED, VM_SPECIAL, type Vma } from './vma.ts';

export function mremap(
  mm: MemoryManager,
  addr: number,
  oldSize: number,
  newSize: number,
  flags: number,
  newAddr: number,
): number {
  const oldLength = pageCeil(oldSize);
  const newLength = pageCeil(newSize);
  const invalid = check(mm, addr, oldLength, newLength, flags, newAddr);
  if (invalid < 0) return invalid;
  const result = remap(mm, addr, oldLength, newLength, flags, newAddr);
  const committed = mm.commit();
  return result >= 0 && committed < 0 ? committed : result;
}

function check(
  mm: MemoryManager,
  addr: number,
  oldLength: number,
  newLength: number,
  flags: number,
  newAddr: number,
): number {
  if ((flags & ~(MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP)) !== 0) return -EINVAL;
  if (flags & MREMAP_FIXED && !(flags & MREMAP_MAYMOVE)) return -EINVAL;
  if (flags & MREMAP_DONTUNMAP && (!(flags & MREMAP_MAYMOVE) || oldLength !== newLength)) {
    return -EINVAL;
  }
  if (!isPageAligned(addr) || newLength === 0) return -EINVAL;
  if (flags & MREMAP_FIXED) {
    if (!isPageAligned(newAddr) || newLength > mm.taskSize) return -EINVAL;
    if (newAddr + newLength > mm.taskSize || newAddr < mm.layout.minAddress) return -EINVAL;
    if (newAddr < addr + oldLength && addr < newAddr + newLength) return -EINVAL;
  }
  if (newLength > mm.taskSize) return -ENOMEM;
  if (mm.vmas.items.length + 4 > MAX_MAP_COUNT) return -ENOMEM;
  return 0;
}

function remap(
  mm: MemoryManager,
  addr: number,
  oldLength: number,
  newLength: number,
  flags: number,
  newAddr: number,
): number {
  const vma = mm.vmas.find(addr);
  if (vma === null) return -EFAULT;
  // An old size of 0 asks for a second mapping of the same shared pages.
  if (oldLength === 0 && (!isShared(vma) || !(flags & MREMAP_MAYMOVE))) return -EINVAL;
  if (addr + oldLength > vma.end) return -EFAULT;
  if (vma.flags & VM_SPECIAL && newLength > oldLength) return -EFAULT;
  if ((flags & (MREMAP_FIXED | MREMAP_DONTUNMAP)) === 0 && oldLength > 0) {
    if (newLength <= oldLength) {
      if (newLength < oldLength) unmapRange(mm, addr + newLength, addr + oldLength);
      return addr;
    }
    const refused = checkGrowth(mm, vma, newLength - oldLength);
    if (refused < 0) return refused;
    if (addr + oldLength === vma.end) giveRoom(mm, vma.end, addr + newLength);
    if (addr + oldLength === vma.end && isFree(mm, vma.end, addr + newLength)) {
      return growInPlace(mm, vma, addr, newLength);
    }
    if (!(flags & MREMAP_MAYMOVE)) return -ENOMEM;
  } else {
    const kept = flags & MREMAP_DONTUNMAP || oldLength === 0 ? 0 : oldLength;
    const refused = checkGrowth(mm, vma, newLength - kept);
    if (refused < 0) return refused;
  }
  let target = newAddr;
  if (flags & MREMAP_FIXED) {
    unmapRange(mm, newAddr, newAddr + newLength);
  } else {
    target = place(mm, flags & MREMAP_DONTUNMAP ? newAddr : 0, newLength, false);
    if (target < 0) return target;
  }
  return move(mm, addr, oldLength, target, newLength, (flags & MREMAP_DONTUNMAP) !== 0);
}

function checkGrowth(mm: MemoryManager, vma: Vma, grown: number): number {
  if (grown <= 0) return 0;
  if (mm.mappedBytes + grown > mm.limits.rlimit(RLIMIT_AS)) return -ENOMEM;
  if (countsAsData(vma) && exceedsData(mm, grown)) return -ENOMEM;
  if (vma.flags & VM_LOCKED && !mm.limits.mayLock) {
    if (mm.lockedBytes + grown > mm.limits.rlimit(RLIMIT_MEMLOCK)) return -EAGAIN;
  }
  return 0;
}

function growInPlace(mm: MemoryManager, vma: Vma, addr: number, newLength: number): number {
  const { end } = vma;
  const offset = vma.file === null ? 0 : vma.offset + (end - vma.start);
  const added = addVma(mm, { ...vma, start: end, end: addr + newLength, offset });
  if (added < 0) {
    unmapRange(mm, end, addr + newLength);
    return added;
  }
  return addr;
}

/** Moves [addr, addr + oldLength) to the free range at `target`, cutting or growing it. */
function move(
  mm: MemoryManager,
  addr: number,
  oldLength: number,
  target: number,
  newLength: number,
  keepOld: boolean,
): number {
  const source = mm.vmas.find(addr)!;
  const kept = Math.min(oldLength, newLength);
  const vma: Vma = {
    ...source,
    start: target,
    end: target + newLength,
    offset: source.file === null ? 0 : source.offset + (addr - source.start),
  };
  const wasLazy = isLazy(source);
  // Before the old range lets go of the file, which may be its last user.
  vma.file?.addMapping(mm);
  movePmas(mm, addr, kept, target);
  if (keepOld) {
    mm.space.unmap(addr, kept);
    if (source.flags & VM_LOCKED) unlock(mm, addr, addr + kept);
  } else if (oldLength > 0) {
    unmapRange(mm, addr, addr + oldLength);
  }
  mm.vmas.insert(vma);
  mm.mappedBytes += newLength;
  if (vma.flags & VM_LOCKED) mm.lockedBytes += newLength;
  mm.changed();
  hostMap(mm, vma, target, target + newLength);
  let result = 0;
  if (!wasLazy && !isLazy(vma) && (vma.file === null || vma.prot !== PROT_NONE)) {
    result = populate(mm, vma, target, target + newLength);
  }
  joinPmasIn(mm, target, target + newLength);
  joinVmasIn(mm, target, target + newLength);
  return result === -ENOMEM ? result : target;
}

function movePmas(mm: MemoryManager, from: number, length: number, to: number): void {
  const first = mm.pmas.splitAt(from);
  const last = mm.pmas.splitAt(from + length);
  const moved = mm.pmas.items.slice(first, last);
  mm.pmas.removeAt(first, last - first);
  for (const pma of moved) {
    pma.start += to - from;
    pma.end += to - from;
    mm.pmas.insert(pma);
  }
}

/** MREMAP_DONTUNMAP leaves an empty range that is not locked any more. */
function unlock(mm: MemoryManager, start: number, end: number): void {
  const first = mm.vmas.splitAt(start);
  const last = mm.vmas.splitAt(end);
  for (let i = first; i < last; i++) mm.vmas.items[i]!.flags &= ~VM_LOCKED;
  mm.lockedBytes -= end - start;
}
