/** mmap(2) and munmap(2). */
import {
  EACCES,
  EAGAIN,
  EEXIST,
  EINVAL,
  ENOMEM,
  EOPNOTSUPP,
  EOVERFLOW,
  EPERM,
} from '../../spec/linux/errno.ts';
import {
  MAP_32BIT,
  MAP_ANONYMOUS,
  MAP_DENYWRITE,
  MAP_EXECUTABLE,
  MAP_FIXED,
  MAP_FIXED_NOREPLACE,
  MAP_GROWSDOWN,
  MAP_HUGETLB,
  MAP_LOCKED,
  MAP_NONBLOCK,
  MAP_NORESERVE,
  MAP_POPULATE,
  MAP_PRIVATE,
  MAP_SHARED,
  MAP_SHARED_VALIDATE,
  MAP_STACK,
  MAP_SYNC,
  MAP_TYPE,
  PROT_WRITE,
} from '../../spec/linux/mman.ts';
import { RLIMIT_AS, RLIMIT_DATA, RLIMIT_MEMLOCK } from '../../spec/linux/resource.ts';
import { giveRoom } from './call_sites.ts';
import { catchUpNew, mayDefer } from './deferred.ts';
import { FilePages } from './file_pages.ts';
import type { Mappable } from './mappable.ts';
import { addVma, splitsTooMany, unmapRange } from './mapping.ts';
import type { MemoryManager } from './memory_manager.ts';
import { isPageAligned, pageCeil, pageFloor } from './page.ts';
import { mapPatches } from './patching.ts';
import { place } from './placement.ts';
import {
  isShared,
  PROT_ALL,
  VM_DENYWRITE,
  VM_GROWSDOWN,
  VM_LOCKED,
  VM_NOHUGEPAGE,
  VM_NORESERVE,
  VM_SHARED,
  type Vma,
} from './vma.ts';

const LEGACY_FLAGS =
  MAP_TYPE |
  MAP_FIXED |
  MAP_ANONYMOUS |
  MAP_32BIT |
  MAP_GROWSDOWN |
  MAP_DENYWRITE |
  MAP_EXECUTABLE |
  MAP_LOCKED |
  MAP_NORESERVE |
  MAP_POPULATE |
  MAP_NONBLOCK |
  MAP_STACK |
  MAP_HUGETLB |
  MAP_FIXED_NOREPLACE;

const MAX_FILE_OFFSET = Number.MAX_SAFE_INTEGER;

export interface MmapRequest {
  readonly addr: number;
  readonly length: number;
  readonly prot: number;
  /** MAP_*. */
  readonly flags: number;
  /** Null for anonymous memory. */
  readonly file: Mappable | null;
  readonly offset: number;
  /** The PROT_* bits that the descriptor's access mode (and noexec mounts) allow. */
  readonly maxProt?: number;
  /** Shown in /proc/PID/maps for memory without a file. */
  readonly name?: string;
  /** Further VM_* flags, for the loader. */
  readonly vmFlags?: number;
  /** MemoryFile offset of pages for private anonymous memory; their reference passes to the mapping. */
  readonly pages?: number;
}

/** The address, or -errno. */
export function mmap(mm: MemoryManager, request: MmapRequest): number {
  let vma = tryMmap(mm, request);
  if (typeof vma === 'number') {
    if (request.pages !== undefined) mm.memory.release(request.pages, pageCeil(request.length));
    return vma;
  }
  const { start, end } = vma;
  if (request.flags & MAP_FIXED) unmapRange(mm, start, end);
  if (vma.file === null && isShared(vma)) {
    // Anonymous memory that fork(2) shares is a file without a name.
    vma = { ...vma, file: FilePages.anonymous(mm.memory, end - start), offset: 0 };
  }
  const pages = request.pages ?? -1;
  if (mayDefer(mm, vma, pages, request.flags)) {
    mm.deferred.insert({ start, end, inherited: false });
  } else catchUpNew(mm);
  let result = addVma(mm, vma, pages);
  if (result >= 0) {
    mapPatches(mm, start);
    result = mm.commit();
  }
  if (result < 0) {
    unmapRange(mm, start, end);
    mm.commit();
    return result;
  }
  if (request.flags & MAP_POPULATE && !(request.flags & MAP_NONBLOCK)) {
    mm.prefault(start, end);
  }
  return start;
}

/** All that may refuse a mapping before anything changes: what it is to be, or -errno. */
function tryMmap(mm: MemoryManager, request: MmapRequest): Vma | number {
  const length = pageCeil(request.length);
  const invalid = checkRequest(request, length);
  if (invalid < 0) return invalid;
  const start = chooseAddress(mm, request.addr, length, request.flags);
  if (start < 0) return start;
  const vma = newVma(mm, request, start, start + length);
  const refused = checkLimits(mm, vma, request.flags);
  return refused < 0 ? refused : vma;
}

function checkRequest(request: MmapRequest, length: number): number {
  const { addr, flags, offset, prot } = request;
  const type = flags & MAP_TYPE;
  if (type !== MAP_SHARED && type !== MAP_PRIVATE && type !== MAP_SHARED_VALIDATE) return -EINVAL;
  if (type === MAP_SHARED_VALIDATE && (flags & ~LEGACY_FLAGS) !== 0) return -EOPNOTSUPP;
  if (flags & MAP_SYNC && type !== MAP_SHARED_VALIDATE) return -EOPNOTSUPP;
  if (request.length === 0) return -EINVAL;
  if (flags & (MAP_FIXED | MAP_FIXED_NOREPLACE) && !isPageAligned(addr)) return -EINVAL;
  if (!isPageAligned(offset)) return -EINVAL;
  if (request.file !== null && offset + length > MAX_FILE_OFFSET) return -EOVERFLOW;
  if (flags & MAP_HUGETLB) return -ENOMEM;
  if (flags & MAP_GROWSDOWN && type !== MAP_PRIVATE) return -EINVAL;
  if ((prot & PROT_ALL & ~(request.maxProt ?? PROT_ALL)) !== 0) return -EACCES;
  return 0;
}

function chooseAddress(mm: MemoryManager, addr: number, length: number, flags: number): number {
  if (length > mm.taskSize) return -ENOMEM;
  if ((flags & MAP_FIXED) === 0 && addr > 0) giveRoom(mm, pageFloor(addr), addr + length);
  if ((flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) === 0) {
    return place(mm, addr, length, (flags & MAP_32BIT) !== 0);
  }
  if (addr + length > mm.taskSize) return -ENOMEM;
  if (addr < mm.layout.minAddress) return -EPERM;
  if (flags & MAP_FIXED_NOREPLACE && mm.vmas.firstIn(addr, addr + length) !== null) return -EEXIST;
  return splitsTooMany(mm, addr, addr + length) ? -ENOMEM : addr;
}

function newVma(mm: MemoryManager, request: MmapRequest, start: number, end: number): Vma {
  const { flags, file } = request;
  let vmFlags = (request.vmFlags ?? 0) | mm.futureFlags;
  if ((flags & MAP_TYPE) !== MAP_PRIVATE) vmFlags |= VM_SHARED;
  if (flags & MAP_GROWSDOWN) vmFlags |= VM_GROWSDOWN;
  if (flags & MAP_LOCKED) vmFlags |= VM_LOCKED;
  if (flags & MAP_NORESERVE) vmFlags |= VM_NORESERVE;
  if (flags & MAP_STACK) vmFlags |= VM_NOHUGEPAGE;
  if (flags & MAP_DENYWRITE && file !== null) vmFlags |= VM_DENYWRITE;
  return {
    start,
    end,
    prot: request.prot & PROT_ALL,
    maxProt: request.maxProt ?? PROT_ALL,
    flags: vmFlags,
    file,
    offset: file === null ? 0 : request.offset,
    name: request.name ?? '',
  };
}

function checkLimits(mm: MemoryManager, vma: Vma, flags: number): number {
  const length = vma.end - vma.start;
  const most = mm.limits.rlimit(RLIMIT_AS);
  if (mm.mappedBytes + length > most) {
    const replaced = flags & MAP_FIXED ? mappedIn(mm, vma.start, vma.end) : 0;
    if (mm.mappedBytes + length - replaced > most) return -ENOMEM;
  }
  if (countsAsData(vma) && exceedsData(mm, length)) return -ENOMEM;
  if (vma.flags & VM_LOCKED && !mm.limits.mayLock) {
    const limit = mm.limits.rlimit(RLIMIT_MEMLOCK);
    if (limit === 0) return -EPERM;
    if (mm.lockedBytes + length > limit) return -EAGAIN;
  }
  return 0;
}

function mappedIn(mm: MemoryManager, start: number, end: number): number {
  let total = 0;
  const { items } = mm.vmas;
  for (let i = mm.vmas.lowerBound(start); i < items.length && items[i]!.start < end; i++) {
    total += Math.min(items[i]!.end, end) - Math.max(items[i]!.start, start);
  }
  return total;
}

/** What RLIMIT_DATA counts: private, writable, no stack. */
export function countsAsData(vma: Vma): boolean {
  return (vma.flags & (VM_SHARED | VM_GROWSDOWN)) === 0 && (vma.prot & PROT_WRITE) !== 0;
}

/** Would `grown` more bytes of data exceed RLIMIT_DATA? */
export function exceedsData(mm: MemoryManager, grown: number): boolean {
  const limit = mm.limits.rlimit(RLIMIT_DATA);
  if (limit === Infinity) return false;
  let total = grown;
  for (const vma of mm.vmas.items) if (countsAsData(vma)) total += vma.end - vma.start;
  return total > limit;
}

/** munmap(2). */
export function munmap(mm: MemoryManager, addr: number, length: number): number {
  const end = addr + pageCeil(length);
  if (!isPageAligned(addr) || length === 0 || end > mm.taskSize) return -EINVAL;
  if (splitsTooMany(mm, addr, end)) return -ENOMEM;
  unmapRange(mm, addr, end);
  return mm.commit();
}
