/**
 * A regular file of the overlay. While nobody writes, reads and mappings go to the lower file; the first
 * write copies the contents up into the MemoryFile, and everybody who has it open or mapped follows.
 */
import { EIO } from '../../../spec/linux/errno.ts';
import { O_RDONLY } from '../../../spec/linux/fcntl.ts';
import { IoBuffer } from '../../mm/io_buffer.ts';
import {
  type Extent,
  IN_MEMORY_FILE,
  type Mappable,
  type Mapper,
  MappingSet,
} from '../../mm/mappable.ts';
import { pageCeil } from '../../mm/page.ts';
import type { FsCaller } from '../../vfs/caller.ts';
import { Dentry } from '../../vfs/dentry.ts';
import type { Inode } from '../../vfs/inode.ts';
import { MemoryRegular, type MemoryRegularFile } from '../../vfs/memory_regular.ts';
import { Mount, type Path } from '../../vfs/mount.ts';
import type { OpenFile } from '../../vfs/open_file.ts';
import type { Stat } from '../../vfs/stat.ts';
import type { Overlay } from './overlay.ts';
import { adoptAttributes, refreshFromBelow } from './overlay_inode.ts';
import { Placement } from './placement.ts';

/** Who opens and reads below: the overlay itself. Lower file systems do not ask. */
const OVERLAY_ITSELF = {} as FsCaller;

export class OverlayRegular extends MemoryRegular {
  declare readonly fs: Overlay;
  readonly place = new Placement();
  /** Where the contents are until they are copied up; null from then on. */
  private lower: Inode | null = null;
  private lowerAttr: Stat | null = null;
  private lowerFile: OpenFile | null = null;
  private mapping: OverlayMapping | null = null;

  constructor(fs: Overlay, ino: number, mode: number, uid: number, gid: number, attr?: Stat) {
    super(fs, ino, mode, uid, gid, fs.memory, fs, attr?.ctime);
  }

  static over(fs: Overlay, attr: Stat, lower: Inode): OverlayRegular {
    const inode = new OverlayRegular(fs, attr.ino, attr.mode, attr.uid, attr.gid, attr);
    inode.lower = lower;
    inode.lowerAttr = attr;
    inode.xattrSource = lower;
    adoptAttributes(inode, attr);
    return inode;
  }

  override get size(): number {
    return this.lowerAttr?.size ?? super.size;
  }
  override get blocks(): number {
    return this.lowerAttr?.blocks ?? super.blocks;
  }

  override get isConstant(): boolean {
    return this.lower !== null && !this.fs.lowerChanges;
  }

  get below(): Inode | null {
    return this.lower;
  }
  belowChanged(attr: Stat): void {
    this.lowerAttr = attr;
  }
  override getattr(): Stat | number {
    if (this.fs.lowerChanges) refreshFromBelow(this);
    return super.getattr();
  }

  protected override changed(): void {
    this.place.hold(this);
  }

  // The lower file ------------------------------------------------------------------------------

  /** Opens the lower file if it is not: it, or -errno. */
  private openBelow(): OpenFile | number {
    if (this.lowerFile !== null) return this.lowerFile;
    const { lower } = this;
    if (lower === null) return -EIO;
    // A place of its own, so that closing it tells nobody and pins nothing of ours.
    const root = new Dentry(null, '', lower);
    const path: Path = { mount: new Mount(0, lower.fs, root, '', 0), dentry: root };
    const file = lower.open(OVERLAY_ITSELF, path, O_RDONLY);
    if (typeof file !== 'number') this.lowerFile = file;
    return file;
  }

  private closeBelow(): void {
    this.lowerFile?.close();
    this.lowerFile = null;
  }

  /** What maps the lower file, for OverlayMapping: or -errno. Null once copied up. */
  lowerMappable(): Mappable | number | null {
    if (this.lower === null) return null;
    const file = this.openBelow();
    return typeof file === 'number' ? file : file.mappable();
  }

  override open(caller: FsCaller, path: Path, flags: number): MemoryRegularFile | number {
    if (this.lower !== null) {
      const file = this.openBelow();
      if (typeof file === 'number') return file;
    }
    return super.open(caller, path, flags);
  }

  override closed(): void {
    this.opens--;
    this.unused();
  }

  /** True when nobody has it open or mapped; the lower file is closed then. */
  unused(): boolean {
    if (this.opens > 0 || this.mapping?.inUse) return false;
    this.closeBelow();
    super.forget();
    return true;
  }

  /** Its name left the cache. What is as it was below can be found there again. */
  override forget(): void {
    if (this.unused() && this.nlink > 0 && !this.place.isHeld) this.lower?.forget();
  }

  // Copying up ------------------------------------------------------------------------------------

  /**
   * Brings the first `length` bytes of the contents into memory, where they are from now on: 0 or
   * -errno, after which nothing has changed.
   */
  copyUp(length = this.size): number {
    if (this.lower === null) return 0;
    const kept = Math.min(length, this.size);
    const r = kept === 0 ? 0 : this.copyContents(kept);
    if (r < 0) {
      this.pages.truncate(0);
      return r;
    }
    const { lower } = this;
    this.lower = null;
    this.lowerAttr = null;
    this.place.hold(this);
    this.mapping?.copiedUp();
    this.closeBelow();
    // Extended attributes may still be down there.
    if (this.xattrSource === null) lower.forget();
    return 0;
  }

  /** The host reads straight into the pages that the file will have. */
  private copyContents(length: number): number {
    const file = this.openBelow();
    if (typeof file === 'number') return file;
    const { pages } = this;
    const { memory } = this.fs;
    pages.truncate(length);
    const extent: Extent = { fd: IN_MEMORY_FILE, offset: 0, length: 0 };
    for (let at = 0; at < length; ) {
      const r = pages.translate(at, pageCeil(length - at), true, extent);
      if (r < 0) return r;
      const end = Math.min(at + extent.length, length);
      const buffer = IoBuffer.over(memory.bytes, extent.offset, extent.offset + (end - at));
      while (at < end) {
        const n = file.pread(OVERLAY_ITSELF, buffer, at);
        if (n <= 0) return n === 0 ? -EIO : n;
        at += n;
      }
    }
    return 0;
  }

  // Contents --------------------------------------------------------------------------------------

  override readAt(caller: FsCaller, dst: IoBuffer, offset: number): number {
    if (this.lower === null) return super.readAt(caller, dst, offset);
    const file = this.openBelow();
    return typeof file === 'number' ? file : file.pread(caller, dst, offset);
  }

  override writeAt(caller: FsCaller, src: IoBuffer, offset: number): number {
    const r = this.copyUp();
    return r < 0 ? r : super.writeAt(caller, src, offset);
  }

  protected override resize(size: number): number {
    const r = this.copyUp(size);
    return r < 0 ? r : super.resize(size);
  }

  override fallocate(mode: number, offset: number, length: number): number {
    const r = this.copyUp();
    return r < 0 ? r : super.fallocate(mode, offset, length);
  }

  override seekSparse(offset: number, whence: number): number {
    if (this.lower === null) return super.seekSparse(offset, whence);
    const file = this.openBelow();
    return typeof file === 'number' ? file : file.seek(offset, whence);
  }

  /** Files born above are mapped as what they are; those from below may change under a mapping. */
  override mappable(caller: FsCaller | null): Mappable | number {
    if (this.mapping !== null) return this.mapping;
    if (this.lower === null) return super.mappable(caller);
    const below = this.lowerMappable();
    if (typeof below === 'number') return below;
    this.mapping = new OverlayMapping(this);
    return this.mapping;
  }
}

/** What is mapped of a file that began below: the lower file's pages, then its own. */
class OverlayMapping implements Mappable, Mapper {
  readonly identity: object;
  private readonly inode: OverlayRegular;
  private readonly mappings = new MappingSet();
  /** Where this is registered as a mapper. */
  private source: Mappable | null = null;

  constructor(inode: OverlayRegular) {
    this.inode = inode;
    this.identity = inode;
  }

  get devMajor(): number {
    return this.inode.devMajor;
  }
  get devMinor(): number {
    return this.inode.devMinor;
  }
  get ino(): number {
    return this.inode.ino;
  }
  mapName(): string {
    return this.inode.mapName();
  }
  get inUse(): boolean {
    return !this.mappings.empty;
  }

  translate(offset: number, length: number, write: boolean, into: Extent): number {
    if (write) {
      const r = this.inode.copyUp();
      if (r < 0) return r;
    }
    const source = this.inode.lowerMappable() ?? this.inode.pages;
    return typeof source === 'number' ? source : source.translate(offset, length, write, into);
  }

  addMapping(mapper: Mapper): void {
    if (!this.mappings.add(mapper)) return;
    const source = this.inode.lowerMappable() ?? this.inode.pages;
    if (typeof source === 'number') return;
    this.source = source;
    source.addMapping(this);
  }

  removeMapping(mapper: Mapper): void {
    if (!this.mappings.remove(mapper)) return;
    this.source?.removeMapping(this);
    this.source = null;
    this.inode.unused();
  }

  /** The lower file's pages are replaced by the inode's own; private copies stay. */
  copiedUp(): void {
    if (this.source === null) return;
    this.source.removeMapping(this);
    this.source = this.inode.pages;
    this.source.addMapping(this);
    this.mappings.invalidate(this, 0, Infinity, false);
  }

  /** From the source: it was truncated or punched. */
  invalidate(_file: Mappable, start: number, end: number, evenPrivate: boolean): void {
    this.mappings.invalidate(this, start, end, evenPrivate);
  }

  written(): void {
    this.mappings.written(this);
  }

  syncRange(): number {
    return 0;
  }

  removeRange(offset: number, length: number): number {
    const r = this.inode.copyUp();
    return r < 0 ? r : this.inode.pages.removeRange(offset, length);
  }
}
