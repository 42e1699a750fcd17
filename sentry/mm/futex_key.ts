/** Where a futex sleeps (futex(2)): the same word gives the same key in every address space. */
import { EFAULT } from '../../spec/linux/errno.ts';
import type { MemoryManager } from './memory_manager.ts';
import { isShared } from './vma.ts';

export interface FutexKey {
  /** The MemoryManager, or the identity of a file mapped shared. */
  readonly object: object;
  /** Address in it, or byte offset in the file. */
  readonly offset: number;
}

export function futexKey(mm: MemoryManager, addr: number, isPrivate: boolean): FutexKey | number {
  const vma = mm.vmas.find(addr);
  if (isPrivate) return addr < mm.taskSize ? { object: mm, offset: addr } : -EFAULT;
  if (vma === null) return -EFAULT;
  if (vma.file === null || !isShared(vma)) return { object: mm, offset: addr };
  return { object: vma.file.identity, offset: vma.offset + (addr - vma.start) };
}
