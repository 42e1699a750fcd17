/**
 * fcntl(2), flock(2): descriptor and status flags, locks, owners, seals, pipe sizes.
 */
import {
  EAGAIN,
  EBADF,
  EBUSY,
  EDEADLK,
  EFAULT,
  EINVAL,
  EOVERFLOW,
  EPERM,
  ERESTARTSYS,
  ESRCH,
} from '../../spec/linux/errno.ts';
import {
  F_ADD_SEALS,
  F_DUPFD,
  F_DUPFD_CLOEXEC,
  F_GET_SEALS,
  F_GETFD,
  F_GETFL,
  F_GETLK,
  F_GETOWN,
  F_GETOWN_EX,
  F_GETPIPE_SZ,
  F_GETSIG,
  F_OFD_GETLK,
  F_OFD_SETLK,
  F_OFD_SETLKW,
  F_OWNER_PGRP,
  F_OWNER_PID,
  F_OWNER_TID,
  F_RDLCK,
  F_SEAL_FUTURE_WRITE,
  F_SEAL_GROW,
  F_SEAL_SEAL,
  F_SEAL_SHRINK,
  F_SEAL_WRITE,
  F_SETFD,
  F_SETFL,
  F_SETLK,
  F_SETLKW,
  F_SETOWN,
  F_SETOWN_EX,
  F_SETPIPE_SZ,
  F_SETSIG,
  F_UNLCK,
  F_WRLCK,
  FD_CLOEXEC,
  LOCK_EX,
  LOCK_NB,
  LOCK_SH,
  LOCK_UN,
  O_APPEND,
  O_DIRECT,
  O_NOATIME,
  O_NONBLOCK,
  O_PATH,
  SEEK_CUR,
  SEEK_END,
  SEEK_SET,
} from '../../spec/linux/fcntl.ts';
import { FLOCK } from '../../spec/linux/layout/file.ts';
import { POLLOUT } from '../../spec/linux/poll.ts';
import { RLIMIT_NOFILE } from '../../spec/linux/resource.ts';
import { NSIG } from '../../spec/linux/signal.ts';
import { SYS_fcntl, SYS_flock } from '../../spec/linux/syscall_numbers.ts';
import type { SyscallArgs } from '../kernel/syscall_args.ts';
import type { SyscallFragment } from '../kernel/syscall_table.ts';
import type { Task } from '../kernel/task.ts';
import { FileLocks, type LockOwner, type RecordLock, wouldDeadlock } from '../vfs/file_lock.ts';
import { MemoryRegular } from '../vfs/memory_regular.ts';
import type { OpenFile } from '../vfs/open_file.ts';
import { ownerOrCapable } from '../vfs/permission.ts';
import { openFd } from './path_argument.ts';

/** O_ASYNC by its kernel name. */
const FASYNC = 0o20000;
const LOCK_MAND = 32;
const CHANGEABLE_FLAGS = O_APPEND | O_NONBLOCK | O_DIRECT | O_NOATIME | FASYNC;
const ALL_SEALS = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_FUTURE_WRITE;
const MAX_OFFSET = Number.MAX_SAFE_INTEGER;

/** fcntl(2). */
export function sysFcntl(t: Task, a: SyscallArgs): number {
  const fd = a.int(0);
  const command = a.int(1);
  const file = t.files.get(fd);
  if (file === undefined) return -EBADF;
  switch (command) {
    case F_DUPFD:
      return duplicate(t, file, a.int(2), false);
    case F_DUPFD_CLOEXEC:
      return duplicate(t, file, a.int(2), true);
    case F_GETFD:
      return t.files.closeOnExec(fd) ? FD_CLOEXEC : 0;
    case F_SETFD:
      return t.files.setCloseOnExec(fd, (a.int(2) & FD_CLOEXEC) !== 0);
    case F_GETFL:
      return file.flags;
    default:
      return (file.flags & O_PATH) !== 0 ? -EBADF : command2(t, file, command, a);
  }
}

/** The commands that O_PATH descriptors do not have. */
function command2(t: Task, file: OpenFile, command: number, a: SyscallArgs): number {
  switch (command) {
    case F_SETFL:
      return setStatusFlags(t, file, a.int(2));
    case F_GETLK:
    case F_OFD_GETLK:
      return getLock(t, file, a.addr(2), command === F_OFD_GETLK);
    case F_SETLK:
    case F_SETLKW:
      return setLock(t, file, a.addr(2), false, command === F_SETLKW);
    case F_OFD_SETLK:
    case F_OFD_SETLKW:
      return setLock(t, file, a.addr(2), true, command === F_OFD_SETLKW);
    case F_SETOWN:
      return setOwner(t, file, a.int(2));
    case F_GETOWN:
      return file.owner;
    case F_SETOWN_EX:
      return setOwnerEx(t, file, a.addr(2));
    case F_GETOWN_EX:
      return getOwnerEx(t, file, a.addr(2));
    case F_SETSIG: {
      const signo = a.int(2);
      if (signo < 0 || signo > NSIG) return -EINVAL;
      file.ownerSignal = signo;
      return 0;
    }
    case F_GETSIG:
      return file.ownerSignal;
    case F_ADD_SEALS:
      return addSeals(file, a.uint(2));
    case F_GET_SEALS:
      return file.inode instanceof MemoryRegular && file.inode.seals >= 0
        ? file.inode.seals
        : -EINVAL;
    case F_SETPIPE_SZ:
      return file.setPipeSize(t, a.uint(2));
    case F_GETPIPE_SZ:
      return file.pipeSize();
    default:
      return -EINVAL;
  }
}

function duplicate(t: Task, file: OpenFile, from: number, closeOnExec: boolean): number {
  const limit = t.group.limits.soft(RLIMIT_NOFILE);
  if (from < 0 || from >= limit) return -EINVAL;
  const fd = t.files.add(file.acquire(), closeOnExec, limit, from);
  if (fd < 0) file.close();
  return fd;
}

function setStatusFlags(t: Task, file: OpenFile, flags: number): number {
  const noatime = (flags & O_NOATIME) !== 0 && (file.flags & O_NOATIME) === 0;
  if (noatime && !ownerOrCapable(file.inode, t.creds)) return -EPERM;
  return file.setStatusFlags((file.flags & ~CHANGEABLE_FLAGS) | (flags & CHANGEABLE_FLAGS));
}

// Locks ------------------------------------------------------------------------------------------

const flock = new Uint8Array(FLOCK.size);
const flockView = new DataView(flock.buffer);
const offsets = FLOCK.offsets;

/** loff_t, exact as far as a Number is. */
function flockOffset(view: DataView, at: number): number {
  return view.getUint32(at, true) + view.getInt32(at + 4, true) * 2 ** 32;
}

/** The struct flock at `addr` as a range in the file, or -errno. Databases make this call the most. */
function readLock(
  t: Task,
  file: OpenFile,
  addr: number,
  owner: LockOwner,
  pid: number,
): RecordLock | number {
  let at = t.mm.readable(addr, FLOCK.size);
  let { view } = t.mm.memory;
  if (at < 0) {
    if (t.mm.copyIn(addr, flock) < 0) return -EFAULT;
    view = flockView;
    at = 0;
  }
  const type = view.getInt16(at + offsets.l_type, true);
  const whence = view.getInt16(at + offsets.l_whence, true);
  const l_start = flockOffset(view, at + offsets.l_start);
  const l_len = flockOffset(view, at + offsets.l_len);
  if (pid === -1 && view.getInt32(at + offsets.l_pid, true) !== 0) return -EINVAL;
  let base = 0;
  if (whence === SEEK_CUR) base = Math.max(0, file.seek(0, SEEK_CUR));
  else if (whence === SEEK_END) {
    const attr = file.getattr();
    if (typeof attr === 'number') return attr;
    base = attr.size;
  } else if (whence !== SEEK_SET) return -EINVAL;
  let start = base + l_start;
  if (start > MAX_OFFSET) return -EOVERFLOW;
  let end = start + l_len;
  if (l_len < 0) [start, end] = [end, start];
  if (start < 0) return -EINVAL;
  // The very last byte there is: nothing can come after.
  if (l_len === 0 || end > MAX_OFFSET) end = Infinity;
  if (type !== F_RDLCK && type !== F_WRLCK && type !== F_UNLCK) return -EINVAL;
  return { start, end, type, owner, pid };
}

function locksOf(file: OpenFile): FileLocks {
  file.inode.locks ??= new FileLocks();
  return file.inode.locks;
}

function getLock(t: Task, file: OpenFile, addr: number, ofd: boolean): number {
  const lock = readLock(t, file, addr, ofd ? file : t.files, ofd ? -1 : t.pid);
  if (typeof lock === 'number') return lock;
  if (lock.type === F_UNLCK) return -EINVAL;
  const held = file.inode.locks?.conflict(lock) ?? null;
  if (held === null) return t.mm.writeU16(addr + FLOCK.offsets.l_type, F_UNLCK);
  const bytes = FLOCK.encode({
    l_type: held.type,
    l_whence: SEEK_SET,
    l_start: held.start,
    l_len: held.end === Infinity ? 0 : held.end - held.start,
    l_pid: held.pid,
  });
  return t.mm.copyOut(addr, bytes);
}

function setLock(t: Task, file: OpenFile, addr: number, ofd: boolean, wait: boolean): number {
  const owner: LockOwner = ofd ? file : t.files;
  const lock = readLock(t, file, addr, owner, ofd ? -1 : t.pid);
  if (typeof lock === 'number') return lock;
  if (lock.type === F_RDLCK && !file.readable) return -EBADF;
  if (lock.type === F_WRLCK && !file.writable) return -EBADF;
  if (lock.type === F_UNLCK && file.inode.locks === null) return 0;
  const locks = locksOf(file);
  return wait ? awaitLock(t, locks, lock, ofd) : locks.set(lock);
}

function awaitLock(t: Task, locks: FileLocks, lock: RecordLock, ofd: boolean): number {
  const { owner } = lock;
  const attempt = (): number => {
    owner.lockWait = null;
    const r = locks.set(lock);
    if (r !== -EAGAIN || ofd) return r;
    const holder = locks.conflict(lock)?.owner;
    if (holder === undefined) return r;
    if (wouldDeadlock(owner, holder)) return -EDEADLK;
    owner.lockWait = holder;
    return r;
  };
  const r = attempt();
  if (r !== -EAGAIN) return r;
  return t.sleep([locks.queue], POLLOUT, {
    attempt,
    onInterrupt: () => {
      owner.lockWait = null;
      return -ERESTARTSYS;
    },
  });
}

/** flock(2). */
export function sysFlock(t: Task, a: SyscallArgs): number {
  const file = openFd(t, a.int(0));
  if (file === undefined) return -EBADF;
  // Mandatory locks are gone: Linux takes the request and does nothing.
  if ((a.int(1) & LOCK_MAND) !== 0) return 0;
  const operation = a.int(1) & ~LOCK_NB;
  if (operation === LOCK_UN) {
    file.inode.locks?.unlockWhole(file);
    return 0;
  }
  if (operation !== LOCK_SH && operation !== LOCK_EX) return -EINVAL;
  const nonblock = (a.int(1) & LOCK_NB) !== 0;
  const locks = locksOf(file);
  return t.waitUntil(locks.queue, POLLOUT, nonblock, () =>
    locks.setWhole(file, operation === LOCK_EX),
  );
}

// Owners, seals ------------------------------------------------------------------------------------

function setOwner(t: Task, file: OpenFile, owner: number): number {
  const { pids } = t.container;
  if (owner > 0 && !pids.groups.has(owner) && !pids.tasks.has(owner)) return -ESRCH;
  if (owner < 0 && !pids.processGroups.has(-owner)) return -ESRCH;
  file.owner = owner;
  return 0;
}

function setOwnerEx(t: Task, file: OpenFile, addr: number): number {
  const type = t.mm.readU32(addr);
  const pid = t.mm.readU32(addr + 4);
  if (type < 0 || pid < 0) return -EFAULT;
  if (type !== F_OWNER_TID && type !== F_OWNER_PID && type !== F_OWNER_PGRP) return -EINVAL;
  return setOwner(t, file, type === F_OWNER_PGRP ? -(pid | 0) : pid | 0);
}

function getOwnerEx(t: Task, file: OpenFile, addr: number): number {
  const type = file.owner < 0 ? F_OWNER_PGRP : F_OWNER_PID;
  const r = t.mm.writeU32(addr, type);
  return r < 0 ? r : t.mm.writeU32(addr + 4, Math.abs(file.owner));
}

function addSeals(file: OpenFile, seals: number): number {
  const { inode } = file;
  if (!(inode instanceof MemoryRegular) || inode.seals < 0) return -EINVAL;
  if (!file.writable) return -EPERM;
  if ((seals & ~ALL_SEALS) !== 0) return -EINVAL;
  if ((inode.seals & F_SEAL_SEAL) !== 0) return -EPERM;
  // Linux minds only writable shared mappings; who maps how is not known here.
  if ((seals & F_SEAL_WRITE) !== 0 && inode.pages.isMapped) return -EBUSY;
  inode.seals |= seals;
  return 0;
}

export const fcntlSyscalls: SyscallFragment = {
  [SYS_fcntl]: {
    name: 'fcntl',
    args: 'fd int hex',
    fn: sysFcntl,
    gap: 'no leases, no directory notification (F_NOTIFY), no SIGIO for O_ASYNC',
  },
  [SYS_flock]: { name: 'flock', args: 'fd int', fn: sysFlock },
};
