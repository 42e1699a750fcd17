/**
 * Call sites that jump to the platform's entry instead of executing `syscall`: which are patched, and
 * the trampolines in between. See arch/call_site.ts for the instructions, and Linux's uprobes, which
 * change program text and add a mapping for it in the same manner.
 *
 * Only text that nobody writes is patched: a private, executable, not writable mapping of a file, and
 * in it pages as they are in the file. A patched page is a private copy, and every change is made in
 * another copy, mapped at once: a thread sees the old or the new one. To take patches back is to
 * forget the copy.
 *
 * The application sees the jumps when it reads its text. When it unmaps, moves or protects patched
 * text, or the trampolines, the patches are taken back first, and those pages left alone from then on.
 * A thread that is in one of these trampolines just then, four instructions, is not looked for.
 */

import {
  MAP_ANONYMOUS,
  MAP_FIXED_NOREPLACE,
  MAP_PRIVATE,
  PAGE_SIZE,
  PROT_EXEC,
  PROT_READ,
  PROT_WRITE,
} from '../../spec/linux/mman.ts';
import {
  SYS_clone,
  SYS_clone3,
  SYS_execve,
  SYS_execveat,
  SYS_exit,
  SYS_exit_group,
  SYS_fork,
  SYS_rt_sigreturn,
  SYS_vfork,
} from '../../spec/linux/syscall_numbers.ts';
import {
  bytesBefore,
  FAR_TARGETS,
  farTarget,
  jump,
  LONGEST_SITE,
  type Reach,
  reachOf,
  replacesSyscall,
  TRAMPOLINE_BYTES,
  trampoline,
} from '../arch/call_site.ts';
import {
  REG_R8,
  REG_R9,
  REG_R10,
  REG_R11,
  REG_R12,
  REG_R13,
  REG_R14,
  REG_R15,
  REG_RAX,
  REG_RIP,
  type Registers,
} from '../platform/platform.ts';
import { IN_MEMORY_FILE } from './mappable.ts';
import { dropPmas, populate } from './mapping.ts';
import type { MemoryManager } from './memory_manager.ts';
import { mmap } from './mmap.ts';
import { offsetInPage, pageFloor } from './page.ts';
import { isFree } from './placement.ts';
import type { Pma } from './pma.ts';
import { guardedStart, isShared, VM_SPECIAL, type Vma } from './vma.ts';

const SYSCALL_BYTES = 2;
/** The instruction as a little-endian number. */
const SYSCALL = 0x050f;
const TRAMPOLINES = PAGE_SIZE / TRAMPOLINE_BYTES;
/** A jump reaches 2 GiB. */
const REACH = 0x7ff00000;
/** Left to the heap. */
const HEAP_ROOM = 2 ** 29;

/** Calls that look at floating-point state, or do not return: nothing is gained for them. */
const WANT_FRAMES: ReadonlySet<number> = new Set([
  SYS_rt_sigreturn,
  SYS_clone,
  SYS_fork,
  SYS_vfork,
  SYS_execve,
  SYS_exit,
  SYS_exit_group,
  SYS_execveat,
  SYS_clone3,
]);

/** At most this many sites get a trampoline page of their own. */
const OWN_PAGES = 16;
/** r8 to r15. */
const EXTENDED = [REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15];

/** How many places for a trampoline are tried. */
const MOST_LOOKS = 64;

interface Site {
  readonly at: number;
  /** Bytes before the `syscall`. */
  readonly length: number;
}

interface TrampolinePage {
  readonly start: number;
  /** Where in the page the first is. */
  readonly first: number;
  /** MemoryFile offset, or -1 when no more trampolines go in there. */
  offset: number;
  /** The site of each trampoline. */
  readonly sites: Site[];
}

/** What is patched in one address space. */
export class CallSites {
  readonly trampolines: TrampolinePage[] = [];
  /** Patched pages. */
  readonly pages = new Set<number>();
  /** Where a `syscall` has become something else. */
  readonly replaced = new Set<number>();
  ownPages = 0;
  /** Pages never to be patched (again). */
  readonly barred = new Set<number>();

  /** For fork(2): from now on neither side writes to the pages of trampolines that both have. */
  copy(): CallSites {
    const copy = new CallSites();
    for (const page of this.trampolines) {
      page.offset = -1;
      copy.trampolines.push({ ...page, sites: [...page.sites] });
    }
    for (const page of this.pages) copy.pages.add(page);
    for (const at of this.replaced) copy.replaced.add(at);
    copy.ownPages = this.ownPages;
    for (const page of this.barred) copy.barred.add(page);
    return copy;
  }
}

/** Patches the site whose `syscall` a thread has just made, if that is possible. */
export function patchCallSite(mm: MemoryManager, regs: Registers, entry: number): void {
  const back = regs.get(REG_RIP);
  const number = regs.get(REG_RAX);
  const at = back - SYSCALL_BYTES;
  const page = pageFloor(at);
  if (WANT_FRAMES.has(number) || offsetInPage(at) < LONGEST_SITE) return;
  // With the byte behind it, which the long jump takes in.
  if (pageFloor(back) !== page) return;
  const vma = mm.vmas.find(at);
  const pma = mm.pmas.find(page);
  if (vma === null || pma === null || !isProgramText(vma)) return;
  const patched = mm.callSites ?? new CallSites();
  if (patched.barred.has(page) || (!pma.fromFile && !patched.pages.has(page))) return;
  const code = new Uint8Array(LONGEST_SITE + SYSCALL_BYTES + 1);
  if (mm.copyIn(at - LONGEST_SITE, code) < 0) return;
  mm.callSites = patched;
  const length = bytesBefore(code, LONGEST_SITE, number, (n) => extendedRegister(regs, n));
  if (length === 0) return;
  const site = { at: at - length, length };
  const moved = trampoline(code.subarray(LONGEST_SITE - length, LONGEST_SITE), back, entry);
  const far = replacesSyscall(length);
  const target = far
    ? addFarTrampoline(mm, patched, site, code.at(-1)!, moved)
    : addTrampoline(mm, patched, site, moved, reachOf(site.at, length));
  if (target < 0) return;
  if (far) patched.replaced.add(at);
  patched.pages.add(page);
  const bytes = jump(site.at, target);
  if (!replacePage(mm, vma, page, offsetInPage(site.at), bytes)) takeBackPage(mm, patched, page);
}

/** The lower half of r8 to r15. */
function extendedRegister(regs: Registers, n: number): number {
  return regs.get(EXTENDED[n - 8] as number) % 2 ** 32;
}

function isProgramText(vma: Vma): boolean {
  return vma.file !== null && !isShared(vma) && (vma.prot & (PROT_EXEC | PROT_WRITE)) === PROT_EXEC;
}

/** The address of a new trampoline, or -1. */
function addTrampoline(
  mm: MemoryManager,
  patched: CallSites,
  site: Site,
  code: Uint8Array,
  reach: Reach | null,
): number {
  const low = reach?.from ?? site.at - REACH;
  const high = reach === null ? site.at + REACH : reach.from + reach.bytes;
  let page = patched.trampolines.find(
    (each) =>
      each.offset >= 0 &&
      each.sites.length < TRAMPOLINES &&
      each.start >= low &&
      each.start + PAGE_SIZE <= high,
  );
  if (page === undefined) {
    const start = reach === null ? roomNear(mm, site.at) : roomWithin(mm, low, high);
    const offset = mapTrampolines(mm, start);
    if (offset < 0) return -1;
    page = { start, first: 0, offset, sites: [] };
    patched.trampolines.push(page);
  }
  const inPage = page.sites.length * TRAMPOLINE_BYTES;
  page.sites.push(site);
  mm.memory.bytes.set(code, page.offset + inPage);
  return page.start + inPage;
}

/** The same for a site whose jump ends with `next`, the byte behind it. */
function addFarTrampoline(
  mm: MemoryManager,
  patched: CallSites,
  site: Site,
  next: number,
  code: Uint8Array,
): number {
  if (patched.ownPages >= OWN_PAGES) return -1;
  for (let n = 0; n < FAR_TARGETS; n++) {
    let target = farTarget(site.at, next, n);
    const left = PAGE_SIZE - offsetInPage(target);
    if (left < TRAMPOLINE_BYTES) target += left;
    const start = pageFloor(target);
    if (!fits(mm, start)) continue;
    const offset = mapTrampolines(mm, start);
    if (offset < 0) return -1;
    const first = offsetInPage(target);
    patched.trampolines.push({ start, first, offset: -1, sites: [site] });
    patched.ownPages++;
    mm.memory.bytes.set(code, offset + first);
    return target;
  }
  return -1;
}

/** Maps a page for trampolines: its MemoryFile offset, or a negative number. */
function mapTrampolines(mm: MemoryManager, start: number): number {
  if (start < 0) return -1;
  const pages = mm.memory.allocate(PAGE_SIZE);
  if (pages < 0) return pages;
  const mapped = mmap(mm, {
    addr: start,
    length: PAGE_SIZE,
    prot: PROT_READ | PROT_EXEC,
    flags: MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE,
    file: null,
    offset: 0,
    name: '[trampolines]',
    vmFlags: VM_SPECIAL,
    pages,
  });
  return mapped < 0 ? mapped : pages;
}

/** A free page within reach of a jump, below what is mapped around `site` if there is one. */
function roomNear(mm: MemoryManager, site: number): number {
  const { items } = mm.vmas;
  const here = mm.vmas.lowerBound(site);
  for (let i = here; i >= 0; i--) {
    const start = guardedStart(items[i]!) - PAGE_SIZE;
    if (site - start > REACH) break;
    if (fits(mm, start)) return start;
  }
  for (let i = here; i < items.length; i++) {
    const start = items[i]!.end;
    if (start - site > REACH) break;
    if (fits(mm, start)) return start;
  }
  return -1;
}

/** A free page in [low, high), or -1; not every one is looked at. */
function roomWithin(mm: MemoryManager, low: number, high: number): number {
  const last = Math.min(high, low + MOST_LOOKS * PAGE_SIZE) - PAGE_SIZE;
  for (let start = pageFloor(low + PAGE_SIZE - 1); start <= last; start += PAGE_SIZE) {
    if (fits(mm, start)) return start;
  }
  return -1;
}

function fits(mm: MemoryManager, start: number): boolean {
  const forHeap = start >= mm.brkStart && start < mm.brkEnd + HEAP_ROOM;
  return !forHeap && isFree(mm, start, start + PAGE_SIZE);
}

/** Gives `page` a new copy with `bytes` at `inPage`. */
function replacePage(
  mm: MemoryManager,
  vma: Vma,
  page: number,
  inPage: number,
  bytes: Uint8Array,
): boolean {
  const { memory } = mm;
  const target = memory.allocate(PAGE_SIZE);
  if (target < 0) return false;
  const copy = memory.bytes.subarray(target, target + PAGE_SIZE);
  if (mm.copyIn(page, copy) < 0) {
    memory.release(target, PAGE_SIZE);
    return false;
  }
  copy.set(bytes, inPage);
  mm.pmas.splitAt(page);
  mm.pmas.splitAt(page + PAGE_SIZE);
  const pma = mm.pmas.find(page) as Pma;
  mm.dropped.addPma(pma);
  pma.fd = IN_MEMORY_FILE;
  pma.offset = target;
  pma.shadow = -1;
  pma.cow = false;
  pma.fromFile = false;
  mm.space.map(page, PAGE_SIZE, memory.fd, target, vma.prot, true);
  mm.changed();
  return mm.commit() >= 0;
}

/**
 * [start, end) is about to be changed: takes back what is patched there, and what jumps there. Host
 * changes are queued.
 */
export function takeBackPatches(mm: MemoryManager, start: number, end: number): void {
  const patched = mm.callSites;
  if (patched === null) return;
  for (const page of patched.pages)
    if (page >= start && page < end) takeBackPage(mm, patched, page);
  for (let i = patched.trampolines.length - 1; i >= 0; i--) {
    const page = patched.trampolines[i]!;
    if (page.start < start || page.start >= end) continue;
    patched.trampolines.splice(i, 1);
    for (const site of page.sites) takeBackPage(mm, patched, pageFloor(site.at));
  }
}

/** [start, end) is about to be unmapped: what comes there later is another matter. */
export function forgetPatches(mm: MemoryManager, start: number, end: number): void {
  const patched = mm.callSites;
  if (patched === null) return;
  takeBackPatches(mm, start, end);
  for (const page of patched.barred) if (page >= start && page < end) patched.barred.delete(page);
}

function takeBackPage(mm: MemoryManager, patched: CallSites, page: number): void {
  patched.barred.add(page);
  for (const at of patched.replaced) if (pageFloor(at) === page) patched.replaced.delete(at);
  const vma = mm.vmas.find(page);
  if (!patched.pages.delete(page) || vma === null) return;
  dropPmas(mm, page, page + PAGE_SIZE);
  mm.space.unmap(page, PAGE_SIZE);
  // What the file has there now; if that is nothing, the next fetch faults.
  populate(mm, vma, page, page + PAGE_SIZE);
}

/** A thread that was interrupted in a trampoline goes back to the site: to the same instruction, or the `syscall`. */
export function leaveTrampoline(mm: MemoryManager, regs: Registers): void {
  const rip = regs.get(REG_RIP);
  const page = mm.callSites?.trampolines.find((e) => e.start <= rip && rip < e.start + PAGE_SIZE);
  if (page === undefined) return;
  const inPage = rip - page.start - page.first;
  const site = page.sites[Math.floor(inPage / TRAMPOLINE_BYTES)];
  if (site !== undefined)
    regs.set(REG_RIP, site.at + Math.min(inPage % TRAMPOLINE_BYTES, site.length));
}

/** Whether an illegal instruction at `at` is a `syscall` in truth. */
export function isReplacedSyscall(mm: MemoryManager, at: number): boolean {
  if (mm.callSites === null) return false;
  if (mm.callSites.replaced.has(at)) return true;
  return mm.callSites.barred.has(pageFloor(at)) && mm.readU16(at) === SYSCALL;
}
