/** brk(2). The heap's pages come from a reservation, so that a heap growing in steps is one mapping. */
import {
  MAP_ANONYMOUS,
  MAP_FIXED_NOREPLACE,
  MAP_PRIVATE,
  PROT_READ,
  PROT_WRITE,
} from '../../spec/linux/mman.ts';
import { RLIMIT_DATA } from '../../spec/linux/resource.ts';
import { giveRoom } from './call_sites.ts';
import { unmapRange } from './mapping.ts';
import type { MemoryManager } from './memory_manager.ts';
import { pageCeil } from './page.ts';
import { isFree } from './placement.ts';

export function brk(mm: MemoryManager, addr: number): number {
  const { brkStart, brkEnd } = mm;
  if (addr < brkStart || addr > mm.taskSize) return brkEnd;
  const from = pageCeil(brkEnd);
  const to = pageCeil(addr);
  if (to < from) {
    unmapRange(mm, to, from);
    mm.commit();
  } else if (to > from && !growHeap(mm, from, to)) {
    return brkEnd;
  }
  mm.brkEnd = addr;
  return addr;
}

function growHeap(mm: MemoryManager, start: number, end: number): boolean {
  if (end - mm.brkStart > mm.limits.rlimit(RLIMIT_DATA)) return false;
  giveRoom(mm, start, end);
  if (!isFree(mm, start, end)) return false;
  const offset = mm.heapPages.take(mm.memory, end - start);
  if (offset < 0) return false;
  const result = mm.mmap({
    addr: start,
    length: end - start,
    prot: PROT_READ | PROT_WRITE,
    flags: MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE,
    file: null,
    offset: 0,
    name: '[heap]',
    pages: offset,
  });
  return result >= 0;
}
