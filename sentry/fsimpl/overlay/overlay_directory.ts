/**
 * A directory of the overlay: the names of the lower directory, less those covered by whiteouts, plus its
 * own entries (new, moved here, or from below and changed since). Without a lower directory it is opaque.
 */
import { ENOENT, ENOTEMPTY } from '../../../spec/linux/errno.ts';
import { RENAME_EXCHANGE } from '../../../spec/linux/fcntl.ts';
import { S_IFDIR, S_IFLNK, S_IFMT, S_IFREG } from '../../../spec/linux/stat.ts';
import type { FsCaller } from '../../vfs/caller.ts';
import type { Inode, NewInode } from '../../vfs/inode.ts';
import { MemoryInode } from '../../vfs/memory_inode.ts';
import type { Path } from '../../vfs/mount.ts';
import { DirectoryFile, type OpenFile } from '../../vfs/open_file.ts';
import type { DirEntry, Stat } from '../../vfs/stat.ts';
import type { Overlay } from './overlay.ts';
import {
  adoptAttributes,
  type OverlayInode,
  OverlayNode,
  refreshFromBelow,
} from './overlay_inode.ts';
import { OverlayRegular } from './overlay_regular.ts';
import { Placement } from './placement.ts';

const NEW_SIZE = 4096;

export class OverlayDirectory extends MemoryInode {
  declare readonly fs: Overlay;
  readonly place = new Placement();
  private readonly lower: Inode | null;
  private readonly entries = new Map<string, OverlayInode>();
  /** Names of the lower directory that are not here any more. */
  private whiteouts: Set<string> | null = null;
  private ownSize: number;
  private gone = false;

  constructor(
    fs: Overlay,
    ino: number,
    attr: Stat | { readonly mode: number; readonly uid: number; readonly gid: number },
    lower: Inode | null,
  ) {
    super(fs, ino, attr.mode, attr.uid, attr.gid, 'ctime' in attr ? attr.ctime : undefined);
    this.lower = lower;
    this.xattrSource = lower;
    this.nlink = 2;
    this.ownSize = 'size' in attr ? attr.size : NEW_SIZE;
    if ('size' in attr) adoptAttributes(this, attr);
  }

  override get size(): number {
    return this.ownSize;
  }
  override get blocks(): number {
    return Math.ceil(this.ownSize / 512);
  }

  get below(): Inode | null {
    return this.lower;
  }
  belowChanged(attr: Stat): void {
    this.ownSize = attr.size;
  }
  override getattr(): Stat | number {
    if (this.fs.lowerChanges) refreshFromBelow(this);
    return super.getattr();
  }

  protected override changed(): void {
    this.place.hold(this);
  }

  override open(_caller: FsCaller, path: Path, flags: number): OpenFile {
    return new DirectoryFile(path, this, flags);
  }

  /** From Placement: a child from below changed. */
  keep(name: string, inode: OverlayInode): void {
    this.entries.set(name, inode);
  }

  // Looking ------------------------------------------------------------------------------------

  override lookup(name: string): Inode | number {
    const own = this.entries.get(name);
    if (own !== undefined) return own;
    if (this.lower === null || this.whiteouts?.has(name)) return -ENOENT;
    const found = this.lower.lookup(name);
    return typeof found === 'number' ? found : this.fs.wrap(this, name, found);
  }

  /** Where others change the lower tree: whether `name` still is `inode` (null: still is absent). */
  stillShows(name: string, inode: OverlayInode | null): boolean {
    const { lower } = this;
    if (lower === null || this.entries.has(name) || this.whiteouts?.has(name)) return true;
    const below = inode?.below ?? null;
    if (!lower.fs.revalidate(lower, name, below)) return false;
    if (inode !== null) refreshFromBelow(inode);
    return true;
  }

  /** Whether something below would show through under `name`. */
  private lowerHas(name: string): boolean {
    if (this.lower === null) return false;
    // An unreadable entry must be covered too.
    return this.lower.lookup(name) !== -ENOENT;
  }

  override readdir(): readonly DirEntry[] | number {
    const list: DirEntry[] = [];
    const below = this.lower?.readdir() ?? [];
    if (typeof below === 'number') return below;
    for (const entry of below) {
      if (this.entries.has(entry.name) || this.whiteouts?.has(entry.name)) continue;
      list.push(entry);
    }
    for (const [name, inode] of this.entries) {
      list.push({ name, ino: inode.ino, type: (inode.mode & S_IFMT) >> 12 });
    }
    return list;
  }

  private get isEmpty(): boolean {
    if (this.entries.size > 0) return false;
    const list = this.readdir();
    return typeof list !== 'number' && list.length === 0;
  }

  // Making -------------------------------------------------------------------------------------

  /** Puts `inode` under `name`; whatever is below stays covered by the entry. */
  private enter(name: string, inode: OverlayInode): void {
    this.entries.delete(name);
    this.entries.set(name, inode);
    inode.place.release();
    this.touchModified();
  }

  /** Takes the name away here and, by a whiteout, below. */
  private leave(name: string): void {
    this.entries.delete(name);
    if (this.lowerHas(name)) {
      this.whiteouts ??= new Set();
      this.whiteouts.add(name);
    }
    this.touchModified();
  }

  private newRegular(how: NewInode): OverlayRegular {
    const { fs } = this;
    return new OverlayRegular(fs, fs.nextIno(), S_IFREG | how.mode, how.uid, how.gid);
  }

  override create(name: string, how: NewInode): Inode | number {
    if (this.gone) return -ENOENT;
    const file = this.newRegular(how);
    this.enter(name, file);
    return file;
  }

  override tmpfile(how: NewInode): Inode | number {
    const file = this.newRegular(how);
    file.place.release();
    file.nlink = 0;
    return file;
  }

  override mkdir(name: string, how: NewInode): Inode | number {
    if (this.gone) return -ENOENT;
    const { fs } = this;
    const dir = new OverlayDirectory(fs, fs.nextIno(), { ...how, mode: S_IFDIR | how.mode }, null);
    this.nlink++;
    this.enter(name, dir);
    return dir;
  }

  private newNode(name: string, mode: number, how: NewInode, target: string): OverlayNode | number {
    if (this.gone) return -ENOENT;
    const { fs } = this;
    const node = new OverlayNode(fs, fs.nextIno(), mode, how.uid, how.gid, target);
    this.enter(name, node);
    return node;
  }

  override mknod(
    name: string,
    type: number,
    how: NewInode,
    major: number,
    minor: number,
  ): Inode | number {
    if (type === S_IFREG) return this.create(name, how);
    const node = this.newNode(name, type | how.mode, how, '');
    if (typeof node === 'number') return node;
    node.rdevMajor = major;
    node.rdevMinor = minor;
    return node;
  }

  override symlink(name: string, target: string, how: NewInode): Inode | number {
    return this.newNode(name, S_IFLNK | 0o777, how, target);
  }

  override link(name: string, target: Inode): number {
    if (this.gone) return -ENOENT;
    const inode = target as OverlayRegular | OverlayNode;
    inode.nlink++;
    // Keeps it where it was found too, or that name would lead to another inode.
    inode.touchChanged();
    this.enter(name, inode);
    return 0;
  }

  // Removing -----------------------------------------------------------------------------------

  override unlink(name: string, victim: Inode): number {
    const inode = victim as OverlayRegular | OverlayNode;
    inode.place.release();
    this.leave(name);
    inode.nlink--;
    inode.touchChanged();
    return 0;
  }

  override rmdir(name: string, victim: Inode): number {
    const dir = victim as OverlayDirectory;
    if (!dir.isEmpty) return -ENOTEMPTY;
    dir.unnamed();
    this.leave(name);
    this.nlink--;
    return 0;
  }

  private unnamed(): void {
    this.place.release();
    this.gone = true;
    this.nlink = 0;
    this.touchChanged();
  }

  override forget(): void {
    if (this.gone) {
      if (this.nlink !== 0) return;
      this.nlink = -1;
      this.ended();
    } else if (!this.place.isHeld) {
      this.lower?.forget();
    }
  }

  override rename(
    oldName: string,
    source: Inode,
    newDir: Inode,
    newName: string,
    victim: Inode | null,
    flags: number,
  ): number {
    const to = newDir as OverlayDirectory;
    const moved = source as OverlayInode;
    if (to.gone) return -ENOENT;
    if ((flags & RENAME_EXCHANGE) !== 0) {
      this.exchange(oldName, moved, to, newName, victim as OverlayInode);
      return 0;
    }
    if (victim instanceof OverlayDirectory) {
      if (!victim.isEmpty) return -ENOTEMPTY;
      victim.unnamed();
      to.nlink--;
    } else if (victim !== null) {
      const replaced = victim as OverlayInode;
      replaced.place.release();
      replaced.nlink--;
      replaced.touchChanged();
    }
    this.leave(oldName);
    to.enter(newName, moved);
    if (moved.isDirectory && to !== this) {
      this.nlink--;
      to.nlink++;
    }
    moved.touchChanged();
    return 0;
  }

  private exchange(
    oldName: string,
    a: OverlayInode,
    to: OverlayDirectory,
    newName: string,
    b: OverlayInode,
  ): void {
    this.enter(oldName, b);
    to.enter(newName, a);
    const delta = (b.isDirectory ? 1 : 0) - (a.isDirectory ? 1 : 0);
    this.nlink += delta;
    to.nlink -= delta;
    a.touchChanged();
    b.touchChanged();
  }

  /** The file system was unmounted for good. */
  destroyTree(): void {
    const pending: OverlayDirectory[] = [this];
    for (let dir = pending.pop(); dir !== undefined; dir = pending.pop()) {
      for (const inode of dir.entries.values()) {
        if (inode instanceof OverlayDirectory) pending.push(inode);
        else {
          inode.nlink = 0;
          inode.forget();
        }
      }
      dir.entries.clear();
      dir.dropXattrs();
    }
  }
}
