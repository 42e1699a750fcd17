/**
 * Call sites that jump to the platform's entry instead of executing `syscall`: what of that an address
 * space has, and how it is taken back. See arch/call_site.ts for the instructions, patched_text.ts for
 * what all address spaces have together, patching.ts for how they get it, and Linux's uprobes, which
 * change program text and add a mapping for it in the same manner.
 *
 * The application sees the jumps when it reads its text. When it unmaps, moves or protects patched
 * text, or the trampolines, the patches are taken back first, and those pages left alone from then on.
 * A thread that is in one of these trampolines just then, four instructions, is not looked for.
 */

import { PAGE_SIZE } from '../../spec/linux/mman.ts';
import { JUMP_BYTES, NO_INSTRUCTION, TRAMPOLINE_BYTES } from '../arch/call_site.ts';
import { REG_RIP, type Registers } from '../platform/platform.ts';
import { dropPmas, populate } from './mapping.ts';
import type { MemoryManager } from './memory_manager.ts';
import { pageFloor } from './page.ts';
import { type CallSite, type PatchedText, slotAt, type TrampolinePage } from './patched_text.ts';

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
  for (const mapped of mm.callSites.texts) {
    for (const page of mapped.pages) if (page >= start && page < end) mapped.pages.delete(page);
    takeBackTrampolines(mm, mapped, start, end);
  }
  const { barred } = mm.callSites;
  for (const page of barred) if (page >= start && page < end) barred.delete(page);
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
    trampolines.delete(page);
    for (const site of text.sites.values()) {
      if (site.trampolines === page) takeBackPage(mm, mapped, pageFloor(base + site.at));
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

/** A thread that was interrupted in a trampoline goes back to the site: to the same instruction, or the `syscall`. */
export function leaveTrampoline(mm: MemoryManager, regs: Registers): void {
  const rip = regs.get(REG_RIP);
  for (const { base, trampolines } of mm.callSites?.texts ?? []) {
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
  const byte = mm.readU8(at);
  // Taken back meanwhile.
  if (byte === site.original[into]) return REPLACED_OTHER;
  if (byte !== NO_INSTRUCTION || !mapped.pages.has(pageFloor(at))) return ILLEGAL;
  if (into === site.form.length) return REPLACED_SYSCALL;
  regs.set(REG_RIP, mapped.base + slotAt(site.trampolines, site.slot) + into);
  return REPLACED_OTHER;
}
