/**
 * Regular files of a gofer. Where the gofer donates a host descriptor, reading and writing move
 * bytes straight between the host's page cache and the application's memory, and mmap(2) maps the
 * host file itself; there is no cache of pages here.
 */
import * as fs from '../../../native/fs.ts';
import { fstat, type Stat as HostStat } from '../../../native/stat.ts';
import {
  EFBIG,
  EINVAL,
  EIO,
  ENODEV,
  ENXIO,
  EOPNOTSUPP,
  ESTALE,
} from '../../../spec/linux/errno.ts';
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
import type { SetAttr } from '../../vfs/stat.ts';
import { refreshed } from './attributes.ts';
import type { Opened } from './client.ts';
import type { GoferDirectory } from './gofer_directory.ts';
import { GoferFile } from './gofer_file.ts';
import type { GoferFileSystem } from './gofer_file_system.ts';
import { GoferInode } from './gofer_inode.ts';
import { discard, HostFiles } from './host_files.ts';

/** Pieces of application memory that one host call takes. */
const SPANS = 64;

/** No slower is the clock of ctime on a host whose file systems we know, and on any. */
const TICK_SEC = 0.02;
const UNKNOWN_TICK_SEC = 3;

const READ = 0;
const WRITE = 1;
const APPEND = 2;
type Direction = typeof READ | typeof WRITE | typeof APPEND;

function moveMany(
  fd: number,
  views: readonly Uint8Array[],
  offset: number,
  how: Direction,
): number {
  if (how === READ) return fs.preadv(fd, views, offset);
  return how === WRITE ? fs.pwritev(fd, views, offset) : fs.appendv(fd, views);
}

export class GoferRegular extends GoferInode implements Mappable {
  /** Made when it is first opened or mapped: most files of a tree never are. */
  private opened: HostFiles | null = null;
  private mappings: MappingSet | null = null;
  private openedAt: Path | null = null;
  /** The owner in `attr` is that of a file with its ctime. Only in shared trees. */
  private ownerSure = false;

  constructor(fs: GoferFileSystem, attr: P9Attr, parent: GoferDirectory | null, name: string) {
    super(fs, attr, parent, name);
    this.ownerSure = this.isSettled(attr);
  }

  private get files(): HostFiles {
    this.opened ??= new HostFiles(this.fs.client, this.fs.idle);
    return this.opened;
  }

  protected override get inUse(): boolean {
    return this.opened?.used ?? false;
  }

  override forget(): void {
    if (this.inUse) return;
    this.opened?.close();
    super.forget();
  }

  override adoptOpened(opened: Opened): void {
    this.files.adopt(opened);
  }

  override open(_caller: FsCaller, path: Path, flags: number): OpenFile | number {
    const write = (flags & O_ACCMODE) !== O_RDONLY;
    const r = this.files.acquire(write, (how) => this.openForm(how));
    if (r < 0) return r;
    this.openedAt = path;
    return new GoferFile(path, this, flags);
  }

  /** Opens the file anew with P9_* flags: by its name, in one message, or else by a fid that it has. */
  private openForm(flags: number): Opened | number {
    const { client } = this.fs;
    if (this.parent !== null && !this.deleted) {
      const from = this.parent.fid();
      const r = from < 0 ? from : client.openAt(from, this.name, flags);
      if (typeof r !== 'number') {
        if (r.ino === this.ino) return r.opened;
        discard(client, r.opened);
        if (!this.hasFid) return -ESTALE;
      } else if (r !== -EOPNOTSUPP && !this.hasFid) return r;
    }
    const fid = this.fid();
    return fid < 0 ? fid : client.open(fid, flags);
  }

  /** An open file ends. */
  closed(): void {
    this.files.release();
    if (this.deleted) this.forget();
  }

  // Attributes -------------------------------------------------------------------------------

  protected override get fresh(): boolean {
    if (!super.fresh || !this.fs.exclusive) return super.fresh;
    // Who holds it writable may change it at any time, by mmap(2) too.
    return !this.inUse || this.files.writable === null;
  }

  protected override refresh(): number {
    const fd = this.attributesFd();
    if (fd < 0) return super.refresh();
    const s = fstat(fd);
    if (typeof s === 'number') return s;
    if (!this.fs.exclusive && !this.keepsOwner(s)) return super.refresh();
    // In an exclusive tree only setattr changes the owner, and says so here.
    const { uid, gid } = this;
    this.update({ ...refreshed(this.attr, s), uid, gid });
    return 0;
  }

  /** Whether the file, which has status `s` now, still has the owner that the gofer told. */
  private keepsOwner(s: HostStat): boolean {
    const { ctimeSec, ctimeNsec } = this.attr;
    return this.ownerSure && s.ctimeSec === ctimeSec && s.ctimeNsec === ctimeNsec;
  }

  /** A descriptor to ask the host for attributes by, or -1. */
  private attributesFd(): number {
    const fd = this.opened?.attributesFd ?? -1;
    if (fd >= 0 || this.fs.exclusive || !this.fs.idle.hasRoom) return fd;
    const fid = this.fid();
    const looking = fid < 0 ? fid : this.fs.client.look(fid);
    if (looking >= 0) this.files.look(looking);
    return looking;
  }

  /** Takes over attributes, from the gofer or with the owner that it told. */
  override update(attr: P9Attr): void {
    const { mode, uid, gid, ctimeSec, ctimeNsec } = this.attr;
    const unchanged = attr.ctimeSec === ctimeSec && attr.ctimeNsec === ctimeNsec;
    const others = attr.mode !== mode || attr.uid !== uid || attr.gid !== gid;
    // Whether the gofer may still open it is for the host to say.
    if (others && !this.fs.exclusive && !this.inUse) this.opened?.close();
    super.update(attr);
    this.ownerSure = this.ownerSure && unchanged ? true : this.isSettled(attr);
  }

  /** Whether any change of the file after `attr` was told will show in its ctime, whose clock ticks. */
  private isSettled(attr: P9Attr): boolean {
    if (this.fs.exclusive) return false;
    const { sec, nsec } = this.fs.clock.realtime();
    const age = sec - attr.ctimeSec + (nsec - attr.ctimeNsec) / 1e9;
    return age > ((this.parent?.wd ?? -1) >= 0 ? TICK_SEC : UNKNOWN_TICK_SEC);
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
    if (this.mappings === null || this.mappings.empty) return;
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
    return file === null ? -EIO : this.transfer(file, dst, offset, READ);
  }

  writeAt(src: IoBuffer, offset: number): number {
    const file = this.files.writable;
    if (file === null) return -EIO;
    this.outdate();
    const n = this.transfer(file, src, offset, WRITE);
    this.mappings?.written(this);
    return n;
  }

  /** Writes behind the end, wherever others may have moved it meanwhile. */
  append(src: IoBuffer): number {
    const file = this.files.writable;
    if (file === null) return -EIO;
    this.outdate();
    if (file.hostFd >= 0) return this.transfer(file, src, 0, APPEND);
    const end = this.size();
    return end < 0 ? end : this.transfer(file, src, end, WRITE);
  }

  /** Moves bytes between `buffer` and the file until one side ends. */
  private transfer(file: Opened, buffer: IoBuffer, offset: number, how: Direction): number {
    let total = 0;
    while (buffer.remaining > 0) {
      const first = buffer.peek();
      if (first === null) break;
      const whole = first.length === buffer.remaining || file.hostFd < 0;
      const pieces = whole ? [] : buffer.spans(SPANS);
      // One piece: the usual case, and the only one for pieces that must be acknowledged.
      if (pieces.length <= 1) {
        const view = first.bytes.subarray(first.start, first.start + first.length);
        const n = this.moveOne(file, view, offset + total, how);
        if (n <= 0) return total > 0 ? total : n;
        total += n;
        const short = n < first.length && file.hostFd >= 0;
        buffer.advance(n);
        if (short) break;
        continue;
      }
      const views = pieces.map((s) => s.bytes.subarray(s.start, s.start + s.length));
      const n = moveMany(file.hostFd, views, offset + total, how);
      if (n <= 0) return total > 0 ? total : n;
      total += n;
      buffer.skip(n);
      if (n < pieces.reduce((sum, s) => sum + s.length, 0)) break;
    }
    return total;
  }

  private moveOne(file: Opened, view: Uint8Array, offset: number, how: Direction): number {
    const { client } = this.fs;
    if (file.hostFd < 0) {
      if (how === READ) return client.read(file.fid, view, offset);
      return client.write(file.fid, view, offset);
    }
    if (how === READ) return fs.pread(file.hostFd, view, offset);
    if (how === WRITE) return fs.pwrite(file.hostFd, view, offset);
    return fs.appendv(file.hostFd, [view]);
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
    this.mappings ??= new MappingSet();
    if (this.mappings.add(mapper)) this.files.acquire(false, () => -EIO);
  }

  removeMapping(mapper: Mapper): void {
    if (this.mappings?.remove(mapper)) this.closed();
  }

  syncRange(): number {
    return this.fsync(true);
  }

  removeRange(offset: number, length: number): number {
    return this.fallocate(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length);
  }
}
