/**
 * Patching call sites: finding them when they have become hot, and mapping the patched runs and their
 * trampolines (patched_text.ts) into an address space.
 *
 * Only text that nobody writes is patched: a private, executable, not writable mapping of a file, and
 * in it pages as they are in the file. Patched runs are mapped in place of the file's pages when a
 * program has made some calls, from then on when it maps text, or when a site has become hot. They count
 * as pages of the file.
 */

import {
  MAP_ANONYMOUS,
  MAP_DENYWRITE,
  MAP_FIXED_NOREPLACE,
  MAP_PRIVATE,
  PAGE_SIZE,
  PROT_EXEC,
  PROT_READ,
  PROT_WRITE,
} from '../../spec/linux/mman.ts';
import { RLIMIT_STACK } from '../../spec/linux/resource.ts';
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
  BYTES_BEHIND,
  distances,
  findSite,
  JUMP_BYTES,
  LONGEST_SITE,
  mayLead,
  type SiteForm,
  SYSCALL_BYTES,
  TRAMPOLINE_BYTES,
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
  REG_RBP,
  REG_RBX,
  REG_RCX,
  REG_RDI,
  REG_RDX,
  REG_RIP,
  REG_RSI,
  REG_RSP,
  type Registers,
} from '../platform/platform.ts';
import { CallSites, type MappedText, TRAMPOLINES } from './call_sites.ts';
import { catchUp } from './deferred.ts';
import { type Extent, IN_MEMORY_FILE } from './mappable.ts';
import { dropPmas } from './mapping.ts';
import type { MemoryManager } from './memory_manager.ts';
import { mmap } from './mmap.ts';
import { offsetInPage, pageFloor } from './page.ts';
import type { PatchedRun, PatchedText, TrampolinePage } from './patched_text.ts';
import { isFree } from './placement.ts';
import { isShared, STACK_GUARD, VM_GROWSDOWN, VM_SPECIAL, type Vma } from './vma.ts';

/** Left to the heap. */
const HEAP_ROOM = 2 ** 29;
/** Texts with patches in one address space. */
const MOST_TEXTS = 64;

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

/** By their number in instructions. */
const REGISTERS = [
  ...[REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI],
  ...[REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15],
];

/**
 * Patches the site of the call that `regs` have just made, if that is possible. Where it begins,
 * when nobody had patched it yet, else ''.
 */
export function patchCallSite(mm: MemoryManager, regs: Registers, entry: number): string {
  if (mm.callsBeforePatches > 0) return '';
  const back = regs.get(REG_RIP);
  const at = back - SYSCALL_BYTES;
  const page = pageFloor(at);
  if (WANT_FRAMES.has(regs.get(REG_RAX)) || offsetInPage(at) < LONGEST_SITE) return '';
  if (pageFloor(back + BYTES_BEHIND - 1) !== page) return '';
  const vma = mm.vmas.find(at);
  if (vma === null || !isProgramText(vma) || mm.callSites?.barred.has(page)) return '';
  if (mm.pmas.find(page)?.fromFile !== true) return '';
  const code = new Uint8Array(LONGEST_SITE + SYSCALL_BYTES + BYTES_BEHIND);
  if (mm.copyIn(at - LONGEST_SITE, code) < 0) return '';
  const form = findSite(code, LONGEST_SITE, (n) => regs.get(REGISTERS[n] as number));
  if (form === null) return '';
  const mapped = textOf(mm, vma, true);
  if (mapped === null) return '';
  catchUp(mm);
  const start = at - form.length - mapped.base;
  let added = '';
  if (mapped.text.sites.has(start)) {
    // It has the jump already, and came another way.
    if (hasRun(mm, mapped, page)) return '';
  } else if (!addSite(mm, vma, mapped, start, form, entry)) return '';
  else added = `${vma.file?.mapName()}+0x${start.toString(16)}`;
  mapRun(mm, vma, mapped, mapped.text.runOf(page - mapped.base) as PatchedRun);
  mm.commit();
  return added;
}

/** A text was just mapped at `start`: maps what is known to be patched of it. Host changes are queued. */
export function mapPatches(mm: MemoryManager, start: number): void {
  if (mm.patchedTexts.empty || mm.callsBeforePatches > 0) return;
  const vma = mm.vmas.find(start);
  if (vma === null || !isProgramText(vma)) return;
  const mapped = textOf(mm, vma, false);
  if (mapped === null) return;
  for (const run of mapped.text.runs) mapRun(mm, vma, mapped, run);
}

/** Enough calls have been made: maps what is known to be patched of all texts. */
export function mapAllPatches(mm: MemoryManager): void {
  if (mm.patchedTexts.empty) return;
  catchUp(mm);
  for (const { start } of mm.vmas.items.filter(isProgramText)) mapPatches(mm, start);
  mm.commit();
}

/** Whether `page` is mapped from the newest run. */
function hasRun(mm: MemoryManager, { text, base, pages }: MappedText, page: number): boolean {
  const run = text.runOf(page - base);
  const pma = mm.pmas.find(page);
  if (run === undefined || pma === null || !pages.has(page)) return false;
  return pma.offset + (page - pma.start) === run.offset + (page - base - run.start);
}

function isProgramText(vma: Vma): boolean {
  if (vma.file === null || isShared(vma) || (vma.flags & VM_SPECIAL) !== 0) return false;
  return (vma.prot & (PROT_EXEC | PROT_WRITE)) === PROT_EXEC;
}

/** What is known of the text that `vma` shows, of a file that is as it was then. `make`: it may be new. */
function textOf(mm: MemoryManager, vma: Vma, make: boolean): MappedText | null {
  const { identity } = vma.file as { identity: object };
  const base = vma.start - vma.offset;
  const stamp = stampOf(mm, vma);
  const texts = mm.callSites?.texts ?? [];
  const known = texts.find((each) => each.base === base && each.file === identity);
  if (known !== undefined) return ['', stamp].includes(known.text.stamp) ? known : null;
  if (texts.length >= MOST_TEXTS) return null;
  const fitting = mm.patchedTexts
    .variants(stamp)
    .find((text) => text.trampolines.every((page) => fits(mm, base + page.at)));
  const text = fitting?.retain() ?? (make ? mm.patchedTexts.add(stamp) : null);
  if (text === null) return null;
  const mapped = {
    text,
    file: identity,
    base,
    pages: new Set<number>(),
    trampolines: new Set<TrampolinePage>(),
  };
  mm.callSites ??= new CallSites();
  mm.callSites.texts.push(mapped);
  return mapped;
}

/** Names the contents of the file, or '' where its patches are to be nobody else's. */
function stampOf(mm: MemoryManager, vma: Vma): string {
  const extent: Extent = { fd: IN_MEMORY_FILE, offset: 0, length: 0 };
  if (vma.file!.translate(vma.offset, PAGE_SIZE, false, extent) < 0) return '';
  return extent.fd === IN_MEMORY_FILE ? '' : mm.hostFiles.stamp(extent.fd);
}

/** Patches a site that nobody has patched yet. `at` is counted as in a PatchedText. */
function addSite(
  mm: MemoryManager,
  vma: Vma,
  mapped: MappedText,
  at: number,
  form: SiteForm,
  entry: number,
): boolean {
  const { text } = mapped;
  // One that was seen as a part of it, or as the rest.
  for (let i = 1 - JUMP_BYTES; i < JUMP_BYTES; i++) if (text.sites.has(at + i)) return false;
  const place = oldPage(text, at, form) ?? newPage(mm, mapped, at, form);
  if (place === null) return false;
  const read = (page: number, into: Uint8Array) => readPage(mm, vma, page, into);
  const added = text.patch(at, form, place.page, place.slot, entry, read);
  if (added) mm.patchedTexts.grown(text);
  return added;
}

interface Place {
  readonly page: TrampolinePage;
  readonly slot: number;
}

function oldPage(text: PatchedText, at: number, form: SiteForm): Place | null {
  for (const page of text.trampolines) {
    const slot = text.freeSlot(page, form, at);
    if (slot >= 0) return { page, slot };
  }
  return null;
}

function newPage(mm: MemoryManager, mapped: MappedText, at: number, form: SiteForm): Place | null {
  const { text, base } = mapped;
  for (const distance of distances(form)) {
    const lowest = at + JUMP_BYTES + distance;
    const first = lowest + ((TRAMPOLINE_BYTES - (lowest % TRAMPOLINE_BYTES)) % TRAMPOLINE_BYTES);
    if (!mayLead(form, at, first) || !fits(mm, base + pageFloor(first))) continue;
    const page = text.addPage(pageFloor(first));
    return page && { page, slot: offsetInPage(first) / TRAMPOLINE_BYTES };
  }
  return null;
}

/** Whether a page of trampolines has room at `start`, where neither a heap nor a stack will be. */
function fits(mm: MemoryManager, start: number): boolean {
  if (start >= mm.brkStart && start < mm.brkEnd + HEAP_ROOM) return false;
  if (!isFree(mm, start, start + PAGE_SIZE)) return false;
  const above = mm.vmas.items[mm.vmas.lowerBound(start)];
  if (above === undefined || (above.flags & VM_GROWSDOWN) === 0) return true;
  return start + PAGE_SIZE <= above.end - mm.limits.rlimit(RLIMIT_STACK) - STACK_GUARD;
}

/** A page of the file that `vma` shows. */
function readPage(mm: MemoryManager, vma: Vma, at: number, into: Uint8Array): boolean {
  const extent: Extent = { fd: IN_MEMORY_FILE, offset: 0, length: 0 };
  if (vma.file!.translate(at, PAGE_SIZE, false, extent) < 0) return false;
  const { fd, offset } = extent;
  if (fd === IN_MEMORY_FILE) into.set(mm.memory.bytes.subarray(offset, offset + PAGE_SIZE));
  else if (mm.hostFiles.pread(fd, into, offset) <= 0) return false;
  return true;
}

// Mapping --------------------------------------------------------------------------------------

/** Maps `run` wherever `vma` shows pages of the file, if its trampolines can be mapped. */
function mapRun(mm: MemoryManager, vma: Vma, mapped: MappedText, run: PatchedRun): void {
  const { text, base } = mapped;
  for (const site of text.sites.values()) {
    const inRun = site.at >= run.start && site.at < run.end;
    if (inRun && !mapTrampolines(mm, vma, mapped, site.trampolines)) return;
  }
  const end = Math.min(vma.end, base + run.end);
  for (let at = Math.max(vma.start, base + run.start); at < end; at += PAGE_SIZE) {
    const start = at;
    at = endOfFilePages(mm, at, end);
    if (at > start) mapPages(mm, vma, mapped, start, at, run.offset + (start - base - run.start));
  }
}

/** How far pages from `start` on are the file's, and not barred. */
function endOfFilePages(mm: MemoryManager, start: number, end: number): number {
  const { barred } = mm.callSites!;
  let at = start;
  while (at < end) {
    const pma = mm.pmas.find(at);
    if (pma === null || !pma.fromFile || barred.has(at)) break;
    at = barred.size > 0 ? at + PAGE_SIZE : Math.min(pma.end, end);
  }
  return at;
}

function mapPages(
  mm: MemoryManager,
  vma: Vma,
  mapped: MappedText,
  start: number,
  end: number,
  offset: number,
): void {
  mm.memory.retain(offset, end - start);
  dropPmas(mm, start, end);
  const fd = IN_MEMORY_FILE;
  mm.pmas.insert({ start, end, fd, offset, cow: true, fromFile: true, shadow: -1 });
  for (let page = start; page < end; page += PAGE_SIZE) mapped.pages.add(page);
  if (mm.deferred.find(start) !== null) return;
  mm.space.map(start, end - start, mm.memory.fdAt(offset), offset, vma.prot, true, true);
}

function mapTrampolines(
  mm: MemoryManager,
  vma: Vma,
  mapped: MappedText,
  page: TrampolinePage,
): boolean {
  if (mapped.trampolines.has(page)) return true;
  const addr = mapped.base + page.at;
  if (!fits(mm, addr)) return false;
  mm.memory.retain(page.offset, PAGE_SIZE);
  const waits = mm.deferred.find(vma.start) === null ? 0 : MAP_DENYWRITE;
  const mapping = mmap(mm, {
    addr,
    length: PAGE_SIZE,
    prot: PROT_READ | PROT_EXEC,
    flags: MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE | waits,
    file: null,
    offset: 0,
    name: TRAMPOLINES,
    vmFlags: VM_SPECIAL,
    pages: page.offset,
  });
  if (mapping < 0) return false;
  // Others have it, too.
  mm.pmas.find(addr)!.cow = true;
  mapped.trampolines.add(page);
  return true;
}
