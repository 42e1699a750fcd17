/**
 * The steps that every memory operation is made of: making Pmas for a range, mapping them in the host,
 * taking ranges away, and joining what has become alike.
 */
import { ENOMEM } from '../../spec/linux/errno.ts';
import { PROT_NONE, PROT_WRITE } from '../../spec/linux/mman.ts';
import { forgetPatches, forgetText } from './call_sites.ts';
import { copiesAhead, copyAhead } from './copy_on_write.ts';
import { forgetDeferred } from './deferred.ts';
import { type Extent, IN_MEMORY_FILE, type Mappable } from './mappable.ts';
import type { MemoryManager } from './memory_manager.ts';
import { hugePageCeil, hugePageFloor } from './page.ts';
import { joinPmas, type Pma } from './pma.ts';
import {
  canJoin,
  isShared,
  VM_GROWSDOWN,
  VM_LOCKED,
  VM_NOHUGEPAGE,
  VM_NORESERVE,
  type Vma,
} from './vma.ts';

/** Linux's vm.max_map_count. */
export const MAX_MAP_COUNT = 65530;
/** Anonymous ranges above this are backed piece by piece when touched: they may be huge and empty. */
export const WHOLE_LIMIT = 2 ** 30;

/** Anonymous ranges with at least so much between two bounds of huge pages have them there. */
const LEAST_HUGE = 8 * 2 ** 20;

/** Own writable pages up to this size are mapped with their pages: that costs less than faults. */
export const POPULATED_AT_ONCE = 64 * 1024;

/** The protection the host gets for `pma` within `vma`. */
export function hostProt(vma: Vma, pma: Pma): number {
  return pma.cow ? vma.prot & ~PROT_WRITE : vma.prot;
}

/** Is this range backed lazily? */
export function isLazy(vma: Vma): boolean {
  return vma.file === null && vma.end - vma.start > WHOLE_LIMIT;
}

/** Queues the host mappings of the Pmas in [start, end) within `vma`. */
export function hostMap(mm: MemoryManager, vma: Vma, start: number, end: number): void {
  if (vma.prot === PROT_NONE) return;
  const { items } = mm.pmas;
  for (let i = mm.pmas.lowerBound(start); i < items.length; i++) {
    const pma = items[i]!;
    if (pma.start >= end) break;
    mapPma(mm, vma, pma, Math.max(pma.start, start), Math.min(pma.end, end));
  }
}

/** Queues the host mapping of [start, end) of `pma` within `vma`, which allows some access. */
export function mapPma(mm: MemoryManager, vma: Vma, pma: Pma, start: number, end: number): void {
  const inMemory = pma.fd === IN_MEMORY_FILE;
  const offset = pma.offset + (start - pma.start);
  const fd = inMemory ? mm.memory.fdAt(offset) : pma.fd;
  const prot = hostProt(vma, pma);
  const own = inMemory && !isShared(vma) && (prot & PROT_WRITE) !== 0;
  const populate = own && end - start <= POPULATED_AT_ONCE;
  mm.space.map(start, end - start, fd, offset, prot, inMemory || isShared(vma), populate);
}

/**
 * Backs whatever of [start, end) has no Pma yet, and maps it in the host. All of it lies in `vma`.
 * 0, or -errno when the first byte that needed backing could not get it; what lies beyond the end of
 * a file stays without.
 */
export function populate(mm: MemoryManager, vma: Vma, start: number, end: number): number {
  let at = start;
  while (at < end) {
    const index = mm.pmas.lowerBound(at);
    const next = mm.pmas.items[index];
    if (next !== undefined && next.start <= at) {
      at = next.end;
      continue;
    }
    const free = next === undefined ? end : Math.min(next.start, end);
    const stop = vma.file === null ? pieceEnd(vma, at, free) : free;
    const back = vma.file === null ? backAnonymous : backFile;
    const result = back(mm, vma, at, stop);
    if (result < 0) return at === start ? result : 0;
    if (copiesAhead(vma)) copyAhead(mm, at, stop);
    if (mm.deferred.find(at) === null) hostMap(mm, vma, at, stop);
    at = stop;
  }
  mm.changed();
  joinPmasIn(mm, start, end);
  return 0;
}

/** As Linux: not for stacks, nor for who does not want them. Nor where much is reserved and little used. */
function mayBeHuge(vma: Vma): boolean {
  const unfit = VM_NOHUGEPAGE | VM_NORESERVE | VM_GROWSDOWN;
  return (vma.prot & PROT_WRITE) !== 0 && (vma.flags & unfit) === 0;
}

/** How far a piece from `start` reaches: up to the huge pages in the middle, over them, or to `end`. */
function pieceEnd(vma: Vma, start: number, end: number): number {
  const first = hugePageCeil(start);
  const last = hugePageFloor(end);
  if (last - first < LEAST_HUGE || !mayBeHuge(vma)) return end;
  return first > start ? first : last;
}

function backAnonymous(mm: MemoryManager, vma: Vma, start: number, end: number): number {
  const before = mm.pmas.items[mm.pmas.lowerBound(start) - 1];
  const adjoins = before !== undefined && before.end === start && before.fd === IN_MEMORY_FILE;
  const hint = adjoins ? before.offset + (before.end - before.start) : -1;
  const length = end - start;
  const whole = hugePageFloor(start) === start && hugePageFloor(end) === end;
  const huge = whole && length >= LEAST_HUGE && mayBeHuge(vma);
  let offset = huge ? mm.memory.allocateHuge(length, hint) : -1;
  if (offset < 0) offset = mm.memory.allocate(length, hint);
  if (offset < 0) return offset;
  mm.pmas.insert({
    start,
    end,
    fd: IN_MEMORY_FILE,
    offset,
    cow: false,
    fromFile: false,
    shadow: -1,
  });
  return 0;
}

/** Backs [start, end) with file pages as far as the file goes. */
function backFile(mm: MemoryManager, vma: Vma, start: number, end: number): number {
  const file = vma.file!;
  const shared = isShared(vma);
  const write = shared && (vma.maxProt & PROT_WRITE) !== 0;
  const extent: Extent = { fd: IN_MEMORY_FILE, offset: 0, length: 0 };
  for (let at = start; at < end; ) {
    const result = file.translate(vma.offset + (at - vma.start), end - at, write, extent);
    if (result < 0) return at === start ? result : 0;
    const { fd, offset, length } = extent;
    if (length <= 0 || length > end - at) throw new Error('Mappable: bad extent');
    if (fd === IN_MEMORY_FILE) mm.memory.retain(offset, length);
    const cow = !shared;
    mm.pmas.insert({ start: at, end: at + length, fd, offset, cow, fromFile: true, shadow: -1 });
    at += length;
  }
  return 0;
}

/** Joins Pmas in and around [start, end). */
export function joinPmasIn(mm: MemoryManager, start: number, end: number): void {
  mm.pmas.mergeIn(start, end, joinPmas);
}

/** Joins Vmas in and around [start, end). */
export function joinVmasIn(mm: MemoryManager, start: number, end: number): void {
  mm.vmas.mergeIn(start, end, (left, right) => {
    if (!canJoin(left, right)) return false;
    right.file?.removeMapping(mm);
    return true;
  });
}

/** Drops the Pmas of [start, end). The caller queues the host's unmapping or remapping. */
export function dropPmas(mm: MemoryManager, start: number, end: number): void {
  const first = mm.pmas.splitAt(start);
  const last = mm.pmas.splitAt(end);
  if (first === last) return;
  for (let i = first; i < last; i++) mm.dropped.addPma(mm.pmas.items[i]!);
  mm.pmas.removeAt(first, last - first);
  mm.changed();
}

/** Removes all Vmas and Pmas of [start, end), and queues the host's unmapping. Never fails. */
export function unmapRange(mm: MemoryManager, start: number, end: number): void {
  if (mm.vmas.firstIn(start, end) === null) return;
  forgetPatches(mm, start, end);
  const first = mm.vmas.splitAt(start);
  const last = mm.vmas.splitAt(end);
  for (let i = first; i < last; i++) {
    const vma = mm.vmas.items[i]!;
    const length = vma.end - vma.start;
    mm.mappedBytes -= length;
    if (vma.flags & VM_LOCKED) mm.lockedBytes -= length;
    vma.file?.removeMapping(mm);
  }
  const from = mm.vmas.items[first]!.start;
  const to = mm.vmas.items[last - 1]!.end;
  mm.vmas.removeAt(first, last - first);
  mm.searchStart.freed(mm.vmas.items[first]?.start ?? Infinity);
  dropPmas(mm, start, end);
  if (!forgetDeferred(mm, from, to)) mm.space.unmap(from, to - from);
  mm.changed();
}

/** Would removing or changing [start, end) split a Vma beyond the permitted number? */
export function splitsTooMany(mm: MemoryManager, start: number, end: number): boolean {
  const count = mm.vmas.items.length;
  if (count + 2 <= MAX_MAP_COUNT) return false;
  const low = mm.vmas.find(start);
  const high = mm.vmas.find(end);
  const added =
    (low !== null && low.start < start ? 1 : 0) + (high !== null && high.start < end ? 1 : 0);
  return count + added > MAX_MAP_COUNT;
}

/**
 * Adds a Vma over a free range, backs it as its kind wants, and joins it with its neighbours. `pages`
 * are MemoryFile pages to back it with, or -1; their reference is taken over in any case. After an
 * error the caller unmaps the range.
 */
export function addVma(mm: MemoryManager, vma: Vma, pages = -1): number {
  const { start, end } = vma;
  vma.file?.addMapping(mm);
  mm.vmas.insert(vma);
  mm.mappedBytes += end - start;
  if (vma.flags & VM_LOCKED) mm.lockedBytes += end - start;
  if (pages >= 0) {
    const fd = IN_MEMORY_FILE;
    mm.pmas.insert({ start, end, fd, offset: pages, cow: false, fromFile: false, shadow: -1 });
    if (mm.deferred.find(start) === null) hostMap(mm, vma, start, end);
  }
  mm.changed();
  if (mm.vmas.items.length > MAX_MAP_COUNT) return -ENOMEM;
  // Anonymous memory without access is backed too: that costs nothing, and what mprotect(2) opens bit
  // by bit, as malloc's arenas do, then lies in one row.
  if (vma.file === null ? !isLazy(vma) : vma.prot !== PROT_NONE) {
    // A file that ends before the range is no error until somebody touches it.
    if (populate(mm, vma, start, end) === -ENOMEM) return -ENOMEM;
  }
  joinVmasIn(mm, start, end);
  return 0;
}

/** Mapper.invalidate: see mappable.ts. */
export function invalidateFile(
  mm: MemoryManager,
  file: Mappable,
  start: number,
  end: number,
  evenPrivate: boolean,
): void {
  forgetText(mm, file);
  for (const vma of mm.vmas.items) {
    if (vma.file?.identity !== file.identity) continue;
    const from = Math.max(vma.start, vma.start + (start - vma.offset));
    const to = Math.min(vma.end, vma.start + (end - vma.offset));
    if (from >= to) continue;
    if (evenPrivate || isShared(vma)) forgetPages(mm, vma, from, to);
    else forgetUncopied(mm, vma, from, to);
  }
  mm.commit();
}

function forgetPages(mm: MemoryManager, vma: Vma, start: number, end: number): void {
  dropPmas(mm, start, end);
  if (vma.prot !== PROT_NONE) mm.space.unmap(start, end - start);
  mm.changed();
}

/** Forgets the file's own pages and keeps private copies. */
function forgetUncopied(mm: MemoryManager, vma: Vma, start: number, end: number): void {
  for (let at = start; at < end; ) {
    const pma = mm.pmas.firstIn(at, end);
    if (pma === null) break;
    const from = Math.max(pma.start, at);
    const to = Math.min(pma.end, end);
    if (pma.fromFile) forgetPages(mm, vma, from, to);
    at = to;
  }
}
