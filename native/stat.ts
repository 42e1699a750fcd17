/** Host file attributes: statx(2), statfs(2), chmod(2), chown(2), utimensat(2), xattr(7). */

import { AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_NOFOLLOW } from '../spec/linux/fcntl.ts';
import * as nr from '../spec/linux/syscall_numbers.ts';
import {
  cString,
  decodeBytes,
  type Path,
  result,
  resultI64,
  resultU64,
  setResult64,
} from './bytes.ts';
import { syscall } from './index.ts';

/** A file's attributes. Times are whole seconds and nanoseconds; `ino` is exact below 2^53. */
export interface Stat {
  readonly devMajor: number;
  readonly devMinor: number;
  readonly ino: number;
  /** The inode number's halves, always exact. */
  readonly inoLow: number;
  readonly inoHigh: number;
  readonly mode: number;
  readonly nlink: number;
  readonly uid: number;
  readonly gid: number;
  readonly rdevMajor: number;
  readonly rdevMinor: number;
  readonly size: number;
  readonly blksize: number;
  readonly blocks: number;
  readonly atimeSec: number;
  readonly atimeNsec: number;
  readonly mtimeSec: number;
  readonly mtimeNsec: number;
  readonly ctimeSec: number;
  readonly ctimeNsec: number;
  /** 0 and 0 where the file system keeps none. */
  readonly btimeSec: number;
  readonly btimeNsec: number;
  readonly mountId: number;
}

/** STATX_BASIC_STATS | STATX_BTIME | STATX_MNT_ID. */
const STATX_MASK = 0x7ff | 0x800 | 0x1000;

/** statx(2), or -errno. `flags` are AT_*. */
export function fstatat(dirFd: number, path: Path, flags: number): Stat | number {
  const status = syscall(nr.SYS_statx, dirFd, cString(path), flags, STATX_MASK, result.address);
  if (status < 0) return status;
  const { u16, u32 } = result;
  const word = (offset: number) => u32[offset >> 2] as number;
  return {
    devMajor: word(136),
    devMinor: word(140),
    ino: resultU64(32),
    inoLow: word(32),
    inoHigh: word(36),
    mode: u16[14] as number,
    nlink: word(16),
    uid: word(20),
    gid: word(24),
    rdevMajor: word(128),
    rdevMinor: word(132),
    size: resultU64(40),
    blksize: word(4),
    blocks: resultU64(48),
    atimeSec: resultI64(64),
    atimeNsec: word(72),
    mtimeSec: resultI64(112),
    mtimeNsec: word(120),
    ctimeSec: resultI64(96),
    ctimeNsec: word(104),
    btimeSec: resultI64(80),
    btimeNsec: word(88),
    mountId: resultU64(144),
  };
}

/** statx(2) of a descriptor. */
export function statxOf(fd: number): Stat | number {
  return fstatat(fd, '', AT_EMPTY_PATH);
}

/** fstat(2): takes no path, and knows no time of birth and no mount. */
export function fstat(fd: number): Stat | number {
  const status = syscall(nr.SYS_fstat, fd, result.address);
  if (status < 0) return status;
  const { u32 } = result;
  const word = (offset: number) => u32[offset >> 2] as number;
  return {
    ...devices(word(0), word(4), word(40), word(44)),
    ino: resultU64(8),
    inoLow: word(8),
    inoHigh: word(12),
    nlink: resultU64(16),
    mode: word(24),
    uid: word(28),
    gid: word(32),
    size: resultU64(48),
    blksize: resultU64(56),
    blocks: resultU64(64),
    atimeSec: resultI64(72),
    atimeNsec: word(80),
    mtimeSec: resultI64(88),
    mtimeNsec: word(96),
    ctimeSec: resultI64(104),
    ctimeNsec: word(112),
    btimeSec: 0,
    btimeNsec: 0,
    mountId: 0,
  };
}

/** fstat(2) for the type and permission bits alone, or -errno. */
export function modeOf(fd: number): number {
  const status = syscall(nr.SYS_fstat, fd, result.address);
  return status < 0 ? status : (result.u32[6] as number);
}

/** The parts of st_dev and st_rdev, as makedev(3) puts them together. */
function devices(device: number, deviceHigh: number, special: number, specialHigh: number) {
  const major = (low: number, high: number) => ((low >>> 8) & 0xfff) | (high & ~0xfff);
  const minor = (low: number, high: number) => (low & 0xff) | ((low >>> 12) & ~0xff) | (high << 20);
  return {
    devMajor: major(device, deviceHigh) >>> 0,
    devMinor: minor(device, deviceHigh) >>> 0,
    rdevMajor: major(special, specialHigh) >>> 0,
    rdevMinor: minor(special, specialHigh) >>> 0,
  };
}

export function stat(path: Path): Stat | number {
  return fstatat(AT_FDCWD, path, 0);
}

export function lstat(path: Path): Stat | number {
  return fstatat(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW);
}

/** Files changed less than this ago may be changed again without another time. */
const SETTLED_MS = 2000;

/** Names the contents of a file: another after each change. '' for one that has just been changed. */
export function contentStamp(fd: number): string {
  const s = fstat(fd);
  if (typeof s === 'number') return '';
  const { devMajor, devMinor, inoHigh, inoLow, size, mtimeSec, mtimeNsec, ctimeSec, ctimeNsec } = s;
  if (Date.now() - Math.max(mtimeSec, ctimeSec) * 1000 < SETTLED_MS) return '';
  return [
    ...[devMajor, devMinor, inoHigh, inoLow, size],
    ...[mtimeSec, mtimeNsec, ctimeSec, ctimeNsec],
  ].join(':');
}

/** struct statfs. */
export interface StatFs {
  readonly type: number;
  readonly bsize: number;
  readonly blocks: number;
  readonly bfree: number;
  readonly bavail: number;
  readonly files: number;
  readonly ffree: number;
  readonly fsidLow: number;
  readonly fsidHigh: number;
  readonly namelen: number;
  readonly frsize: number;
  readonly flags: number;
}

export function fstatfs(fd: number): StatFs | number {
  const status = syscall(nr.SYS_fstatfs, fd, result.address);
  if (status < 0) return status;
  return {
    type: resultU64(0),
    bsize: resultU64(8),
    blocks: resultU64(16),
    bfree: resultU64(24),
    bavail: resultU64(32),
    files: resultU64(40),
    ffree: resultU64(48),
    fsidLow: result.u32[14] as number,
    fsidHigh: result.u32[15] as number,
    namelen: resultU64(64),
    frsize: resultU64(72),
    flags: resultU64(80),
  };
}

/** The path by which calls without an fd form reach an open file, O_PATH ones included. */
export function procPath(fd: number): string {
  return `/proc/self/fd/${fd}`;
}

export function fchmod(fd: number, mode: number): number {
  return syscall(nr.SYS_fchmod, fd, mode);
}

/** chmod of what `fd` refers to; works on O_PATH descriptors, for which fchmod says EBADF. */
export function fchmodPath(fd: number, mode: number): number {
  return syscall(nr.SYS_fchmodat, AT_FDCWD, cString(procPath(fd)), mode);
}

export function fchmodat(dirFd: number, path: Path, mode: number): number {
  return syscall(nr.SYS_fchmodat, dirFd, cString(path), mode);
}

/** chown of what `fd` refers to, O_PATH too; -1 leaves an id as it is. */
export function fchown(fd: number, uid: number, gid: number): number {
  return syscall(nr.SYS_fchownat, fd, cString(''), uid, gid, AT_EMPTY_PATH);
}

export function fchownat(
  dirFd: number,
  path: Path,
  uid: number,
  gid: number,
  flags: number,
): number {
  return syscall(nr.SYS_fchownat, dirFd, cString(path), uid, gid, flags);
}

/** utimensat(2). With an empty path and AT_EMPTY_PATH it sets those of `dirFd` itself. */
export function utimensat(
  dirFd: number,
  path: Path,
  atimeSec: number,
  atimeNsec: number,
  mtimeSec: number,
  mtimeNsec: number,
  flags: number,
): number {
  setResult64(0, atimeSec);
  setResult64(8, atimeNsec);
  setResult64(16, mtimeSec);
  setResult64(24, mtimeNsec);
  return syscall(nr.SYS_utimensat, dirFd, cString(path), result.address, flags);
}

/** Where an extended attribute is: an open descriptor, or a path (whose last link is not followed
 * with the l forms). O_PATH descriptors go by `procPath(fd)` with `follow`. */
export type XattrTarget = number | { readonly path: Path; readonly follow: boolean };

const XATTR_GET = [nr.SYS_fgetxattr, nr.SYS_getxattr, nr.SYS_lgetxattr] as const;
const XATTR_SET = [nr.SYS_fsetxattr, nr.SYS_setxattr, nr.SYS_lsetxattr] as const;
const XATTR_LIST = [nr.SYS_flistxattr, nr.SYS_listxattr, nr.SYS_llistxattr] as const;
const XATTR_REMOVE = [nr.SYS_fremovexattr, nr.SYS_removexattr, nr.SYS_lremovexattr] as const;

/** The form of the call for this target: 0 by fd, 1 by path, 2 by path without following. */
function xattrForm(target: XattrTarget): 0 | 1 | 2 {
  if (typeof target === 'number') return 0;
  return target.follow ? 1 : 2;
}

function xattrWhere(target: XattrTarget) {
  return typeof target === 'number' ? target : cString(target.path, 0);
}

/** The attribute's value, or -errno. */
export function getXattr(target: XattrTarget, name: Path): Uint8Array | number {
  const call = XATTR_GET[xattrForm(target)];
  const { address, bytes } = result;
  const length = syscall(call, xattrWhere(target), cString(name, 1), address, bytes.length);
  return length < 0 ? length : bytes.slice(0, length);
}

export function setXattr(
  target: XattrTarget,
  name: Path,
  value: Uint8Array,
  flags: number,
): number {
  const call = XATTR_SET[xattrForm(target)];
  return syscall(call, xattrWhere(target), cString(name, 1), value, value.length, flags);
}

/** The names of all attributes, or -errno. */
export function listXattr(target: XattrTarget): string[] | number {
  const call = XATTR_LIST[xattrForm(target)];
  const length = syscall(call, xattrWhere(target), result.address, result.bytes.length);
  if (length <= 0) return length < 0 ? length : [];
  return decodeBytes(result.bytes, 0, length - 1).split('\0');
}

export function removeXattr(target: XattrTarget, name: Path): number {
  return syscall(XATTR_REMOVE[xattrForm(target)], xattrWhere(target), cString(name, 1));
}
