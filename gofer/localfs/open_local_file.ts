/**
 * Open host files and directories: what a fid becomes by Tlopen or Tlcreate.
 */
import * as fs from '../../native/fs.ts';
import { listDirectory } from '../../native/index.ts';
import { statxOf } from '../../native/stat.ts';
import { EISDIR, ENOLCK, ENOTDIR } from '../../spec/linux/errno.ts';
import { F_OFD_GETLK, F_OFD_SETLK, SEEK_SET } from '../../spec/linux/fcntl.ts';
import { LOCK_TYPE_UNLCK } from '../../spec/p9/constants.ts';
import type { DirectoryEntry, FileLock, OpenNode, OpenSocket } from '../server/backend.ts';
import { type InodeNumbers, qidTypeOfEntry } from './inode_numbers.ts';

/** The ends of lock ranges are signed 64-bit on the host; JavaScript is exact up to here. */
const MAX_LOCK_END = Number.MAX_SAFE_INTEGER;

/** Locks set since the last time all were let go: each is memory of the host's kernel. */
const MAX_LOCKS = 1024;
/** Directories that keep what the host last listed of them, up to 64 KiB each. */
const MAX_LISTINGS = 4;

export class OpenLocalFile implements OpenNode {
  private readonly fd: number;
  private locks = 0;

  /** Takes over `fd`. */
  constructor(fd: number) {
    this.fd = fd;
  }

  get donation(): number {
    return this.fd;
  }

  read(into: Uint8Array, offset: number): number {
    return fs.pread(this.fd, into, offset);
  }

  write(from: Uint8Array, offset: number): number {
    return fs.pwrite(this.fd, from, offset);
  }

  fsync(): number {
    return fs.fsync(this.fd);
  }

  /** Open file description locks: each open fid is an owner of its own, and no lock is ever waited for. */
  lock(type: number, start: number, length: number): number {
    const range = lockRange(type, start, length);
    const whole = type === LOCK_TYPE_UNLCK && range.start === 0 && range.length === 0;
    // Unlocking the middle of a range makes two of it, so it counts too.
    if (!whole && this.locks >= MAX_LOCKS) return -ENOLCK;
    this.locks = whole ? 0 : this.locks + 1;
    const held = fs.fcntlLock(this.fd, F_OFD_SETLK, range);
    return typeof held === 'number' ? held : 0;
  }

  getLock(type: number, start: number, length: number): FileLock | number {
    // The host has no question about unlocking; nobody ever stands in its way.
    if (type === LOCK_TYPE_UNLCK) return { type, start, length, pid: 0 };
    return fs.fcntlLock(this.fd, F_OFD_GETLK, lockRange(type, start, length));
  }

  entryAt(): number {
    return -ENOTDIR;
  }

  listInto(): number {
    return -ENOTDIR;
  }

  close(): void {
    fs.close(this.fd);
  }
}

/** 9P's lock types are numbered like F_RDLCK, F_WRLCK and F_UNLCK of fcntl(2) on x86. */
function lockRange(type: number, start: number, length: number) {
  const from = Math.min(start, MAX_LOCK_END);
  const toEnd = length > MAX_LOCK_END - from;
  return { type, whence: 0, start: from, length: toEnd ? 0 : length, pid: 0 };
}

/** The directories listed last, oldest first: the others forget their entries and start again. */
const listed: OpenLocalDirectory[] = [];

/** What `listDirectory` says beside its result. */
const listStatus = new Int32Array(1);

/**
 * An open directory: an array read front to back (going back starts it again), or listed to its end with
 * attributes. Nobody does both.
 */
export class OpenLocalDirectory implements OpenNode {
  private readonly fd: number;
  private readonly numbers: InodeNumbers;
  private device: { readonly major: number; readonly minor: number } | null = null;
  private chunk: readonly fs.DirectoryEntry[] = [];
  /** Index of the chunk's first entry. */
  private chunkStart = 0;

  /** Takes over `fd`. */
  constructor(fd: number, numbers: InodeNumbers) {
    this.fd = fd;
    this.numbers = numbers;
  }

  private ownDevice() {
    const s = statxOf(this.fd);
    if (typeof s === 'number') return { major: 0, minor: 0 };
    return { major: s.devMajor, minor: s.devMinor };
  }

  get donation(): number {
    return -1;
  }

  read(): number {
    return -EISDIR;
  }

  write(): number {
    return -EISDIR;
  }

  fsync(): number {
    return fs.fsync(this.fd);
  }

  lock(): number {
    return -EISDIR;
  }

  getLock(): number {
    return -EISDIR;
  }

  entryAt(index: number): DirectoryEntry | null | number {
    this.keepListing();
    if (index < this.chunkStart || index === 0) {
      const at = fs.lseek(this.fd, 0, SEEK_SET);
      if (at < 0) return at;
      this.chunk = [];
      this.chunkStart = 0;
    }
    while (index >= this.chunkStart + this.chunk.length) {
      const next = fs.getdents(this.fd);
      if (typeof next === 'number') return next;
      if (next.length === 0) return null;
      this.chunkStart += this.chunk.length;
      this.chunk = next;
    }
    const { name, type, ino } = this.chunk[index - this.chunkStart]!;
    this.device ??= this.ownDevice();
    const { major, minor } = this.device;
    const path = this.numbers.path(major, minor, ino % 2 ** 32, Math.floor(ino / 2 ** 32));
    return { name, type, qid: { type: qidTypeOfEntry(type), version: 0, path } };
  }

  private keepListing(): void {
    if (listed.at(-1) === this) return;
    this.leaveListed();
    listed.push(this);
    if (listed.length > MAX_LISTINGS) listed.shift()!.forgetListing();
  }

  private leaveListed(): void {
    const at = listed.indexOf(this);
    if (at >= 0) listed.splice(at, 1);
  }

  private forgetListing(): void {
    this.chunk = [];
    this.chunkStart = Infinity;
  }

  listInto(into: Uint8Array, status: { more: boolean }): number {
    const length = listDirectory(this.fd, into, this.numbers.table, listStatus);
    const result = listStatus[0] as number;
    status.more = result > 0;
    return result < 0 ? result : length;
  }

  close(): void {
    this.leaveListed();
    fs.close(this.fd);
  }
}

export class OpenLocalSocket implements OpenSocket {
  readonly fd: number;

  /** Takes over `fd`. */
  constructor(fd: number) {
    this.fd = fd;
  }

  close(): void {
    fs.close(this.fd);
  }
}
