/**
 * Asking about files: stat(2), statx(2), statfs(2), access(2), readlink(2).
 */
import { EBADF, EFAULT, EINVAL, ENOENT } from '../../spec/linux/errno.ts';
import {
  AT_EACCESS,
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_NO_AUTOMOUNT,
  AT_STATX_SYNC_TYPE,
  AT_SYMLINK_NOFOLLOW,
  PATH_MAX,
} from '../../spec/linux/fcntl.ts';
import { STATX__RESERVED } from '../../spec/linux/stat.ts';
import {
  SYS_access,
  SYS_faccessat,
  SYS_faccessat2,
  SYS_fstat,
  SYS_fstatfs,
  SYS_lstat,
  SYS_newfstatat,
  SYS_readlink,
  SYS_readlinkat,
  SYS_stat,
  SYS_statfs,
  SYS_statx,
} from '../../spec/linux/syscall_numbers.ts';
import { byteStringBytes } from '../base/byte_string.ts';
import type { SyscallArgs } from '../kernel/syscall_args.ts';
import type { SyscallFragment } from '../kernel/syscall_table.ts';
import type { Task } from '../kernel/task.ts';
import type { Path } from '../vfs/mount.ts';
import { checkAccess, realCredentials } from '../vfs/operations/attributes.ts';
import { lookupAt, lookupPath, readPath } from './path_argument.ts';
import { writeStat, writeStatFs, writeStatx } from './stat_encoding.ts';

function statAt(t: Task, dirFd: number, pathAddr: number, buf: number, flags: number): number {
  const path = readPath(t, pathAddr);
  if (typeof path === 'number') return path;
  if (path === '' && (flags & AT_EMPTY_PATH) !== 0 && dirFd !== AT_FDCWD) {
    return statFd(t, dirFd, buf);
  }
  const follow = (flags & AT_SYMLINK_NOFOLLOW) === 0;
  const at = lookupPath(t, dirFd, path, follow, (flags & AT_EMPTY_PATH) !== 0);
  return typeof at === 'number' ? at : statPath(t, at, buf);
}

function statPath(t: Task, at: Path, buf: number): number {
  const attr = at.dentry.inode?.getattr() ?? -ENOENT;
  return typeof attr === 'number' ? attr : writeStat(t, buf, attr);
}

function statFd(t: Task, fd: number, buf: number): number {
  const file = t.files.get(fd);
  if (file === undefined) return -EBADF;
  const attr = file.getattr();
  return typeof attr === 'number' ? attr : writeStat(t, buf, attr);
}

/** stat(2). */
export function sysStat(t: Task, a: SyscallArgs): number {
  return statAt(t, AT_FDCWD, a.addr(0), a.addr(1), 0);
}

/** lstat(2). */
export function sysLstat(t: Task, a: SyscallArgs): number {
  return statAt(t, AT_FDCWD, a.addr(0), a.addr(1), AT_SYMLINK_NOFOLLOW);
}

/** fstat(2). */
export function sysFstat(t: Task, a: SyscallArgs): number {
  return statFd(t, a.int(0), a.addr(1));
}

/** fstatat(2). */
export function sysNewfstatat(t: Task, a: SyscallArgs): number {
  const flags = a.int(3);
  if ((flags & ~(AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH)) !== 0) return -EINVAL;
  return statAt(t, a.int(0), a.addr(1), a.addr(2), flags);
}

/** statx(2). All basic fields are always filled in, asked for or not, as Linux allows. */
export function sysStatx(t: Task, a: SyscallArgs): number {
  const flags = a.int(2);
  const known = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH | AT_STATX_SYNC_TYPE;
  if ((flags & ~known) !== 0) return -EINVAL;
  if ((flags & AT_STATX_SYNC_TYPE) === AT_STATX_SYNC_TYPE) return -EINVAL;
  if ((a.uint(3) & STATX__RESERVED) !== 0) return -EINVAL;
  const empty = (flags & AT_EMPTY_PATH) !== 0;
  const dirFd = a.int(0);
  const path = readPath(t, a.addr(1));
  if (typeof path === 'number') return path;
  const at = lookupPath(t, dirFd, path, (flags & AT_SYMLINK_NOFOLLOW) === 0, empty);
  if (typeof at === 'number') return at;
  const file = path === '' ? t.files.get(dirFd) : undefined;
  const attr = file?.getattr() ?? at.dentry.inode?.getattr() ?? -ENOENT;
  return typeof attr === 'number' ? attr : writeStatx(t, a.addr(4), attr, at);
}

function statFsOf(t: Task, at: Path, buf: number): number {
  const s = at.mount.fs.statfs();
  return typeof s === 'number' ? s : writeStatFs(t, buf, s, at);
}

/** statfs(2). */
export function sysStatfs(t: Task, a: SyscallArgs): number {
  const at = lookupAt(t, AT_FDCWD, a.addr(0), true);
  return typeof at === 'number' ? at : statFsOf(t, at, a.addr(1));
}

/** fstatfs(2). */
export function sysFstatfs(t: Task, a: SyscallArgs): number {
  const file = t.files.get(a.int(0));
  return file === undefined ? -EBADF : statFsOf(t, file.path, a.addr(1));
}

function accessAt(t: Task, dirFd: number, pathAddr: number, mode: number, flags: number): number {
  if ((mode & ~7) !== 0) return -EINVAL;
  if ((flags & ~(AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) !== 0) return -EINVAL;
  const creds = (flags & AT_EACCESS) !== 0 ? t.creds : realCredentials(t.creds);
  const own = t.creds;
  // The walk there is made with the same credentials as the check.
  t.creds = creds;
  const follow = (flags & AT_SYMLINK_NOFOLLOW) === 0;
  const at = lookupAt(t, dirFd, pathAddr, follow, (flags & AT_EMPTY_PATH) !== 0);
  t.creds = own;
  return typeof at === 'number' ? at : checkAccess(creds, at, mode);
}

/** access(2). */
export function sysAccess(t: Task, a: SyscallArgs): number {
  return accessAt(t, AT_FDCWD, a.addr(0), a.int(1), 0);
}

/** faccessat(2), the system call, which has no flags. */
export function sysFaccessat(t: Task, a: SyscallArgs): number {
  return accessAt(t, a.int(0), a.addr(1), a.int(2), 0);
}

/** faccessat2(2). */
export function sysFaccessat2(t: Task, a: SyscallArgs): number {
  return accessAt(t, a.int(0), a.addr(1), a.int(2), a.int(3));
}

function readlinkAt(t: Task, dirFd: number, pathAddr: number, buf: number, size: number): number {
  if (size <= 0) return -EINVAL;
  const path = readPath(t, pathAddr);
  if (typeof path === 'number') return path;
  // An empty path reads the link that an O_PATH descriptor stands for.
  const at = lookupPath(t, dirFd, path, false, dirFd !== AT_FDCWD);
  if (typeof at === 'number') return at;
  const inode = at.dentry.inode;
  if (inode === null || !inode.isSymlink) return path === '' ? -ENOENT : -EINVAL;
  const target = inode.readlink();
  if (typeof target === 'number') return target;
  const bytes = byteStringBytes(target.slice(0, Math.min(size, PATH_MAX)));
  return t.mm.copyOut(buf, bytes) < 0 ? -EFAULT : bytes.length;
}

/** readlink(2). */
export function sysReadlink(t: Task, a: SyscallArgs): number {
  return readlinkAt(t, AT_FDCWD, a.addr(0), a.addr(1), a.int(2));
}

/** readlinkat(2). */
export function sysReadlinkat(t: Task, a: SyscallArgs): number {
  return readlinkAt(t, a.int(0), a.addr(1), a.addr(2), a.int(3));
}

export const statSyscalls: SyscallFragment = {
  [SYS_stat]: { name: 'stat', args: 'path ptr', fn: sysStat },
  [SYS_lstat]: { name: 'lstat', args: 'path ptr', fn: sysLstat },
  [SYS_fstat]: { name: 'fstat', args: 'fd ptr', fn: sysFstat },
  [SYS_newfstatat]: { name: 'newfstatat', args: 'dirfd path ptr hex', fn: sysNewfstatat },
  [SYS_statx]: { name: 'statx', args: 'dirfd path hex hex ptr', fn: sysStatx },
  [SYS_statfs]: { name: 'statfs', args: 'path ptr', fn: sysStatfs },
  [SYS_fstatfs]: { name: 'fstatfs', args: 'fd ptr', fn: sysFstatfs },
  [SYS_access]: { name: 'access', args: 'path int', fn: sysAccess },
  [SYS_faccessat]: { name: 'faccessat', args: 'dirfd path int', fn: sysFaccessat },
  [SYS_faccessat2]: { name: 'faccessat2', args: 'dirfd path int hex', fn: sysFaccessat2 },
  [SYS_readlink]: { name: 'readlink', args: 'path out size', fn: sysReadlink },
  [SYS_readlinkat]: { name: 'readlinkat', args: 'dirfd path out size', fn: sysReadlinkat },
};
