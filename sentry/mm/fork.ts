/** The memory side of fork(2): a new address space that shares every page until one side writes. */
import { PROT_NONE, PROT_WRITE } from '../../spec/linux/mman.ts';
import type { Range } from '../base/range_map.ts';
import type { Context } from '../platform/platform.ts';
import { IN_MEMORY_FILE } from './mappable.ts';
import { isLazy, mapPma, POPULATED_AT_ONCE, populate } from './mapping.ts';
import { MemoryManager } from './memory_manager.ts';
import { protectHost } from './mprotect.ts';
import type { Pma } from './pma.ts';
import { TouchHistory } from './touch_history.ts';
import { copyOf, isShared, VM_DONTFORK, VM_LOCKED, VM_WIPEONFORK, type Vma } from './vma.ts';
import { WriteHistory } from './write_history.ts';

export function forkMemory(
  mm: MemoryManager,
  from: Context,
): { readonly mm: MemoryManager; readonly context: Context } | number {
  mm.writeHistory ??= new WriteHistory();
  const expected = mm.writeHistory.expected();
  const marked = markAll(mm, expected);
  mm.changed();
  const protectedAll = mm.commit();
  if (protectedAll < 0) {
    // Still writable in the host, so it must not count as marked at the next fork.
    for (const pma of marked) pma.cow = false;
    for (const vma of mm.vmas.items) if (vma.prot !== PROT_NONE) protectHost(mm, vma);
    mm.commit();
    return protectedAll;
  }
  // What was marked without a second owner becomes writable again at its next fault.
  mm.touchHistory ??= new TouchHistory();
  const touched = mm.touchHistory.expected();
  const forked = mm.space.fork(from, mm.pmas.items.length);
  if (typeof forked === 'number') return forked;
  const { taskSize, layout, limits, memory, hostFiles, patchedTexts } = mm;
  const child = new MemoryManager(
    forked.space,
    memory,
    hostFiles,
    taskSize,
    layout,
    limits,
    patchedTexts,
  );
  child.writeHistory = mm.writeHistory;
  child.touchHistory = mm.touchHistory;
  child.callSites = mm.callSites?.copy() ?? null;
  child.callsBeforePatches = mm.callsBeforePatches;
  copyBounds(mm, child);
  const heritage = new Heritage(mm, child, forked.empty, expected, touched);
  let result = heritage.all();
  if (result === 0) result = child.commit();
  if (result < 0) {
    child.release();
    return result;
  }
  return { mm: child, context: forked.context };
}

/**
 * Marks the private pages of all Vmas copy-on-write, and takes writing away in runs. Pages that are
 * `expected` to be written and belong to nobody else stay as they are: the child gets a copy.
 */
function markAll(mm: MemoryManager, expected: readonly Range[]): Pma[] {
  const marked: Pma[] = [];
  const { items } = mm.pmas;
  let at = 0;
  let window = 0;
  for (const vma of mm.vmas.items) {
    if (isShared(vma) || (vma.flags & (VM_DONTFORK | VM_WIPEONFORK)) !== 0) continue;
    const writable = (vma.prot & PROT_WRITE) !== 0;
    let runStart = 0;
    let runEnd = 0;
    for (; at < items.length && items[at]!.start < vma.end; at++) {
      const pma = items[at]!;
      if (pma.cow || pma.end <= vma.start) {
        // What reaches further is looked at again for the next Vma.
        if (pma.end > vma.end) break;
        continue;
      }
      if (pma.start < vma.start) {
        mm.pmas.splitAt(vma.start);
        continue;
      }
      if (pma.end > vma.end) mm.pmas.splitAt(vma.end);
      if (writable) {
        while (window < expected.length && expected[window]!.end <= pma.start) window++;
        const next = expected[window];
        if (next !== undefined && next.start <= pma.start) {
          if (next.end < pma.end) mm.pmas.splitAt(next.end);
          continue;
        }
        if (next !== undefined && next.start < pma.end) mm.pmas.splitAt(next.start);
      }
      pma.cow = true;
      marked.push(pma);
      if (!writable) continue;
      if (pma.start !== runEnd) {
        if (runEnd > runStart) takeWriting(mm, vma, runStart, runEnd);
        runStart = pma.start;
      }
      runEnd = pma.end;
    }
    if (runEnd > runStart) takeWriting(mm, vma, runStart, runEnd);
  }
  return marked;
}

function takeWriting(mm: MemoryManager, vma: Vma, start: number, end: number): void {
  mm.space.protect(start, end - start, vma.prot & ~PROT_WRITE);
}

/** What a child gets, from the lowest address to the highest. */
class Heritage {
  private readonly mm: MemoryManager;
  private readonly child: MemoryManager;
  /** Whether the child's space has nothing yet, or everything of the parent's. */
  private readonly empty: boolean;
  private readonly expected: readonly Range[];
  private readonly touched: readonly number[] | null;
  /** Those before these lie below: the parent's Pmas, windows, touched pages. */
  private nextPma = 0;
  private nextWindow = 0;
  private nextTouched = 0;

  constructor(
    mm: MemoryManager,
    child: MemoryManager,
    empty: boolean,
    expected: readonly Range[],
    touched: readonly number[] | null,
  ) {
    this.mm = mm;
    this.child = child;
    this.empty = empty;
    this.expected = expected;
    this.touched = touched;
  }

  /** 0 or -ENOMEM. */
  all(): number {
    for (const vma of this.mm.vmas.items) {
      const result = this.vma(vma);
      if (result < 0) return result;
    }
    return 0;
  }

  private vma(vma: Vma): number {
    const { child } = this;
    const { start, end } = vma;
    if (vma.flags & VM_DONTFORK) {
      if (vma.prot !== PROT_NONE && !this.empty) child.space.unmap(start, end - start);
      return 0;
    }
    // Memory locks are not inherited.
    const copy = copyOf(vma, vma.flags & ~VM_LOCKED);
    copy.file?.addMapping(child);
    child.vmas.insert(copy);
    child.mappedBytes += end - start;
    if (vma.flags & VM_WIPEONFORK) {
      if (vma.prot !== PROT_NONE && !this.empty) child.space.unmap(start, end - start);
      if (!isLazy(copy)) populate(child, copy, start, end);
      return 0;
    }
    return this.pages(copy);
  }

  /** All of `vma`. */
  private pages(vma: Vma): number {
    const { items } = this.mm.pmas;
    const { end } = vma;
    const mayOwn = !isShared(vma) && (vma.prot & PROT_WRITE) !== 0;
    let at = vma.start;
    // A Pma may span neighbouring Vmas: each takes its part.
    for (; at < end; this.nextPma++) {
      const pma = items[this.nextPma];
      if (pma === undefined || pma.start >= end) break;
      at = Math.max(at, pma.start);
      while (at < end && at < pma.end) {
        let stop = Math.min(pma.end, end);
        if (mayOwn && isOwn(pma)) {
          const window = this.windowFrom(at);
          if (window !== undefined && window.start <= at) {
            at = this.own(vma, at, Math.min(window.end, end, at + POPULATED_AT_ONCE));
            if (at < 0) return at;
            continue;
          }
          if (window !== undefined && window.start < stop) stop = window.start;
        }
        this.share(vma, pma, at, stop);
        at = stop;
      }
      if (pma.end > end) break;
    }
    return 0;
  }

  /** The first window that does not end before `at`. */
  private windowFrom(at: number): Range | undefined {
    const { expected } = this;
    let window = expected[this.nextWindow];
    while (window !== undefined && window.end <= at) window = expected[++this.nextWindow];
    return window;
  }

  /** The child has [start, end) of `pma` as the parent has it. */
  private share(vma: Vma, pma: Pma, start: number, end: number): void {
    const { fd, cow, fromFile } = pma;
    const offset = pma.offset + (start - pma.start);
    if (fd === IN_MEMORY_FILE) this.mm.memory.retain(offset, end - start);
    const copy = { start, end, fd, offset, cow, fromFile, shadow: -1 };
    this.child.pmas.insert(copy);
    if (!this.empty || vma.prot === PROT_NONE) return;
    if (this.isTouched(start, end)) mapPma(this.child, vma, copy, start, end);
    else this.child.deferred.insert({ start, end, inherited: true });
  }

  /** Whether something in [start, end) is likely to be. */
  private isTouched(start: number, end: number): boolean {
    const { touched } = this;
    if (touched === null) return true;
    let page = touched[this.nextTouched];
    while (page !== undefined && page < start) page = touched[++this.nextTouched];
    return page !== undefined && page < end;
  }

  /** The child gets a copy of [start, limit), as far as that is there in a row. Where it ends, or -ENOMEM. */
  private own(vma: Vma, start: number, limit: number): number {
    const { items } = this.mm.pmas;
    const { memory } = this.mm;
    let end = start;
    for (let i = this.nextPma; end < limit; i++) {
      const pma = items[i];
      if (pma === undefined || pma.start > end || !isOwn(pma)) break;
      end = Math.min(pma.end, limit);
    }
    const offset = memory.allocateToFill(end - start);
    if (offset < 0) return offset;
    for (let i = this.nextPma, at = start; at < end; i++) {
      const pma = items[i]!;
      const from = pma.offset + (at - pma.start);
      const stop = Math.min(pma.end, end);
      memory.bytes.copyWithin(offset + (at - start), from, from + (stop - at));
      at = stop;
    }
    const fd = IN_MEMORY_FILE;
    const copy = { start, end, fd, offset, cow: false, fromFile: false, shadow: -1 };
    this.child.pmas.insert(copy);
    mapPma(this.child, vma, copy, start, end);
    return end;
  }
}

/** Whether the pages are memory without a file. */
function isOwn(pma: Pma): boolean {
  return pma.fd === IN_MEMORY_FILE && !pma.fromFile;
}

function copyBounds(mm: MemoryManager, child: MemoryManager): void {
  child.brkStart = mm.brkStart;
  child.brkEnd = mm.brkEnd;
  child.codeStart = mm.codeStart;
  child.codeEnd = mm.codeEnd;
  child.dataStart = mm.dataStart;
  child.dataEnd = mm.dataEnd;
  child.stackStart = mm.stackStart;
  child.argStart = mm.argStart;
  child.argEnd = mm.argEnd;
  child.envStart = mm.envStart;
  child.envEnd = mm.envEnd;
  child.auxv = mm.auxv;
}
