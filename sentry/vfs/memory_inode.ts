/**
 * MemoryInode: an inode whose attributes and extended attributes live in the Sentry's own objects, as
 * those of tmpfs, memfd and the overlay do (inode(7), xattr(7)).
 */
import { E2BIG, EEXIST, ENODATA, ENOSPC } from '../../spec/linux/errno.ts';
import { XATTR_LIST_MAX } from '../../spec/linux/fcntl.ts';
import { XATTR_CREATE, XATTR_REPLACE } from '../../spec/linux/xattr.ts';
import { notifyGone } from './fsnotify.ts';
import { type FileSystem, Inode } from './inode.ts';
import type { SetAttr, Stat, Timestamp } from './stat.ts';

const PERMISSIONS = 0o7777;
const BLOCK_SIZE = 4096;
/** Bytes of extended attributes one inode may hold; ext4's limit is a block. */
const XATTR_BYTES_MAX = 256 * 1024;
/**
 * And all of them together: they live in the Sentry's own heap, which no limit of a file system and no
 * MemoryFile bounds, and whose end is the sandbox's.
 */
const ALL_XATTR_BYTES_MAX = 32 * 1024 * 1024;
/** What one attribute takes beside its name and value. */
const XATTR_OVERHEAD = 64;

let allXattrBytes = 0;

export abstract class MemoryInode extends Inode {
  nlink = 1;
  atime: Timestamp;
  mtime: Timestamp;
  ctime: Timestamp;
  btime: Timestamp | null;
  private xattrs: Map<string, Uint8Array> | null = null;
  /** The share of `allXattrBytes` that is this inode's. */
  private xattrBytes = 0;
  /** The inode of a layer below that still has the extended attributes, until one is changed. */
  protected xattrSource: Inode | null = null;

  constructor(
    fs: FileSystem,
    ino: number,
    mode: number,
    uid: number,
    gid: number,
    now?: Timestamp,
  ) {
    super(fs, ino, mode, uid, gid);
    const born = now ?? fs.clock.realtime();
    this.atime = born;
    this.mtime = born;
    this.ctime = born;
    this.btime = born;
  }

  /** Bytes. */
  abstract get size(): number;
  /** In units of 512 bytes. */
  get blocks(): number {
    return 0;
  }

  override getattr(): Stat | number {
    return {
      devMajor: this.fs.devMajor,
      devMinor: this.fs.devMinor,
      ino: this.ino,
      mode: this.mode,
      nlink: this.nlink,
      uid: this.uid,
      gid: this.gid,
      rdevMajor: this.rdevMajor,
      rdevMinor: this.rdevMinor,
      size: this.size,
      blksize: BLOCK_SIZE,
      blocks: this.blocks,
      atime: this.atime,
      mtime: this.mtime,
      ctime: this.ctime,
      btime: this.btime,
    };
  }

  override setattr(attr: SetAttr): number {
    if (attr.size !== undefined) {
      const r = this.resize(attr.size);
      if (r < 0) return r;
    }
    const now = this.fs.clock.realtime();
    if (attr.mode !== undefined) this.mode = (this.mode & ~PERMISSIONS) | (attr.mode & PERMISSIONS);
    if (attr.uid !== undefined) this.uid = attr.uid;
    if (attr.gid !== undefined) this.gid = attr.gid;
    if (attr.atime !== undefined) this.atime = attr.atime;
    if (attr.mtime !== undefined) this.mtime = attr.mtime;
    else if (attr.size !== undefined) this.mtime = now;
    this.ctime = now;
    this.changed();
    return 0;
  }

  /** Sets the size of a regular file. */
  protected resize(_size: number): number {
    return 0;
  }

  /** Called after every change of the inode itself, for file systems that must remember it. */
  protected changed(): void {}

  /** The contents changed: for directories an entry, for files bytes. */
  touchModified(): void {
    const now = this.fs.clock.realtime();
    this.mtime = now;
    this.ctime = now;
    this.changed();
  }

  touchChanged(): void {
    this.ctime = this.fs.clock.realtime();
    this.changed();
  }

  // Extended attributes ----------------------------------------------------------------------

  /** The attributes for a change: what the layer below has is brought here first. */
  private ownXattrs(): Map<string, Uint8Array> | number {
    if (this.xattrs !== null) return this.xattrs;
    const own = new Map<string, Uint8Array>();
    const names = this.xattrSource?.listxattr() ?? [];
    if (typeof names === 'number') return names;
    for (const name of names) {
      const value = this.xattrSource?.getxattr(name) ?? -ENODATA;
      if (typeof value !== 'number') own.set(name, value);
      else if (value !== -ENODATA) return value;
    }
    this.xattrSource = null;
    this.xattrs = own;
    return own;
  }

  override getxattr(name: string): Uint8Array | number {
    if (this.xattrSource !== null) return this.xattrSource.getxattr(name);
    return this.xattrs?.get(name) ?? -ENODATA;
  }

  override setxattr(name: string, value: Uint8Array, flags: number): number {
    const own = this.ownXattrs();
    if (typeof own === 'number') return own;
    const present = own.has(name);
    if (present && (flags & XATTR_CREATE) !== 0) return -EEXIST;
    if (!present && (flags & XATTR_REPLACE) !== 0) return -ENODATA;
    let bytes = name.length + value.length;
    let names = name.length + 1;
    for (const [n, v] of own) {
      if (n === name) continue;
      bytes += n.length + v.length;
      names += n.length + 1;
    }
    if (bytes > XATTR_BYTES_MAX) return -ENOSPC;
    if (names > XATTR_LIST_MAX) return -E2BIG;
    const held = bytes + XATTR_OVERHEAD * (own.size + (present ? 0 : 1));
    if (allXattrBytes - this.xattrBytes + held > ALL_XATTR_BYTES_MAX) return -ENOSPC;
    own.set(name, value);
    this.accountXattrs(held);
    this.touchChanged();
    return 0;
  }

  override listxattr(): readonly string[] | number {
    if (this.xattrSource !== null) return this.xattrSource.listxattr();
    return this.xattrs === null ? [] : [...this.xattrs.keys()];
  }

  override removexattr(name: string): number {
    const own = this.ownXattrs();
    if (typeof own === 'number') return own;
    const value = own.get(name);
    if (value === undefined) return -ENODATA;
    own.delete(name);
    const freed = name.length + value.length + XATTR_OVERHEAD;
    this.accountXattrs(Math.max(0, this.xattrBytes - freed));
    this.touchChanged();
    return 0;
  }

  private accountXattrs(bytes: number): void {
    allXattrBytes += bytes - this.xattrBytes;
    this.xattrBytes = bytes;
  }

  /** The inode leaves memory, with its attributes. */
  protected dropXattrs(): void {
    this.accountXattrs(0);
    this.xattrs = null;
  }

  /** No name and no open file is left: it is gone for good. */
  protected ended(): void {
    this.dropXattrs();
    notifyGone(this);
  }
}
