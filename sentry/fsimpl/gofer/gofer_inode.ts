/**
 * What all gofer files have: a place in the tree, a fid when one is needed, attributes and extended
 * attributes. Symlinks, fifos, sockets and device nodes are nothing more than this.
 */

import { EACCES, EINVAL, ENODATA, ESTALE } from '../../../spec/linux/errno.ts';
import { S_IFIFO, S_IFSOCK } from '../../../spec/linux/stat.ts';
import type { P9Attr } from '../../../spec/p9/messages.ts';
import type { FsCaller } from '../../vfs/caller.ts';
import { notifyGone } from '../../vfs/fsnotify.ts';
import type { HostFifoSource } from '../../vfs/host_fifo.ts';
import type { HostSocket } from '../../vfs/host_socket.ts';
import { Inode } from '../../vfs/inode.ts';
import type { Path } from '../../vfs/mount.ts';
import type { OpenFile } from '../../vfs/open_file.ts';
import type { SetAttr, Stat } from '../../vfs/stat.ts';
import { deviceMajor, deviceMinor, setattrFields, statOf } from './attributes.ts';
import type { Opened } from './client.ts';
import type { GoferDirectory } from './gofer_directory.ts';
import type { GoferFileSystem } from './gofer_file_system.ts';
import { discard } from './host_files.ts';
import type { Walked } from './session.ts';

const TOO_FAR = 256;

export class GoferInode extends Inode implements HostFifoSource {
  declare readonly fs: GoferFileSystem;
  protected attr: P9Attr;
  /** Cached attributes are known to be out of date. */
  protected stale = false;
  /** When they were asked for, as the kernel counts. */
  private attrTurn: number;
  parent: GoferDirectory | null;
  name: string;
  private fidNumber = -1;
  private linkTarget: string | null = null;
  private xattrNames: readonly string[] | null = null;
  /** Open files made with O_PATH. */
  private holders = 0;

  constructor(fs: GoferFileSystem, attr: P9Attr, parent: GoferDirectory | null, name: string) {
    super(fs, attr.qid.path, attr.mode, attr.uid, attr.gid);
    this.attr = attr;
    this.attrTurn = fs.kernel.turn;
    this.parent = parent;
    this.name = name;
    this.rdevMajor = deviceMajor(attr.rdev);
    this.rdevMinor = deviceMinor(attr.rdev);
  }

  foundAt(parent: GoferDirectory | null, name: string): void {
    this.parent = parent;
    this.name = name;
  }

  /** Takes over attributes that are true now. */
  update(attr: P9Attr): void {
    this.attr = attr;
    this.mode = attr.mode;
    this.uid = attr.uid;
    this.gid = attr.gid;
    this.stale = false;
    this.attrTurn = this.fs.kernel.turn;
  }

  /** The cached attributes are not those of the file any more. */
  outdate(): void {
    this.stale = true;
  }

  get known(): P9Attr | null {
    return this.stale ? null : this.attr;
  }

  // Fids -------------------------------------------------------------------------------------

  adoptFid(fid: number): void {
    if (this.fidNumber >= 0) this.fs.client.clunk(fid);
    else this.fidNumber = fid;
    this.fs.holdsFid(this, this.fidNumber);
  }

  /** A fid of this file: walks to it from the nearest directory that has one. Or -errno. */
  fid(depth = 0): number {
    if (this.fidNumber >= 0) {
      this.fs.usesFid(this);
      return this.fidNumber;
    }
    if (this.parent === null || depth > TOO_FAR) return -ESTALE;
    const from = this.parent.fid(depth + 1);
    if (from < 0) return from;
    const w = this.fs.client.walkGetattr(from, [this.name]);
    return typeof w === 'number' ? w : this.arrived(w);
  }

  /** A walk to where this file was last seen: its fid if it is still there, or -errno. */
  protected arrived(w: Walked): number {
    if (w.error < 0) return w.error;
    if (w.attrs[0]!.qid.path !== this.ino) {
      this.fs.client.clunk(w.fid);
      return -ESTALE;
    }
    this.adoptFid(w.fid);
    this.leadsTo(w.target);
    return w.fid;
  }

  protected get hasFid(): boolean {
    return this.fidNumber >= 0;
  }

  holds(fid: number): boolean {
    return this.fidNumber === fid;
  }

  dropFid(): void {
    this.fs.releasedFid(this);
    this.fs.client.clunk(this.fidNumber);
    this.fidNumber = -1;
  }

  /** A file just made came opened; only regular files can use that. */
  adoptOpened(opened: Opened): void {
    discard(this.fs.client, opened);
  }

  // Attributes -------------------------------------------------------------------------------

  /** Whether the cached attributes may be shown. */
  protected get fresh(): boolean {
    if (this.stale) return false;
    // In a shared tree they serve the one system call in which they came.
    return this.fs.exclusive || this.attrTurn === this.fs.kernel.turn;
  }

  /**
   * In a shared tree, the directory was seen to still hold this file under its name: brings up to date what
   * the VFS goes by. False if that cannot be done.
   */
  stillThere(): boolean {
    // Nobody asks who may do what with a link, and its target is its own for ever.
    return this.isSymlink || this.fresh || this.refresh() === 0;
  }

  /** Brings the attributes up to date: 0 or -errno. */
  protected refresh(): number {
    const fid = this.fid();
    if (fid < 0) return fid;
    const attr = this.fs.client.getattr(fid);
    if (typeof attr === 'number') return attr;
    this.update(attr);
    return 0;
  }

  override getattr(): Stat | number {
    if (!this.fresh) {
      const r = this.refresh();
      // Without a name there is no way back to the file but a fid that was kept or what is open.
      if (r < 0 && !this.deleted) return r;
    }
    return statOf(this.attr, this.fs.devMajor, this.fs.devMinor);
  }

  override setattr(c: SetAttr): number {
    const fid = this.fid();
    if (fid < 0) return fid;
    const r = this.fs.client.setattr(setattrFields(fid, c));
    this.outdate();
    if (r < 0) return r;
    if (c.mode !== undefined) this.mode = (this.mode & ~0o7777) | (c.mode & 0o7777);
    if (c.uid !== undefined) this.uid = c.uid;
    if (c.gid !== undefined) this.gid = c.gid;
    return 0;
  }

  override open(_caller: FsCaller, _path: Path, _flags: number): OpenFile | number {
    return -EACCES; // The VFS opens special files by their type and never comes here.
  }

  /** A fifo is the VFS's own unless it may be one of the host. */
  override openSpecial(_caller: FsCaller, path: Path, flags: number): OpenFile | number | null {
    return this.type === S_IFIFO ? (this.fs.hostFifos?.open(this, path, flags) ?? null) : null;
  }

  openHostFifo(access: number): number {
    const fid = this.fid();
    return fid < 0 ? fid : this.fs.client.openFifo(fid, access);
  }

  override connectSocket(type: number): HostSocket | number | null {
    const { hostSockets } = this.fs;
    if (hostSockets?.connects !== true || this.type !== S_IFSOCK) return null;
    const fid = this.fid();
    if (fid < 0) return fid;
    const fd = this.fs.client.connect(fid, type);
    return fd < 0 ? fd : hostSockets.open(fd, type);
  }

  override readlink(): string | number {
    if (!this.isSymlink) return -EINVAL;
    // A link's target never changes: another target is another file.
    if (this.linkTarget !== null) return this.linkTarget;
    const fid = this.fid();
    if (fid < 0) return fid;
    // The walk may have told.
    if (this.linkTarget !== null) return this.linkTarget;
    const target = this.fs.client.readlink(fid);
    if (typeof target !== 'number') this.linkTarget = target;
    return target;
  }

  /** The gofer told where this link leads; nothing if it is empty. */
  leadsTo(target: string): void {
    if (target !== '' && this.isSymlink) this.linkTarget = target;
  }

  // Extended attributes ------------------------------------------------------------------------

  override listxattr(): readonly string[] | number {
    if (this.xattrNames !== null && this.fs.exclusive) return this.xattrNames;
    const fid = this.fid();
    if (fid < 0) return fid;
    const list = this.fs.client.getXattr(fid, '');
    if (typeof list === 'number') return list;
    let text = '';
    for (const byte of list) text += String.fromCharCode(byte);
    this.xattrNames = text.split('\0').filter((name) => name !== '');
    return this.xattrNames;
  }

  override getxattr(name: string): Uint8Array | number {
    if (this.fs.exclusive) {
      const names = this.listxattr();
      if (typeof names !== 'number' && !names.includes(name)) return -ENODATA;
    }
    const fid = this.fid();
    return fid < 0 ? fid : this.fs.client.getXattr(fid, name);
  }

  override setxattr(name: string, value: Uint8Array, flags: number): number {
    this.xattrNames = null;
    this.outdate();
    const fid = this.fid();
    return fid < 0 ? fid : this.fs.client.setXattr(fid, name, value, flags);
  }

  override removexattr(name: string): number {
    this.xattrNames = null;
    this.outdate();
    const fid = this.fid();
    return fid < 0 ? fid : this.fs.client.removeXattr(fid, name);
  }

  // Life ---------------------------------------------------------------------------------------

  override held(): void {
    this.holders++;
  }
  override dropped(): void {
    this.holders--;
  }

  /** A name is about to go: whoever has the file by O_PATH may open it through /proc/self/fd still. */
  keepReachable(): void {
    if (this.holders > 0) this.fid();
  }

  /** A name was added. */
  linked(): void {
    this.attr = { ...this.attr, nlink: this.attr.nlink + 1 };
    this.stale = true;
  }

  /** A name of this file is gone. */
  unlinked(): void {
    const last = this.isDirectory || this.attr.nlink <= 1;
    this.attr = { ...this.attr, nlink: last ? 0 : this.attr.nlink - 1 };
    this.stale = !last;
    if (last) this.fs.dropInode(this);
  }

  /** No name is left, as far as is known. */
  get deleted(): boolean {
    return this.attr.nlink === 0;
  }

  /** Whether something beside the name cache still refers to it. */
  protected get inUse(): boolean {
    return false;
  }

  override forget(): void {
    if (this.inUse || this.holders > 0 || this.parent === null) return;
    // Another dentry may refer to a file with several names.
    if (this.attr.nlink <= 1 || this.isDirectory) this.fs.dropInode(this);
    this.parent?.childForgotten(this);
    this.dropFid();
    if (this.deleted) notifyGone(this);
  }
}
