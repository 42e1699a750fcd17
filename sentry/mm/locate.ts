/**
 * Finding application memory for the kernel's own accesses: the same rules as a page fault, but an
 * error is -EFAULT instead of a signal.
 */
import { EFAULT } from '../../spec/linux/errno.ts';
import { PAGE_SIZE, PROT_NONE, PROT_WRITE } from '../../spec/linux/mman.ts';
import { isPatched } from './call_sites.ts';
import { growCopies } from './copy_on_write.ts';
import { growStack, touch } from './fault.ts';
import type { Location } from './io_buffer.ts';
import { type Extent, IN_MEMORY_FILE } from './mappable.ts';
import type { MemoryManager } from './memory_manager.ts';
import { offsetInPage, pageFloor } from './page.ts';
import type { Pma } from './pma.ts';
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
  if (mm.callSites !== null && pma.cow && pma.fromFile && pma.fd === IN_MEMORY_FILE) {
    return locateOriginal(mm, vma, pma, addr, length, into);
  }
  into.length = Math.min(length, Math.min(pma.end, vma.end) - addr);
  return tell(mm, pma.fd, pma.offset + (addr - pma.start), into);
}

const original: Extent = { fd: IN_MEMORY_FILE, offset: 0, length: 0 };

/** As `locate`, within a page: what the file has there, where the application sees patches. */
function locateOriginal(
  mm: MemoryManager,
  vma: Vma,
  pma: Pma,
  addr: number,
  length: number,
  into: Location,
): number {
  const page = pageFloor(addr);
  into.length = Math.min(length, page + PAGE_SIZE - addr);
  if (!isPatched(mm, page)) return tell(mm, pma.fd, pma.offset + (addr - pma.start), into);
  const at = vma.offset + (page - vma.start);
  if (vma.file!.translate(at, PAGE_SIZE, false, original) < 0) return -EFAULT;
  return tell(mm, original.fd, original.offset + offsetInPage(addr), into);
}

function tell(mm: MemoryManager, fd: number, offset: number, into: Location): number {
  if (fd === IN_MEMORY_FILE) {
    into.bytes = mm.memory.bytes;
    into.start = offset;
    into.fd = -1;
  } else {
    into.fd = fd;
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
