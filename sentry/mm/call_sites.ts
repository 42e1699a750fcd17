/**
 * Call sites that jump to the platform's entry instead of executing `syscall`: what of that an address
 * space has, and how it is taken back. See arch/call_site.ts for the instructions, patched_text.ts for
 * what all address spaces have together, patching.ts for how they get it, and Linux's uprobes, which
 * change program text and add a mapping for it in the same manner.
 *
 * The application sees the jumps when it reads its text, the kernel does not when it reads it for the
 * application. When that unmaps, moves or protects patched text, or the trampolines, the patches are
 * taken back first, and those pages left alone from then on. Trampolines go only while all threads
 * stand still, and none in there; they go as well where a heap, a stack or a mapping wants their room.
 */

import { PAGE_SIZE, PROT_EXEC } from '../../spec/linux/mman.ts';
import { JUMP_BYTES, jump, NO_INSTRUCTION, TRAMPOLINE_BYTES } from '../arch/call_site.ts';
import { REG_RIP, type Registers } from '../platform/platform.ts';
import { growCopies } from './copy_on_write.ts';
import { catchUp } from './deferred.ts';
import { IN_MEMORY_FILE, type Mappable } from './mappable.ts';
import { dropPmas, populate, unmapRange } from './mapping.ts';
import type { MemoryManager } from './memory_manager.ts';
import { offsetInPage, pageFloor } from './page.ts';
import { type CallSite, type PatchedText, slotAt, type TrampolinePage } from './patched_text.ts';

/** As /proc/PID/maps names them. */
export const TRAMPOLINES = '[trampolines]';

/** A file's patched text where one address space has it. */
export interface MappedText {
  readonly text: PatchedText;
  /** Mappable.identity. */
  readonly file: object;
  /** Where the first byte of the file would be. */
  readonly base: number;
  /** Addresses of pages that are mapped from its runs, unless the application has changed them since. */
  readonly pages: Set<number>;
  readonly trampolines: Set<TrampolinePage>;
}

/** What is patched in one address space. */
export class CallSites {
  readonly texts: MappedText[] = [];
  /** Pages never to be patched (again). */
  readonly barred = new Set<number>();

  /** For fork(2). */
  copy(): CallSites {
    const copy = new CallSites();
    for (const { text, file, base, pages, trampolines } of this.texts) {
      const each = { text: text.retain(), file, base };
      copy.texts.push({ ...each, pages: new Set(pages), trampolines: new Set(trampolines) });
    }
    for (const page of this.barred) copy.barred.add(page);
    return copy;
  }

  release(): void {
    for (const { text } of this.texts) text.release();
    this.texts.length = 0;
  }
}

// Taking back ----------------------------------------------------------------------------------

/**
 * [start, end) is about to be changed: takes back what is patched there, and what jumps there. Host
 * changes are queued.
 */
export function takeBackPatches(mm: MemoryManager, start: number, end: number): void {
  if (mm.callSites === null) return;
  for (const mapped of mm.callSites.texts) {
    for (const page of mapped.pages)
      if (page >= start && page < end) takeBackPage(mm, mapped, page);
    takeBackTrampolines(mm, mapped, start, end);
  }
}

/** [start, end) is about to be unmapped: what comes there later is another matter. */
export function forgetPatches(mm: MemoryManager, start: number, end: number): void {
  if (mm.callSites === null) return;
  const { texts, barred } = mm.callSites;
  for (const mapped of [...texts]) {
    const { pages, text } = mapped;
    const before = pages.size;
    for (const page of pages) if (page >= start && page < end) pages.delete(page);
    takeBackTrampolines(mm, mapped, start, end);
    // Nobody would tell that such a file changes, now that it is not mapped.
    if (text.stamp === '' && pages.size === 0 && before > 0) removeText(mm, mapped);
  }
  for (const page of barred) if (page >= start && page < end) barred.delete(page);
}

/** `file` has changed: what is patched of it is a copy of what it was. Host changes are queued. */
export function forgetText(mm: MemoryManager, file: Mappable): void {
  const { identity } = file;
  for (;;) {
    const mapped = mm.callSites?.texts.find((each) => each.file === identity);
    if (mapped === undefined) return;
    catchUp(mm);
    for (const page of mapped.pages) takeBackPage(mm, mapped, page);
    removeText(mm, mapped);
  }
}

/** No page of `mapped` is left. */
function removeText(mm: MemoryManager, mapped: MappedText): void {
  const { texts } = mm.callSites!;
  texts.splice(texts.indexOf(mapped), 1);
  for (const page of mapped.trampolines) {
    for (const { regs } of mm.space.halt()) leaveTrampolines(mapped, regs);
    unmapRange(mm, mapped.base + page.at, mapped.base + page.at + PAGE_SIZE);
  }
  mapped.text.release();
}

function takeBackTrampolines(
  mm: MemoryManager,
  mapped: MappedText,
  start: number,
  end: number,
): void {
  const { base, trampolines, text } = mapped;
  for (const page of trampolines) {
    const at = base + page.at;
    if (at < start || at >= end) continue;
    for (const { regs } of mm.space.halt()) leaveTrampolines(mapped, regs);
    trampolines.delete(page);
    for (const site of text.sites.values()) {
      if (site.trampolines === page) takeBackPage(mm, mapped, pageFloor(base + site.at));
    }
  }
}

/** The application wants [start, end): trampolines that are there go, for Linux would have none. */
export function giveRoom(mm: MemoryManager, start: number, end: number): void {
  if (mm.callSites === null) return;
  const { items } = mm.vmas;
  for (let i = mm.vmas.lowerBound(start); i < items.length && items[i]!.start < end; i++) {
    // Then it cannot have that room anyway.
    if (items[i]!.name !== TRAMPOLINES) return;
  }
  for (const { base, trampolines } of mm.callSites.texts) {
    for (const page of trampolines) {
      const at = base + page.at;
      if (at < end && at + PAGE_SIZE > start) unmapRange(mm, at, at + PAGE_SIZE);
    }
  }
}

function takeBackPage(mm: MemoryManager, mapped: MappedText, page: number): void {
  if (!mapped.pages.delete(page)) return;
  mm.callSites!.barred.add(page);
  const vma = mm.vmas.find(page);
  if (vma === null || mm.pmas.find(page)?.fromFile !== true) return;
  dropPmas(mm, page, page + PAGE_SIZE);
  mm.space.unmap(page, PAGE_SIZE);
  // What the file has there now; if that is nothing, the next fetch faults.
  populate(mm, vma, page, page + PAGE_SIZE);
}

// Threads on their way -------------------------------------------------------------------------

/** A thread that stands in a trampoline goes back to the site: to the same instruction, or the `syscall`. */
export function leaveTrampoline(mm: MemoryManager, regs: Registers): void {
  for (const mapped of mm.callSites?.texts ?? []) leaveTrampolines(mapped, regs);
}

function leaveTrampolines({ base, trampolines }: MappedText, regs: Registers): void {
  const rip = regs.get(REG_RIP);
  for (const page of trampolines) {
    const inPage = rip - base - page.at;
    if (inPage < 0 || inPage >= PAGE_SIZE) continue;
    const site = page.sites[Math.floor(inPage / TRAMPOLINE_BYTES)];
    if (site === undefined) return;
    const length = Math.min(inPage % TRAMPOLINE_BYTES, site.form.length);
    regs.set(REG_RIP, base + site.at + length);
    return;
  }
}

/** What is behind an illegal instruction. */
export const ILLEGAL = 0;
/** A `syscall` that a patch has replaced. */
export const REPLACED_SYSCALL = 1;
/** Something that goes on where `regs` now lead. */
export const REPLACED_OTHER = 2;

/** What a patch has made of the instruction that `regs` point at. */
export function replacedInstruction(mm: MemoryManager, regs: Registers): number {
  const at = regs.get(REG_RIP);
  for (const mapped of mm.callSites?.texts ?? []) {
    for (let into = 1; into < JUMP_BYTES; into++) {
      const site = mapped.text.sites.get(at - mapped.base - into);
      if (site !== undefined && into <= site.form.length) return replaced(mm, regs, mapped, site);
    }
  }
  return ILLEGAL;
}

function replaced(mm: MemoryManager, regs: Registers, mapped: MappedText, site: CallSite): number {
  const at = regs.get(REG_RIP);
  const into = at - mapped.base - site.at;
  const pma = mapped.pages.has(pageFloor(at)) ? mm.pmas.find(at) : null;
  const byte = pma === null ? mm.readU8(at) : mm.memory.bytes[pma.offset + at - pma.start];
  // Taken back meanwhile.
  if (byte === site.original[into]) return REPLACED_OTHER;
  if (byte !== NO_INSTRUCTION || pma === null) return ILLEGAL;
  if (into === site.form.length) return REPLACED_SYSCALL;
  regs.set(REG_RIP, mapped.base + slotAt(site.trampolines, site.slot) + into);
  return REPLACED_OTHER;
}

// Reading ----------------------------------------------------------------------------------------

/** Whether `page` holds jumps that are not the application's. */
export function isPatched(mm: MemoryManager, page: number): boolean {
  for (const { text, base, pages } of mm.callSites?.texts ?? []) {
    if (pages.has(page) && text.sitePages.has(page - base)) return true;
  }
  return false;
}

// Copies -----------------------------------------------------------------------------------------

/**
 * A thread cannot go on at `regs`. If that is because the program has copied patched text and runs the
 * copy, whose jump leads nowhere, puts back what was copied, and has the thread go on there.
 */
export function mendCopy(mm: MemoryManager, regs: Registers): boolean {
  const at = regs.get(REG_RIP);
  for (const { text } of mm.callSites?.texts ?? []) {
    for (const site of text.sites.values()) {
      const to = slotAt(site.trampolines, site.slot) - site.at;
      if (mend(mm, at - to, site, to)) {
        regs.set(REG_RIP, at - to);
        return true;
      }
    }
  }
  return false;
}

/** Whether a copy of `site` is at `start`; then that is the original now. */
function mend(mm: MemoryManager, start: number, site: CallSite, to: number): boolean {
  if (((mm.vmas.find(start)?.prot ?? 0) & PROT_EXEC) === 0) return false;
  const found = new Uint8Array(JUMP_BYTES);
  if (mm.copyIn(start, found) < 0) return false;
  const holds = (bytes: Uint8Array) => bytes.every((byte, i) => byte === found[i]);
  // It has been mended since this thread has jumped.
  if (holds(site.original)) return true;
  if (!holds(jump(to - JUMP_BYTES))) return false;
  mm.space.halt();
  for (let i = 0; i < JUMP_BYTES; i++) {
    if (!putBack(mm, start + i, site.original[i] as number)) return false;
  }
  return true;
}

/** Writes into what may be protected by now. */
function putBack(mm: MemoryManager, at: number, byte: number): boolean {
  const page = pageFloor(at);
  if (mm.pmas.find(page)?.cow === true) {
    if (growCopies(mm, mm.vmas.find(page)!, page) < 0 || mm.commit() < 0) return false;
  }
  const pma = mm.pmas.find(page);
  if (pma?.fd !== IN_MEMORY_FILE) return false;
  mm.memory.bytes[pma.offset + (page - pma.start) + offsetInPage(at)] = byte;
  return true;
}
