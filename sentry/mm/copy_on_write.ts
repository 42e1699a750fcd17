/**
 * Copy-on-write: giving a Vma pages of its own at the first write after fork(2), or the first write to
 * a private file mapping. See pma.ts for shadows.
 */
import { ENOMEM, ENXIO } from '../../spec/linux/errno.ts';
import { PAGE_SIZE, PROT_WRITE } from '../../spec/linux/mman.ts';
import { catchUpIn } from './deferred.ts';
import { IN_MEMORY_FILE } from './mappable.ts';
import { joinPmasIn } from './mapping.ts';
import type { MemoryManager } from './memory_manager.ts';
import { HUGE_PAGE_BYTES, hugePageFloor } from './page.ts';
import type { Pma } from './pma.ts';
import { isShared, VM_DENYWRITE, type Vma } from './vma.ts';

/**
 * Bytes copied at one fault, its aligned neighbourhood: little at first, for a child that touches a
 * page here and there before execve(2), and twice the last copy where one follows another.
 */
const FIRST_WINDOW = 4 * PAGE_SIZE;
const LARGEST_WINDOW = 64 * PAGE_SIZE;
/** The data of a program or library is copied when it is mapped, up to this size. */
const COPIED_AHEAD = 16 * PAGE_SIZE;
/** With this many pieces, larger windows keep the host below its limit of mappings. */
const MANY_PIECES = 4096;

/**
 * Makes `page` (backed, copy-on-write, in a writable private `vma`) writable, with what surrounds it.
 * Queues the host changes. 0, -ENOMEM, or -ENXIO when the file no longer reaches there.
 */
export function growCopies(mm: MemoryManager, vma: Vma, page: number): number {
  const pma = isolate(mm, vma, page);
  catchUpIn(mm, pma.start, pma.end);
  const size = windowSize(mm, vma, pma);
  // Who writes all of a large range has no use for copies of a few windows of it.
  if (!pma.fromFile && size < LARGEST_WINDOW) mm.writeHistory?.note(page);
  if (pma.fd === IN_MEMORY_FILE && takeOver(mm, vma, pma, page)) return 0;
  return copyWindow(mm, vma, pma, page, size);
}

/** Whether the pages of a new `vma` are sure to be written at once: relocations are. */
export function copiesAhead(vma: Vma): boolean {
  if (vma.file === null || isShared(vma) || (vma.flags & VM_DENYWRITE) === 0) return false;
  return (vma.prot & PROT_WRITE) !== 0 && vma.end - vma.start <= COPIED_AHEAD;
}

/** Gives [start, end), just backed by a file and not yet mapped in the host, copies of its pages. */
export function copyAhead(mm: MemoryManager, start: number, end: number): void {
  const { memory } = mm;
  for (let i = mm.pmas.lowerBound(start); i < mm.pmas.items.length; i++) {
    const pma = mm.pmas.items[i]!;
    if (pma.start >= end) break;
    const length = pma.end - pma.start;
    const target = memory.allocate(length);
    // Without memory the first write will say so.
    if (target < 0) return;
    if (pma.fd === IN_MEMORY_FILE) {
      memory.bytes.copyWithin(target, pma.offset, pma.offset + length);
      mm.dropped.add(pma.offset, length);
    } else if (
      readWhole(mm, pma.fd, memory.bytes.subarray(target, target + length), pma.offset) <= 0
    ) {
      memory.release(target, length);
      return;
    }
    pma.fd = IN_MEMORY_FILE;
    pma.offset = target;
    pma.cow = false;
    pma.fromFile = false;
  }
}

/** The Pma of `page`, cut to lie within `vma`. */
function isolate(mm: MemoryManager, vma: Vma, page: number): Pma {
  mm.pmas.splitAt(vma.start);
  mm.pmas.splitAt(vma.end);
  return mm.pmas.find(page)!;
}

/** Nobody else has these pages any more: as many as that holds for become writable in place. */
function takeOver(mm: MemoryManager, vma: Vma, pma: Pma, page: number): boolean {
  const unique = mm.memory.uniqueAround(pma.offset + (page - pma.start));
  if (unique === null) return false;
  const start = Math.max(pma.start, pma.start + (unique.start - pma.offset));
  const end = Math.min(pma.end, pma.start + (unique.end - pma.offset));
  mm.pmas.splitAt(start);
  mm.pmas.splitAt(end);
  const own = mm.pmas.find(page)!;
  if (own.shadow >= 0) mm.dropped.add(own.shadow, end - start);
  own.shadow = -1;
  own.cow = false;
  own.fromFile = false;
  mm.space.protect(start, end - start, vma.prot);
  mm.changed();
  joinPmasIn(mm, start, end);
  return true;
}

function copyWindow(mm: MemoryManager, vma: Vma, pma: Pma, page: number, size: number): number {
  const { memory } = mm;
  if (continuesHuge(mm, pma, page)) {
    const copied = copyHugePage(mm, vma, pma);
    if (copied !== NO_HUGE_PAGE) return copied;
  }
  if (pma.shadow < 0) {
    const shadow = memory.allocate(pma.end - pma.start);
    if (shadow < 0) return shadow;
    pma.shadow = shadow;
  }
  const windowStart = page - (page % size);
  const start = Math.max(pma.start, windowStart);
  let end = Math.min(pma.end, windowStart + size);
  const source = pma.offset + (start - pma.start);
  const target = pma.shadow + (start - pma.start);
  let filled = 1;
  if (pma.fd === IN_MEMORY_FILE) {
    filled = memory.copyToFresh(target, source, end - start);
    if (filled < 0) return -ENOMEM;
  } else {
    const into = memory.bytes.subarray(target, target + (end - start));
    const got = readWhole(mm, pma.fd, into, source);
    if (got <= page - start) return -ENXIO;
    end = start + Math.ceil(got / PAGE_SIZE) * PAGE_SIZE;
  }
  mm.pmas.splitAt(start);
  mm.pmas.splitAt(end);
  mm.pmas.find(start)!.shadow = -1;
  own(mm, vma, start, target, filled > 0);
  return 0;
}

function isHuge(mm: MemoryManager, pma: Pma): boolean {
  return pma.fd === IN_MEMORY_FILE && mm.memory.isHuge(pma.offset);
}

/**
 * Whether the first huge page of `pma` is to be copied whole: it is all there, and everything before it has
 * been written in order. Who writes here and there gets small copies, as in Linux.
 */
function continuesHuge(mm: MemoryManager, pma: Pma, page: number): boolean {
  const { start } = pma;
  if (!isHuge(mm, pma) || hugePageFloor(page) !== start) return false;
  const before = mm.pmas.find(start - PAGE_SIZE);
  if (before === null || before.cow || before.fd !== IN_MEMORY_FILE) return false;
  return before.end - before.start >= LARGEST_WINDOW && pma.end - start >= HUGE_PAGE_BYTES;
}

const NO_HUGE_PAGE = 1;

/** 0, -ENOMEM, or NO_HUGE_PAGE when there is none to copy to. */
function copyHugePage(mm: MemoryManager, vma: Vma, pma: Pma): number {
  const { memory } = mm;
  const { start } = pma;
  const end = start + HUGE_PAGE_BYTES;
  const before = mm.pmas.find(start - PAGE_SIZE);
  const hint = before === null ? -1 : before.offset + (before.end - before.start);
  const target = memory.allocateHuge(HUGE_PAGE_BYTES, hint);
  if (target < 0) return NO_HUGE_PAGE;
  const filled = memory.copyToFresh(target, pma.offset, HUGE_PAGE_BYTES);
  if (filled < 0) {
    memory.release(target, HUGE_PAGE_BYTES);
    return -ENOMEM;
  }
  mm.pmas.splitAt(end);
  if (pma.shadow >= 0) mm.dropped.add(pma.shadow, HUGE_PAGE_BYTES);
  pma.shadow = -1;
  own(mm, vma, start, target, filled > 0);
  return 0;
}

/** The Pma that begins at `start` has its own pages at `target` from now on. */
function own(mm: MemoryManager, vma: Vma, start: number, target: number, filled: boolean): void {
  const pma = mm.pmas.find(start)!;
  const { end } = pma;
  if (pma.fd === IN_MEMORY_FILE) mm.dropped.add(pma.offset, end - start);
  pma.fd = IN_MEMORY_FILE;
  pma.offset = target;
  pma.cow = false;
  pma.fromFile = false;
  const fd = mm.memory.fdAt(target);
  mm.space.map(start, end - start, fd, target, vma.prot, true, filled);
  mm.changed();
  joinPmasIn(mm, start, end);
}

/**
 * A power of two. Of files that others may write, a page alone: what the application has not touched
 * itself goes on to show what the file holds, as in Linux.
 */
function windowSize(mm: MemoryManager, vma: Vma, pma: Pma): number {
  if (pma.fromFile && (vma.flags & VM_DENYWRITE) === 0) return PAGE_SIZE;
  if (mm.pmas.items.length > MANY_PIECES) return LARGEST_WINDOW;
  const before = mm.pmas.find(pma.start - PAGE_SIZE);
  if (before === null || before.cow || before.fd !== IN_MEMORY_FILE) return FIRST_WINDOW;
  const copied = before.end - before.start;
  if (isHuge(mm, before) && copied >= LARGEST_WINDOW) return LARGEST_WINDOW;
  if (before.offset + copied !== pma.shadow) return FIRST_WINDOW;
  let size = FIRST_WINDOW;
  while (size < LARGEST_WINDOW && size < 2 * copied) size *= 2;
  return size;
}

function readWhole(mm: MemoryManager, fd: number, into: Uint8Array, offset: number): number {
  let got = 0;
  while (got < into.length) {
    const n = mm.hostFiles.pread(fd, got === 0 ? into : into.subarray(got), offset + got);
    if (n <= 0) break;
    got += n;
  }
  return got;
}
