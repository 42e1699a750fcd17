/**
 * The overlay: a read-only tree below, everything that changes kept in memory above it (Linux's
 * overlayfs, Documentation/filesystems/overlayfs.rst). The container's root is one: gofer below.
 *
 * What differs from Linux, all to the better: attributes of every inode are the overlay's own from the
 * first look, so chmod, chown, link and rename copy nothing; directories of the lower tree can be
 * renamed; an inode stays the same object with the same number when its contents are copied up, so that
 * open files, locks and watches follow. Contents are copied at the first write. Whiteouts and opaque
 * directories are state of the directory inodes, not device nodes: nobody else sees the upper layer.
 *
 * Unless `lowerChanges` is set, the lower tree must not be changed by anybody while it serves here. With it
 * (--file-access=shared), whatever has not been changed above is asked for again below, name by name.
 */
import { OVERLAYFS_SUPER_MAGIC } from '../../../spec/linux/statfs.ts';
import type { Clock } from '../../base/clock.ts';
import type { PageQuota } from '../../mm/file_pages.ts';
import type { MemoryFile } from '../../mm/memory_file.ts';
import { FileSystem, type Inode } from '../../vfs/inode.ts';
import type { Stat, StatFs } from '../../vfs/stat.ts';
import { OverlayDirectory } from './overlay_directory.ts';
import type { OverlayInode } from './overlay_inode.ts';
import { wrapLower } from './wrap.ts';

/** Numbers of inodes that the lower tree does not have begin here, above any host's. */
const FIRST_UPPER_INO = 2 ** 40;
const PAGE = 4096;

export interface OverlayParts {
  readonly lower: FileSystem;
  readonly memory: MemoryFile;
  readonly clock: Clock;
  readonly devMajor: number;
  readonly devMinor: number;
  /** Bytes that files above may take; Infinity for no limit. */
  readonly sizeBytes: number;
  /** Others may change the lower tree meanwhile. */
  readonly lowerChanges?: boolean;
}

export class Overlay extends FileSystem implements PageQuota {
  readonly type = 'overlay';
  readonly root: OverlayDirectory;
  readonly lower: FileSystem;
  readonly memory: MemoryFile;
  readonly sizeBytes: number;
  readonly lowerChanges: boolean;
  usedBytes = 0;
  private lastIno = FIRST_UPPER_INO;
  /**
   * Lower files with several names, by lower inode number: all names lead to one inode. They stay
   * as long as the file system, which there are few enough of.
   */
  private readonly linked = new Map<number, OverlayInode>();

  constructor(parts: OverlayParts) {
    super(parts.clock, parts.devMajor, parts.devMinor);
    this.lower = parts.lower;
    this.memory = parts.memory;
    this.sizeBytes = parts.sizeBytes;
    this.lowerChanges = parts.lowerChanges ?? false;
    const attr = parts.lower.root.getattr();
    if (typeof attr === 'number') throw new Error(`the lower root cannot be read (${attr})`);
    this.root = new OverlayDirectory(this, attr.ino, attr, parts.lower.root);
  }

  nextIno(): number {
    return ++this.lastIno;
  }

  /** The overlay's inode for what `dir` has below under `name`, or -errno. */
  wrap(dir: OverlayDirectory, name: string, lower: Inode): OverlayInode | number {
    const attr = lower.getattr();
    if (typeof attr === 'number') return attr;
    if (lower.isDirectory || attr.nlink < 2) return this.newWrapper(dir, name, lower, attr);
    const known = this.linked.get(attr.ino);
    // Another file may have got the number of one that is gone.
    if (known !== undefined && (known.below === null || known.below === lower)) return known;
    const wrapper = this.newWrapper(dir, name, lower, attr);
    this.linked.set(attr.ino, wrapper);
    return wrapper;
  }

  private newWrapper(dir: OverlayDirectory, name: string, lower: Inode, attr: Stat): OverlayInode {
    const wrapper = wrapLower(this, lower, attr);
    wrapper.place.foundAt(dir, name);
    return wrapper;
  }

  override revalidate(dir: Inode, name: string, inode: Inode | null): boolean {
    if (!this.lowerChanges) return true;
    return (dir as OverlayDirectory).stillShows(name, inode as OverlayInode | null);
  }

  charge(bytes: number): boolean {
    if (this.usedBytes + bytes > this.sizeBytes) return false;
    this.usedBytes += bytes;
    return true;
  }
  uncharge(bytes: number): void {
    this.usedBytes -= bytes;
  }

  /** Room as df shows it: that of the layer above if it has a limit, else that of the tree below. */
  override statfs(): StatFs | number {
    const below = this.lower.statfs();
    if (typeof below === 'number') return below;
    if (this.sizeBytes === Infinity) return { ...below, type: OVERLAYFS_SUPER_MAGIC };
    const blocks = Math.floor(this.sizeBytes / PAGE);
    const free = Math.max(0, blocks - Math.ceil(this.usedBytes / PAGE));
    return {
      ...below,
      type: OVERLAYFS_SUPER_MAGIC,
      bsize: PAGE,
      blocks,
      bfree: free,
      bavail: free,
    };
  }

  override destroy(): void {
    this.root.destroyTree();
    this.lower.destroy();
  }
}
