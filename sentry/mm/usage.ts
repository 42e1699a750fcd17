/** How much memory an address space uses: /proc/PID/{stat,statm,status}, getrusage(2). */
import { PROT_EXEC, PROT_WRITE } from '../../spec/linux/mman.ts';
import { IN_MEMORY_FILE } from './mappable.ts';
import type { MemoryManager } from './memory_manager.ts';
import { isShared, VM_GROWSDOWN, VM_SHARED } from './vma.ts';

/** Anonymous ranges up to this size count as resident without asking the host. */
const SMALL = 256 * 1024;

/** Bytes. */
export interface MemoryUsage {
  /** VmSize. */
  readonly size: number;
  /** VmRSS and its parts. */
  readonly resident: number;
  readonly residentAnonymous: number;
  readonly residentFile: number;
  readonly residentShared: number;
  /** VmData, VmStk, VmExe with VmLib. */
  readonly data: number;
  readonly stack: number;
  readonly text: number;
  /** VmLck. */
  readonly locked: number;
}

/**
 * What the host holds for pages in the MemoryFile is asked of the host; pages of host files count as
 * resident where they are mapped.
 */
export function memoryUsage(mm: MemoryManager): MemoryUsage {
  let residentAnonymous = 0;
  let residentFile = 0;
  let residentShared = 0;
  let data = 0;
  let stack = 0;
  let text = 0;
  for (const vma of mm.vmas.items) {
    const length = vma.end - vma.start;
    if (vma.flags & VM_GROWSDOWN) stack += length;
    else if (vma.prot & PROT_WRITE && !(vma.flags & VM_SHARED)) data += length;
    else if (vma.prot & PROT_EXEC && vma.file !== null) text += length;
    for (let i = mm.pmas.lowerBound(vma.start); i < mm.pmas.items.length; i++) {
      const pma = mm.pmas.items[i]!;
      if (pma.start >= vma.end) break;
      const from = Math.max(pma.start, vma.start);
      const bytes = Math.min(pma.end, vma.end) - from;
      if (pma.fd !== IN_MEMORY_FILE) {
        residentFile += bytes;
        continue;
      }
      const held = mm.memory.committedBytes(pma.offset + (from - pma.start), bytes);
      if (isShared(vma)) residentShared += held;
      else residentAnonymous += held;
    }
  }
  const resident = residentAnonymous + residentFile + residentShared;
  const { mappedBytes: size, lockedBytes: locked } = mm;
  return {
    size,
    resident,
    residentAnonymous,
    residentFile,
    residentShared,
    data,
    stack,
    text,
    locked,
  };
}

/**
 * What is resident, without asking the host for each small range: made at every exit and execve(2),
 * where a hundred lseek(2) would be a tenth of the work.
 */
export function residentEstimate(mm: MemoryManager): number {
  let resident = 0;
  for (const pma of mm.pmas.items) {
    const bytes = pma.end - pma.start;
    const small = pma.fd !== IN_MEMORY_FILE || bytes <= SMALL;
    resident += small ? bytes : mm.memory.committedBytes(pma.offset, bytes);
  }
  return resident;
}
