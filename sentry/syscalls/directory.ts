/**
 * Names and directories: getdents64(2), chdir(2), getcwd(2), mkdir(2), rmdir(2), unlink(2), rename(2),
 * link(2), symlink(2), mknod(2), chroot(2).
 */

import { CAP_DAC_READ_SEARCH } from '../../spec/linux/capability.ts';
import { EBADF, EFAULT, EINVAL, ENOENT, ENOTDIR, EPERM, ERANGE } from '../../spec/linux/errno.ts';
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_REMOVEDIR,
  AT_SYMLINK_FOLLOW,
} from '../../spec/linux/fcntl.ts';
import { IN_ACCESS } from '../../spec/linux/inotify.ts';
import { S_IFDIR, S_IFMT, S_IFREG } from '../../spec/linux/stat.ts';
import {
  SYS_chdir,
  SYS_chroot,
  SYS_fchdir,
  SYS_getcwd,
  SYS_getdents,
  SYS_getdents64,
  SYS_link,
  SYS_linkat,
  SYS_mkdir,
  SYS_mkdirat,
  SYS_mknod,
  SYS_mknodat,
  SYS_rename,
  SYS_renameat,
  SYS_renameat2,
  SYS_rmdir,
  SYS_symlink,
  SYS_symlinkat,
  SYS_unlink,
  SYS_unlinkat,
} from '../../spec/linux/syscall_numbers.ts';
import { byteStringBytes, encodeByteString } from '../base/byte_string.ts';
import type { SyscallArgs } from '../kernel/syscall_args.ts';
import type { SyscallFragment } from '../kernel/syscall_table.ts';
import type { Task } from '../kernel/task.ts';
import { notifyFile } from '../vfs/fsnotify.ts';
import { makeDirectory, makeLink, makeNode, makeSymlink } from '../vfs/operations/create.ts';
import { changeDirectory, changeRoot } from '../vfs/operations/mounting.ts';
import { removeDirectory, removeFile } from '../vfs/operations/remove.ts';
import { rename } from '../vfs/operations/rename.ts';
import { lookupAt, nameAt, openFd, readPath } from './path_argument.ts';
import { deviceMajor, deviceMinor } from './stat_encoding.ts';

/** One call fills at most this much, whatever the caller's buffer holds. */
const DIRENTS_MAX = 64 * 1024;
const scratch = new Uint8Array(DIRENTS_MAX);
const scratchView = new DataView(scratch.buffer);
const DIRENT64_NAME = 19;
const DIRENT_NAME = 18;

/** `modern`: getdents64's records; else getdents', whose type is in the last byte. */
function listDirectory(t: Task, fd: number, addr: number, size: number, modern: boolean): number {
  const file = openFd(t, fd);
  if (file === undefined) return -EBADF;
  if (!file.inode.isDirectory) return -ENOTDIR;
  if (file.dentry.detached) return -ENOENT;
  const bytes = scratch;
  const view = scratchView;
  const room = Math.min(size, DIRENTS_MAX);
  const header = modern ? DIRENT64_NAME : DIRENT_NAME;
  let at = 0;
  let tooSmall = false;
  const r = file.iterate((entry, next) => {
    // The name's NUL, and for getdents the type behind it.
    const length = Math.ceil((header + entry.name.length + (modern ? 1 : 2)) / 8) * 8;
    if (at + length > room) {
      tooSmall = at === 0;
      return false;
    }
    view.setUint32(at, entry.ino >>> 0, true);
    view.setUint32(at + 4, Math.floor(entry.ino / 2 ** 32), true);
    view.setUint32(at + 8, next >>> 0, true);
    view.setUint32(at + 12, Math.floor(next / 2 ** 32), true);
    view.setUint16(at + 16, length, true);
    if (modern) bytes[at + 18] = entry.type;
    else bytes[at + length - 1] = entry.type;
    const end = at + header + entry.name.length;
    encodeByteString(entry.name, bytes, at + header);
    bytes.fill(0, end, modern ? at + length : at + length - 1);
    at += length;
    return true;
  });
  if (r < 0) return r;
  if (tooSmall) return -EINVAL;
  notifyFile(file.dentry, IN_ACCESS);
  return t.mm.copyOut(addr, bytes, 0, at) < 0 ? -EFAULT : at;
}

/** getdents64(2). */
export function sysGetdents64(t: Task, a: SyscallArgs): number {
  return listDirectory(t, a.int(0), a.addr(1), a.uint(2), true);
}

/** getdents(2). */
export function sysGetdents(t: Task, a: SyscallArgs): number {
  return listDirectory(t, a.int(0), a.addr(1), a.uint(2), false);
}

/** chdir(2). */
export function sysChdir(t: Task, a: SyscallArgs): number {
  const at = lookupAt(t, AT_FDCWD, a.addr(0), true);
  return typeof at === 'number' ? at : changeDirectory(t, at);
}

/** fchdir(2). */
export function sysFchdir(t: Task, a: SyscallArgs): number {
  const file = t.files.get(a.int(0));
  return file === undefined ? -EBADF : changeDirectory(t, file.path);
}

/** chroot(2). */
export function sysChroot(t: Task, a: SyscallArgs): number {
  const at = lookupAt(t, AT_FDCWD, a.addr(0), true);
  return typeof at === 'number' ? at : changeRoot(t, at);
}

/** getcwd(2): the length with the NUL. */
export function sysGetcwd(t: Task, a: SyscallArgs): number {
  const { cwd, root, mounts } = t.fs;
  if (cwd.dentry.detached) return -ENOENT;
  const text = mounts.pathname(cwd, root) ?? '(unreachable)';
  if (text.length + 1 > a.sizeT(1)) return -ERANGE;
  const bytes = byteStringBytes(`${text}\0`);
  return t.mm.copyOut(a.addr(0), bytes) < 0 ? -EFAULT : bytes.length;
}

function mkdirAt(t: Task, dirFd: number, pathAddr: number, mode: number): number {
  const at = nameAt(t, dirFd, pathAddr);
  if (typeof at === 'number') return at;
  return makeDirectory(t.kernel.vfs, t, at.start, at.path, mode);
}

/** mkdir(2). */
export function sysMkdir(t: Task, a: SyscallArgs): number {
  return mkdirAt(t, AT_FDCWD, a.addr(0), a.uint(1));
}

/** mkdirat(2). */
export function sysMkdirat(t: Task, a: SyscallArgs): number {
  return mkdirAt(t, a.int(0), a.addr(1), a.uint(2));
}

function removeAt(t: Task, dirFd: number, pathAddr: number, directory: boolean): number {
  const at = nameAt(t, dirFd, pathAddr);
  if (typeof at === 'number') return at;
  const remove = directory ? removeDirectory : removeFile;
  return remove(t.kernel.vfs, t, at.start, at.path);
}

/** rmdir(2). */
export function sysRmdir(t: Task, a: SyscallArgs): number {
  return removeAt(t, AT_FDCWD, a.addr(0), true);
}

/** unlink(2). */
export function sysUnlink(t: Task, a: SyscallArgs): number {
  return removeAt(t, AT_FDCWD, a.addr(0), false);
}

/** unlinkat(2). */
export function sysUnlinkat(t: Task, a: SyscallArgs): number {
  const flags = a.int(2);
  if ((flags & ~AT_REMOVEDIR) !== 0) return -EINVAL;
  return removeAt(t, a.int(0), a.addr(1), flags !== 0);
}

function renameAt(
  t: Task,
  oldFd: number,
  oldAddr: number,
  newFd: number,
  newAddr: number,
  flags: number,
): number {
  const from = nameAt(t, oldFd, oldAddr);
  if (typeof from === 'number') return from;
  const to = nameAt(t, newFd, newAddr);
  if (typeof to === 'number') return to;
  return rename(t.kernel.vfs, t, from.start, from.path, to.start, to.path, flags);
}

/** rename(2). */
export function sysRename(t: Task, a: SyscallArgs): number {
  return renameAt(t, AT_FDCWD, a.addr(0), AT_FDCWD, a.addr(1), 0);
}

/** renameat(2). */
export function sysRenameat(t: Task, a: SyscallArgs): number {
  return renameAt(t, a.int(0), a.addr(1), a.int(2), a.addr(3), 0);
}

/** renameat2(2). */
export function sysRenameat2(t: Task, a: SyscallArgs): number {
  return renameAt(t, a.int(0), a.addr(1), a.int(2), a.addr(3), a.uint(4));
}

function linkAt(
  t: Task,
  oldFd: number,
  oldAddr: number,
  newFd: number,
  newAddr: number,
  flags: number,
): number {
  if ((flags & ~(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH)) !== 0) return -EINVAL;
  const empty = (flags & AT_EMPTY_PATH) !== 0;
  if (empty && !t.creds.has(CAP_DAC_READ_SEARCH)) return -ENOENT;
  const from = lookupAt(t, oldFd, oldAddr, (flags & AT_SYMLINK_FOLLOW) !== 0, empty);
  if (typeof from === 'number') return from;
  const to = nameAt(t, newFd, newAddr);
  if (typeof to === 'number') return to;
  return makeLink(t.kernel.vfs, t, from, to.start, to.path);
}

/** link(2). */
export function sysLink(t: Task, a: SyscallArgs): number {
  return linkAt(t, AT_FDCWD, a.addr(0), AT_FDCWD, a.addr(1), 0);
}

/** linkat(2). */
export function sysLinkat(t: Task, a: SyscallArgs): number {
  return linkAt(t, a.int(0), a.addr(1), a.int(2), a.addr(3), a.int(4));
}

function symlinkAt(t: Task, targetAddr: number, dirFd: number, pathAddr: number): number {
  const target = readPath(t, targetAddr);
  if (typeof target === 'number') return target;
  const at = nameAt(t, dirFd, pathAddr);
  if (typeof at === 'number') return at;
  return makeSymlink(t.kernel.vfs, t, target, at.start, at.path);
}

/** symlink(2). */
export function sysSymlink(t: Task, a: SyscallArgs): number {
  return symlinkAt(t, a.addr(0), AT_FDCWD, a.addr(1));
}

/** symlinkat(2). */
export function sysSymlinkat(t: Task, a: SyscallArgs): number {
  return symlinkAt(t, a.addr(0), a.int(1), a.addr(2));
}

function mknodAt(t: Task, dirFd: number, pathAddr: number, mode: number, dev: number): number {
  const type = mode & S_IFMT;
  if (type === S_IFDIR) return -EPERM;
  const at = nameAt(t, dirFd, pathAddr);
  if (typeof at === 'number') return at;
  const made = makeNode(
    t.kernel.vfs,
    t,
    at.start,
    at.path,
    type === 0 ? S_IFREG : type,
    mode,
    deviceMajor(dev),
    deviceMinor(dev),
  );
  return typeof made === 'number' ? made : 0;
}

/** mknod(2). */
export function sysMknod(t: Task, a: SyscallArgs): number {
  return mknodAt(t, AT_FDCWD, a.addr(0), a.uint(1), a.uint(2));
}

/** mknodat(2). */
export function sysMknodat(t: Task, a: SyscallArgs): number {
  return mknodAt(t, a.int(0), a.addr(1), a.uint(2), a.uint(3));
}

export const directorySyscalls: SyscallFragment = {
  [SYS_getdents]: { name: 'getdents', args: 'fd ptr size', fn: sysGetdents },
  [SYS_getdents64]: { name: 'getdents64', args: 'fd ptr size', fn: sysGetdents64 },
  [SYS_chdir]: { name: 'chdir', args: 'path', fn: sysChdir },
  [SYS_fchdir]: { name: 'fchdir', args: 'fd', fn: sysFchdir },
  [SYS_chroot]: { name: 'chroot', args: 'path', fn: sysChroot },
  [SYS_getcwd]: { name: 'getcwd', args: 'out size', fn: sysGetcwd },
  [SYS_mkdir]: { name: 'mkdir', args: 'path octal', fn: sysMkdir },
  [SYS_mkdirat]: { name: 'mkdirat', args: 'dirfd path octal', fn: sysMkdirat },
  [SYS_rmdir]: { name: 'rmdir', args: 'path', fn: sysRmdir },
  [SYS_unlink]: { name: 'unlink', args: 'path', fn: sysUnlink },
  [SYS_unlinkat]: { name: 'unlinkat', args: 'dirfd path hex', fn: sysUnlinkat },
  [SYS_rename]: { name: 'rename', args: 'path path', fn: sysRename },
  [SYS_renameat]: { name: 'renameat', args: 'dirfd path dirfd path', fn: sysRenameat },
  [SYS_renameat2]: { name: 'renameat2', args: 'dirfd path dirfd path hex', fn: sysRenameat2 },
  [SYS_link]: { name: 'link', args: 'path path', fn: sysLink },
  [SYS_linkat]: { name: 'linkat', args: 'dirfd path dirfd path hex', fn: sysLinkat },
  [SYS_symlink]: { name: 'symlink', args: 'path path', fn: sysSymlink },
  [SYS_symlinkat]: { name: 'symlinkat', args: 'path dirfd path', fn: sysSymlinkat },
  [SYS_mknod]: { name: 'mknod', args: 'path octal hex', fn: sysMknod },
  [SYS_mknodat]: { name: 'mknodat', args: 'dirfd path octal hex', fn: sysMknodat },
};
