/**
 * Host mappings put off until somebody touches them, for two reasons. A dynamic linker maps a library whole, then its
 * parts over that, one call each; only the last, the writable data, is touched at once. Program text
 * and constants are therefore noted here and mapped together with the next change that cannot wait,
 * or at the first fault: one trip to the host instead of one for each call. And a fork's child gets what
 * it is not expected to touch (touch_history.ts) only when it does, each by itself.
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

export interface Deferred extends Range {
  /** Of a fork's child: other changes do not take it along. */
  readonly inherited: boolean;
}

/** For the RangeMap of deferred ranges. */
export function splitDeferred(range: Deferred, at: number): Deferred {
  const upper = { start: at, end: range.end, inherited: range.inherited };
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
  for (const range of mm.deferred.items) mapDeferred(mm, range);
  mm.deferred.clear();
}

/** Maps what was put off until the next change. */
export function catchUpNew(mm: MemoryManager): void {
  const { items } = mm.deferred;
  let kept = 0;
  for (const range of items) {
    if (range.inherited) items[kept++] = range;
    else mapDeferred(mm, range);
  }
  items.length = kept;
}

/** Maps what was put off of [start, end). */
export function catchUpIn(mm: MemoryManager, start: number, end: number): void {
  const { deferred } = mm;
  const first = deferred.lowerBound(start);
  let last = first;
  for (; last < deferred.items.length && deferred.items[last]!.start < end; last++) {
    mapDeferred(mm, deferred.items[last]!);
  }
  if (last > first) deferred.removeAt(first, last - first);
}

function mapDeferred(mm: MemoryManager, { start, end }: Deferred): void {
  for (let i = mm.vmas.lowerBound(start); i < mm.vmas.items.length; i++) {
    const vma = mm.vmas.items[i]!;
    if (vma.start >= end) break;
    hostMap(mm, vma, Math.max(vma.start, start), Math.min(vma.end, end));
  }
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
