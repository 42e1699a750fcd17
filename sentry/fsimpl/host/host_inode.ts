/**
 * Inodes of host descriptors, and the file system they are in. They have no names; /proc/PID/fd shows
 * what Linux would: 'pipe:[N]', 'socket:[N]', or 'host:[N]'.
 */
import { EIO } from '../../../spec/linux/errno.ts';
import { F_GETFL, O_ACCMODE, O_APPEND, O_NONBLOCK } from '../../../spec/linux/fcntl.ts';
import { S_IFDIR, S_IFIFO, S_IFMT, S_IFREG, S_IFSOCK } from '../../../spec/linux/stat.ts';
import { ANON_INODE_FS_MAGIC } from '../../../spec/linux/statfs.ts';
import { fcntl, ftruncate } from '../../../native/fs.ts';
import { fstat } from '../../../native/stat.ts';
import type { Clock } from '../../base/clock.ts';
import type { HostPoller } from '../../platform/platform.ts';
import { Dentry } from '../../vfs/dentry.ts';
import { FileSystem, Inode } from '../../vfs/inode.ts';
import { Mount } from '../../vfs/mount.ts';
import type { SetAttr, Stat, StatFs } from '../../vfs/stat.ts';
import { HostFile } from './host_file.ts';

/** st_dev of donated descriptors whose own device is not told. */
const DEV_MINOR = 9;

export class HostInode extends Inode {
  readonly fd: number;

  constructor(fs: HostFileSystem, fd: number, ino: number, mode: number, uid: number, gid: number) {
    super(fs, ino, mode, uid, gid);
    this.fd = fd;
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

  /** Opening /dev/stdout and /proc/self/fd/1 goes through the descriptor's own file. */
  open(): number {
    return -EIO;
  }
}

/** One per sandbox: holds all donated descriptors. */
export class HostFileSystem extends FileSystem {
  readonly type = 'hostfs';
  readonly root: Inode;
  private readonly mount: Mount;
  private readonly poller: HostPoller;

  constructor(clock: Clock, poller: HostPoller) {
    super(clock, 0, DEV_MINOR);
    this.poller = poller;
    this.root = new HostInode(this, -1, 1, S_IFDIR | 0o500, 0, 0);
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
    const inode = new HostInode(this, fd, s.ino, s.mode, uid, gid);
    const dentry = new Dentry(null, nameOf(s.mode, s.ino), inode);
    const path = { mount: this.mount, dentry };
    return new HostFile(path, inode, fd, flags & (O_ACCMODE | O_APPEND | O_NONBLOCK), this.poller);
  }
}

function nameOf(mode: number, ino: number): string {
  switch (mode & S_IFMT) {
    case S_IFIFO:
      return `pipe:[${ino}]`;
    case S_IFSOCK:
      return `socket:[${ino}]`;
    case S_IFREG:
      return `/dev/host/${ino}`;
    default:
      return `host:[${ino}]`;
  }
}
