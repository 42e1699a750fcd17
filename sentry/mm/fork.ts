/** The memory side of fork(2): a new address space that shares every page until one side writes. */
import { PROT_NONE, PROT_WRITE } from '../../spec/linux/mman.ts';
import type { Range } from '../base/range_map.ts';
import type { Context } from '../platform/platform.ts';
import { IN_MEMORY_FILE } from './mappable.ts';
import { hostMap, isLazy, populate } from './mapping.ts';
import { MemoryManager } from './memory_manager.ts';
import { protectHost } from './mprotect.ts';
import type { Pma } from './pma.ts';
import { isShared, VM_DONTFORK, VM_LOCKED, VM_WIPEONFORK, type Vma } from './vma.ts';
import { WriteHistory } from './write_history.ts';

export function forkMemory(
  mm: MemoryManager,
  from: Context,
): { readonly mm: MemoryManager; readonly context: Context } | number {
  const marked: Pma[] = [];
  mm.writeHistory ??= new WriteHistory();
  const expected = mm.writeHistory.expected();
  for (const vma of mm.vmas.items) {
    if (isShared(vma) || (vma.flags & (VM_DONTFORK | VM_WIPEONFORK)) !== 0) continue;
    markShared(mm, vma, marked, expected);
  }
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
  child.callSites = mm.callSites?.copy() ?? null;
  copyBounds(mm, child);
  let result = 0;
  for (const vma of mm.vmas.items)
    if (result === 0) result = copyVma(mm, child, vma, forked.empty, expected);
  if (result === 0) result = child.commit();
  if (result < 0) {
    child.release();
    return result;
  }
  return { mm: child, context: forked.context };
}

/**
 * Marks the private pages of `vma` copy-on-write, and takes writing away in runs. Pages that are
 * `expected` to be written and belong to nobody else stay as they are: the child gets a copy.
 */
function markShared(mm: MemoryManager, vma: Vma, marked: Pma[], expected: readonly Range[]): void {
  mm.pmas.splitAt(vma.start);
  mm.pmas.splitAt(vma.end);
  const kept = (vma.prot & PROT_WRITE) === 0 ? [] : expected.filter((e) => overlaps(e, vma));
  for (const range of kept)
    splitOwn(mm, Math.max(range.start, vma.start), Math.min(range.end, vma.end));
  const { items } = mm.pmas;
  const writable = (vma.prot & PROT_WRITE) !== 0;
  let runStart = 0;
  let runEnd = 0;
  for (let i = mm.pmas.lowerBound(vma.start); i < items.length; i++) {
    const pma = items[i]!;
    if (pma.start >= vma.end) break;
    if (pma.cow || kept.some((e) => overlaps(e, pma))) continue;
    pma.cow = true;
    marked.push(pma);
    if (!writable) continue;
    if (pma.start !== runEnd) {
      if (runEnd > runStart) mm.space.protect(runStart, runEnd - runStart, vma.prot & ~PROT_WRITE);
      runStart = pma.start;
    }
    runEnd = pma.end;
  }
  if (runEnd > runStart) mm.space.protect(runStart, runEnd - runStart, vma.prot & ~PROT_WRITE);
}

function overlaps(a: Range, b: Range): boolean {
  return a.start < b.end && b.start < a.end;
}

/** Makes boundaries at the ends of [start, end), where the pages are not shared already. */
function splitOwn(mm: MemoryManager, start: number, end: number): void {
  if (mm.pmas.find(start)?.cow === false) mm.pmas.splitAt(start);
  if (mm.pmas.find(end)?.cow === false) mm.pmas.splitAt(end);
}

/** Gives the child, in whose space is everything of the parent's or nothing, what it inherits of `vma`. 0 or -ENOMEM. */
function copyVma(
  mm: MemoryManager,
  child: MemoryManager,
  vma: Vma,
  empty: boolean,
  expected: readonly Range[],
): number {
  const { start, end } = vma;
  if (vma.flags & VM_DONTFORK) {
    if (vma.prot !== PROT_NONE && !empty) child.space.unmap(start, end - start);
    return 0;
  }
  // Memory locks are not inherited.
  const copy: Vma = { ...vma, flags: vma.flags & ~VM_LOCKED };
  copy.file?.addMapping(child);
  child.vmas.insert(copy);
  child.mappedBytes += end - start;
  if (vma.flags & VM_WIPEONFORK) {
    if (vma.prot !== PROT_NONE && !empty) child.space.unmap(start, end - start);
    if (!isLazy(copy)) populate(child, copy, start, end);
    return 0;
  }
  for (let i = mm.pmas.lowerBound(start); i < mm.pmas.items.length; i++) {
    const pma = mm.pmas.items[i]!;
    if (pma.start >= end) break;
    // A Pma may span neighbouring shared Vmas: each takes its part.
    const from = Math.max(pma.start, start);
    const to = Math.min(pma.end, end);
    const { fd, cow, fromFile } = pma;
    const mayCopy = fd === IN_MEMORY_FILE && !isShared(vma) && !fromFile;
    const likely = mayCopy && cow && (vma.prot & PROT_WRITE) !== 0 ? expected : [];
    let at = from;
    for (const window of likely) {
      const first = Math.max(window.start, at);
      const last = Math.min(window.end, to);
      if (first >= last) continue;
      if (first > at) share(mm, child, pma, at, first);
      const own = copyPages(mm, child, pma, first, last);
      if (own < 0) return own;
      if (!empty) hostMap(child, copy, first, last);
      at = last;
    }
    if (at >= to) continue;
    if (cow || isShared(vma)) {
      share(mm, child, pma, at, to);
      continue;
    }
    const own = copyPages(mm, child, pma, at, to);
    if (own < 0) return own;
    if (!empty) hostMap(child, copy, at, to);
  }
  if (empty) hostMap(child, copy, start, end);
  return 0;
}

/** The child has [start, end) of `pma` as the parent has it. */
function share(mm: MemoryManager, child: MemoryManager, pma: Pma, start: number, end: number) {
  const { fd, cow, fromFile } = pma;
  const offset = pma.offset + (start - pma.start);
  if (fd === IN_MEMORY_FILE) mm.memory.retain(offset, end - start);
  child.pmas.insert({ start, end, fd, offset, cow, fromFile, shadow: -1 });
}

/** The child gets a copy of [start, end) of `pma`. 0 or -ENOMEM. */
function copyPages(
  mm: MemoryManager,
  child: MemoryManager,
  pma: Pma,
  start: number,
  end: number,
): number {
  const { memory } = mm;
  const own = memory.allocate(end - start);
  if (own < 0) return own;
  const from = pma.offset + (start - pma.start);
  memory.bytes.copyWithin(own, from, from + (end - start));
  const { fd, fromFile } = pma;
  child.pmas.insert({ start, end, fd, offset: own, cow: false, fromFile, shadow: -1 });
  return 0;
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
