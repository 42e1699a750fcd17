/**
 * Regular files of a gofer. Where the gofer donates a host descriptor, reading and writing move
 * bytes straight between the host's page cache and the application's memory, and mmap(2) maps the
 * host file itself; there is no cache of pages here.
 */
import * as fs from '../../../native/fs.ts';
import { fstat } from '../../../native/stat.ts';
import { EFBIG, EINVAL, EIO, ENODEV, ENXIO } from '../../../spec/linux/errno.ts';
import {
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  O_ACCMODE,
  O_RDONLY,
} from '../../../spec/linux/fcntl.ts';
import { PAGE_SIZE } from '../../../spec/linux/mman.ts';
import type { P9Attr } from '../../../spec/p9/messages.ts';
import type { IoBuffer } from '../../mm/io_buffer.ts';
import { type Extent, type Mappable, type Mapper, MappingSet } from '../../mm/mappable.ts';
import type { FsCaller } from '../../vfs/caller.ts';
import { type Path, pathText } from '../../vfs/mount.ts';
import type { OpenFile } from '../../vfs/open_file.ts';
import type { SetAttr, Stat } from '../../vfs/stat.ts';
import { refreshed, statOf } from './attributes.ts';
import type { Opened } from './client.ts';
import type { GoferDirectory } from './gofer_directory.ts';
import { GoferFile } from './gofer_file.ts';
import type { GoferFileSystem } from './gofer_file_system.ts';
import { GoferInode } from './gofer_inode.ts';
import { HostFiles } from './host_files.ts';

/** Pieces of application memory that one host call takes. */
const SPANS = 64;
/** The largest piece that passes by 9P when there is no host descriptor. */
const COPY_SIZE = 128 * 1024;

export class GoferRegular extends GoferInode implements Mappable {
  private readonly files: HostFiles;
  private readonly mappings = new MappingSet();
  private openedAt: Path | null = null;

  constructor(fs: GoferFileSystem, attr: P9Attr, parent: GoferDirectory | null, name: string) {
    super(fs, attr, parent, name);
    this.files = new HostFiles(fs.client, fs.idle);
  }

  protected override get inUse(): boolean {
    return this.files.used;
  }

  override forget(): void {
    if (this.inUse) return;
    this.files.close();
    super.forget();
  }

  override adoptOpened(opened: Opened): void {
    this.files.adopt(opened);
  }

  override open(_caller: FsCaller, path: Path, flags: number): OpenFile | number {
    const write = (flags & O_ACCMODE) !== O_RDONLY;
    const r = this.files.acquire(write, () => this.fid());
    if (r < 0) return r;
    this.openedAt = path;
    return new GoferFile(path, this, flags);
  }

  /** An open file ends. */
  closed(): void {
    this.files.release();
    if (this.deleted) this.forget();
  }

  // Attributes -------------------------------------------------------------------------------

  protected override get fresh(): boolean {
    // Who holds it writable may change it at any time, by mmap(2) too.
    return super.fresh && (this.files.writable === null || !this.files.used);
  }

  protected override refresh(): number {
    const fd = this.files.readable?.hostFd ?? -1;
    if (fd < 0) return super.refresh();
    const s = fstat(fd);
    if (typeof s === 'number') return s;
    this.update(refreshed(this.attr, s));
    return 0;
  }

  override getattr(): Stat | number {
    const gone = this.deleted;
    const r = super.getattr();
    // Without a name there is no way back to the file but what is open.
    return typeof r === 'number' && gone ? statOf(this.attr, this.devMajor, this.devMinor) : r;
  }

  override setattr(c: SetAttr): number {
    if (c.size === undefined) return super.setattr(c);
    if (c.size > Number.MAX_SAFE_INTEGER) return -EFBIG;
    const fd = this.files.writable?.hostFd ?? -1;
    if (fd < 0) {
      const r = super.setattr(c);
      if (r === 0) this.cut(c.size);
      return r;
    }
    const r = fs.ftruncate(fd, c.size);
    this.outdate();
    if (r < 0) return r;
    this.cut(c.size);
    const { size: _, ...rest } = c;
    return Object.keys(rest).length === 0 ? 0 : super.setattr(rest);
  }

  /** The file ends at `size` now: mappings lose the pages behind. */
  private cut(size: number): void {
    if (this.mappings.empty) return;
    this.mappings.invalidate(this, Math.ceil(size / PAGE_SIZE) * PAGE_SIZE, Infinity, true);
  }

  /** The size just now, or -errno. */
  size(): number {
    if (this.fresh) return this.attr.size;
    const r = this.refresh();
    return r < 0 ? r : this.attr.size;
  }

  // Contents: bytes transferred or -errno ------------------------------------------------------

  readAt(dst: IoBuffer, offset: number): number {
    const file = this.files.readable;
    if (file === null) return -EIO;
    return this.transfer(dst, offset, (views, at) =>
      file.hostFd >= 0
        ? fs.preadv(file.hostFd, views, at)
        : this.readByFid(file.fid, views[0]!, at),
    );
  }

  writeAt(src: IoBuffer, offset: number): number {
    const file = this.files.writable;
    if (file === null) return -EIO;
    this.outdate();
    return this.transfer(src, offset, (views, at) =>
      file.hostFd >= 0
        ? fs.pwritev(file.hostFd, views, at)
        : this.fs.client.write(file.fid, views[0]!, at),
    );
  }

  private readByFid(fid: number, view: Uint8Array, offset: number): number {
    return this.fs.client.read(fid, view.subarray(0, COPY_SIZE), offset);
  }

  /** Moves bytes between `buffer` and the file by `move`, until one side ends. */
  private transfer(
    buffer: IoBuffer,
    offset: number,
    move: (views: readonly Uint8Array[], offset: number) => number,
  ): number {
    let total = 0;
    while (buffer.remaining > 0) {
      const plain = buffer.spans(SPANS);
      const one = plain.length === 0 ? buffer.peek() : null;
      const pieces = one === null ? plain : [one];
      if (pieces.length === 0) break;
      const views = pieces.map((s) => s.bytes.subarray(s.start, s.start + s.length));
      const wanted = pieces.reduce((sum, s) => sum + s.length, 0);
      const n = move(views, offset + total);
      if (n <= 0) return total > 0 ? total : n;
      // A piece of a mapped host file must be acknowledged; plain memory is passed over.
      if (one === null) buffer.skip(n);
      else buffer.advance(n);
      total += n;
      if (n < wanted && this.files.readable?.hostFd !== -1) break;
    }
    return total;
  }

  fsync(dataOnly: boolean): number {
    const file = this.files.readable;
    if (file === null) return 0;
    if (file.hostFd < 0) return this.fs.client.fsync(file.fid, dataOnly);
    return dataOnly ? fs.fdatasync(file.hostFd) : fs.fsync(file.hostFd);
  }

  override fallocate(mode: number, offset: number, length: number): number {
    const fd = this.files.writable?.hostFd ?? -1;
    if (fd < 0) return -ENODEV;
    const r = fs.fallocate(fd, mode, offset, length);
    this.outdate();
    return r;
  }

  /** lseek(2) with SEEK_DATA or SEEK_HOLE. */
  seekSparse(offset: number, whence: number): number {
    const fd = this.files.readable?.hostFd ?? -1;
    return fd < 0 ? -EINVAL : fs.lseek(fd, offset, whence);
  }

  // Mapping ------------------------------------------------------------------------------------

  get identity(): object {
    return this;
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
    return this.deleted ? `${text} (deleted)` : text;
  }

  get mappable(): boolean {
    return (this.files.readable?.hostFd ?? -1) >= 0;
  }

  translate(offset: number, length: number, write: boolean, into: Extent): number {
    const fd = (write ? this.files.writable : this.files.readable)?.hostFd ?? -1;
    if (fd < 0) return -EIO;
    const size = this.size();
    if (size < 0) return size;
    const end = Math.min(offset + length, Math.ceil(size / PAGE_SIZE) * PAGE_SIZE);
    if (offset >= end) return -ENXIO;
    into.fd = fd;
    into.offset = offset;
    into.length = end - offset;
    return 0;
  }

  addMapping(mapper: Mapper): void {
    // Mapping needs an open file, so this opens nothing: it keeps what is open.
    if (this.mappings.add(mapper)) this.files.acquire(false, () => -EIO);
  }

  removeMapping(mapper: Mapper): void {
    if (this.mappings.remove(mapper)) this.closed();
  }

  syncRange(): number {
    return this.fsync(true);
  }

  removeRange(offset: number, length: number): number {
    return this.fallocate(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length);
  }
}
