/** mprotect(2). */
import { EACCES, EINVAL, ENOMEM } from '../../spec/linux/errno.ts';
import { PROT_GROWSDOWN, PROT_GROWSUP, PROT_NONE, PROT_SEM } from '../../spec/linux/mman.ts';
import { hostMap, hostProt, isLazy, joinVmasIn, populate, splitsTooMany } from './mapping.ts';
import type { MemoryManager } from './memory_manager.ts';
import { countsAsData, exceedsData } from './mmap.ts';
import { isPageAligned, pageCeil } from './page.ts';
import { PROT_ALL, VM_GROWSDOWN, type Vma } from './vma.ts';

export function mprotect(mm: MemoryManager, addr: number, length: number, prot: number): number {
  const grows = prot & (PROT_GROWSDOWN | PROT_GROWSUP);
  if (grows === (PROT_GROWSDOWN | PROT_GROWSUP)) return -EINVAL;
  if (!isPageAligned(addr)) return -EINVAL;
  if (length === 0) return 0;
  const end = addr + pageCeil(length);
  if (end > mm.taskSize) return -ENOMEM;
  if ((prot & ~(PROT_ALL | PROT_SEM | PROT_GROWSDOWN | PROT_GROWSUP)) !== 0) return -EINVAL;
  let start = addr;
  if (grows !== 0) {
    const vma = mm.vmas.find(addr);
    if (vma === null) return -ENOMEM;
    if (grows === PROT_GROWSUP || (vma.flags & VM_GROWSDOWN) === 0) return -EINVAL;
    start = vma.start;
  }
  if (splitsTooMany(mm, start, end)) return -ENOMEM;
  const result = protectRange(mm, start, end, prot & PROT_ALL);
  mm.changed();
  joinVmasIn(mm, start, end);
  const committed = mm.commit();
  return result < 0 ? result : committed;
}

/** Goes from Vma to Vma; what precedes an error stays changed, as in Linux. */
function protectRange(mm: MemoryManager, start: number, end: number, prot: number): number {
  for (let at = start; at < end; ) {
    const found = mm.vmas.find(at);
    if (found === null) return -ENOMEM;
    const stop = Math.min(found.end, end);
    if (found.prot !== prot) {
      if ((prot & ~found.maxProt) !== 0) return -EACCES;
      if (!countsAsData(found) && countsAsData({ ...found, prot }) && exceedsData(mm, stop - at)) {
        return -ENOMEM;
      }
      const wasLazy = isLazy(found);
      mm.vmas.splitAt(at);
      mm.vmas.splitAt(stop);
      const result = protectVma(mm, mm.vmas.find(at)!, prot, wasLazy);
      if (result < 0) return result;
    }
    at = stop;
  }
  return 0;
}

function protectVma(mm: MemoryManager, vma: Vma, prot: number, wasLazy: boolean): number {
  const { start, end } = vma;
  const before = vma.prot;
  vma.prot = prot;
  if (prot === PROT_NONE) {
    mm.space.unmap(start, end - start);
  } else if (before !== PROT_NONE) {
    protectHost(mm, vma);
  } else {
    hostMap(mm, vma, start, end);
    // A huge reservation is opened piece by piece; files were not looked at while nobody could read.
    if ((vma.file !== null || wasLazy) && !isLazy(vma)) {
      return populate(mm, vma, start, end) === -ENOMEM ? -ENOMEM : 0;
    }
  }
  return 0;
}

/** Queues one host change for each run of Pmas that are alike and without gaps. */
export function protectHost(mm: MemoryManager, vma: Vma): void {
  const { items } = mm.pmas;
  let runStart = vma.start;
  let runEnd = vma.start;
  let runProt = -1;
  for (let i = mm.pmas.lowerBound(vma.start); i < items.length; i++) {
    const pma = items[i]!;
    if (pma.start >= vma.end) break;
    const from = Math.max(pma.start, vma.start);
    const prot = hostProt(vma, pma);
    if (from !== runEnd || prot !== runProt) {
      if (runEnd > runStart) mm.space.protect(runStart, runEnd - runStart, runProt);
      runStart = from;
      runProt = prot;
    }
    runEnd = Math.min(pma.end, vma.end);
  }
  if (runEnd > runStart) mm.space.protect(runStart, runEnd - runStart, runProt);
}
