/**
 * Files without a name: eventfd, epoll, pipes, sockets and their like (Linux's anon_inodefs, pipefs and
 * sockfs in one). Their dentry hangs in no tree, and its name is what /proc/PID/fd shows
 * ('anon_inode:[eventfd]', 'pipe:[4026]'); see proc(5).
 */
import { ENXIO } from '../../../spec/linux/errno.ts';
import { ANON_INODE_FS_MAGIC } from '../../../spec/linux/statfs.ts';
import type { Clock } from '../../base/clock.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import { Dentry } from '../../vfs/dentry.ts';
import { FileSystem, Inode } from '../../vfs/inode.ts';
import { Mount, type Path } from '../../vfs/mount.ts';
import type { OpenFile } from '../../vfs/open_file.ts';
import type { Stat, StatFs, Timestamp } from '../../vfs/stat.ts';

/** Of Linux's anonymous inodes: no type bits at all. */
const ANON_MODE = 0o600;
const DEVICE_MINOR = 13;

export class AnonFileSystem extends FileSystem {
  readonly type = 'anon_inodefs';
  readonly root: AnonInode;
  private readonly mount: Mount;
  private lastIno = 1;

  constructor(clock: Clock) {
    super(clock, 0, DEVICE_MINOR);
    this.root = new AnonInode(this, 1, ANON_MODE, 0, 0);
    this.mount = new Mount(0, this, new Dentry(null, '', this.root), 'anon_inodefs', 0);
  }

  /** For pipes and sockets, which have an inode each. */
  newIno(): number {
    return ++this.lastIno;
  }

  /** A place of its own for `inode`; `name` is the whole text shown for it. */
  place(inode: Inode, name: string): Path {
    return { mount: this.mount, dentry: new Dentry(null, name, inode) };
  }

  statfs(): StatFs {
    const none = { blocks: 0, bfree: 0, bavail: 0, files: 0, ffree: 0 };
    return { type: ANON_INODE_FS_MAGIC, bsize: 4096, namelen: 255, ...none };
  }
}

/** Attributes and nothing else. Pipes and sockets extend it with their type and `open`. */
export class AnonInode extends Inode {
  private readonly born: Timestamp;

  constructor(fs: AnonFileSystem, ino: number, mode: number, uid: number, gid: number) {
    super(fs, ino, mode, uid, gid);
    this.born = fs.clock.realtime();
  }

  getattr(): Stat {
    return {
      devMajor: this.fs.devMajor,
      devMinor: this.fs.devMinor,
      ino: this.ino,
      mode: this.mode,
      nlink: 1,
      uid: this.uid,
      gid: this.gid,
      rdevMajor: 0,
      rdevMinor: 0,
      size: 0,
      blksize: 4096,
      blocks: 0,
      atime: this.born,
      mtime: this.born,
      ctime: this.born,
      btime: null,
    };
  }

  /** Reached through /proc/PID/fd/N; such files cannot be opened anew. */
  open(): OpenFile | number {
    return -ENXIO;
  }
}

const fileSystems = new WeakMap<Kernel, AnonFileSystem>();

export function anonFileSystem(kernel: Kernel): AnonFileSystem {
  let fs = fileSystems.get(kernel);
  if (fs === undefined) {
    fs = new AnonFileSystem(kernel.clock);
    fileSystems.set(kernel, fs);
  }
  return fs;
}

/** A path for a file that shares the one anonymous inode, as all but pipes and sockets do. */
export function anonPath(kernel: Kernel, name: string): Path {
  const fs = anonFileSystem(kernel);
  return fs.place(fs.root, name);
}
