/**
 * Reading and writing: read(2), write(2), pread(2), readv(2), preadv2(2) and their like, lseek(2).
 */
import {
  EAGAIN,
  EBADF,
  EFAULT,
  EINTR,
  EINVAL,
  EOPNOTSUPP,
  EPIPE,
  ERESTARTSYS,
} from '../../spec/linux/errno.ts';
import {
  MAX_RW_COUNT,
  RWF_APPEND,
  RWF_NOWAIT,
  RWF_SUPPORTED,
  SEEK_END,
} from '../../spec/linux/fcntl.ts';
import { IN_ACCESS, IN_MODIFY } from '../../spec/linux/inotify.ts';
import { POLLIN, POLLOUT } from '../../spec/linux/poll.ts';
import { SIGPIPE } from '../../spec/linux/signal.ts';
import { S_ISGID, S_ISUID } from '../../spec/linux/stat.ts';
import {
  SYS_lseek,
  SYS_pread64,
  SYS_preadv,
  SYS_preadv2,
  SYS_pwrite64,
  SYS_pwritev,
  SYS_pwritev2,
  SYS_read,
  SYS_readv,
  SYS_write,
  SYS_writev,
} from '../../spec/linux/syscall_numbers.ts';
import type { SyscallArgs } from '../kernel/syscall_args.ts';
import { BLOCKED, type SyscallFragment } from '../kernel/syscall_table.ts';
import type { Task } from '../kernel/task.ts';
import { IoBuffer } from '../mm/io_buffer.ts';
import { notifyFile } from '../vfs/fsnotify.ts';
import type { OpenFile } from '../vfs/open_file.ts';
import { dropPrivileges } from '../vfs/operations/attributes.ts';
import { openFd } from './path_argument.ts';

/** The file offset moves along with the transfer. */
export const AT_OFFSET = -1;

/**
 * The caller's memory for one transfer. Memory that is not there is an error only once it is touched:
 * whether the file has anything to say comes first, as in Linux.
 */
function userBuffer(t: Task, addr: number, size: number, write: boolean): IoBuffer | null {
  const length = Math.min(size, MAX_RW_COUNT);
  const buffer = t.mm.userBuffer(addr, length, write);
  if (buffer !== null || addr + length > t.mm.taskSize) return buffer;
  return IoBuffer.single(t.mm, addr, length, write);
}

/** The result of a call that is over; one that sleeps keeps its buffer. */
function over(buffer: IoBuffer, result: number): number {
  if (result !== BLOCKED) buffer.free();
  return result;
}

/** One try. `offset` is a position or AT_OFFSET. */
function readOnce(t: Task, file: OpenFile, dst: IoBuffer, offset: number): number {
  const n = offset === AT_OFFSET ? file.read(t, dst) : file.pread(t, dst, offset);
  if (n === 0 && dst.faulted) return -EFAULT;
  if (n > 0) {
    t.io.readChars += n;
    notifyFile(file.dentry, IN_ACCESS);
  }
  return n;
}

/** Reads into `dst`, waiting as the file's flags say. */
export function readFile(
  t: Task,
  file: OpenFile,
  dst: IoBuffer,
  offset: number,
  nonblock: boolean,
): number {
  t.io.readCalls++;
  const n = readOnce(t, file, dst, offset);
  return n !== -EAGAIN || nonblock ? n : awaitInput(t, file, dst, offset);
}

function awaitInput(t: Task, file: OpenFile, dst: IoBuffer, offset: number): number {
  const { readTimeoutNs } = file;
  return t.sleep([file], POLLIN, {
    attempt: () => readOnce(t, file, dst, offset),
    deadlineNs: t.kernel.clock.monotonicNs() + readTimeoutNs,
    onInterrupt: () => interrupted(readTimeoutNs),
  });
}

/** socket(7): calls with a timeout are not restarted. */
function interrupted(timeoutNs: number): number {
  return timeoutNs === Number.POSITIVE_INFINITY ? -ERESTARTSYS : -EINTR;
}

/** One try at writing the rest of `src`; the result counts all that was written so far. */
function writeRest(t: Task, file: OpenFile, src: IoBuffer, offset: number): number {
  for (;;) {
    const at = offset === AT_OFFSET ? offset : offset + src.done;
    const before = src.done;
    const n = at === AT_OFFSET ? file.write(t, src) : file.pwrite(t, src, at);
    // A file may take bytes from a cursor of its own; what it says counts.
    if (n > 0 && src.done === before) src.skip(n);
    if (n === -EPIPE && file.signalsBrokenPipe) t.raise(SIGPIPE);
    if (n === -EAGAIN) return n;
    if (n < 0) return src.done > 0 ? src.done : n;
    if (src.remaining === 0) return Math.max(src.done, n);
    if (src.faulted) return src.done > 0 ? src.done : -EFAULT;
    if (n === 0) return src.done;
  }
}

/** Writes `src`, waiting until all of it is taken as the file's flags say. */
export function writeFile(
  t: Task,
  file: OpenFile,
  src: IoBuffer,
  offset: number,
  nonblock: boolean,
): number {
  t.io.writeCalls++;
  if ((file.inode.mode & (S_ISUID | S_ISGID)) !== 0) dropPrivileges(t, file.inode);
  const n = writeRest(t, file, src, offset);
  if (n !== -EAGAIN) return written(t, file, n);
  if (nonblock) return written(t, file, src.done > 0 ? src.done : n);
  return awaitRoom(t, file, src, offset);
}

function awaitRoom(t: Task, file: OpenFile, src: IoBuffer, offset: number): number {
  const { writeTimeoutNs } = file;
  return t.sleep([file], POLLOUT, {
    attempt: () => written(t, file, writeRest(t, file, src, offset)),
    deadlineNs: t.kernel.clock.monotonicNs() + writeTimeoutNs,
    onTimeout: () => written(t, file, src.done > 0 ? src.done : -EAGAIN),
    onInterrupt: () => written(t, file, src.done > 0 ? src.done : interrupted(writeTimeoutNs)),
  });
}

function written(t: Task, file: OpenFile, n: number): number {
  if (n > 0) {
    t.io.writtenChars += n;
    notifyFile(file.dentry, IN_MODIFY);
  }
  return n;
}

/** read(2). */
export function sysRead(t: Task, a: SyscallArgs): number {
  const file = openFd(t, a.int(0));
  if (!file?.readable) return -EBADF;
  const dst = userBuffer(t, a.addr(1), a.sizeT(2), true);
  if (dst === null) return -EFAULT;
  return over(dst, readFile(t, file, dst, AT_OFFSET, file.nonblock));
}

/** write(2). */
export function sysWrite(t: Task, a: SyscallArgs): number {
  const file = openFd(t, a.int(0));
  if (!file?.writable) return -EBADF;
  const src = userBuffer(t, a.addr(1), a.sizeT(2), false);
  if (src === null) return -EFAULT;
  return over(src, writeFile(t, file, src, AT_OFFSET, file.nonblock));
}

/** pread64(2). */
export function sysPread64(t: Task, a: SyscallArgs): number {
  const offset = a.long(3);
  if (offset < 0) return -EINVAL;
  const file = openFd(t, a.int(0));
  if (!file?.readable) return -EBADF;
  const dst = userBuffer(t, a.addr(1), a.sizeT(2), true);
  if (dst === null) return -EFAULT;
  return over(dst, readFile(t, file, dst, offset, file.nonblock));
}

/** pwrite64(2). Like Linux, O_APPEND wins over the offset. */
export function sysPwrite64(t: Task, a: SyscallArgs): number {
  const offset = a.long(3);
  if (offset < 0) return -EINVAL;
  const file = openFd(t, a.int(0));
  if (!file?.writable) return -EBADF;
  const src = userBuffer(t, a.addr(1), a.sizeT(2), false);
  if (src === null) return -EFAULT;
  return over(src, writeFile(t, file, src, appendOffset(file, offset), file.nonblock));
}

/** Where a positioned write to an O_APPEND file goes. */
function appendOffset(file: OpenFile, offset: number, append = file.append): number {
  if (!append || offset === AT_OFFSET) return offset;
  const attr = file.getattr();
  return typeof attr === 'number' ? offset : attr.size;
}

interface VectorFlags {
  /** RWF_*. */
  readonly rwf: number;
  readonly offset: number;
}

function readVector(t: Task, fd: number, iov: number, count: number, how: VectorFlags): number {
  const file = openFd(t, fd);
  if (!file?.readable) return -EBADF;
  const dst = t.mm.userVector(iov, count, true);
  if (typeof dst === 'number') return dst;
  if ((how.rwf & ~RWF_SUPPORTED) !== 0 || (how.rwf & RWF_APPEND) !== 0) return -EOPNOTSUPP;
  const nonblock = file.nonblock || (how.rwf & RWF_NOWAIT) !== 0;
  return readFile(t, file, dst, how.offset, nonblock);
}

function writeVector(t: Task, fd: number, iov: number, count: number, how: VectorFlags): number {
  const file = openFd(t, fd);
  if (!file?.writable) return -EBADF;
  const src = t.mm.userVector(iov, count, false);
  if (typeof src === 'number') return src;
  if ((how.rwf & ~RWF_SUPPORTED) !== 0) return -EOPNOTSUPP;
  const nonblock = file.nonblock || (how.rwf & RWF_NOWAIT) !== 0;
  if (how.offset === AT_OFFSET && (how.rwf & RWF_APPEND) !== 0) {
    const end = file.seek(0, SEEK_END);
    if (end < 0) return end;
  }
  const append = file.append || (how.rwf & RWF_APPEND) !== 0;
  return writeFile(t, file, src, appendOffset(file, how.offset, append), nonblock);
}

const PLAIN: VectorFlags = { rwf: 0, offset: AT_OFFSET };

/** readv(2). */
export function sysReadv(t: Task, a: SyscallArgs): number {
  return readVector(t, a.int(0), a.addr(1), a.int(2), PLAIN);
}

/** writev(2). */
export function sysWritev(t: Task, a: SyscallArgs): number {
  return writeVector(t, a.int(0), a.addr(1), a.int(2), PLAIN);
}

/** preadv(2). On 64-bit machines the offset is whole in its first half. */
export function sysPreadv(t: Task, a: SyscallArgs): number {
  const offset = a.long(3);
  if (offset < 0) return -EINVAL;
  return readVector(t, a.int(0), a.addr(1), a.int(2), { rwf: 0, offset });
}

/** pwritev(2). */
export function sysPwritev(t: Task, a: SyscallArgs): number {
  const offset = a.long(3);
  if (offset < 0) return -EINVAL;
  return writeVector(t, a.int(0), a.addr(1), a.int(2), { rwf: 0, offset });
}

/** preadv2(2): offset -1 is the file offset. */
export function sysPreadv2(t: Task, a: SyscallArgs): number {
  const offset = a.long(3);
  if (offset < -1) return -EINVAL;
  return readVector(t, a.int(0), a.addr(1), a.int(2), { rwf: a.uint(5), offset });
}

/** pwritev2(2). */
export function sysPwritev2(t: Task, a: SyscallArgs): number {
  const offset = a.long(3);
  if (offset < -1) return -EINVAL;
  return writeVector(t, a.int(0), a.addr(1), a.int(2), { rwf: a.uint(5), offset });
}

/** lseek(2). */
export function sysLseek(t: Task, a: SyscallArgs): number {
  const file = openFd(t, a.int(0));
  return file === undefined ? -EBADF : file.seek(a.long(1), a.uint(2));
}

export const readWriteSyscalls: SyscallFragment = {
  [SYS_read]: { name: 'read', args: 'fd out size', fn: sysRead },
  [SYS_write]: { name: 'write', args: 'fd buf size', fn: sysWrite },
  [SYS_pread64]: { name: 'pread64', args: 'fd out size offset', fn: sysPread64 },
  [SYS_pwrite64]: { name: 'pwrite64', args: 'fd buf size offset', fn: sysPwrite64 },
  [SYS_readv]: { name: 'readv', args: 'fd iovec int', fn: sysReadv },
  [SYS_writev]: { name: 'writev', args: 'fd iovec int', fn: sysWritev },
  [SYS_preadv]: { name: 'preadv', args: 'fd iovec int offset', fn: sysPreadv },
  [SYS_pwritev]: { name: 'pwritev', args: 'fd iovec int offset', fn: sysPwritev },
  [SYS_preadv2]: { name: 'preadv2', args: 'fd iovec int offset hex hex', fn: sysPreadv2 },
  [SYS_pwritev2]: { name: 'pwritev2', args: 'fd iovec int offset hex hex', fn: sysPwritev2 },
  [SYS_lseek]: { name: 'lseek', args: 'fd offset int', fn: sysLseek },
};
