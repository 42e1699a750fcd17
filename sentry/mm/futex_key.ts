/** Where a futex sleeps (futex(2)): the same word gives the same key in every address space. */
import { EFAULT } from '../../spec/linux/errno.ts';
import { PROT_WRITE } from '../../spec/linux/mman.ts';
import type { AddressSpace } from '../platform/platform.ts';
import type { MemoryManager } from './memory_manager.ts';
import { isShared } from './vma.ts';

export interface FutexKey {
  /** The MemoryManager, or the identity of a file mapped shared. */
  readonly object: object;
  /** Address in it, or byte offset in the file. */
  readonly offset: number;
  /** Which counts those who sleep here; null for words that several see. */
  readonly space: AddressSpace | null;
}

export function futexKey(mm: MemoryManager, addr: number, isPrivate: boolean): FutexKey | number {
  const vma = mm.vmas.find(addr);
  if (isPrivate)
    return addr < mm.taskSize ? { object: mm, offset: addr, space: mm.space } : -EFAULT;
  if (vma === null) return -EFAULT;
  // A word that cannot change.
  if (vma.file === null && (vma.prot & PROT_WRITE) === 0) return -EFAULT;
  if (vma.file === null || !isShared(vma)) return { object: mm, offset: addr, space: mm.space };
  return { object: vma.file.identity, offset: vma.offset + (addr - vma.start), space: null };
}
