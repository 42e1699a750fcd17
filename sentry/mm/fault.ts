/**
 * Page faults: what to do when the host stopped a thread with SIGSEGV (mmap(2), "Stack growth";
 * sigaction(2) on si_code). Anonymous memory is mapped whole when it is made, so what comes here is
 * copy-on-write, file pages that were not there before, lazily backed huge ranges, stack growth, and
 * true errors.
 */
import { ENOMEM } from '../../spec/linux/errno.ts';
import { PAGE_SIZE, PROT_EXEC, PROT_NONE, PROT_WRITE } from '../../spec/linux/mman.ts';
import { RLIMIT_AS, RLIMIT_STACK } from '../../spec/linux/resource.ts';
import { giveRoom } from './call_sites.ts';
import { growCopies } from './copy_on_write.ts';
import { catchUp, catchUpIn } from './deferred.ts';
import { populate } from './mapping.ts';
import type { MemoryManager } from './memory_manager.ts';
import { pageCeil, pageFloor } from './page.ts';
import { STACK_GUARD, VM_GROWSDOWN, VM_LOCKED, type Vma } from './vma.ts';

/** The access can be tried again. */
export const FAULT_HANDLED = 0;
/** SIGSEGV, SEGV_MAPERR. */
export const FAULT_MAPERR = 1;
/** SIGSEGV, SEGV_ACCERR. */
export const FAULT_ACCERR = 2;
/** SIGBUS, BUS_ADRERR. */
export const FAULT_BUS = 3;
/** No memory to serve it: SIGKILL. */
export const FAULT_OOM = 4;

/** File pages mapped at one fault. */
const FILE_WINDOW = 256 * 1024;
/** Anonymous pages backed at one fault in a huge range. */
const LAZY_WINDOW = 16 * 1024 * 1024;
/** A stack grows by at least this much, so that deep recursion does not fault at each page. */
const STACK_STEP = 128 * 1024;
const RETRIES_KEPT = 64;

/**
 * Answers a fault at `addr`. `access` is the PROT_* bit of the attempted access, or 0 when the
 * platform cannot tell reading from writing; execution must be told (the address is that of the
 * instruction). Returns FAULT_*.
 */
export function fault(mm: MemoryManager, addr: number, access: number): number {
  const vma = mm.vmas.find(addr) ?? growStack(mm, addr);
  if (vma === null) return FAULT_MAPERR;
  if (vma.prot === PROT_NONE) return FAULT_ACCERR;
  if ((access & (PROT_WRITE | PROT_EXEC) & ~vma.prot) !== 0) return FAULT_ACCERR;
  const page = pageFloor(addr);
  if (mm.deferred.items.length > 0 && mapUntouched(mm, vma, page)) {
    return mm.commit() < 0 ? FAULT_OOM : FAULT_HANDLED;
  }
  let result = touch(mm, vma, page);
  if (result === TOUCH_NOTHING) {
    // A reader need not copy, but a read of a mapped page does not fault.
    const pma = mm.pmas.find(page)!;
    if (!pma.cow || (vma.prot & PROT_WRITE) === 0) return maybeStale(mm, addr, vma, access);
    result = growCopies(mm, vma, page);
  }
  if (result < 0) return result === -ENOMEM ? FAULT_OOM : FAULT_BUS;
  return mm.commit() < 0 ? FAULT_OOM : FAULT_HANDLED;
}

/** Whether `page` was not mapped only because that was put off, and may be tried again now. */
function mapUntouched(mm: MemoryManager, vma: Vma, page: number): boolean {
  const range = mm.deferred.find(page);
  if (range === null) return false;
  const pma = mm.pmas.find(page);
  // Who writes memory would come back at once, and is in the other history. Who reads a file must see it.
  const mayCopy = pma?.cow === true && !pma.fromFile && (vma.prot & PROT_WRITE) !== 0;
  if (range.inherited) {
    if (!mayCopy) mm.touchHistory?.note(page);
    catchUpIn(mm, page, page + PAGE_SIZE);
  } else catchUp(mm);
  return pma !== null && !mayCopy;
}

const TOUCH_NOTHING = 1;

/** Makes sure that `page` is backed. 0 when it was not before, TOUCH_NOTHING when it was, or -errno. */
export function touch(mm: MemoryManager, vma: Vma, page: number): number {
  if (mm.pmas.find(page) !== null) return TOUCH_NOTHING;
  const size = vma.file === null ? LAZY_WINDOW : FILE_WINDOW;
  const windowStart = Math.max(vma.start, page - (page % size));
  const windowEnd = Math.min(vma.end, page - (page % size) + size);
  if (vma.file === null) {
    // In one piece if there is memory for it; what counts is the page.
    populate(mm, vma, windowStart, windowEnd);
    return mm.pmas.find(page) === null ? populate(mm, vma, page, page + PAGE_SIZE) : 0;
  }
  // First the page itself, whose failure counts; then what surrounds it, as far as that goes.
  const result = populate(mm, vma, page, page + PAGE_SIZE);
  if (result < 0) return result;
  populate(mm, vma, windowStart, windowEnd);
  return 0;
}

/**
 * The page is mapped as the Vma says. Either another thread has changed that since the host
 * reported the fault, and the access will succeed now, or it is an error. The first time, try again;
 * if it comes back with nothing changed, it is an error.
 */
function maybeStale(mm: MemoryManager, addr: number, vma: Vma, access: number): number {
  if (access === 0 && (vma.prot & PROT_WRITE) === 0 && mm.userCount === 1) return FAULT_ACCERR;
  if (mm.retriedFaults.has(addr)) return FAULT_ACCERR;
  if (mm.retriedFaults.size >= RETRIES_KEPT) mm.retriedFaults.clear();
  mm.retriedFaults.add(addr);
  return FAULT_HANDLED;
}

/** MemoryManager.prefault. */
export function prefault(mm: MemoryManager, start: number, end: number): void {
  for (let at = start; at < end; ) {
    const vma = mm.vmas.firstIn(at, end);
    if (vma === null) break;
    const stop = Math.min(vma.end, end);
    if (vma.prot !== PROT_NONE) populate(mm, vma, Math.max(vma.start, at), stop);
    at = stop;
  }
  mm.commit();
}

/** Extends a VM_GROWSDOWN Vma down to `addr` if one lies above it and limits allow. */
export function growStack(mm: MemoryManager, addr: number): Vma | null {
  const index = mm.vmas.lowerBound(addr);
  const vma = mm.vmas.items[index];
  if (vma === undefined || (vma.flags & VM_GROWSDOWN) === 0 || vma.start <= addr) return null;
  const lowest = Math.max(
    mm.layout.minAddress,
    pageCeil(vma.end - Math.min(mm.limits.rlimit(RLIMIT_STACK), vma.end)),
    vma.start - Math.max(mm.limits.rlimit(RLIMIT_AS) - mm.mappedBytes, 0),
  );
  if (addr < lowest) return null;
  giveRoom(mm, pageFloor(addr) - STACK_GUARD, vma.start);
  const below = mm.vmas.items[mm.vmas.lowerBound(addr) - 1];
  const needsGuard =
    below !== undefined && (below.flags & VM_GROWSDOWN) === 0 && below.prot !== PROT_NONE;
  const floor = Math.max(
    below === undefined ? 0 : below.end + (needsGuard ? STACK_GUARD : 0),
    lowest,
  );
  if (addr < floor) return null;
  const start = Math.max(floor, Math.min(pageFloor(addr), vma.start - STACK_STEP));
  const grown = vma.start - start;
  vma.start = start;
  mm.mappedBytes += grown;
  if (vma.flags & VM_LOCKED) mm.lockedBytes += grown;
  mm.changed();
  return vma;
}
