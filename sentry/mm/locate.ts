/**
 * Finding application memory for the kernel's own accesses: the same rules as a page fault, but an
 * error is -EFAULT instead of a signal.
 */
import { EFAULT } from '../../spec/linux/errno.ts';
import { PROT_NONE, PROT_WRITE } from '../../spec/linux/mman.ts';
import { growCopies } from './copy_on_write.ts';
import { growStack, touch } from './fault.ts';
import type { Location } from './io_buffer.ts';
import { IN_MEMORY_FILE } from './mappable.ts';
import type { MemoryManager } from './memory_manager.ts';
import { pageFloor } from './page.ts';
import type { Vma } from './vma.ts';

function permits(vma: Vma, write: boolean): boolean {
  return write ? (vma.prot & PROT_WRITE) !== 0 : vma.prot !== PROT_NONE;
}

/** UserMemory.locate. */
export function locate(
  mm: MemoryManager,
  addr: number,
  length: number,
  write: boolean,
  into: Location,
): number {
  const vma = mm.vmas.find(addr) ?? growStack(mm, addr);
  if (vma === null || !permits(vma, write)) return -EFAULT;
  const page = pageFloor(addr);
  let pma = mm.pmas.find(page);
  if (pma === null) {
    if (touch(mm, vma, page) < 0 || mm.commit() < 0) return -EFAULT;
    pma = mm.pmas.find(page)!;
  }
  if (write && pma.cow) {
    // Other threads must see what the kernel writes here before it goes on.
    if (growCopies(mm, vma, page) < 0 || mm.commit() < 0) return -EFAULT;
    pma = mm.pmas.find(page)!;
  }
  const offset = pma.offset + (addr - pma.start);
  into.length = Math.min(length, Math.min(pma.end, vma.end) - addr);
  if (pma.fd === IN_MEMORY_FILE) {
    into.bytes = mm.memory.bytes;
    into.start = offset;
    into.fd = -1;
  } else {
    into.fd = pma.fd;
    into.offset = offset;
  }
  return 0;
}

/** UserMemory.accessible: goes by the Vmas alone. */
export function accessibleBytes(
  mm: MemoryManager,
  addr: number,
  length: number,
  write: boolean,
): number {
  const end = addr + length;
  let at = addr;
  while (at < end) {
    const vma = mm.vmas.find(at) ?? growStack(mm, at);
    if (vma === null || !permits(vma, write)) break;
    at = vma.end;
  }
  return Math.min(at, end) - addr;
}
