/**
 * Host directories watched for one client: an inotify(7) instance, whose descriptor the client gets to
 * read from. What it can learn by that is what it can also see by looking: names that come and go, and
 * that attributes changed; not who reads or opens what.
 */
import * as fs from '../../native/fs.ts';
import * as stat from '../../native/stat.ts';
import { EINVAL, ENOSPC, EOPNOTSUPP } from '../../spec/linux/errno.ts';
import * as inotify from '../../spec/linux/inotify.ts';
import * as magic from '../../spec/linux/statfs.ts';
import type { Watches } from '../server/backend.ts';
import type { LocalFile } from './local_file.ts';

const EVENTS =
  inotify.IN_CREATE |
  inotify.IN_DELETE |
  inotify.IN_MOVE |
  inotify.IN_ATTRIB |
  inotify.IN_DELETE_SELF |
  inotify.IN_MOVE_SELF |
  inotify.IN_ONLYDIR;

/** File systems that nobody changes but by the system calls of this host, which tell of it. */
const TELLING: ReadonlySet<number> = new Set([
  magic.EXT4_SUPER_MAGIC,
  magic.XFS_SUPER_MAGIC,
  magic.BTRFS_SUPER_MAGIC,
  magic.F2FS_SUPER_MAGIC,
  magic.TMPFS_MAGIC,
  magic.RAMFS_MAGIC,
]);

/** Of one mount, and of all: each keeps a directory in the memory of the host's kernel. */
export const MAX_WATCHES = 4096;
const MAX_WATCHES_OF_ALL = 16384;

let watchesOfAll = 0;

export class InotifyWatches implements Watches {
  private readonly fd: number;
  private readonly watched = new Set<number>();

  private constructor(fd: number) {
    this.fd = fd;
  }

  static make(): InotifyWatches | number {
    const fd = fs.inotifyInit(inotify.IN_NONBLOCK | inotify.IN_CLOEXEC);
    return fd < 0 ? fd : new InotifyWatches(fd);
  }

  get donation(): number {
    return this.fd;
  }

  add(directory: LocalFile): number {
    const s = stat.fstatfs(directory.fd);
    if (typeof s === 'number') return s;
    if (!TELLING.has(s.type)) return -EOPNOTSUPP;
    if (this.watched.size >= MAX_WATCHES || watchesOfAll >= MAX_WATCHES_OF_ALL) return -ENOSPC;
    const wd = fs.inotifyAddWatch(this.fd, stat.procPath(directory.fd), EVENTS);
    if (wd >= 0 && !this.watched.has(wd)) {
      this.watched.add(wd);
      watchesOfAll++;
    }
    return wd;
  }

  /** Also of a directory that is gone, whose watch the host has ended by itself. */
  remove(wd: number): number {
    if (!this.watched.delete(wd)) return -EINVAL;
    watchesOfAll--;
    fs.inotifyRemoveWatch(this.fd, wd);
    return 0;
  }

  close(): void {
    watchesOfAll -= this.watched.size;
    this.watched.clear();
    fs.close(this.fd);
  }
}
