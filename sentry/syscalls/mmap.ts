/**
 * The address space: mmap(2), munmap(2), mprotect(2), mremap(2), madvise(2), brk(2), msync(2),
 * mincore(2), mlock(2).
 */
import { EACCES, EBADF, EINVAL, EPERM } from '../../spec/linux/errno.ts';
import { F_SEAL_FUTURE_WRITE, F_SEAL_WRITE } from '../../spec/linux/fcntl.ts';
import {
  MAP_ANONYMOUS,
  MAP_PRIVATE,
  MAP_TYPE,
  MLOCK_ONFAULT,
  PROT_EXEC,
  PROT_READ,
  PROT_WRITE,
} from '../../spec/linux/mman.ts';
import { MS_NOEXEC } from '../../spec/linux/mount.ts';
import {
  SYS_brk,
  SYS_madvise,
  SYS_mincore,
  SYS_mlock,
  SYS_mlock2,
  SYS_mlockall,
  SYS_mmap,
  SYS_mprotect,
  SYS_mremap,
  SYS_msync,
  SYS_munlock,
  SYS_munlockall,
  SYS_munmap,
} from '../../spec/linux/syscall_numbers.ts';
import type { SyscallArgs } from '../kernel/syscall_args.ts';
import type { SyscallFragment } from '../kernel/syscall_table.ts';
import type { Task } from '../kernel/task.ts';
import { MemoryRegular } from '../vfs/memory_regular.ts';
import type { OpenFile } from '../vfs/open_file.ts';
import { openFd } from './path_argument.ts';

const PROT_ALL = PROT_READ | PROT_WRITE | PROT_EXEC;

/** mmap(2). */
export function sysMmap(t: Task, a: SyscallArgs): number {
  const flags = a.uint(3);
  const request = {
    addr: a.addr(0),
    length: a.sizeT(1),
    prot: a.uint(2),
    flags,
    file: null,
    offset: a.sizeT(5),
  };
  if ((flags & MAP_ANONYMOUS) !== 0) return t.mm.mmap(request);
  const file = openFd(t, a.int(4));
  if (file === undefined) return -EBADF;
  const maxProt = mayMap(file, request.prot, flags);
  if (maxProt < 0) return maxProt;
  if (request.length === 0) return -EINVAL;
  const mapped = file.mappable();
  if (typeof mapped === 'number') return mapped;
  return t.mm.mmap({ ...request, file: mapped, maxProt });
}

/** The protection that `file` allows a mapping, or -errno when `prot` asks for more. */
function mayMap(file: OpenFile, prot: number, flags: number): number {
  let allowed = PROT_ALL;
  const shared = (flags & MAP_TYPE) !== MAP_PRIVATE;
  if (!file.readable) return -EACCES;
  if (shared) {
    if (!file.writable) allowed &= ~PROT_WRITE;
    const { inode } = file;
    if (inode instanceof MemoryRegular && inode.seals > 0) {
      if ((inode.seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)) !== 0) {
        if ((prot & PROT_WRITE) !== 0) return -EPERM;
        allowed &= ~PROT_WRITE;
      }
    }
    if ((prot & PROT_WRITE & ~allowed) !== 0) return -EACCES;
  }
  if ((file.path.mount.flags & MS_NOEXEC) !== 0) {
    if ((prot & PROT_EXEC) !== 0) return -EPERM;
    allowed &= ~PROT_EXEC;
  }
  return allowed;
}

/** munmap(2). */
export function sysMunmap(t: Task, a: SyscallArgs): number {
  return t.mm.munmap(a.addr(0), a.sizeT(1));
}

/** mprotect(2). */
export function sysMprotect(t: Task, a: SyscallArgs): number {
  return t.mm.mprotect(a.addr(0), a.sizeT(1), a.uint(2));
}

/** mremap(2). */
export function sysMremap(t: Task, a: SyscallArgs): number {
  return t.mm.mremap(a.addr(0), a.sizeT(1), a.sizeT(2), a.uint(3), a.addr(4));
}

/** madvise(2). */
export function sysMadvise(t: Task, a: SyscallArgs): number {
  return t.mm.madvise(a.addr(0), a.sizeT(1), a.int(2));
}

/** brk(2). */
export function sysBrk(t: Task, a: SyscallArgs): number {
  return t.mm.brk(a.addr(0));
}

/** msync(2). */
export function sysMsync(t: Task, a: SyscallArgs): number {
  return t.mm.msync(a.addr(0), a.sizeT(1), a.int(2));
}

/** mincore(2). */
export function sysMincore(t: Task, a: SyscallArgs): number {
  return t.mm.mincore(a.addr(0), a.sizeT(1), a.addr(2));
}

/** mlock(2). */
export function sysMlock(t: Task, a: SyscallArgs): number {
  return t.mm.mlock(a.addr(0), a.sizeT(1));
}

/** mlock2(2). */
export function sysMlock2(t: Task, a: SyscallArgs): number {
  if ((a.int(2) & ~MLOCK_ONFAULT) !== 0) return -EINVAL;
  return t.mm.mlock(a.addr(0), a.sizeT(1));
}

/** munlock(2). */
export function sysMunlock(t: Task, a: SyscallArgs): number {
  return t.mm.munlock(a.addr(0), a.sizeT(1));
}

/** mlockall(2). */
export function sysMlockall(t: Task, a: SyscallArgs): number {
  const flags = a.int(0);
  return flags === 0 ? -EINVAL : t.mm.mlockall(flags);
}

/** munlockall(2). */
export function sysMunlockall(t: Task): number {
  return t.mm.munlockall();
}

export const mmapSyscalls: SyscallFragment = {
  [SYS_mmap]: { name: 'mmap', args: 'hex size prot mapflags fd hex', fn: sysMmap },
  [SYS_munmap]: { name: 'munmap', args: 'hex size', fn: sysMunmap },
  [SYS_mprotect]: { name: 'mprotect', args: 'hex size prot', fn: sysMprotect },
  [SYS_mremap]: { name: 'mremap', args: 'hex size size hex hex', fn: sysMremap },
  [SYS_madvise]: { name: 'madvise', args: 'hex size int', fn: sysMadvise },
  [SYS_brk]: { name: 'brk', args: 'hex', fn: sysBrk },
  [SYS_msync]: { name: 'msync', args: 'hex size hex', fn: sysMsync },
  [SYS_mincore]: { name: 'mincore', args: 'hex size ptr', fn: sysMincore },
  [SYS_mlock]: { name: 'mlock', args: 'hex size', fn: sysMlock },
  [SYS_mlock2]: { name: 'mlock2', args: 'hex size hex', fn: sysMlock2 },
  [SYS_munlock]: { name: 'munlock', args: 'hex size', fn: sysMunlock },
  [SYS_mlockall]: { name: 'mlockall', args: 'hex', fn: sysMlockall },
  [SYS_munlockall]: { name: 'munlockall', args: '', fn: sysMunlockall },
};
