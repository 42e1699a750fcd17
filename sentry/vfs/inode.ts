/**
 * Inodes and file systems: the contract every fsimpl/<fs> fulfils.
 *
 * The VFS checks permissions, name lengths, read-only mounts and types before it calls an operation;
 * an operation does its one thing and returns an object or 0, or -errno. The defaults say what Linux
 * says when a file system lacks the operation. Names are byte strings (one char per byte, 0-255).
 * See inode(7), path_resolution(7) and Linux's Documentation/filesystems/vfs.rst.
 */
import {
  EINVAL,
  EISDIR,
  ENODATA,
  ENODEV,
  ENOTDIR,
  EOPNOTSUPP,
  EPERM,
} from '../../spec/linux/errno.ts';
import { S_IFDIR, S_IFLNK, S_IFMT, S_IFREG } from '../../spec/linux/stat.ts';
import type { Clock } from '../base/clock.ts';
import type { FsCaller } from './caller.ts';
import type { FileLocks } from './file_lock.ts';
import type { WatchList } from './fsnotify.ts';
import type { HostSocket } from './host_socket.ts';
import type { Path } from './mount.ts';
import type { OpenFile } from './open_file.ts';
import type { DirEntry, SetAttr, Stat, StatFs } from './stat.ts';

/** A mounted file system instance (Linux's super_block). */
export abstract class FileSystem {
  /** As /proc/mounts and /proc/filesystems name it. */
  abstract readonly type: string;
  abstract readonly root: Inode;
  readonly clock: Clock;
  /** st_dev of its files. */
  readonly devMajor: number;
  readonly devMinor: number;

  constructor(clock: Clock, devMajor: number, devMinor: number) {
    this.clock = clock;
    this.devMajor = devMajor;
    this.devMinor = devMinor;
  }

  abstract statfs(): StatFs | number;

  /**
   * Whether a cached dentry (`inode` null: a cached absence of `name` in `dir`) may be used without
   * asking again. True for file systems that nobody but this kernel changes.
   */
  revalidate(_dir: Inode, _name: string, _inode: Inode | null): boolean {
    return true;
  }

  /** Options shown in /proc/mounts after the mount flags, such as 'size=65536k'. */
  get options(): string {
    return '';
  }

  /** mount(2) with MS_REMOUNT: `data` are the options that change. 0 or -errno. */
  remount(_caller: FsCaller, _data: string): number {
    return 0;
  }

  sync(): number {
    return 0;
  }

  /** Called when the last mount goes. */
  destroy(): void {}
}

/** Who owns a new file and how it may be used; the caller's umask is already applied. */
export interface NewInode {
  /** Permission bits (07777), without the file type. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

/** A socket bound on the host, and its name's inode. */
export interface BoundSocket {
  readonly inode: Inode;
  readonly socket: HostSocket;
}

export abstract class Inode {
  readonly fs: FileSystem;
  ino: number;
  /** S_IF* | permission bits. Kept current by the file system: the VFS reads it for every check. */
  mode: number;
  uid: number;
  gid: number;
  /** Device numbers when this is a device node. */
  rdevMajor = 0;
  rdevMinor = 0;
  /** POSIX, flock and OFD locks; made on first use. */
  locks: FileLocks | null = null;
  /** inotify watches; made on first use. */
  watches: WatchList | null = null;
  /** Writers with the file open (positive) or executions that deny them (negative), for ETXTBSY. */
  writeCount = 0;

  constructor(fs: FileSystem, ino: number, mode: number, uid: number, gid: number) {
    this.fs = fs;
    this.ino = ino;
    this.mode = mode;
    this.uid = uid;
    this.gid = gid;
  }

  get type(): number {
    return this.mode & S_IFMT;
  }
  get isDirectory(): boolean {
    return (this.mode & S_IFMT) === S_IFDIR;
  }
  get isSymlink(): boolean {
    return (this.mode & S_IFMT) === S_IFLNK;
  }
  get isRegular(): boolean {
    return (this.mode & S_IFMT) === S_IFREG;
  }

  /** Whether the contents have been the same ever since this inode was made. */
  get isConstant(): boolean {
    return false;
  }

  /** Current attributes; refreshes mode, uid and gid from the source where that can change. */
  abstract getattr(): Stat | number;

  /** Applies the fields present, and updates ctime. */
  setattr(_attr: SetAttr): number {
    return -EPERM;
  }

  /**
   * Opens this inode (not for symlinks, fifos, sockets and device nodes: the VFS opens those by
   * their type). `flags` are O_*; O_TRUNC was already carried out through setattr. `path` is where it
   * was found, for /proc/PID/fd.
   */
  abstract open(caller: FsCaller, path: Path, flags: number): OpenFile | number;

  /**
   * For inodes that are opened in a way of their own whatever their type is, such as those of host
   * descriptors and fifos of the host; null for all others.
   */
  openSpecial(_caller: FsCaller, _path: Path, _flags: number): OpenFile | number | null {
    return null;
  }

  // Directories ------------------------------------------------------------------------------

  /** The inode called `name`, or -ENOENT. `name` is never '.' or '..'. */
  lookup(_name: string): Inode | number {
    return -ENOTDIR;
  }
  /** All entries but '.' and '..'. */
  readdir(): readonly DirEntry[] | number {
    return -ENOTDIR;
  }
  create(_name: string, _how: NewInode): Inode | number {
    return -EPERM;
  }
  mkdir(_name: string, _how: NewInode): Inode | number {
    return -EPERM;
  }
  /** `how.mode` plus `type` (S_IFIFO, S_IFSOCK, S_IFCHR, S_IFBLK, S_IFREG). */
  mknod(
    _name: string,
    _type: number,
    _how: NewInode,
    _major: number,
    _minor: number,
  ): Inode | number {
    return -EPERM;
  }
  symlink(_name: string, _target: string, _how: NewInode): Inode | number {
    return -EPERM;
  }
  /** `target` is of the same file system and no directory. */
  link(_name: string, _target: Inode): number {
    return -EPERM;
  }
  /** An unnamed regular file (O_TMPFILE). */
  tmpfile(_how: NewInode): Inode | number {
    return -EOPNOTSUPP;
  }
  unlink(_name: string, _victim: Inode): number {
    return -EPERM;
  }
  /** -ENOTEMPTY when it has entries. */
  rmdir(_name: string, _victim: Inode): number {
    return -EPERM;
  }
  /**
   * Moves `source` from this directory; `victim` is what stands at the new name or null.
   * `flags`: RENAME_NOREPLACE was checked by the VFS; RENAME_EXCHANGE swaps source and victim;
   * RENAME_WHITEOUT is refused before.
   */
  rename(
    _oldName: string,
    _source: Inode,
    _newDir: Inode,
    _newName: string,
    _victim: Inode | null,
    _flags: number,
  ): number {
    return -EPERM;
  }

  // Unix sockets of the host, where a tree shows them and the application may use them; null elsewhere

  /** For a socket: a new one of SOCK_* `type`, connected to it. */
  connectSocket(_type: number): HostSocket | number | null {
    return null;
  }
  /** For a directory: makes `name`, to which the new socket is bound. */
  bindSocket(_name: string, _type: number, _how: NewInode): BoundSocket | number | null {
    return null;
  }

  // Symlinks ---------------------------------------------------------------------------------

  readlink(): string | number {
    return -EINVAL;
  }
  /** For links that lead to an object and not to a name (/proc/PID/fd/N, cwd, exe, root). */
  magicLink(_caller: FsCaller): Path | number | null {
    return null;
  }

  // Extended attributes (xattr(7)); the VFS has checked the namespace and permissions --------

  getxattr(_name: string): Uint8Array | number {
    return -ENODATA;
  }
  /** `flags` are XATTR_CREATE, XATTR_REPLACE. */
  setxattr(_name: string, _value: Uint8Array, _flags: number): number {
    return -EOPNOTSUPP;
  }
  listxattr(): readonly string[] | number {
    return [];
  }
  removexattr(_name: string): number {
    return -ENODATA;
  }

  // Kept without being open -----------------------------------------------------------------

  /** An O_PATH descriptor or a mount refers to this inode, so that it can be opened again later. */
  held(): void {}
  /** One of them is gone. */
  dropped(): void {}

  // The rest -------------------------------------------------------------------------------

  /** For regular files without opening them (truncate(2) goes through setattr). */
  fallocate(_mode: number, _offset: number, _length: number): number {
    return this.isDirectory ? -EISDIR : -ENODEV;
  }

  /** The last dentry or open file is gone; `nlink` 0 files can give up their data. */
  forget(): void {}
}
