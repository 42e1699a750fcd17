/**
 * What the kinds of overlay inodes have in common, and those kinds that have no contents: symlinks,
 * fifos, sockets, device nodes.
 */
import { ENOENT } from '../../../spec/linux/errno.ts';
import type { FsCaller } from '../../vfs/caller.ts';
import type { HostSocket } from '../../vfs/host_socket.ts';
import type { Inode } from '../../vfs/inode.ts';
import { MemoryInode } from '../../vfs/memory_inode.ts';
import type { Path } from '../../vfs/mount.ts';
import type { OpenFile } from '../../vfs/open_file.ts';
import type { Stat } from '../../vfs/stat.ts';
import type { Overlay } from './overlay.ts';
import { Placement } from './placement.ts';

/** Any inode of the overlay. */
export interface OverlayInode extends MemoryInode {
  readonly place: Placement;
  /** The inode of the lower tree that it still shows; null when it has nothing from there. */
  readonly below: Inode | null;
  /** The lower inode has these attributes now; called only where others may change it. */
  belowChanged(attr: Stat): void;
}

/** Takes over what others did to the lower file of an inode, as far as it is not changed here. */
export function refreshFromBelow(inode: OverlayInode): void {
  const attr = inode.below?.getattr();
  if (attr === undefined || typeof attr === 'number') return;
  inode.belowChanged(attr);
  if (inode.place.isHeld) return;
  inode.mode = attr.mode;
  inode.uid = attr.uid;
  inode.gid = attr.gid;
  adoptAttributes(inode, attr);
}

/** Takes over the attributes of a lower inode that the constructor does not. */
export function adoptAttributes(inode: MemoryInode, attr: Stat): void {
  inode.nlink = attr.nlink;
  inode.atime = attr.atime;
  inode.mtime = attr.mtime;
  inode.ctime = attr.ctime;
  inode.btime = attr.btime;
  inode.rdevMajor = attr.rdevMajor;
  inode.rdevMinor = attr.rdevMinor;
}

/** Symlinks and special files. */
export class OverlayNode extends MemoryInode {
  declare readonly fs: Overlay;
  readonly place = new Placement();
  private readonly lower: Inode | null;
  private readonly lowerSize: number;
  private target: string | null;

  constructor(
    fs: Overlay,
    ino: number,
    mode: number,
    uid: number,
    gid: number,
    target: string | null,
    lower: Inode | null = null,
    attr: Stat | null = null,
  ) {
    super(fs, ino, mode, uid, gid, attr?.ctime);
    this.lower = lower;
    this.lowerSize = attr?.size ?? 0;
    this.target = target;
    this.xattrSource = lower;
    if (attr !== null) adoptAttributes(this, attr);
  }

  override get size(): number {
    return this.target?.length ?? this.lowerSize;
  }

  get below(): Inode | null {
    return this.lower;
  }
  belowChanged(): void {
    // Another target is another symlink.
  }
  override getattr(): Stat | number {
    if (this.fs.lowerChanges) refreshFromBelow(this);
    return super.getattr();
  }

  override open(): OpenFile | number {
    return -ENOENT; // The VFS opens these by their type and never comes here.
  }

  override openSpecial(caller: FsCaller, path: Path, flags: number): OpenFile | number | null {
    return this.lower?.openSpecial(caller, path, flags) ?? null;
  }

  override connectSocket(type: number): HostSocket | number | null {
    return this.lower?.connectSocket(type) ?? null;
  }

  override readlink(): string | number {
    if (!this.isSymlink) return super.readlink();
    if (this.target !== null || this.lower === null) return this.target ?? '';
    const target = this.lower.readlink();
    if (typeof target === 'string') this.target = target;
    return target;
  }

  protected override changed(): void {
    this.place.hold(this);
  }

  override forget(): void {
    if (this.nlink === 0) {
      this.nlink = -1;
      this.ended();
    } else if (!this.place.isHeld) {
      this.lower?.forget();
    }
  }
}
