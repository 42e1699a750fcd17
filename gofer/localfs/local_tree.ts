/**
 * A host directory (or a single file) served as a tree.
 */
import * as fs from '../../native/fs.ts';
import { EOPNOTSUPP } from '../../spec/linux/errno.ts';
import { O_CLOEXEC, O_PATH } from '../../spec/linux/fcntl.ts';
import type { Backend } from '../server/backend.ts';
import { InodeNumbers } from './inode_numbers.ts';
import { InotifyWatches } from './inotify_watches.ts';
import { LocalFile } from './local_file.ts';

export class LocalTree implements Backend {
  private readonly root: LocalFile;
  private readonly ownMounts: boolean;

  private constructor(root: LocalFile, ownMounts: boolean) {
    this.root = root;
    this.ownMounts = ownMounts;
  }

  /**
   * Serves what O_PATH descriptor `rootFd` refers to; takes the descriptor over. `ownMounts`: nobody
   * else mounts anything on it.
   */
  static serving(rootFd: number, ownMounts = true): LocalTree | number {
    const root = LocalFile.of(rootFd, null, '', new InodeNumbers());
    return typeof root === 'number' ? root : new LocalTree(root, ownMounts);
  }

  /** The same by host path; links in the path are followed. */
  static at(path: string): LocalTree | number {
    const fd = fs.open(path, O_PATH | O_CLOEXEC);
    return fd < 0 ? fd : LocalTree.serving(fd);
  }

  attach(): LocalFile {
    return this.root.clone();
  }

  watches(): InotifyWatches | number {
    // A mount covers names without an event.
    return this.ownMounts ? InotifyWatches.make() : -EOPNOTSUPP;
  }

  release(): void {
    this.root.release();
  }
}
