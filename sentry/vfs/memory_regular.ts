/**
 * Regular files whose bytes live in the MemoryFile (tmpfs, memfd, files of the overlay once written),
 * and their open files. Reading and writing copy from and to the pages that mmap(2) maps.
 */
import { EFBIG, EINVAL, EISDIR, ENXIO, EOPNOTSUPP, EPERM } from '../../spec/linux/errno.ts';
import {
  F_SEAL_FUTURE_WRITE,
  F_SEAL_GROW,
  F_SEAL_SHRINK,
  F_SEAL_WRITE,
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  FALLOC_FL_ZERO_RANGE,
  O_NOATIME,
  SEEK_DATA,
  SEEK_HOLE,
} from '../../spec/linux/fcntl.ts';
import { MS_NOATIME, MS_STRICTATIME } from '../../spec/linux/mount.ts';
import { SIGXFSZ } from '../../spec/linux/signal.ts';
import { type FileIdentity, FilePages, type PageQuota } from '../mm/file_pages.ts';
import type { IoBuffer } from '../mm/io_buffer.ts';
import type { Mappable } from '../mm/mappable.ts';
import type { MemoryFile } from '../mm/memory_file.ts';
import type { FsCaller } from './caller.ts';
import type { FileSystem } from './inode.ts';
import { MemoryInode } from './memory_inode.ts';
import { type Path, pathText } from './mount.ts';
import { SeekableFile } from './open_file.ts';
import type { Timestamp } from './stat.ts';

/** Linux's s_maxbytes, kept to what a Number holds exactly. */
export const MAX_FILE_SIZE = Number.MAX_SAFE_INTEGER - 4096;
const SECONDS_PER_DAY = 86400;

export class MemoryRegular extends MemoryInode implements FileIdentity {
  private readonly memory: MemoryFile;
  private readonly quota: PageQuota | null;
  private contents: FilePages | null = null;
  /** F_SEAL_* bits, or -1 where the file system has no seals. */
  seals = -1;
  /** Made by O_TMPFILE without O_EXCL: may still get its first name. */
  linkable = false;
  protected opens = 0;
  private released = false;
  /** Where it was last opened, for /proc/PID/maps. */
  private openedAt: Path | null = null;

  constructor(
    fs: FileSystem,
    ino: number,
    mode: number,
    uid: number,
    gid: number,
    memory: MemoryFile,
    quota: PageQuota | null,
    now?: Timestamp,
  ) {
    super(fs, ino, mode, uid, gid, now);
    this.memory = memory;
    this.quota = quota;
  }

  get pages(): FilePages {
    this.contents ??= new FilePages(this.memory, this, this.quota);
    return this.contents;
  }

  get devMajor(): number {
    return this.fs.devMajor;
  }
  get devMinor(): number {
    return this.fs.devMinor;
  }
  mapName(): string {
    if (this.openedAt === null) return '';
    const text = pathText(this.openedAt);
    return this.nlink === 0 ? `${text} (deleted)` : text;
  }

  override get size(): number {
    return this.contents?.size ?? 0;
  }
  override get blocks(): number {
    return (this.contents?.allocatedBytes ?? 0) / 512;
  }

  override open(_caller: FsCaller, path: Path, flags: number): MemoryRegularFile | number {
    this.openedAt = path;
    this.opens++;
    return new MemoryRegularFile(path, this, flags);
  }

  /** From the open file, when it ends. */
  closed(): void {
    this.opens--;
    this.forget();
  }

  override held(): void {
    this.opens++;
  }
  override dropped(): void {
    this.closed();
  }

  /** Gives the pages back once no name and no open file is left. */
  override forget(): void {
    if (this.nlink > 0 || this.opens > 0 || this.released) return;
    this.released = true;
    this.contents?.release();
    this.ended();
    this.destroyed();
  }

  /** For file systems that count inodes. */
  protected destroyed(): void {}

  // Contents: bytes transferred or -errno ------------------------------------------------------

  readAt(_caller: FsCaller, dst: IoBuffer, offset: number): number {
    return this.pages.read(dst, offset);
  }

  writeAt(_caller: FsCaller, src: IoBuffer, offset: number): number {
    if (this.seals > 0) {
      if ((this.seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)) !== 0) return -EPERM;
      const grows = offset + src.remaining > this.size;
      if ((this.seals & F_SEAL_GROW) !== 0 && grows) return -EPERM;
    }
    const n = this.pages.write(src, offset);
    if (n > 0) this.touchModified();
    return n;
  }

  protected override resize(size: number): number {
    if (size > MAX_FILE_SIZE) return -EFBIG;
    if (this.seals > 0) {
      if ((this.seals & F_SEAL_SHRINK) !== 0 && size < this.size) return -EPERM;
      if ((this.seals & F_SEAL_GROW) !== 0 && size > this.size) return -EPERM;
    }
    this.pages.truncate(size);
    return 0;
  }

  override fallocate(mode: number, offset: number, length: number): number {
    const known = FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE;
    if ((mode & ~known) !== 0) return -EOPNOTSUPP;
    const end = offset + length;
    if (end > MAX_FILE_SIZE) return -EFBIG;
    const zeroes = (mode & FALLOC_FL_ZERO_RANGE) !== 0;
    const punches = (mode & FALLOC_FL_PUNCH_HOLE) !== 0;
    if (punches && (zeroes || (mode & FALLOC_FL_KEEP_SIZE) === 0)) return -EOPNOTSUPP;
    if (this.seals > 0) {
      const writes = (this.seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)) !== 0;
      if (writes && (punches || zeroes)) return -EPERM;
      const grows = (mode & FALLOC_FL_KEEP_SIZE) === 0 && end > this.size;
      if ((this.seals & F_SEAL_GROW) !== 0 && grows) return -EPERM;
    }
    if (punches || zeroes) this.pages.punchHole(offset, length);
    if (!punches) {
      const r = this.pages.allocate(offset, length);
      if (r < 0) return r;
      if ((mode & FALLOC_FL_KEEP_SIZE) === 0 && end > this.size) this.pages.truncate(end);
    }
    this.touchModified();
    return 0;
  }

  /** SEEK_DATA or SEEK_HOLE; -ENXIO. */
  seekSparse(offset: number, whence: number): number {
    return whence === SEEK_DATA ? this.pages.nextData(offset) : this.pages.nextHole(offset);
  }

  mappable(_caller: FsCaller | null): Mappable | number {
    return this.pages;
  }
}

export class MemoryRegularFile extends SeekableFile {
  declare readonly inode: MemoryRegular;
  private atimeSettled = false;

  override get pollable(): boolean {
    return false;
  }
  protected override size(): number {
    return this.inode.size;
  }

  override pread(caller: FsCaller, dst: IoBuffer, offset: number): number {
    const n = this.inode.readAt(caller, dst, offset);
    if (n > 0) this.touchAccessed();
    return n;
  }

  override pwrite(caller: FsCaller, src: IoBuffer, offset: number): number {
    const limit = Math.min(caller.fileSizeLimit, MAX_FILE_SIZE);
    if (src.remaining === 0) return 0;
    if (offset >= limit) {
      if (limit !== MAX_FILE_SIZE) caller.raise(SIGXFSZ);
      return -EFBIG;
    }
    const fits = offset + src.remaining <= limit;
    return this.inode.writeAt(caller, fits ? src : src.take(limit - offset), offset);
  }

  protected override seekSparse(offset: number, whence: number): number {
    if (whence !== SEEK_DATA && whence !== SEEK_HOLE) return -EINVAL;
    if (offset < 0) return -ENXIO;
    const to = this.inode.seekSparse(offset, whence);
    if (to >= 0) this.offset = to;
    return to;
  }

  override fsync(): number {
    return 0;
  }
  override truncate(length: number): number {
    return this.inode.setattr({ size: length });
  }
  override fallocate(mode: number, offset: number, length: number): number {
    return this.inode.isDirectory ? -EISDIR : this.inode.fallocate(mode, offset, length);
  }
  override mappable(): Mappable | number {
    return this.inode.mappable(null);
  }
  protected override release(): void {
    this.inode.closed();
  }

  /** Relative atime: only when the file changed since, or once a day; asked again after a write. */
  private touchAccessed(): void {
    const { inode } = this;
    const { atime, mtime, ctime } = inode;
    const strict = (this.path.mount.flags & MS_STRICTATIME) !== 0;
    if (!strict && this.atimeSettled && later(atime, mtime) && later(atime, ctime)) return;
    if ((this.flags & O_NOATIME) !== 0 || (this.path.mount.flags & MS_NOATIME) !== 0) return;
    if (this.path.mount.readonly) return;
    this.atimeSettled = true;
    const now = inode.fs.clock.realtime();
    const fresh = later(atime, mtime) && later(atime, ctime);
    if (strict || !fresh || now.sec - atime.sec >= SECONDS_PER_DAY) inode.atime = now;
  }
}

function later(a: Timestamp, b: Timestamp): boolean {
  return a.sec > b.sec || (a.sec === b.sec && a.nsec > b.nsec);
}
