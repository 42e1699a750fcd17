/**
 * The tree of mounts: mount(2), umount2(2), pivot_root(2).
 */
import { EFAULT, EINVAL, ENAMETOOLONG } from '../../spec/linux/errno.ts';
import { AT_FDCWD } from '../../spec/linux/fcntl.ts';
import { MS_MGC_MSK, MS_MGC_VAL, UMOUNT_NOFOLLOW } from '../../spec/linux/mount.ts';
import { SYS_mount, SYS_pivot_root, SYS_umount2 } from '../../spec/linux/syscall_numbers.ts';
import type { SyscallArgs } from '../kernel/syscall_args.ts';
import type { SyscallFragment } from '../kernel/syscall_table.ts';
import type { Task } from '../kernel/task.ts';
import { mountAt, pivotRoot, relocate, unmountAt } from '../vfs/operations/mounting.ts';
import { lookupAt, readPath } from './path_argument.ts';

const DATA_MAX = 4096;

/** A string that may be NULL, which is as good as ''. */
function optionalString(t: Task, addr: number, max: number): string | number {
  if (addr === 0) return '';
  const text = t.mm.copyInString(addr, max);
  return text === -ENAMETOOLONG ? -EINVAL : text;
}

/** mount(2). */
export function sysMount(t: Task, a: SyscallArgs): number {
  let flags = a.uint(3);
  // The upper half once held a magic number.
  if ((flags & MS_MGC_MSK) >>> 0 === MS_MGC_VAL) flags &= ~MS_MGC_MSK;
  const type = optionalString(t, a.addr(2), 4096);
  if (typeof type === 'number') return type;
  const source = a.addr(0) === 0 ? '' : readPath(t, a.addr(0));
  if (typeof source === 'number') return source;
  const data = optionalString(t, a.addr(4), DATA_MAX);
  if (typeof data === 'number') return data === -EINVAL ? -EFAULT : data;
  const at = lookupAt(t, AT_FDCWD, a.addr(1), true);
  if (typeof at === 'number') return at;
  return mountAt(t.kernel.vfs, t, at, { source, type, flags, data });
}

/** umount2(2). */
export function sysUmount2(t: Task, a: SyscallArgs): number {
  const flags = a.int(1);
  const at = lookupAt(t, AT_FDCWD, a.addr(0), (flags & UMOUNT_NOFOLLOW) === 0);
  return typeof at === 'number' ? at : unmountAt(t, at, flags);
}

/** pivot_root(2): everybody whose root or working directory was the old root moves along. */
export function sysPivotRoot(t: Task, a: SyscallArgs): number {
  const newRoot = lookupAt(t, AT_FDCWD, a.addr(0), true);
  if (typeof newRoot === 'number') return newRoot;
  const putOld = lookupAt(t, AT_FDCWD, a.addr(1), true);
  if (typeof putOld === 'number') return putOld;
  const oldRoot = t.fs.root;
  const r = pivotRoot(t, newRoot, putOld);
  if (r < 0) return r;
  for (const other of t.container.pids.tasks.values()) {
    if (other.fs.mounts === t.fs.mounts) relocate(other.fs, oldRoot, newRoot);
  }
  return 0;
}

export const mountSyscalls: SyscallFragment = {
  [SYS_mount]: {
    name: 'mount',
    args: 'path path path hex ptr',
    fn: sysMount,
    gap: 'no propagation: everything is MS_PRIVATE',
  },
  [SYS_umount2]: { name: 'umount2', args: 'path hex', fn: sysUmount2 },
  [SYS_pivot_root]: { name: 'pivot_root', args: 'path path', fn: sysPivotRoot },
};
