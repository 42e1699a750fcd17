/**
 * PatchedText: what is patched in the text of one file, for all address spaces that map it, as the page
 * cache is of files. Runs of pages are copies with jumps in them; the jumps lead to trampolines at a
 * fixed distance, so both fit wherever the file is mapped, if there is room for the trampolines.
 *
 * Nobody can write to any of it: address spaces map these pages copy-on-write. A run is never changed:
 * another takes its place here, and who has mapped the old one keeps it. Trampolines are only added.
 */

import { PAGE_SIZE } from '../../spec/linux/mman.ts';
import {
  JUMP_BYTES,
  jump,
  mayLead,
  type SiteForm,
  SYSCALL_BYTES,
  TRAMPOLINE_BYTES,
  trampoline,
} from '../arch/call_site.ts';
import type { MemoryFile } from './memory_file.ts';
import { offsetInPage, pageFloor } from './page.ts';

/** Pages this near to each other are copied together: each run is a mapping more for each process. */
const NEAR = 8 * PAGE_SIZE;
const LONGEST_RUN = 64 * PAGE_SIZE;
/** Of one file. */
const MOST_RUNS = 32;
const MOST_TRAMPOLINE_PAGES = 16;
/** Of all files. */
const MOST_BYTES = 8 * 2 ** 20;
/** Of one file, for address spaces that have something where trampolines of others are. */
const MOST_VARIANTS = 4;

/** Addresses here are counted from where the first byte of the file would be mapped. */
export interface CallSite {
  readonly at: number;
  readonly form: SiteForm;
  /** What the jump has replaced. */
  readonly original: Uint8Array;
  readonly trampolines: TrampolinePage;
  readonly slot: number;
}

export interface TrampolinePage {
  readonly at: number;
  /** MemoryFile offset. */
  readonly offset: number;
  /** By slot. */
  readonly sites: (CallSite | undefined)[];
}

export interface PatchedRun {
  readonly start: number;
  readonly end: number;
  /** MemoryFile offset. */
  readonly offset: number;
}

/** Reads a page of the file as it is; false when that fails. */
type ReadPage = (at: number, into: Uint8Array) => boolean;

export class PatchedText {
  /** Names the contents of the file; '' for one that is nobody else's. */
  readonly stamp: string;
  readonly trampolines: TrampolinePage[] = [];
  readonly runs: PatchedRun[] = [];
  /** By their first byte. */
  readonly sites = new Map<number, CallSite>();
  /** The pages that they are in. */
  readonly sitePages = new Set<number>();
  bytes = 0;
  private users = 1;
  private readonly memory: MemoryFile;

  constructor(memory: MemoryFile, stamp: string) {
    this.memory = memory;
    this.stamp = stamp;
  }

  retain(): this {
    this.users++;
    return this;
  }

  release(): void {
    if (--this.users > 0) return;
    for (const run of this.runs) this.memory.release(run.offset, run.end - run.start);
    for (const page of this.trampolines) this.memory.release(page.offset, PAGE_SIZE);
    this.runs.length = 0;
    this.trampolines.length = 0;
  }

  /** A slot of `page` where the jump of a site at `at` may lead, or -1. */
  freeSlot(page: TrampolinePage, form: SiteForm, at: number): number {
    for (let slot = 0; slot < PAGE_SIZE / TRAMPOLINE_BYTES; slot++) {
      if (page.sites[slot] === undefined && mayLead(form, at, slotAt(page, slot))) return slot;
    }
    return -1;
  }

  /** A new page of trampolines at `at`, or null. */
  addPage(at: number): TrampolinePage | null {
    if (this.trampolines.length >= MOST_TRAMPOLINE_PAGES) return null;
    const offset = this.memory.allocate(PAGE_SIZE);
    if (offset < 0) return null;
    this.memory.bytes.fill(0xcc, offset, offset + PAGE_SIZE);
    const page: TrampolinePage = { at, offset, sites: [] };
    this.trampolines.push(page);
    this.bytes += PAGE_SIZE;
    return page;
  }

  /**
   * Has the site at `at` jump to `slot` of `page`, from where `entry` is entered. False when there is no
   * room for that, and then nothing has changed.
   */
  patch(
    at: number,
    form: SiteForm,
    page: TrampolinePage,
    slot: number,
    entry: number,
    read: ReadPage,
  ): boolean {
    const run = this.newRun(pageFloor(at), read);
    if (run === null) return false;
    const { bytes } = this.memory;
    const begin = run.offset + (at - run.start);
    const original = bytes.slice(begin, begin + JUMP_BYTES);
    const to = slotAt(page, slot);
    const back = at + form.length + SYSCALL_BYTES - to;
    const own = bytes.subarray(begin, begin + form.length);
    bytes.set(trampoline(own, back, entry), page.offset + offsetInPage(to));
    bytes.set(jump(to - (at + JUMP_BYTES)), begin);
    const site: CallSite = { at, form, original, trampolines: page, slot };
    page.sites[slot] = site;
    this.sites.set(at, site);
    this.sitePages.add(pageFloor(at));
    return true;
  }

  /** The run with `page`, if there is one. */
  runOf(page: number): PatchedRun | undefined {
    return this.runs.find((run) => run.start <= page && page < run.end);
  }

  /** A copy of the run that `page` belongs to, or of its own page, in that one's place. */
  private newRun(page: number, read: ReadPage): PatchedRun | null {
    const old = this.nearest(page);
    if (old === null && this.runs.length >= MOST_RUNS) return null;
    const start = Math.min(old?.start ?? page, page);
    const end = Math.max(old?.end ?? 0, page + PAGE_SIZE);
    const offset = this.memory.allocate(end - start);
    if (offset < 0) return null;
    const { bytes } = this.memory;
    for (let at = start; at < end; at += PAGE_SIZE) {
      const into = offset + (at - start);
      if (old !== null && at >= old.start && at < old.end) {
        const from = old.offset + (at - old.start);
        bytes.copyWithin(into, from, from + PAGE_SIZE);
      } else if (!read(at, bytes.subarray(into, into + PAGE_SIZE))) {
        this.memory.release(offset, end - start);
        return null;
      }
    }
    if (old !== null) {
      this.memory.release(old.offset, old.end - old.start);
      this.runs.splice(this.runs.indexOf(old), 1);
      this.bytes -= old.end - old.start;
    }
    const run = { start, end, offset };
    this.runs.push(run);
    this.bytes += end - start;
    return run;
  }

  /** The run with `page`, or the nearest one that may grow up to there. */
  private nearest(page: number): PatchedRun | null {
    let best: PatchedRun | null = null;
    let least = NEAR + 1;
    for (const run of this.runs) {
      const away = page < run.start ? run.start - page : Math.max(page + PAGE_SIZE - run.end, 0);
      const length = Math.max(run.end, page + PAGE_SIZE) - Math.min(run.start, page);
      if (away >= least || (away > 0 && length > LONGEST_RUN)) continue;
      best = run;
      least = away;
    }
    return best;
  }
}

export function slotAt(page: TrampolinePage, slot: number): number {
  return page.at + slot * TRAMPOLINE_BYTES;
}

/** The patched texts of all files, the least recently patched first. */
export class PatchedTexts {
  private readonly all = new Map<string, PatchedText[]>();
  private readonly memory: MemoryFile;
  private readonly limit: number;

  constructor(memory: MemoryFile, limit = MOST_BYTES) {
    this.memory = memory;
    this.limit = limit;
  }

  get empty(): boolean {
    return this.all.size === 0;
  }

  variants(stamp: string): readonly PatchedText[] {
    return this.all.get(stamp) ?? [];
  }

  /** A new one with a user besides this, or null. Without a stamp it is that user's alone. */
  add(stamp: string): PatchedText | null {
    const text = new PatchedText(this.memory, stamp);
    if (stamp === '') return text;
    const variants = this.all.get(stamp) ?? [];
    if (variants.length >= MOST_VARIANTS) return null;
    variants.push(text);
    this.all.set(stamp, variants);
    return text.retain();
  }

  /** `text` has grown: forgets others if they are too many. Who uses them keeps them. */
  grown(text: PatchedText): void {
    const { stamp } = text;
    const variants = this.all.get(stamp);
    if (variants === undefined) return;
    this.all.delete(stamp);
    this.all.set(stamp, variants);
    for (const [oldest, each] of this.all) {
      if (this.bytes <= this.limit) break;
      this.all.delete(oldest);
      for (const old of each) old.release();
    }
  }

  private get bytes(): number {
    let total = 0;
    for (const variants of this.all.values()) for (const text of variants) total += text.bytes;
    return total;
  }
}
