/**
 * Inodes of host descriptors, and the file system they are in. They have no names; /proc/PID/fd shows
 * what Linux would: 'pipe:[N]', 'socket:[N]', or 'host:[N]'.
 */

import { close, fcntl, ftruncate } from '../../../native/fs.ts';
import { fstat, type Stat as HostStat } from '../../../native/stat.ts';
import { EACCES, EIO, ENXIO } from '../../../spec/linux/errno.ts';
import {
  F_GETFL,
  O_ACCMODE,
  O_APPEND,
  O_NONBLOCK,
  O_RDONLY,
  O_RDWR,
} from '../../../spec/linux/fcntl.ts';
import { S_IFCHR, S_IFDIR, S_IFIFO, S_IFMT, S_IFREG, S_IFSOCK } from '../../../spec/linux/stat.ts';
import { ANON_INODE_FS_MAGIC } from '../../../spec/linux/statfs.ts';
import type { Clock } from '../../base/clock.ts';
import { WaitQueue } from '../../base/wait_queue.ts';
import type { HostPoller } from '../../platform/platform.ts';
import type { FsCaller } from '../../vfs/caller.ts';
import { Dentry } from '../../vfs/dentry.ts';
import { FileSystem, Inode } from '../../vfs/inode.ts';
import { Mount, type Path } from '../../vfs/mount.ts';
import type { OpenFile } from '../../vfs/open_file.ts';
import type { SetAttr, Stat, StatFs } from '../../vfs/stat.ts';
import { HostFile } from './host_file.ts';

/** st_dev of donated descriptors whose own device is not told. */
const DEV_MINOR = 9;

export class HostInode extends Inode {
  declare readonly fs: HostFileSystem;
  /** -1 once the last open file ended: the number may be another descriptor's by then. */
  fd: number;
  /** Access mode and status flags that the host's description was opened with. */
  private readonly access: number;
  /** Null when the descriptor is always ready, as regular files are. */
  readonly queue: WaitQueue | null;
  private users = 0;

  /** Takes over `fd`, once `acquire` was called. */
  constructor(fs: HostFileSystem, fd: number, ino: number, mode: number, access: number) {
    super(fs, ino, mode, 0, 0);
    this.fd = fd;
    this.access = access;
    const queue = new WaitQueue();
    const watched =
      fd >= 0 && !this.isRegular && fs.poller.add(fd, (events) => queue.notify(events)) === 0;
    this.queue = watched ? queue : null;
  }

  /** One more open file over the descriptor. */
  acquire(): void {
    this.users++;
  }

  /** The last one closes it. */
  release(): void {
    if (--this.users > 0 || this.fd < 0) return;
    if (this.queue !== null) this.fs.poller.remove(this.fd);
    close(this.fd);
    this.fd = -1;
  }

  override held(): void {
    this.acquire();
  }
  override dropped(): void {
    this.release();
  }

  getattr(): Stat | number {
    const s = fstat(this.fd);
    if (typeof s === 'number') return s;
    this.mode = s.mode;
    return {
      devMajor: 0,
      devMinor: this.fs.devMinor,
      ino: s.ino,
      mode: s.mode,
      nlink: s.nlink,
      uid: this.uid,
      gid: this.gid,
      rdevMajor: s.rdevMajor,
      rdevMinor: s.rdevMinor,
      size: s.size,
      blksize: s.blksize,
      blocks: s.blocks,
      atime: { sec: s.atimeSec, nsec: s.atimeNsec },
      mtime: { sec: s.mtimeSec, nsec: s.mtimeNsec },
      ctime: { sec: s.ctimeSec, nsec: s.ctimeNsec },
      btime: null,
    };
  }

  /** Ownership and mode are kept here only; the size is the host's. */
  override setattr(attr: SetAttr): number {
    if (attr.size !== undefined) {
      const r = ftruncate(this.fd, attr.size);
      if (r < 0) return r;
    }
    if (attr.uid !== undefined) this.uid = attr.uid;
    if (attr.gid !== undefined) this.gid = attr.gid;
    return 0;
  }

  open(): number {
    return -EIO;
  }

  /**
   * /dev/stdout and /proc/self/fd/1. Deviation: the new open file shares its offset with the old one,
   * because the host's description is the same.
   */
  override openSpecial(_caller: FsCaller, path: Path, flags: number): OpenFile | number | null {
    if (this.isDirectory) return null;
    if (this.fd < 0) return -ENXIO;
    const wanted = flags & O_ACCMODE;
    const given = this.access & O_ACCMODE;
    if (given !== O_RDWR && given !== wanted) return -EACCES;
    return new HostFile(path, this, flags);
  }
}

/** One per sandbox: holds all donated descriptors. */
export class HostFileSystem extends FileSystem {
  readonly type = 'hostfs';
  readonly root: Inode;
  private readonly mount: Mount;
  readonly poller: HostPoller;

  constructor(clock: Clock, poller: HostPoller) {
    super(clock, 0, DEV_MINOR);
    this.poller = poller;
    this.root = new HostInode(this, -1, 1, S_IFDIR | 0o500, O_RDONLY);
    this.mount = new Mount(0, this, new Dentry(null, '', this.root), 'none', 0);
  }

  statfs(): StatFs {
    return {
      type: ANON_INODE_FS_MAGIC,
      bsize: 4096,
      blocks: 0,
      bfree: 0,
      bavail: 0,
      files: 0,
      ffree: 0,
      namelen: 255,
    };
  }

  /** An open file over `fd`, which it takes over; `uid` and `gid` are shown as its owner. -errno. */
  openFd(fd: number, uid: number, gid: number): HostFile | number {
    const s = fstat(fd);
    if (typeof s === 'number') return s;
    const flags = fcntl(fd, F_GETFL);
    if (flags < 0) return flags;
    const inode = new HostInode(this, fd, s.ino, s.mode, flags);
    inode.uid = uid;
    inode.gid = gid;
    const dentry = new Dentry(null, nameOf(s), inode);
    const path = { mount: this.mount, dentry };
    return new HostFile(path, inode, flags & (O_ACCMODE | O_APPEND | O_NONBLOCK));
  }
}

/** The host's /dev/null is like ours. */
const NULL_MAJOR = 1;
const NULL_MINOR = 3;

function nameOf(s: HostStat): string {
  switch (s.mode & S_IFMT) {
    case S_IFIFO:
      return `pipe:[${s.ino}]`;
    case S_IFSOCK:
      return `socket:[${s.ino}]`;
    case S_IFREG:
      return `/dev/host/${s.ino}`;
    case S_IFCHR:
      if (s.rdevMajor === NULL_MAJOR && s.rdevMinor === NULL_MINOR) return '/dev/null';
      return `host:[${s.ino}]`;
    default:
      return `host:[${s.ino}]`;
  }
}
