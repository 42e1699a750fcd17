/**
 * Open file descriptions (open(2)): what file descriptors refer to.
 *
 * Files are state machines that never sleep: an operation that cannot go on now returns -EAGAIN, and
 * whoever may wait does so on `waitQueue` (Task.waitUntil). poll() tells readiness as POLL* bits.
 */
import {
  EBADF,
  EINVAL,
  EISDIR,
  ENODEV,
  ENOTTY,
  EOPNOTSUPP,
  ESPIPE,
} from '../../spec/linux/errno.ts';
import {
  O_ACCMODE,
  O_APPEND,
  O_NONBLOCK,
  O_RDONLY,
  O_WRONLY,
  SEEK_CUR,
  SEEK_END,
  SEEK_SET,
} from '../../spec/linux/fcntl.ts';
import { POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM } from '../../spec/linux/poll.ts';
import type { Waitable, WaitQueue } from '../base/wait_queue.ts';
import type { IoBuffer } from '../mm/io_buffer.ts';
import type { Mappable } from '../mm/mappable.ts';
import type { FsCaller } from './caller.ts';
import type { Dentry } from './dentry.ts';
import type { LockOwner } from './file_lock.ts';
import { notifyClose } from './fsnotify.ts';
import type { Inode } from './inode.ts';
import { type Path, pin, unpin } from './mount.ts';
import type { DirEntry, Stat } from './stat.ts';

export const ALWAYS_READY = POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM;
const MAX_OFFSET = Number.MAX_SAFE_INTEGER;

/** Whoever must know when a description ends: epoll, whose registrations end with it. */
export interface ReleaseListener {
  fileReleased(file: OpenFile): void;
}

export abstract class OpenFile implements Waitable, LockOwner {
  /** Where it was opened. Anonymous files (pipes, sockets, eventfd) have a path of their own making. */
  readonly path: Path;
  readonly inode: Inode;
  /** Access mode and status flags (O_*), without creation flags. */
  flags: number;
  /** Descriptors, messages and mappings that hold this description. */
  private refs = 1;
  /** Signals for F_SETOWN: a pid, a negative pgid, or 0. */
  owner = 0;
  ownerSignal = 0;
  /** Counted in the inode's writeCount (ETXTBSY); set by whoever opened it for writing. */
  deniesExecution = false;
  /** Made on first use; told once, when the last reference goes. */
  releaseListeners: Set<ReleaseListener> | null = null;
  /** As the owner of OFD locks and flock(2). */
  lockWait: LockOwner | null = null;

  constructor(path: Path, inode: Inode, flags: number) {
    this.path = pin(path);
    this.inode = inode;
    this.flags = flags;
  }

  get dentry(): Dentry {
    return this.path.dentry;
  }
  get readable(): boolean {
    return (this.flags & O_ACCMODE) !== O_WRONLY;
  }
  get writable(): boolean {
    return (this.flags & O_ACCMODE) !== O_RDONLY;
  }
  get nonblock(): boolean {
    return (this.flags & O_NONBLOCK) !== 0;
  }
  get append(): boolean {
    return (this.flags & O_APPEND) !== 0;
  }

  /** Null when the file is always ready. */
  get waitQueue(): WaitQueue | null {
    return null;
  }
  /** POLL* bits that hold now. */
  poll(): number {
    return ALWAYS_READY;
  }
  /** False for regular files and directories, which epoll_ctl(2) refuses with EPERM. */
  get pollable(): boolean {
    return this.waitQueue !== null;
  }

  /** How long read(2) and write(2) wait (SO_RCVTIMEO, SO_SNDTIMEO), nanoseconds. */
  get readTimeoutNs(): number {
    return Number.POSITIVE_INFINITY;
  }
  get writeTimeoutNs(): number {
    return Number.POSITIVE_INFINITY;
  }
  /** Whether write(2) raises SIGPIPE with -EPIPE: all but sockets for messages do. */
  get signalsBrokenPipe(): boolean {
    return true;
  }

  /**
   * Asked right after opening: -EAGAIN while open(2) itself must wait on `waitQueue`, as for a fifo
   * whose other end nobody holds; 0 or -errno otherwise.
   */
  openStatus(): number {
    return 0;
  }

  // I/O: bytes transferred (0 is end of file), -EAGAIN when it must wait, or -errno ------------

  read(_caller: FsCaller, _dst: IoBuffer): number {
    return -EINVAL;
  }
  write(_caller: FsCaller, _src: IoBuffer): number {
    return -EINVAL;
  }
  /** At `offset`, without moving the file offset. */
  pread(_caller: FsCaller, _dst: IoBuffer, _offset: number): number {
    return -ESPIPE;
  }
  pwrite(_caller: FsCaller, _src: IoBuffer, _offset: number): number {
    return -ESPIPE;
  }
  /** The new offset. */
  seek(_offset: number, _whence: number): number {
    return -ESPIPE;
  }
  /** Directory entries from the current position; calls `emit` until it returns false. */
  iterate(_emit: (entry: DirEntry, nextOffset: number) => boolean): number {
    return -20; // ENOTDIR
  }
  ioctl(_caller: FsCaller, _command: number, _argument: number): number {
    return -ENOTTY;
  }
  fsync(_dataOnly: boolean): number {
    return -EINVAL;
  }
  truncate(_length: number): number {
    return -EINVAL;
  }
  fallocate(_mode: number, _offset: number, _length: number): number {
    return -ENODEV;
  }
  /** What mmap(2) maps, or -errno. */
  mappable(): Mappable | number {
    return -ENODEV;
  }
  getattr(): Stat | number {
    return this.inode.getattr();
  }
  /** New status flags by F_SETFL (O_APPEND, O_NONBLOCK, O_ASYNC, O_DIRECT, O_NOATIME). */
  setStatusFlags(flags: number): number {
    this.flags = flags;
    return 0;
  }
  /** F_GETPIPE_SZ and F_SETPIPE_SZ: the capacity in bytes, or -EBADF for what is no pipe. */
  pipeSize(): number {
    return -EBADF;
  }
  setPipeSize(_caller: FsCaller, _size: number): number {
    return -EBADF;
  }
  /** Text after the path in /proc/PID/fdinfo beyond pos, flags and mnt_id. */
  fdinfo(): string {
    return '';
  }

  // Life ------------------------------------------------------------------------------------

  acquire(): this {
    if (this.refs <= 0) throw new Error('open file used after its release');
    this.refs++;
    return this;
  }
  /** How many hold it. */
  get references(): number {
    return this.refs;
  }
  /** Drops one reference; the last one ends the description. */
  close(): void {
    if (--this.refs > 0) return;
    if (this.refs < 0) throw new Error('open file closed twice');
    if (this.releaseListeners !== null) {
      for (const listener of [...this.releaseListeners]) listener.fileReleased(this);
    }
    this.inode.locks?.releaseOwner(this);
    if (this.deniesExecution) this.inode.writeCount--;
    notifyClose(this.dentry, this.writable);
    this.release();
    unpin(this.path);
  }
  /** Each close(2) of a descriptor calls this first. 0 or -errno for close to report. */
  flush(): number {
    return 0;
  }
  /** Ends the description: frees what it holds, wakes its peers. */
  protected release(): void {}
}

/** A file with an offset: reading and writing move it (regular files, block devices, /proc files). */
export abstract class SeekableFile extends OpenFile {
  offset = 0;

  /** Size for SEEK_END, or -errno. */
  protected abstract size(): number;

  override read(caller: FsCaller, dst: IoBuffer): number {
    const n = this.pread(caller, dst, this.offset);
    if (n > 0) this.offset += n;
    return n;
  }

  override write(caller: FsCaller, src: IoBuffer): number {
    if (this.append) {
      const end = this.size();
      if (end < 0) return end;
      this.offset = end;
    }
    const n = this.pwrite(caller, src, this.offset);
    if (n > 0) this.offset += n;
    return n;
  }

  override seek(offset: number, whence: number): number {
    let base: number;
    if (whence === SEEK_SET) base = 0;
    else if (whence === SEEK_CUR) base = this.offset;
    else if (whence === SEEK_END) base = this.size();
    else return this.seekSparse(offset, whence);
    if (base < 0) return base;
    const to = base + offset;
    if (to < 0 || to > MAX_OFFSET) return -EINVAL;
    this.offset = to;
    return to;
  }

  /** SEEK_DATA and SEEK_HOLE. */
  protected seekSparse(_offset: number, _whence: number): number {
    return -EINVAL;
  }
}

/** An open directory: lists a snapshot that is renewed when the offset returns to 0 (readdir(3)). */
export class DirectoryFile extends OpenFile {
  private entries: readonly DirEntry[] | null = null;
  private offset = 0;

  override get pollable(): boolean {
    return false;
  }

  override read(): number {
    return -EISDIR;
  }

  override seek(offset: number, whence: number): number {
    let to = offset;
    if (whence === SEEK_CUR) to += this.offset;
    else if (whence !== SEEK_SET) return -EINVAL;
    if (to < 0) return -EINVAL;
    if (to === 0) this.entries = null;
    this.offset = to;
    return to;
  }

  override fsync(): number {
    return 0;
  }

  override iterate(emit: (entry: DirEntry, nextOffset: number) => boolean): number {
    if (this.entries === null) {
      const listed = this.inode.readdir();
      if (typeof listed === 'number') return listed;
      const parent = this.dentry.parent.inode ?? this.inode;
      this.entries = [
        { name: '.', ino: this.inode.ino, type: 4 },
        { name: '..', ino: parent.ino, type: 4 },
        ...listed,
      ];
    }
    for (;;) {
      const entry = this.entries[this.offset];
      if (entry === undefined || !emit(entry, this.offset + 1)) return 0;
      this.offset++;
    }
  }
}

/** What O_PATH gives: a place in the tree and nothing else. */
export class PathFile extends OpenFile {
  constructor(path: Path, inode: Inode, flags: number) {
    super(path, inode, flags);
    inode.held();
  }

  override get readable(): boolean {
    return false;
  }
  override get writable(): boolean {
    return false;
  }
  override read(): number {
    return -EBADF;
  }
  override write(): number {
    return -EBADF;
  }
  override seek(): number {
    return -EBADF;
  }
  override ioctl(): number {
    return -EBADF;
  }
  override fallocate(): number {
    return -EOPNOTSUPP;
  }

  protected override release(): void {
    this.inode.dropped();
  }
}
