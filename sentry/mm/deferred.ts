/**
 * Host mappings put off until somebody touches them. A dynamic linker maps a library whole, then its
 * parts over that, one call each; only the last, the writable data, is touched at once. Program text
 * and constants are therefore noted here and mapped together with the next change that cannot wait,
 * or at the first fault: one trip to the host instead of one for each call.
 *
 * A deferred range has its Vma and Pmas as always, and nothing mapped in the host. Whoever changes
 * what the host holds (mprotect, mremap, madvise, fork) catches up first.
 */
import { MAP_DENYWRITE, MAP_LOCKED, MAP_POPULATE, PROT_WRITE } from '../../spec/linux/mman.ts';
import type { Range } from '../base/range_map.ts';
import { hostMap } from './mapping.ts';
import type { MemoryManager } from './memory_manager.ts';
import { isShared, type Vma } from './vma.ts';

/** More ranges than this are mapped at once. */
const MOST_DEFERRED = 32;

/** For the RangeMap of deferred ranges. */
export function splitDeferred(range: Range, at: number): Range {
  const upper = { start: at, end: range.end };
  range.end = at;
  return upper;
}

/** Whether a new mapping may wait. `pages` as in an MmapRequest or -1, `flags` are those of mmap(2). */
export function mayDefer(mm: MemoryManager, vma: Vma, pages: number, flags: number): boolean {
  if ((flags & MAP_DENYWRITE) === 0 || (flags & (MAP_POPULATE | MAP_LOCKED)) !== 0) return false;
  if (vma.file === null && pages < 0) return false;
  if (isShared(vma) || (vma.prot & PROT_WRITE) !== 0) return false;
  return !mm.batching && mm.deferred.items.length < MOST_DEFERRED;
}

/** Maps everything that was put off. Queued, as all host changes: the caller commits. */
export function catchUp(mm: MemoryManager): void {
  const { items } = mm.deferred;
  if (items.length === 0) return;
  for (const { start, end } of items) {
    for (let i = mm.vmas.lowerBound(start); i < mm.vmas.items.length; i++) {
      const vma = mm.vmas.items[i]!;
      if (vma.start >= end) break;
      hostMap(mm, vma, Math.max(vma.start, start), Math.min(vma.end, end));
    }
  }
  mm.deferred.clear();
}

/** The range goes away. True when the host has nothing mapped in it. */
export function forgetDeferred(mm: MemoryManager, start: number, end: number): boolean {
  const { deferred } = mm;
  if (deferred.items.length === 0) return false;
  const first = deferred.splitAt(start);
  const last = deferred.splitAt(end);
  if (first === last) return false;
  let at = start;
  for (let i = first; i < last && deferred.items[i]!.start === at; i++) at = deferred.items[i]!.end;
  deferred.removeAt(first, last - first);
  return at === end;
}
