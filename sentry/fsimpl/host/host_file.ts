/**
 * Files that are host descriptors: the stdio a container is given.
 *
 * The open file description is shared with whoever gave it, so O_NONBLOCK is never set on it; reads
 * and writes ask the host not to wait instead (RWF_NOWAIT where the host can, else poll(2) first and
 * small writes). Mapping one is refused (ENODEV): programs fall back to reading.
 */

import {
  fsync,
  lseek,
  preadv,
  pwritev,
  readv,
  readvNowait,
  writev,
  writevNowait,
} from '../../../native/fs.ts';
import { type PollFd, poll } from '../../../native/socket.ts';
import { EAGAIN, EOPNOTSUPP, ESPIPE } from '../../../spec/linux/errno.ts';
import { SEEK_CUR } from '../../../spec/linux/fcntl.ts';
import {
  POLLERR,
  POLLHUP,
  POLLIN,
  POLLOUT,
  POLLRDNORM,
  POLLWRNORM,
} from '../../../spec/linux/poll.ts';
import { S_IFCHR, S_IFIFO, S_IFREG, S_IFSOCK } from '../../../spec/linux/stat.ts';
import type { WaitQueue } from '../../base/wait_queue.ts';
import type { IoBuffer } from '../../mm/io_buffer.ts';
import type { FsCaller } from '../../vfs/caller.ts';
import type { Path } from '../../vfs/mount.ts';
import { ALWAYS_READY, OpenFile } from '../../vfs/open_file.ts';
import type { HostInode } from './host_inode.ts';

/** After POLLOUT this much can be written without waiting: PIPE_BUF, and a terminal's low mark. */
const READY_WRITE_BYTES = 4096;
const TERMINAL_WRITE_BYTES = 256;
const SPANS = 64;

/** The next pieces of `buffer`, at most `limit` bytes. */
export function views(buffer: IoBuffer, limit: number): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  let left = limit;
  for (const s of buffer.spans(SPANS)) {
    const n = Math.min(s.length, left);
    pieces.push(s.bytes.subarray(s.start, s.start + n));
    left -= n;
    if (left === 0) break;
  }
  if (pieces.length > 0) return pieces;
  const s = buffer.peek();
  return s === null ? [] : [s.bytes.subarray(s.start, s.start + Math.min(s.length, limit))];
}

/** `n` bytes of those pieces went to or came from the host, or it said -errno. */
export function moved(buffer: IoBuffer, n: number): number {
  if (n <= 0) return n;
  // A piece of a mapped host file must be acknowledged through its window; plain memory is skipped.
  const plain = buffer.spans(1).length > 0;
  if (plain) buffer.skip(n);
  else buffer.advance(n);
  return n;
}

/** POLL* that hold for host descriptor `fd`. */
export function readiness(fd: number): number {
  const look: PollFd = { fd, events: POLLIN | POLLOUT, revents: 0 };
  if (poll([look], 0) <= 0) return 0;
  let events = look.revents & (POLLIN | POLLOUT | POLLHUP | POLLERR);
  if ((events & POLLIN) !== 0) events |= POLLRDNORM;
  if ((events & POLLOUT) !== 0) events |= POLLWRNORM;
  return events;
}

export class HostFile extends OpenFile {
  declare readonly inode: HostInode;
  private readonly queue: WaitQueue | null;
  private readonly kind: number;
  private readonly seekable: boolean;
  private nowait = true;

  constructor(path: Path, inode: HostInode, flags: number) {
    super(path, inode, flags);
    inode.acquire();
    this.kind = inode.type;
    this.seekable = this.kind === S_IFREG;
    this.queue = inode.queue;
  }

  /** A call that slept while the last descriptor was closed finds -1 here. */
  get fd(): number {
    return this.inode.fd;
  }

  override get waitQueue(): WaitQueue | null {
    return this.queue;
  }

  override poll(): number {
    return this.queue === null ? ALWAYS_READY : readiness(this.fd);
  }

  override read(_caller: FsCaller, dst: IoBuffer): number {
    const into = views(dst, Number.MAX_SAFE_INTEGER);
    if (into.length === 0) return 0;
    if (this.queue === null) return moved(dst, readv(this.fd, into));
    if (this.nowait) {
      const r = readvNowait(this.fd, into);
      if (r !== -EOPNOTSUPP && r !== -ESPIPE) return moved(dst, r);
      this.nowait = false;
    }
    if ((this.poll() & (POLLIN | POLLHUP | POLLERR)) === 0) return -EAGAIN;
    return moved(dst, readv(this.fd, into));
  }

  override write(_caller: FsCaller, src: IoBuffer): number {
    let total = 0;
    while (src.remaining > 0 && !src.faulted) {
      const n = this.writeSome(src);
      if (n <= 0) return total > 0 ? total : n;
      total += n;
    }
    return total;
  }

  private writeSome(src: IoBuffer): number {
    if (this.queue === null) {
      return moved(src, writev(this.fd, views(src, Number.MAX_SAFE_INTEGER)));
    }
    if (this.nowait) {
      const r = writevNowait(this.fd, views(src, Number.MAX_SAFE_INTEGER));
      if (r !== -EOPNOTSUPP && r !== -ESPIPE) return moved(src, r);
      this.nowait = false;
    }
    if ((this.poll() & (POLLOUT | POLLERR | POLLHUP)) === 0) return -EAGAIN;
    const limit = this.kind === S_IFCHR ? TERMINAL_WRITE_BYTES : READY_WRITE_BYTES;
    return moved(src, writev(this.fd, views(src, limit)));
  }

  override pread(_caller: FsCaller, dst: IoBuffer, offset: number): number {
    if (this.kind === S_IFIFO || this.kind === S_IFSOCK) return -ESPIPE;
    const into = views(dst, Number.MAX_SAFE_INTEGER);
    return into.length === 0 ? 0 : moved(dst, preadv(this.fd, into, offset));
  }

  override pwrite(_caller: FsCaller, src: IoBuffer, offset: number): number {
    if (this.kind === S_IFIFO || this.kind === S_IFSOCK) return -ESPIPE;
    const from = views(src, Number.MAX_SAFE_INTEGER);
    return from.length === 0 ? 0 : moved(src, pwritev(this.fd, from, offset));
  }

  override seek(offset: number, whence: number): number {
    if (!this.seekable && this.kind !== S_IFCHR) return -ESPIPE;
    return lseek(this.fd, offset, whence);
  }

  /** Offset of the shared description, for /proc/PID/fdinfo. */
  override fdinfo(): string {
    const at = lseek(this.fd, 0, SEEK_CUR);
    return at < 0 ? '' : `host-pos:\t${at}\n`;
  }

  override truncate(length: number): number {
    return this.inode.setattr({ size: length });
  }

  override fsync(): number {
    return fsync(this.fd);
  }

  protected override release(): void {
    this.inode.release();
  }
}
