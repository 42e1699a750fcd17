/**
 * Moving bytes between files without passing through the application: sendfile(2),
 * copy_file_range(2).
 */
import {
  EAGAIN,
  EBADF,
  EFAULT,
  EINVAL,
  EISDIR,
  EPIPE,
  ERESTARTSYS,
  ESPIPE,
} from '../../spec/linux/errno.ts';
import { MAX_RW_COUNT, SEEK_CUR, SEEK_SET } from '../../spec/linux/fcntl.ts';
import { IN_ACCESS, IN_MODIFY } from '../../spec/linux/inotify.ts';
import { POLLOUT } from '../../spec/linux/poll.ts';
import { SIGPIPE } from '../../spec/linux/signal.ts';
import { S_IFIFO, S_IFSOCK } from '../../spec/linux/stat.ts';
import { SYS_copy_file_range, SYS_sendfile } from '../../spec/linux/syscall_numbers.ts';
import type { SyscallArgs } from '../kernel/syscall_args.ts';
import type { SyscallFragment } from '../kernel/syscall_table.ts';
import type { Task } from '../kernel/task.ts';
import { IoBuffer } from '../mm/io_buffer.ts';
import { notifyFile } from '../vfs/fsnotify.ts';
import type { OpenFile } from '../vfs/open_file.ts';
import { dropPrivileges } from '../vfs/operations/attributes.ts';
import { openFd } from './path_argument.ts';

/** Passed through at once; one buffer serves all, as calls are handled one at a time. */
const CHUNK = 256 * 1024;
let chunk: Uint8Array | null = null;

/** Where one end of a transfer is: at an offset given by the caller, or at the file's own. */
interface End {
  readonly file: OpenFile;
  /** Application address of the offset, 0 for the file's own. */
  readonly pointer: number;
  position: number;
}

/** Finds the position of an end: -ESPIPE for files without one, -EFAULT. */
function endAt(t: Task, file: OpenFile, pointer: number): End | number {
  if (pointer === 0) {
    const position = file.seek(0, SEEK_CUR);
    return position < 0 ? position : { file, pointer, position };
  }
  const lo = t.mm.readU32(pointer);
  const hi = t.mm.readU32(pointer + 4);
  if (lo < 0 || hi < 0) return -EFAULT;
  const position = lo + (hi | 0) * 2 ** 32;
  return position < 0 ? -EINVAL : { file, pointer, position };
}

/** Puts the position back where it came from. */
function settle(t: Task, end: End): number {
  if (end.pointer !== 0) return t.mm.writeU64(end.pointer, end.position);
  return Math.min(0, end.file.seek(end.position, SEEK_SET));
}

/** Copies up to `count` bytes from `from` to wherever `write` puts them: how many, or -errno. */
function pump(
  t: Task,
  from: End,
  count: number,
  write: (src: IoBuffer) => number,
): { readonly moved: number; readonly error: number } {
  chunk ??= new Uint8Array(CHUNK);
  let moved = 0;
  while (moved < count) {
    const dst = IoBuffer.over(chunk, 0, Math.min(CHUNK, count - moved));
    const got = from.file.pread(t, dst, from.position);
    if (got <= 0) return { moved, error: got };
    const put = write(IoBuffer.over(chunk, 0, got));
    if (put <= 0) return { moved, error: put };
    from.position += put;
    moved += put;
  }
  return { moved, error: 0 };
}

/** sendfile(2). */
export function sysSendfile(t: Task, a: SyscallArgs): number {
  const out = openFd(t, a.int(0));
  const input = openFd(t, a.int(1));
  if (!input?.readable || !out?.writable) return -EBADF;
  const pointer = a.addr(2);
  const { inode } = input;
  if (inode.type === S_IFIFO || inode.type === S_IFSOCK) return pointer === 0 ? -EINVAL : -ESPIPE;
  if (inode.isDirectory || out.append) return -EINVAL;
  const from = endAt(t, input, pointer);
  if (typeof from === 'number') return from === -ESPIPE ? -EINVAL : from;
  const count = Math.min(a.sizeT(3), MAX_RW_COUNT);
  dropPrivileges(t, out.inode);
  return sendAll(t, from, out, count);
}

function sendAll(t: Task, from: End, out: OpenFile, count: number): number {
  let total = 0;
  const finish = (r: number): number => {
    const settled = settle(t, from);
    if (total > 0) {
      notifyFile(from.file.dentry, IN_ACCESS);
      notifyFile(out.dentry, IN_MODIFY);
    }
    return settled < 0 ? settled : r;
  };
  const attempt = (): number => {
    const { moved, error } = pump(t, from, count - total, (src) => out.write(t, src));
    total += moved;
    if (error === -EPIPE && out.signalsBrokenPipe) t.raise(SIGPIPE);
    if (error === -EAGAIN && total < count && !(out.nonblock && total > 0)) return -EAGAIN;
    return finish(total > 0 ? total : error);
  };
  const r = attempt();
  if (r !== -EAGAIN || out.nonblock) return r;
  return t.sleep([out], POLLOUT, {
    attempt,
    onInterrupt: () => finish(total > 0 ? total : -ERESTARTSYS),
  });
}

/** copy_file_range(2). */
export function sysCopyFileRange(t: Task, a: SyscallArgs): number {
  const input = openFd(t, a.int(0));
  const out = openFd(t, a.int(2));
  if (!input?.readable || !out?.writable || out.append) return -EBADF;
  if (input.inode.isDirectory || out.inode.isDirectory) return -EISDIR;
  if (!input.inode.isRegular || !out.inode.isRegular || a.uint(5) !== 0) return -EINVAL;
  const from = endAt(t, input, a.addr(1));
  if (typeof from === 'number') return from;
  const to = endAt(t, out, a.addr(3));
  if (typeof to === 'number') return to;
  const count = Math.min(a.sizeT(4), MAX_RW_COUNT);
  const apart = Math.abs(from.position - to.position) >= count;
  if (input.inode === out.inode && !apart) return -EINVAL;
  dropPrivileges(t, out.inode);
  const { moved, error } = pump(t, from, count, (src) => {
    const put = out.pwrite(t, src, to.position);
    if (put > 0) to.position += put;
    return put;
  });
  if (moved === 0 && error < 0) return error;
  if (settle(t, from) < 0 || settle(t, to) < 0) return -EFAULT;
  if (moved > 0) notifyFile(out.dentry, IN_MODIFY);
  return moved;
}

export const transferSyscalls: SyscallFragment = {
  [SYS_sendfile]: { name: 'sendfile', args: 'fd fd ptr size', fn: sysSendfile },
  [SYS_copy_file_range]: {
    name: 'copy_file_range',
    args: 'fd ptr fd ptr size hex',
    fn: sysCopyFileRange,
  },
};
