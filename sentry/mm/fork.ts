/** The memory side of fork(2): a new address space that shares every page until one side writes. */
import { PROT_NONE, PROT_WRITE } from '../../spec/linux/mman.ts';
import type { Context } from '../platform/platform.ts';
import { IN_MEMORY_FILE } from './mappable.ts';
import { isLazy, populate } from './mapping.ts';
import { MemoryManager } from './memory_manager.ts';
import { protectHost } from './mprotect.ts';
import type { Pma } from './pma.ts';
import { isShared, VM_DONTFORK, VM_LOCKED, VM_WIPEONFORK, type Vma } from './vma.ts';

export function forkMemory(
  mm: MemoryManager,
  from: Context,
): { readonly mm: MemoryManager; readonly context: Context } | number {
  const marked: Pma[] = [];
  for (const vma of mm.vmas.items) {
    if (isShared(vma) || (vma.flags & (VM_DONTFORK | VM_WIPEONFORK)) !== 0) continue;
    markShared(mm, vma, marked);
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
  const forked = mm.space.fork(from);
  if (typeof forked === 'number') return forked;
  const { taskSize, layout, limits, memory, hostFiles } = mm;
  const child = new MemoryManager(forked.space, memory, hostFiles, taskSize, layout, limits);
  copyBounds(mm, child);
  for (const vma of mm.vmas.items) copyVma(mm, child, vma);
  const result = child.commit();
  if (result < 0) {
    child.release();
    return result;
  }
  return { mm: child, context: forked.context };
}

/** Marks the private pages of `vma` copy-on-write, and takes writing away in runs. */
function markShared(mm: MemoryManager, vma: Vma, marked: Pma[]): void {
  mm.pmas.splitAt(vma.start);
  mm.pmas.splitAt(vma.end);
  const { items } = mm.pmas;
  const writable = (vma.prot & PROT_WRITE) !== 0;
  let runStart = 0;
  let runEnd = 0;
  for (let i = mm.pmas.lowerBound(vma.start); i < items.length; i++) {
    const pma = items[i]!;
    if (pma.start >= vma.end) break;
    if (pma.cow) continue;
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

function copyVma(mm: MemoryManager, child: MemoryManager, vma: Vma): void {
  const { start, end } = vma;
  if (vma.flags & VM_DONTFORK) {
    if (vma.prot !== PROT_NONE) child.space.unmap(start, end - start);
    return;
  }
  // Memory locks are not inherited.
  const copy: Vma = { ...vma, flags: vma.flags & ~VM_LOCKED };
  copy.file?.addMapping(child);
  child.vmas.insert(copy);
  child.mappedBytes += end - start;
  if (vma.flags & VM_WIPEONFORK) {
    if (vma.prot !== PROT_NONE) child.space.unmap(start, end - start);
    if (!isLazy(copy)) populate(child, copy, start, end);
    return;
  }
  for (let i = mm.pmas.lowerBound(start); i < mm.pmas.items.length; i++) {
    const pma = mm.pmas.items[i]!;
    if (pma.start >= end) break;
    // A Pma may span neighbouring shared Vmas: each takes its part.
    const from = Math.max(pma.start, start);
    const to = Math.min(pma.end, end);
    const offset = pma.offset + (from - pma.start);
    if (pma.fd === IN_MEMORY_FILE) mm.memory.retain(offset, to - from);
    child.pmas.insert({ ...pma, start: from, end: to, offset, shadow: -1 });
  }
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
