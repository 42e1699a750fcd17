/**
 * Host files, one function per system call (section 2 of the manual). Results are >= 0 or -errno.
 * Paths and names are byte strings, see bytes.ts. Flags are those of spec/linux/fcntl.ts.
 */

import { AT_FDCWD, AT_SYMLINK_FOLLOW } from '../spec/linux/fcntl.ts';
import * as nr from '../spec/linux/syscall_numbers.ts';
import { cString, decodeBytes, type Path, result, resultU64, setResult64 } from './bytes.ts';
import { addressOf, mapFile, syscall } from './index.ts';

export { mapFile };

export function openat(dirFd: number, path: Path, flags: number, mode = 0): number {
  return syscall(nr.SYS_openat, dirFd, cString(path), flags, mode);
}

export function open(path: Path, flags: number, mode = 0): number {
  return openat(AT_FDCWD, path, flags, mode);
}

/** openat2(2): `resolve` is RESOLVE_*. `mode` must be 0 unless the file may be created. */
export function openat2(
  dirFd: number,
  path: Path,
  flags: number,
  mode: number,
  resolve: number,
): number {
  setResult64(0, flags);
  setResult64(8, mode);
  setResult64(16, resolve);
  return syscall(nr.SYS_openat2, dirFd, cString(path), result.address, 24);
}

export function close(fd: number): number {
  return syscall(nr.SYS_close, fd);
}

/** Closes every descriptor from `first` to `last`. */
export function closeRange(first: number, last: number, flags = 0): number {
  return syscall(nr.SYS_close_range, first, last, flags);
}

export function read(fd: number, into: Uint8Array): number {
  return syscall(nr.SYS_read, fd, into, into.length);
}

export function write(fd: number, from: Uint8Array): number {
  return syscall(nr.SYS_write, fd, from, from.length);
}

export function pread(fd: number, into: Uint8Array, offset: number): number {
  return syscall(nr.SYS_pread64, fd, into, into.length, offset);
}

export function pwrite(fd: number, from: Uint8Array, offset: number): number {
  return syscall(nr.SYS_pwrite64, fd, from, from.length, offset);
}

/** The most vectors one call takes: UIO_MAXIOV. */
export const IOV_MAX = 1024;

/** Lays the buffers out as struct iovec in `result`; returns how many were taken. */
function layVectors(buffers: readonly Uint8Array[]): number {
  const count = Math.min(buffers.length, IOV_MAX);
  for (let i = 0; i < count; i++) {
    const buffer = buffers[i] as Uint8Array;
    setResult64(i * 16, buffer.length === 0 ? 0 : addressOf(buffer));
    setResult64(i * 16 + 8, buffer.length);
  }
  return count;
}

// All four by one call, so that a locked process needs no others.

/** preadv(2); offset -1 is the file's own, as for readv. At most IOV_MAX buffers are filled. */
export function preadv(fd: number, into: readonly Uint8Array[], offset: number): number {
  const count = layVectors(into);
  return syscall(nr.SYS_preadv2, fd, result.address, count, offset, 0, 0);
}

export function pwritev(fd: number, from: readonly Uint8Array[], offset: number): number {
  const count = layVectors(from);
  return syscall(nr.SYS_pwritev2, fd, result.address, count, offset, 0, 0);
}

export function readv(fd: number, into: readonly Uint8Array[]): number {
  return preadv(fd, into, -1);
}

export function writev(fd: number, from: readonly Uint8Array[]): number {
  return pwritev(fd, from, -1);
}

const RWF_NOWAIT = 8;
/** pwritev2(2): append whatever the offset. */
const RWF_APPEND = 0x10;

/** readv(2) at the file's own offset that never waits (preadv2(2), RWF_NOWAIT): -EAGAIN, or -EOPNOTSUPP. */
export function readvNowait(fd: number, into: readonly Uint8Array[]): number {
  return syscall(nr.SYS_preadv2, fd, result.address, layVectors(into), -1, -1, RWF_NOWAIT);
}

/** writev(2) that never waits, as readvNowait. */
export function writevNowait(fd: number, from: readonly Uint8Array[]): number {
  return syscall(nr.SYS_pwritev2, fd, result.address, layVectors(from), -1, -1, RWF_NOWAIT);
}

/** Writes behind the end of the file, whatever its offset is, as O_APPEND would. */
export function appendv(fd: number, from: readonly Uint8Array[]): number {
  return syscall(nr.SYS_pwritev2, fd, result.address, layVectors(from), 0, 0, RWF_APPEND);
}

export function lseek(fd: number, offset: number, whence: number): number {
  return syscall(nr.SYS_lseek, fd, offset, whence);
}

/** One entry of a directory. `type` is DT_*, `ino` is exact below 2^53, `next` is its cookie. */
export interface DirectoryEntry {
  readonly name: string;
  readonly ino: number;
  readonly type: number;
  readonly next: number;
}

/**
 * getdents64(2): the next entries including "." and "..", none at the end, or -errno. `next` is an
 * opaque cookie for lseek; file systems that use hashes above 2^53 lose bits of it.
 */
export function getdents(fd: number): DirectoryEntry[] | number {
  const filled = syscall(nr.SYS_getdents64, fd, result.address, result.bytes.length);
  if (filled < 0) return filled;
  const entries: DirectoryEntry[] = [];
  for (let at = 0; at < filled; ) {
    const length = result.u16[(at + 16) >> 1] as number;
    let end = at + 19;
    while (result.bytes[end] !== 0) end++;
    entries.push({
      name: decodeBytes(result.bytes, at + 19, end),
      ino: resultU64(at),
      type: result.bytes[at + 18] as number,
      next: resultU64(at + 8),
    });
    at += length;
  }
  return entries;
}

/** readlinkat(2); an empty path reads the link that `dirFd` (O_PATH | O_NOFOLLOW) itself is. */
export function readlinkat(dirFd: number, path: Path): string | number {
  const length = syscall(nr.SYS_readlinkat, dirFd, cString(path), result.address, 8192);
  return length < 0 ? length : decodeBytes(result.bytes, 0, length);
}

export function mkdirat(dirFd: number, path: Path, mode: number): number {
  return syscall(nr.SYS_mkdirat, dirFd, cString(path), mode);
}

/** mknodat(2); `dev` as makeDevice gives it. */
export function mknodat(dirFd: number, path: Path, mode: number, dev: number): number {
  return syscall(nr.SYS_mknodat, dirFd, cString(path), mode, dev);
}

/** A device number in the host's encoding: makedev(3). */
export function makeDevice(major: number, minor: number): number {
  return (minor & 0xff) + ((major & 0xfff) << 8) + (minor >>> 8) * 2 ** 20;
}

export function symlinkat(target: Path, dirFd: number, path: Path): number {
  return syscall(nr.SYS_symlinkat, cString(target, 0), dirFd, cString(path, 1));
}

export function linkat(fromFd: number, from: Path, toFd: number, to: Path, flags: number): number {
  return syscall(nr.SYS_linkat, fromFd, cString(from, 0), toFd, cString(to, 1), flags);
}

/** Links an open file, O_PATH and O_TMPFILE ones too, which plain linkat needs a privilege for. */
export function linkFd(fd: number, toFd: number, to: Path): number {
  return linkat(AT_FDCWD, `/proc/self/fd/${fd}`, toFd, to, AT_SYMLINK_FOLLOW);
}

export function renameat2(
  fromFd: number,
  from: Path,
  toFd: number,
  to: Path,
  flags: number,
): number {
  return syscall(nr.SYS_renameat2, fromFd, cString(from, 0), toFd, cString(to, 1), flags);
}

export function unlinkat(dirFd: number, path: Path, flags: number): number {
  return syscall(nr.SYS_unlinkat, dirFd, cString(path), flags);
}

export function faccessat(dirFd: number, path: Path, mode: number, flags: number): number {
  return syscall(nr.SYS_faccessat2, dirFd, cString(path), mode, flags);
}

export function ftruncate(fd: number, length: number): number {
  return syscall(nr.SYS_ftruncate, fd, length);
}

export function fallocate(fd: number, mode: number, offset: number, length: number): number {
  return syscall(nr.SYS_fallocate, fd, mode, offset, length);
}

export function fsync(fd: number): number {
  return syscall(nr.SYS_fsync, fd);
}

export function fdatasync(fd: number): number {
  return syscall(nr.SYS_fdatasync, fd);
}

export function memfdCreate(name: Path, flags: number): number {
  return syscall(nr.SYS_memfd_create, cString(name), flags);
}

export function dup(fd: number): number {
  return syscall(nr.SYS_dup, fd);
}

export function dup3(fd: number, to: number, flags: number): number {
  return syscall(nr.SYS_dup3, fd, to, flags);
}

export function fcntl(fd: number, command: number, argument = 0): number {
  return syscall(nr.SYS_fcntl, fd, command, argument);
}

/** A pipe: [read end, write end] or -errno. */
export function pipe2(flags: number): [number, number] | number {
  const status = syscall(nr.SYS_pipe2, result.address, flags);
  return status < 0 ? status : [result.i32[0] as number, result.i32[1] as number];
}

export function flock(fd: number, operation: number): number {
  return syscall(nr.SYS_flock, fd, operation);
}

/** struct flock of fcntl(2): `type` F_RDLCK 0, F_WRLCK 1, F_UNLCK 2; `length` 0 is to the end. */
export interface FileLock {
  readonly type: number;
  readonly whence: number;
  readonly start: number;
  readonly length: number;
  readonly pid: number;
}

/** fcntl(2) with F_GETLK, F_SETLK or their OFD kin: the lock as the host filled it, or -errno. */
export function fcntlLock(fd: number, command: number, lock: FileLock): FileLock | number {
  setResult64(0, 0);
  result.u16[0] = lock.type;
  result.u16[1] = lock.whence;
  setResult64(8, lock.start);
  setResult64(16, lock.length);
  setResult64(24, lock.pid);
  const status = syscall(nr.SYS_fcntl, fd, command, result.address);
  if (status < 0) return status;
  return {
    type: result.u16[0] as number,
    whence: result.u16[1] as number,
    start: resultU64(8),
    length: resultU64(16),
    pid: result.i32[6] as number,
  };
}

/** inotify_init1(2): a descriptor, or -errno. `flags` are IN_NONBLOCK, IN_CLOEXEC. */
export function inotifyInit(flags: number): number {
  return syscall(nr.SYS_inotify_init1, flags);
}

/** inotify_add_watch(2): a watch descriptor, or -errno. */
export function inotifyAddWatch(fd: number, path: Path, mask: number): number {
  return syscall(nr.SYS_inotify_add_watch, fd, cString(path), mask);
}

export function inotifyRemoveWatch(fd: number, wd: number): number {
  return syscall(nr.SYS_inotify_rm_watch, fd, wd);
}

/** Fills `into` with the host's random bytes: getrandom(2). */
export function getRandom(into: Uint8Array): number {
  return syscall(nr.SYS_getrandom, into, into.length, 0);
}
