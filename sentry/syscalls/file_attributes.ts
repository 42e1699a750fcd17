/**
 * Changing attributes: chmod(2), chown(2), utimensat(2), truncate(2), fallocate(2), umask(2).
 */
import {
  EBADF,
  EFAULT,
  EFBIG,
  EINVAL,
  EISDIR,
  ENODEV,
  EPERM,
  ESPIPE,
} from '../../spec/linux/errno.ts';
import { AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_NOFOLLOW } from '../../spec/linux/fcntl.ts';
import { IN_MODIFY } from '../../spec/linux/inotify.ts';
import { SIGXFSZ } from '../../spec/linux/signal.ts';
import { S_IFIFO, UTIME_NOW, UTIME_OMIT } from '../../spec/linux/stat.ts';
import {
  SYS_chmod,
  SYS_chown,
  SYS_fallocate,
  SYS_fchmod,
  SYS_fchmodat,
  SYS_fchmodat2,
  SYS_fchown,
  SYS_fchownat,
  SYS_ftruncate,
  SYS_futimesat,
  SYS_lchown,
  SYS_truncate,
  SYS_umask,
  SYS_utime,
  SYS_utimensat,
  SYS_utimes,
} from '../../spec/linux/syscall_numbers.ts';
import type { SyscallArgs } from '../kernel/syscall_args.ts';
import type { SyscallFragment } from '../kernel/syscall_table.ts';
import type { Task } from '../kernel/task.ts';
import { notifyFile } from '../vfs/fsnotify.ts';
import { MAX_FILE_SIZE } from '../vfs/memory_regular.ts';
import type { Path } from '../vfs/mount.ts';
import {
  changeMode,
  changeOwner,
  changeTimes,
  dropPrivileges,
  type NewTime,
  truncatePath,
} from '../vfs/operations/attributes.ts';
import { lookupAt, lookupPath, openFd, readPath } from './path_argument.ts';

const TWO_32 = 2 ** 32;

function chmodAt(t: Task, dirFd: number, pathAddr: number, mode: number, flags: number): number {
  if ((flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) !== 0) return -EINVAL;
  const follow = (flags & AT_SYMLINK_NOFOLLOW) === 0;
  const at = lookupAt(t, dirFd, pathAddr, follow, (flags & AT_EMPTY_PATH) !== 0);
  return typeof at === 'number' ? at : changeMode(t, at, mode);
}

/** chmod(2). */
export function sysChmod(t: Task, a: SyscallArgs): number {
  return chmodAt(t, AT_FDCWD, a.addr(0), a.uint(1), 0);
}

/** fchmod(2). */
export function sysFchmod(t: Task, a: SyscallArgs): number {
  const file = openFd(t, a.int(0));
  return file === undefined ? -EBADF : changeMode(t, file.path, a.uint(1));
}

/** fchmodat(2), the system call, which has no flags. */
export function sysFchmodat(t: Task, a: SyscallArgs): number {
  return chmodAt(t, a.int(0), a.addr(1), a.uint(2), 0);
}

/** fchmodat2(2). */
export function sysFchmodat2(t: Task, a: SyscallArgs): number {
  return chmodAt(t, a.int(0), a.addr(1), a.uint(2), a.int(3));
}

function chownAt(
  t: Task,
  dirFd: number,
  pathAddr: number,
  uid: number,
  gid: number,
  flags: number,
): number {
  if ((flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) !== 0) return -EINVAL;
  const follow = (flags & AT_SYMLINK_NOFOLLOW) === 0;
  const at = lookupAt(t, dirFd, pathAddr, follow, (flags & AT_EMPTY_PATH) !== 0);
  return typeof at === 'number' ? at : changeOwner(t, at, ownerId(uid), ownerId(gid));
}

/** An id of chown(2): (uid_t) -1 stays -1, all others are unsigned. */
function ownerId(id: number): number {
  return id === -1 ? -1 : id >>> 0;
}

/** chown(2). */
export function sysChown(t: Task, a: SyscallArgs): number {
  return chownAt(t, AT_FDCWD, a.addr(0), a.int(1), a.int(2), 0);
}

/** lchown(2). */
export function sysLchown(t: Task, a: SyscallArgs): number {
  return chownAt(t, AT_FDCWD, a.addr(0), a.int(1), a.int(2), AT_SYMLINK_NOFOLLOW);
}

/** fchown(2). */
export function sysFchown(t: Task, a: SyscallArgs): number {
  const file = openFd(t, a.int(0));
  if (file === undefined) return -EBADF;
  return changeOwner(t, file.path, ownerId(a.int(1)), ownerId(a.int(2)));
}

/** fchownat(2). */
export function sysFchownat(t: Task, a: SyscallArgs): number {
  return chownAt(t, a.int(0), a.addr(1), a.int(2), a.int(3), a.int(4));
}

// Times --------------------------------------------------------------------------------------------

function readS64(t: Task, addr: number): number {
  const lo = t.mm.readU32(addr);
  const hi = t.mm.readU32(addr + 4);
  return lo < 0 || hi < 0 ? Number.NaN : lo + (hi | 0) * TWO_32;
}

/** One time of a pair at `addr`: seconds, and a fraction in units of `unitNs`. */
function readTime(t: Task, addr: number, unitNs: number): NewTime | number {
  const sec = readS64(t, addr);
  const fraction = readS64(t, addr + 8);
  if (Number.isNaN(sec) || Number.isNaN(fraction)) return -EFAULT;
  if (unitNs === 1 && fraction === UTIME_NOW) return 'now';
  if (unitNs === 1 && fraction === UTIME_OMIT) return 'omit';
  if (fraction < 0 || fraction * unitNs >= 1e9) return -EINVAL;
  return { sec, nsec: fraction * unitNs };
}

/** The two times at `addr`; both 'now' when it is NULL. */
function readTimes(t: Task, addr: number, unitNs: number): readonly [NewTime, NewTime] | number {
  if (addr === 0) return ['now', 'now'];
  const atime = readTime(t, addr, unitNs);
  if (typeof atime === 'number') return atime;
  const mtime = readTime(t, addr + 16, unitNs);
  return typeof mtime === 'number' ? mtime : [atime, mtime];
}

function setTimes(t: Task, at: Path | number, times: readonly [NewTime, NewTime] | number): number {
  if (typeof times === 'number') return times;
  return typeof at === 'number' ? at : changeTimes(t, at, times[0], times[1]);
}

/** utimensat(2). A NULL path means the descriptor itself (futimens). */
export function sysUtimensat(t: Task, a: SyscallArgs): number {
  const flags = a.int(3);
  if ((flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) !== 0) return -EINVAL;
  const times = readTimes(t, a.addr(2), 1);
  if (typeof times === 'number') return times;
  if (times[0] === 'omit' && times[1] === 'omit') return 0;
  if (a.addr(1) === 0) {
    if (a.int(0) === AT_FDCWD) return -EFAULT;
    if (flags !== 0) return -EINVAL;
    const file = openFd(t, a.int(0));
    return setTimes(t, file?.path ?? -EBADF, times);
  }
  const follow = (flags & AT_SYMLINK_NOFOLLOW) === 0;
  const at = lookupAt(t, a.int(0), a.addr(1), follow, (flags & AT_EMPTY_PATH) !== 0);
  return setTimes(t, at, times);
}

/** utimes(2). */
export function sysUtimes(t: Task, a: SyscallArgs): number {
  const times = readTimes(t, a.addr(1), 1000);
  return setTimes(t, lookupAt(t, AT_FDCWD, a.addr(0), true), times);
}

/** futimesat(2). */
export function sysFutimesat(t: Task, a: SyscallArgs): number {
  const times = readTimes(t, a.addr(2), 1000);
  if (a.addr(1) === 0) return setTimes(t, openFd(t, a.int(0))?.path ?? -EBADF, times);
  return setTimes(t, lookupAt(t, a.int(0), a.addr(1), true), times);
}

/** utime(2): whole seconds, one after the other. */
export function sysUtime(t: Task, a: SyscallArgs): number {
  const addr = a.addr(1);
  const at = lookupAt(t, AT_FDCWD, a.addr(0), true);
  if (addr === 0) return setTimes(t, at, ['now', 'now']);
  const atime = readS64(t, addr);
  const mtime = readS64(t, addr + 8);
  if (Number.isNaN(atime) || Number.isNaN(mtime)) return -EFAULT;
  return setTimes(t, at, [
    { sec: atime, nsec: 0 },
    { sec: mtime, nsec: 0 },
  ]);
}

// Size ---------------------------------------------------------------------------------------------

/** truncate(2). */
export function sysTruncate(t: Task, a: SyscallArgs): number {
  const length = a.long(1);
  if (length < 0) return -EINVAL;
  const path = readPath(t, a.addr(0));
  if (typeof path === 'number') return path;
  const at = lookupPath(t, AT_FDCWD, path, true);
  return typeof at === 'number' ? at : truncatePath(t, at, length);
}

/** Whether a file may reach `size`: 0, or -EFBIG with SIGXFSZ. */
function checkSize(t: Task, size: number): number {
  if (size > MAX_FILE_SIZE) return -EFBIG;
  if (size <= t.fileSizeLimit) return 0;
  t.raise(SIGXFSZ);
  return -EFBIG;
}

/** ftruncate(2). */
export function sysFtruncate(t: Task, a: SyscallArgs): number {
  const length = a.long(1);
  if (length < 0) return -EINVAL;
  const file = openFd(t, a.int(0));
  if (file === undefined) return -EBADF;
  if (!file.inode.isRegular || !file.writable) return -EINVAL;
  const fits = checkSize(t, length);
  if (fits < 0) return fits;
  dropPrivileges(t, file.inode);
  const r = file.truncate(length);
  if (r === 0) notifyFile(file.dentry, IN_MODIFY);
  return r;
}

/** fallocate(2). */
export function sysFallocate(t: Task, a: SyscallArgs): number {
  const mode = a.int(1);
  const offset = a.long(2);
  const length = a.long(3);
  const file = openFd(t, a.int(0));
  if (file === undefined) return -EBADF;
  if (offset < 0 || length <= 0) return -EINVAL;
  if (!file.writable) return -EBADF;
  const { inode } = file;
  if (file.append && mode !== 0 && (mode & 1) === 0) return -EPERM;
  if (inode.type === S_IFIFO) return -ESPIPE;
  if (inode.isDirectory) return -EISDIR;
  if (!inode.isRegular) return -ENODEV;
  const fits = checkSize(t, offset + length);
  if (fits < 0) return fits;
  const r = file.fallocate(mode, offset, length);
  if (r === 0) notifyFile(file.dentry, IN_MODIFY);
  return r;
}

/** umask(2). */
export function sysUmask(t: Task, a: SyscallArgs): number {
  const old = t.fs.umask;
  t.fs.umask = a.uint(0) & 0o777;
  return old;
}

export const fileAttributeSyscalls: SyscallFragment = {
  [SYS_chmod]: { name: 'chmod', args: 'path octal', fn: sysChmod },
  [SYS_fchmod]: { name: 'fchmod', args: 'fd octal', fn: sysFchmod },
  [SYS_fchmodat]: { name: 'fchmodat', args: 'dirfd path octal', fn: sysFchmodat },
  [SYS_fchmodat2]: { name: 'fchmodat2', args: 'dirfd path octal hex', fn: sysFchmodat2 },
  [SYS_chown]: { name: 'chown', args: 'path int int', fn: sysChown },
  [SYS_lchown]: { name: 'lchown', args: 'path int int', fn: sysLchown },
  [SYS_fchown]: { name: 'fchown', args: 'fd int int', fn: sysFchown },
  [SYS_fchownat]: { name: 'fchownat', args: 'dirfd path int int hex', fn: sysFchownat },
  [SYS_utime]: { name: 'utime', args: 'path ptr', fn: sysUtime },
  [SYS_utimes]: { name: 'utimes', args: 'path ptr', fn: sysUtimes },
  [SYS_futimesat]: { name: 'futimesat', args: 'dirfd path ptr', fn: sysFutimesat },
  [SYS_utimensat]: { name: 'utimensat', args: 'dirfd path ptr hex', fn: sysUtimensat },
  [SYS_truncate]: { name: 'truncate', args: 'path offset', fn: sysTruncate },
  [SYS_ftruncate]: { name: 'ftruncate', args: 'fd offset', fn: sysFtruncate },
  [SYS_fallocate]: { name: 'fallocate', args: 'fd hex offset offset', fn: sysFallocate },
  [SYS_umask]: { name: 'umask', args: 'octal', fn: sysUmask },
};
