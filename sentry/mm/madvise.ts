/**
 * madvise(2). Advice that only hints is accepted; advice with an effect the application can see is
 * carried out.
 */
import { EACCES, EFAULT, EINVAL, ENOMEM } from '../../spec/linux/errno.ts';
import {
  MADV_COLD,
  MADV_DODUMP,
  MADV_DOFORK,
  MADV_DONTDUMP,
  MADV_DONTFORK,
  MADV_DONTNEED,
  MADV_DONTNEED_LOCKED,
  MADV_FREE,
  MADV_HUGEPAGE,
  MADV_KEEPONFORK,
  MADV_MERGEABLE,
  MADV_NOHUGEPAGE,
  MADV_NORMAL,
  MADV_PAGEOUT,
  MADV_POPULATE_READ,
  MADV_POPULATE_WRITE,
  MADV_RANDOM,
  MADV_REMOVE,
  MADV_SEQUENTIAL,
  MADV_UNMERGEABLE,
  MADV_WILLNEED,
  MADV_WIPEONFORK,
  PROT_NONE,
  PROT_WRITE,
} from '../../spec/linux/mman.ts';
import { IN_MEMORY_FILE } from './mappable.ts';
import { dropPmas, isLazy, joinVmasIn, populate, splitsTooMany } from './mapping.ts';
import type { MemoryManager } from './memory_manager.ts';
import { isPageAligned, pageCeil } from './page.ts';
import type { Pma } from './pma.ts';
import {
  isShared,
  VM_DONTDUMP,
  VM_DONTFORK,
  VM_LOCKED,
  VM_NOHUGEPAGE,
  VM_SPECIAL,
  VM_WIPEONFORK,
  type Vma,
} from './vma.ts';

/** What one piece of advice does to [start, end) of one Vma. */
type Advice = (mm: MemoryManager, vma: Vma, start: number, end: number) => number;

const nothing: Advice = () => 0;

const ADVICE: ReadonlyMap<number, Advice> = new Map<number, Advice>([
  [MADV_NORMAL, nothing],
  [MADV_RANDOM, nothing],
  [MADV_SEQUENTIAL, nothing],
  [MADV_WILLNEED, nothing],
  [MADV_MERGEABLE, nothing],
  [MADV_UNMERGEABLE, nothing],
  [MADV_HUGEPAGE, setFlags(0, VM_NOHUGEPAGE)],
  [MADV_NOHUGEPAGE, noHugePage],
  [MADV_COLD, nothing],
  [MADV_PAGEOUT, nothing],
  [MADV_DONTNEED, (mm, vma, start, end) => dontNeed(mm, vma, start, end, VM_LOCKED | VM_SPECIAL)],
  [MADV_DONTNEED_LOCKED, (mm, vma, start, end) => dontNeed(mm, vma, start, end, VM_SPECIAL)],
  [MADV_FREE, freeAnonymous],
  [MADV_REMOVE, remove],
  [MADV_DONTFORK, setFlags(VM_DONTFORK, 0)],
  [MADV_DOFORK, setFlags(0, VM_DONTFORK)],
  [MADV_WIPEONFORK, wipeOnFork],
  [MADV_KEEPONFORK, setFlags(0, VM_WIPEONFORK)],
  [MADV_DONTDUMP, setFlags(VM_DONTDUMP, 0)],
  [MADV_DODUMP, setFlags(0, VM_DONTDUMP)],
  [MADV_POPULATE_READ, populateAdvice],
  [MADV_POPULATE_WRITE, populateAdvice],
]);

export function madvise(mm: MemoryManager, addr: number, length: number, advice: number): number {
  const act = ADVICE.get(advice);
  if (act === undefined || !isPageAligned(addr)) return -EINVAL;
  const end = addr + pageCeil(length);
  if (end > 2 ** 63) return -EINVAL;
  if (splitsTooMany(mm, addr, end)) return -ENOMEM;
  let hole = false;
  let result = 0;
  for (let at = addr; at < end && result === 0; ) {
    const vma = mm.vmas.firstIn(at, end);
    if (vma === null || vma.start > at) hole = true;
    if (vma === null) break;
    const from = Math.max(vma.start, at);
    at = Math.min(vma.end, end);
    result = act(mm, vma, from, at);
  }
  joinVmasIn(mm, addr, end);
  const committed = mm.commit();
  if (result < 0) return result;
  return hole ? -ENOMEM : committed;
}

function setFlags(set: number, clear: number): Advice {
  return (mm, vma, start, end) => {
    if ((vma.flags & set) === set && (vma.flags & clear) === 0) return 0;
    mm.vmas.splitAt(start);
    mm.vmas.splitAt(end);
    const piece = mm.vmas.find(start)!;
    piece.flags = (piece.flags | set) & ~clear;
    return 0;
  };
}

function wipeOnFork(mm: MemoryManager, vma: Vma, start: number, end: number): number {
  if (vma.file !== null || isShared(vma)) return -EINVAL;
  return setFlags(VM_WIPEONFORK, 0)(mm, vma, start, end);
}

/** For what is touched from now on. */
function noHugePage(mm: MemoryManager, vma: Vma, start: number, end: number): number {
  setFlags(VM_NOHUGEPAGE, 0)(mm, vma, start, end);
  // While another thread may be touching it, nobody can tell that a range is empty.
  if (vma.file !== null || mm.userCount > 1) return 0;
  const piece = mm.vmas.find(start)!;
  for (let at = start; at < end; ) {
    const pma = mm.pmas.firstIn(at, end);
    if (pma === null) break;
    const from = Math.max(pma.start, at);
    at = Math.min(pma.end, end);
    const offset = pma.offset + (from - pma.start);
    if (pma.cow || !mm.memory.isHuge(offset)) continue;
    if (mm.memory.committedBytes(offset, at - from) === 0) replace(mm, piece, from, at);
  }
  return 0;
}

function freeAnonymous(mm: MemoryManager, vma: Vma, start: number, end: number): number {
  if (vma.file !== null) return -EINVAL;
  return dontNeed(mm, vma, start, end, VM_LOCKED | VM_SPECIAL);
}

function remove(_mm: MemoryManager, vma: Vma, start: number, end: number): number {
  if (vma.flags & VM_LOCKED) return -EINVAL;
  if (vma.file === null) return -EINVAL;
  if (!isShared(vma) || (vma.maxProt & PROT_WRITE) === 0) return -EACCES;
  return vma.file.removeRange(vma.offset + (start - vma.start), end - start);
}

function populateAdvice(mm: MemoryManager, vma: Vma, start: number, end: number): number {
  return vma.prot === PROT_NONE ? -EFAULT : populate(mm, vma, start, end);
}

/** Private memory reads as new: zeroes, or what the file holds. Shared memory keeps its contents. */
function dontNeed(
  mm: MemoryManager,
  vma: Vma,
  start: number,
  end: number,
  refused: number,
): number {
  if (vma.flags & refused) return -EINVAL;
  if (isShared(vma)) return 0;
  for (let at = start; at < end; ) {
    const pma = mm.pmas.firstIn(at, end);
    if (pma === null) break;
    const from = Math.max(pma.start, at);
    at = Math.min(pma.end, end);
    renew(mm, vma, pma, from, at);
  }
  return 0;
}

function renew(mm: MemoryManager, vma: Vma, pma: Pma, start: number, end: number): void {
  if (pma.fromFile) return;
  const offset = pma.offset + (start - pma.start);
  if (vma.file === null && pma.fd === IN_MEMORY_FILE && !pma.cow) {
    // Only ours: emptied in place, without any change of mappings.
    if (mm.memory.decommit(offset, end - start) >= 0) return;
  }
  replace(mm, vma, start, end);
}

/** New pages for [start, end). */
function replace(mm: MemoryManager, vma: Vma, start: number, end: number): void {
  dropPmas(mm, start, end);
  if (vma.prot === PROT_NONE) return;
  mm.space.unmap(start, end - start);
  if (!isLazy(vma)) populate(mm, vma, start, end);
}
