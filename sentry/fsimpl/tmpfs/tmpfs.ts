/**
 * tmpfs (tmpfs(5)): files in memory. Counterpart of Linux's mm/shmem.c.
 */
import { EINVAL, ENOSPC } from '../../../spec/linux/errno.ts';
import { S_IFDIR } from '../../../spec/linux/stat.ts';
import { TMPFS_MAGIC } from '../../../spec/linux/statfs.ts';
import type { Clock } from '../../base/clock.ts';
import { containerOf } from '../../kernel/container.ts';
import type { PageQuota } from '../../mm/file_pages.ts';
import type { MemoryFile } from '../../mm/memory_file.ts';
import type { FsCaller } from '../../vfs/caller.ts';
import { FileSystem } from '../../vfs/inode.ts';
import type { StatFs } from '../../vfs/stat.ts';
import { given, optionText, parseOptions, type TmpfsOptions } from './options.ts';
import { TmpfsDirectory } from './tmpfs_inode.ts';

const PAGE = 4096;

export interface TmpfsParts {
  readonly memory: MemoryFile;
  readonly clock: Clock;
  readonly devMajor: number;
  readonly devMinor: number;
}

export class Tmpfs extends FileSystem implements PageQuota {
  readonly type: string;
  readonly root: TmpfsDirectory;
  readonly memory: MemoryFile;
  readonly limits: TmpfsOptions;
  usedBytes = 0;
  private inodes = 0;
  private lastIno = 0;

  constructor(parts: TmpfsParts, limits: TmpfsOptions, type = 'tmpfs') {
    super(parts.clock, parts.devMajor, parts.devMinor);
    this.type = type;
    this.memory = parts.memory;
    this.limits = limits;
    this.inodes = 1;
    this.root = new TmpfsDirectory(
      this,
      this.nextIno(),
      S_IFDIR | limits.mode,
      limits.uid,
      limits.gid,
    );
  }

  nextIno(): number {
    return ++this.lastIno;
  }

  /** Room for one more inode: 0 or -ENOSPC. */
  addInode(): number {
    if (this.inodes >= this.limits.inodes) return -ENOSPC;
    this.inodes++;
    return 0;
  }
  dropInode(): void {
    this.inodes--;
  }

  charge(bytes: number): boolean {
    if (this.usedBytes + bytes > this.limits.sizeBytes) return false;
    this.usedBytes += bytes;
    return true;
  }
  uncharge(bytes: number): void {
    this.usedBytes -= bytes;
  }

  override get options(): string {
    return optionText(this.limits);
  }

  /** Only what is given changes, a limit is never set anew, and none below what is in use. */
  override remount(caller: FsCaller, data: string): number {
    const options = parseOptions(data, containerOf(caller).totalMemoryBytes);
    if (typeof options === 'number') return options;
    const { limits } = this;
    const sizeBytes = given(options, 'size') ? options.sizeBytes : limits.sizeBytes;
    const inodes = given(options, 'inodes') ? options.inodes : limits.inodes;
    if (sizeBytes < this.usedBytes || inodes < this.inodes) return -EINVAL;
    if (sizeBytes < Infinity && limits.sizeBytes === Infinity) return -EINVAL;
    if (inodes < Infinity && limits.inodes === Infinity) return -EINVAL;
    const shown = [...limits.shown, ...options.shown];
    Object.assign(limits, { sizeBytes, inodes, shown });
    return 0;
  }

  override statfs(): StatFs {
    const { sizeBytes, inodes } = this.limits;
    const bounded = sizeBytes !== Infinity;
    const blocks = bounded ? Math.floor(sizeBytes / PAGE) : 0;
    const free = bounded ? Math.max(0, blocks - Math.ceil(this.usedBytes / PAGE)) : 0;
    const counted = inodes !== Infinity;
    return {
      type: TMPFS_MAGIC,
      bsize: PAGE,
      blocks,
      bfree: free,
      bavail: free,
      files: counted ? inodes : 0,
      ffree: counted ? inodes - this.inodes : 0,
      namelen: 255,
    };
  }

  /** Everything goes: names, then pages that nobody maps. */
  override destroy(): void {
    this.root.destroyTree();
  }
}
