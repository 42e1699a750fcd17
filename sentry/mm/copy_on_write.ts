/**
 * Copy-on-write: giving a Vma pages of its own at the first write after fork(2), or the first write to
 * a private file mapping. See pma.ts for shadows.
 */
import { ENXIO } from '../../spec/linux/errno.ts';
import { PAGE_SIZE, PROT_WRITE } from '../../spec/linux/mman.ts';
import { IN_MEMORY_FILE } from './mappable.ts';
import { joinPmasIn } from './mapping.ts';
import type { MemoryManager } from './memory_manager.ts';
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
  if (!pma.fromFile) mm.writeHistory?.note(page);
  if (pma.fd === IN_MEMORY_FILE && takeOver(mm, vma, pma, page)) return 0;
  return copyWindow(mm, vma, pma, page);
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

function copyWindow(mm: MemoryManager, vma: Vma, pma: Pma, page: number): number {
  const { memory } = mm;
  if (pma.shadow < 0) {
    const shadow = memory.allocate(pma.end - pma.start);
    if (shadow < 0) return shadow;
    pma.shadow = shadow;
  }
  const size = windowSize(mm, vma, pma);
  const windowStart = page - (page % size);
  const start = Math.max(pma.start, windowStart);
  let end = Math.min(pma.end, windowStart + size);
  const source = pma.offset + (start - pma.start);
  const target = pma.shadow + (start - pma.start);
  if (pma.fd === IN_MEMORY_FILE) {
    memory.bytes.copyWithin(target, source, source + (end - start));
  } else {
    const into = memory.bytes.subarray(target, target + (end - start));
    const got = readWhole(mm, pma.fd, into, source);
    if (got <= page - start) return -ENXIO;
    end = start + Math.ceil(got / PAGE_SIZE) * PAGE_SIZE;
  }
  mm.pmas.splitAt(start);
  mm.pmas.splitAt(end);
  const own = mm.pmas.find(start)!;
  if (own.fd === IN_MEMORY_FILE) mm.dropped.add(own.offset, end - start);
  own.fd = IN_MEMORY_FILE;
  own.offset = target;
  own.shadow = -1;
  own.cow = false;
  own.fromFile = false;
  mm.space.map(start, end - start, memory.fd, target, vma.prot, true, true);
  mm.changed();
  joinPmasIn(mm, start, end);
  return 0;
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
