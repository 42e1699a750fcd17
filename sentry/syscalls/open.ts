/**
 * Opening and closing: open(2), openat(2), openat2(2), creat(2), close(2), close_range(2), dup(2).
 */
import { E2BIG, EAGAIN, EBADF, EFAULT, EINVAL, ERESTARTSYS } from '../../spec/linux/errno.ts';
import {
  AT_FDCWD,
  CLOSE_RANGE_CLOEXEC,
  CLOSE_RANGE_UNSHARE,
  O_ACCMODE,
  O_APPEND,
  O_CLOEXEC,
  O_CREAT,
  O_DIRECT,
  O_DIRECTORY,
  O_DSYNC,
  O_EXCL,
  O_LARGEFILE,
  O_NOATIME,
  O_NOCTTY,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_PATH,
  O_SYNC,
  O_TMPFILE,
  O_TRUNC,
  O_WRONLY,
  RESOLVE_BENEATH,
  RESOLVE_CACHED,
  RESOLVE_IN_ROOT,
  RESOLVE_NO_MAGICLINKS,
  RESOLVE_NO_SYMLINKS,
  RESOLVE_NO_XDEV,
} from '../../spec/linux/fcntl.ts';
import { POLLIN, POLLOUT } from '../../spec/linux/poll.ts';
import { RLIMIT_NOFILE } from '../../spec/linux/resource.ts';
import {
  SYS_close,
  SYS_close_range,
  SYS_creat,
  SYS_dup,
  SYS_dup2,
  SYS_dup3,
  SYS_open,
  SYS_openat,
  SYS_openat2,
} from '../../spec/linux/syscall_numbers.ts';
import type { SyscallArgs } from '../kernel/syscall_args.ts';
import type { SyscallFragment } from '../kernel/syscall_table.ts';
import type { Task } from '../kernel/task.ts';
import type { OpenFile } from '../vfs/open_file.ts';
import { type OpenHow, openFile } from '../vfs/operations/open.ts';
import { newDescriptor } from './new_descriptor.ts';
import { nameAt } from './path_argument.ts';

/** O_ASYNC by its kernel name. */
const FASYNC = 0o20000;

const VALID_FLAGS =
  O_ACCMODE |
  O_CREAT |
  O_EXCL |
  O_NOCTTY |
  O_TRUNC |
  O_APPEND |
  O_NONBLOCK |
  O_DSYNC |
  O_SYNC |
  FASYNC |
  O_DIRECT |
  O_LARGEFILE |
  O_DIRECTORY |
  O_NOFOLLOW |
  O_NOATIME |
  O_CLOEXEC |
  O_PATH |
  O_TMPFILE;
const VALID_RESOLVE =
  RESOLVE_NO_XDEV |
  RESOLVE_NO_MAGICLINKS |
  RESOLVE_NO_SYMLINKS |
  RESOLVE_BENEATH |
  RESOLVE_IN_ROOT |
  RESOLVE_CACHED;
const OPEN_HOW_SIZE = 24;

function openAt(t: Task, dirFd: number, pathAddr: number, how: OpenHow): number {
  const scoped = ((how.resolve ?? 0) & RESOLVE_IN_ROOT) !== 0;
  const at = nameAt(t, dirFd, pathAddr, scoped);
  if (typeof at === 'number') return at;
  const file = openFile(t.kernel.vfs, t, at.start, at.path, how);
  if (typeof file === 'number') return file;
  const closeOnExec = (how.flags & O_CLOEXEC) !== 0;
  const status = file.openStatus();
  if (status === 0) return newDescriptor(t, file, closeOnExec);
  if (status === -EAGAIN) return waitForOpen(t, file, closeOnExec);
  file.close();
  return status;
}

/** A fifo whose other end is not open yet. */
function waitForOpen(t: Task, file: OpenFile, closeOnExec: boolean): number {
  return t.sleep([file], POLLIN | POLLOUT, {
    attempt: () => {
      const status = file.openStatus();
      if (status === -EAGAIN) return status;
      if (status === 0) return newDescriptor(t, file, closeOnExec);
      file.close();
      return status;
    },
    onInterrupt: () => {
      file.close();
      return -ERESTARTSYS;
    },
  });
}

/** open(2) ignores what it does not know; the mode counts only where a file may be made. */
function openHow(flags: number, mode: number): OpenHow {
  let known = flags & VALID_FLAGS;
  if ((known & O_PATH) === 0) known |= O_LARGEFILE;
  return { flags: known, mode: mode & 0o7777 };
}

/** open(2). */
export function sysOpen(t: Task, a: SyscallArgs): number {
  return openAt(t, AT_FDCWD, a.addr(0), openHow(a.int(1), a.uint(2)));
}

/** openat(2). */
export function sysOpenat(t: Task, a: SyscallArgs): number {
  return openAt(t, a.int(0), a.addr(1), openHow(a.int(2), a.uint(3)));
}

/** creat(2). */
export function sysCreat(t: Task, a: SyscallArgs): number {
  return openAt(t, AT_FDCWD, a.addr(0), openHow(O_CREAT | O_WRONLY | O_TRUNC, a.uint(1)));
}

/** openat2(2): unlike open(2) it refuses what it does not know. */
export function sysOpenat2(t: Task, a: SyscallArgs): number {
  const dirFd = a.int(0);
  const pathAddr = a.addr(1);
  const how = readOpenHow(t, a.addr(2), a.sizeT(3));
  return typeof how === 'number' ? how : openAt(t, dirFd, pathAddr, how);
}

function readOpenHow(t: Task, addr: number, size: number): OpenHow | number {
  if (size < OPEN_HOW_SIZE) return -EINVAL;
  if (size > 4096) return -E2BIG;
  const bytes = new Uint8Array(size);
  if (t.mm.copyIn(addr, bytes) < 0) return -EFAULT;
  for (let i = OPEN_HOW_SIZE; i < size; i++) if (bytes[i] !== 0) return -E2BIG;
  const view = new DataView(bytes.buffer);
  for (const high of [4, 12, 20]) if (view.getUint32(high, true) !== 0) return -EINVAL;
  const flags = view.getUint32(0, true) | 0;
  const mode = view.getUint32(8, true);
  const resolve = view.getUint32(16, true);
  if ((flags & ~VALID_FLAGS) !== 0 || (resolve & ~VALID_RESOLVE) !== 0) return -EINVAL;
  const creates = (flags & O_CREAT) !== 0 || (flags & O_TMPFILE) === O_TMPFILE;
  if (creates ? (mode & ~0o7777) !== 0 : mode !== 0) return -EINVAL;
  const both = RESOLVE_BENEATH | RESOLVE_IN_ROOT;
  if ((resolve & both) === both) return -EINVAL;
  const pathOnly = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
  if ((flags & O_PATH) !== 0 && (flags & ~pathOnly) !== 0) return -EINVAL;
  // What is not in the cache would need the disk; nothing here can tell, so it is always refused.
  if ((resolve & RESOLVE_CACHED) !== 0) return -EAGAIN;
  return { flags: (flags & O_PATH) === 0 ? flags | O_LARGEFILE : flags, mode, resolve };
}

/** close(2). */
export function sysClose(t: Task, a: SyscallArgs): number {
  return t.files.close(a.int(0));
}

/** close_range(2). */
export function sysCloseRange(t: Task, a: SyscallArgs): number {
  const first = a.uint(0);
  const last = a.uint(1);
  const flags = a.uint(2);
  if ((flags & ~(CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC)) !== 0 || first > last) return -EINVAL;
  if ((flags & CLOSE_RANGE_UNSHARE) !== 0 && t.files.shared) {
    const shared = t.files;
    t.files = shared.copy();
    shared.release();
  }
  const end = Math.min(last + 1, t.files.length);
  for (let fd = first; fd < end; fd++) {
    if ((flags & CLOSE_RANGE_CLOEXEC) !== 0) t.files.setCloseOnExec(fd, true);
    else t.files.close(fd);
  }
  return 0;
}

/** dup(2). */
export function sysDup(t: Task, a: SyscallArgs): number {
  const file = t.files.get(a.int(0));
  return file === undefined ? -EBADF : newDescriptor(t, file.acquire(), false);
}

function dupTo(t: Task, oldFd: number, newFd: number, closeOnExec: boolean): number {
  const file = t.files.get(oldFd);
  if (file === undefined) return -EBADF;
  if (newFd < 0 || newFd >= t.group.limits.soft(RLIMIT_NOFILE)) return -EBADF;
  t.files.replace(newFd, file.acquire(), closeOnExec);
  return newFd;
}

/** dup2(2). */
export function sysDup2(t: Task, a: SyscallArgs): number {
  const oldFd = a.int(0);
  const newFd = a.int(1);
  if (oldFd === newFd) return t.files.get(oldFd) === undefined ? -EBADF : newFd;
  return dupTo(t, oldFd, newFd, false);
}

/** dup3(2). */
export function sysDup3(t: Task, a: SyscallArgs): number {
  const oldFd = a.int(0);
  const newFd = a.int(1);
  const flags = a.int(2);
  if ((flags & ~O_CLOEXEC) !== 0 || oldFd === newFd) return -EINVAL;
  return dupTo(t, oldFd, newFd, flags !== 0);
}

export const openSyscalls: SyscallFragment = {
  [SYS_open]: { name: 'open', args: 'path oflags octal', fn: sysOpen },
  [SYS_openat]: { name: 'openat', args: 'dirfd path oflags octal', fn: sysOpenat },
  [SYS_openat2]: { name: 'openat2', args: 'dirfd path how size', fn: sysOpenat2 },
  [SYS_creat]: { name: 'creat', args: 'path octal', fn: sysCreat },
  [SYS_close]: { name: 'close', args: 'fd', fn: sysClose },
  [SYS_close_range]: { name: 'close_range', args: 'uint uint hex', fn: sysCloseRange },
  [SYS_dup]: { name: 'dup', args: 'fd', fn: sysDup },
  [SYS_dup2]: { name: 'dup2', args: 'fd fd', fn: sysDup2 },
  [SYS_dup3]: { name: 'dup3', args: 'fd fd oflags', fn: sysDup3 },
};
