/**
 * Extended attributes: setxattr(2), getxattr(2), listxattr(2), removexattr(2) by path, link and
 * descriptor.
 */
import { E2BIG, EBADF, EFAULT, EINVAL, ENAMETOOLONG, ERANGE } from '../../spec/linux/errno.ts';
import { AT_FDCWD, XATTR_NAME_MAX, XATTR_SIZE_MAX } from '../../spec/linux/fcntl.ts';
import {
  SYS_fgetxattr,
  SYS_flistxattr,
  SYS_fremovexattr,
  SYS_fsetxattr,
  SYS_getxattr,
  SYS_lgetxattr,
  SYS_listxattr,
  SYS_llistxattr,
  SYS_lremovexattr,
  SYS_lsetxattr,
  SYS_removexattr,
  SYS_setxattr,
} from '../../spec/linux/syscall_numbers.ts';
import { XATTR_CREATE, XATTR_REPLACE } from '../../spec/linux/xattr.ts';
import { byteStringBytes } from '../base/byte_string.ts';
import type { SyscallArgs } from '../kernel/syscall_args.ts';
import type { SyscallFragment } from '../kernel/syscall_table.ts';
import type { Task } from '../kernel/task.ts';
import type { Path } from '../vfs/mount.ts';
import { getXattr, listXattr, removeXattr, setXattr } from '../vfs/operations/xattr.ts';
import { lookupAt, openFd } from './path_argument.ts';

/** How the first argument names the file. */
type Finder = (t: Task, a: SyscallArgs) => Path | number;

const byPath: Finder = (t, a) => lookupAt(t, AT_FDCWD, a.addr(0), true);
const byLink: Finder = (t, a) => lookupAt(t, AT_FDCWD, a.addr(0), false);
const byFd: Finder = (t, a) => openFd(t, a.int(0))?.path ?? -EBADF;

function readName(t: Task, addr: number): string | number {
  const name = t.mm.copyInString(addr, XATTR_NAME_MAX + 1);
  if (typeof name === 'number') return name === -ENAMETOOLONG ? -ERANGE : name;
  return name === '' ? -ERANGE : name;
}

/** Gives `value` to a caller with room for `size` bytes; 0 asks for the length. */
function giveBytes(t: Task, addr: number, size: number, value: Uint8Array): number {
  if (size === 0) return value.length;
  if (value.length > size) return -ERANGE;
  return t.mm.copyOut(addr, value) < 0 ? -EFAULT : value.length;
}

function set(t: Task, a: SyscallArgs, find: Finder): number {
  const flags = a.int(4);
  if ((flags & ~(XATTR_CREATE | XATTR_REPLACE)) !== 0) return -EINVAL;
  const name = readName(t, a.addr(1));
  if (typeof name === 'number') return name;
  const size = a.sizeT(3);
  if (size > XATTR_SIZE_MAX) return -E2BIG;
  const value = new Uint8Array(size);
  if (t.mm.copyIn(a.addr(2), value) < 0) return -EFAULT;
  const at = find(t, a);
  return typeof at === 'number' ? at : setXattr(t, at, name, value, flags);
}

function get(t: Task, a: SyscallArgs, find: Finder): number {
  const name = readName(t, a.addr(1));
  if (typeof name === 'number') return name;
  const at = find(t, a);
  if (typeof at === 'number') return at;
  const value = getXattr(t, at, name);
  return typeof value === 'number' ? value : giveBytes(t, a.addr(2), a.sizeT(3), value);
}

function list(t: Task, a: SyscallArgs, find: Finder): number {
  const at = find(t, a);
  if (typeof at === 'number') return at;
  const names = listXattr(t, at);
  if (typeof names === 'number') return names;
  const bytes = byteStringBytes(names.map((name) => `${name}\0`).join(''));
  return giveBytes(t, a.addr(1), a.sizeT(2), bytes);
}

function remove(t: Task, a: SyscallArgs, find: Finder): number {
  const name = readName(t, a.addr(1));
  if (typeof name === 'number') return name;
  const at = find(t, a);
  return typeof at === 'number' ? at : removeXattr(t, at, name);
}

const SET = 'path path buf size hex';
const GET = 'path path out size';

export const xattrSyscalls: SyscallFragment = {
  [SYS_setxattr]: { name: 'setxattr', args: SET, fn: (t, a) => set(t, a, byPath) },
  [SYS_lsetxattr]: { name: 'lsetxattr', args: SET, fn: (t, a) => set(t, a, byLink) },
  [SYS_fsetxattr]: {
    name: 'fsetxattr',
    args: 'fd path buf size hex',
    fn: (t, a) => set(t, a, byFd),
  },
  [SYS_getxattr]: { name: 'getxattr', args: GET, fn: (t, a) => get(t, a, byPath) },
  [SYS_lgetxattr]: { name: 'lgetxattr', args: GET, fn: (t, a) => get(t, a, byLink) },
  [SYS_fgetxattr]: { name: 'fgetxattr', args: 'fd path out size', fn: (t, a) => get(t, a, byFd) },
  [SYS_listxattr]: { name: 'listxattr', args: 'path out size', fn: (t, a) => list(t, a, byPath) },
  [SYS_llistxattr]: { name: 'llistxattr', args: 'path out size', fn: (t, a) => list(t, a, byLink) },
  [SYS_flistxattr]: { name: 'flistxattr', args: 'fd out size', fn: (t, a) => list(t, a, byFd) },
  [SYS_removexattr]: { name: 'removexattr', args: 'path path', fn: (t, a) => remove(t, a, byPath) },
  [SYS_lremovexattr]: {
    name: 'lremovexattr',
    args: 'path path',
    fn: (t, a) => remove(t, a, byLink),
  },
  [SYS_fremovexattr]: { name: 'fremovexattr', args: 'fd path', fn: (t, a) => remove(t, a, byFd) },
};
