/**
 * A tree of host files served by a gofer over 9P (Linux's counterpart: fs/9p).
 *
 * Exclusive trees (nobody else changes them: a container's root file system) are cached: attributes,
 * whole directories, absent names, link targets, open files. In shared trees (bind mounts) names are
 * known as long as the host tells of no change (watches.ts), attributes of files are asked of the host
 * itself through a descriptor; where neither is to be had, the gofer is asked again each time.
 */

import { EIO } from '../../../spec/linux/errno.ts';
import { S_IFDIR, S_IFMT, S_IFREG } from '../../../spec/linux/stat.ts';
import type { P9Attr } from '../../../spec/p9/messages.ts';
import type { Clock } from '../../base/clock.ts';
import type { TimerQueue } from '../../base/timer_queue.ts';
import type { HostFifos } from '../../vfs/host_fifo.ts';
import type { HostSocket } from '../../vfs/host_socket.ts';
import { FileSystem, type Inode } from '../../vfs/inode.ts';
import type { StatFs } from '../../vfs/stat.ts';
import { Client } from './client.ts';
import { GoferDirectory } from './gofer_directory.ts';
import { GoferInode } from './gofer_inode.ts';
import { GoferRegular } from './gofer_regular.ts';
import { IdlePool } from './host_files.ts';
import { Watches } from './watches.ts';

/** Inodes that hold a fid; the others walk again when they need one. */
const MAX_HELD_FIDS = 8192;
const MIN_HELD_FIDS = 16;
/** Directories whose own size is larger are not fetched whole for the sake of lookups. */
const MAX_LISTING_BYTES = 2 * 1024 * 1024;
/** The others are after one lookup for so many bytes of that size. */
const LISTING_BYTES_PER_LOOKUP = 4096;
/**
 * Before the sandbox has done as much, which one that then idles does not, they are after some lookups
 * more: the code that lists would cost it 0.4 MB.
 */
const TURNS_OF_A_START = 200;
const LOOKUPS_AT_START = 4;
/** Names held in directory listings, over all directories. */
const MAX_LISTED = 1024 * 1024;

/** What is needed of the kernel. */
export interface GoferKernel {
  readonly clock: Clock;
  readonly timers: TimerQueue;
  /** Counts up with every system call. */
  readonly turn: number;
}

/** What the application may do with unix sockets of the host in this tree. */
export interface HostSockets {
  readonly connects: boolean;
  readonly binds: boolean;
  /** The socket of SOCK_* `type` over `fd`, which it takes over. */
  readonly open: (fd: number, type: number) => HostSocket;
}

export interface GoferOptions {
  readonly kernel: GoferKernel;
  /** st_dev is 0:devMinor, as for all file systems without a block device. */
  readonly devMinor: number;
  /** Nobody but this file system changes the tree. */
  readonly exclusive: boolean;
  /** Called when the gofer is gone: from then on everything answers EIO. */
  readonly lost?: () => void;
  /** Called when the gofer has not answered for long, and with null when it does again. */
  readonly slow?: (request: string | null) => void;
  readonly hostSockets?: HostSockets;
  /** Null: fifos are the sandbox's own. */
  readonly hostFifos?: HostFifos | null;
  /** Shown in /proc/mounts. */
  readonly options?: string;
}

export class GoferFileSystem extends FileSystem {
  readonly type = '9p';
  readonly root: GoferInode;
  readonly kernel: GoferKernel;
  readonly client: Client;
  readonly exclusive: boolean;
  readonly hostSockets: HostSockets | null;
  readonly hostFifos: HostFifos | null;
  readonly idle: IdlePool;
  readonly watches: Watches;
  private readonly shownOptions: string;
  /** The inodes in use, by qid.path: hard links must be one inode. */
  private readonly inodes = new Map<number, GoferInode>();
  private maxHeldFids = MAX_HELD_FIDS;
  private readonly fidHolders = new Set<GoferInode>();
  private readonly listings = new Map<GoferDirectory, number>();
  private listed = 0;

  private constructor(client: Client, o: GoferOptions, rootFid: number, rootAttr: P9Attr) {
    super(o.kernel.clock, 0, o.devMinor);
    this.kernel = o.kernel;
    this.client = client;
    this.exclusive = o.exclusive;
    this.hostSockets = o.hostSockets ?? null;
    this.hostFifos = o.hostFifos ?? null;
    this.watches = new Watches(client, o.kernel);
    if (o.lost) client.lost = o.lost;
    if (o.slow) client.slow = o.slow;
    this.shownOptions = o.options ?? '';
    this.idle = new IdlePool(o.exclusive ? null : o.kernel);
    this.root = this.inodeOf(rootAttr, null, '');
    this.root.adoptFid(rootFid);
    client.makeRoom = (keep) => this.makeRoom(keep);
  }

  /** Connects to the gofer at the other end of socket `fd`, which is taken over. */
  static connect(fd: number, options: GoferOptions): GoferFileSystem | number {
    const client = Client.connect(fd);
    if (typeof client === 'number') return client;
    const attached = client.attach();
    if (typeof attached !== 'number') {
      return new GoferFileSystem(client, options, attached.fid, attached.attr);
    }
    client.close();
    return attached;
  }

  override get options(): string {
    return this.shownOptions;
  }

  /** The one inode for the file that has `attr` just now and is called `name` in `parent`. */
  inodeOf(attr: P9Attr, parent: GoferDirectory | null, name: string, current = true): GoferInode {
    const known = this.inodes.get(attr.qid.path);
    // A server that shows the root again inside the tree would make the tree endless.
    const again = known === this.root && parent !== null;
    if (known !== undefined && !again && known.type === (attr.mode & S_IFMT)) {
      known.foundAt(parent, name);
      if (current) known.update(attr);
      return known;
    }
    const made = this.newInode(attr, parent, name);
    if (!again) this.inodes.set(attr.qid.path, made);
    return made;
  }

  private newInode(attr: P9Attr, parent: GoferDirectory | null, name: string): GoferInode {
    switch (attr.mode & S_IFMT) {
      case S_IFDIR:
        return new GoferDirectory(this, attr, parent, name);
      case S_IFREG:
        return new GoferRegular(this, attr, parent, name);
      default:
        return new GoferInode(this, attr, parent, name);
    }
  }

  /** Whether an inode with this number is in use. */
  isLive(ino: number): boolean {
    return this.inodes.has(ino);
  }

  /** `inode` is forgotten or deleted: another file may get its number. */
  dropInode(inode: GoferInode): void {
    if (this.inodes.get(inode.ino) === inode) this.inodes.delete(inode.ino);
  }

  /** The gofer has no fids left: gives half of them back, and keeps fewer from now on. */
  private makeRoom(keep: number): void {
    this.maxHeldFids = Math.max(MIN_HELD_FIDS, Math.floor(this.fidHolders.size * 0.75));
    this.dropFids(this.fidHolders.size / 2 + 1, keep);
  }

  /** `inode` got a fid. Bounds their number; the root keeps its own. */
  holdsFid(inode: GoferInode, fid: number): void {
    if (inode === this.root) return;
    this.fidHolders.add(inode);
    if (this.fidHolders.size > this.maxHeldFids) this.dropFids(this.maxHeldFids / 8, fid);
  }

  /** The fid of `inode` is wanted: it will be the last to go. */
  usesFid(inode: GoferInode): void {
    if (this.fidHolders.delete(inode)) this.fidHolders.add(inode);
  }

  releasedFid(inode: GoferInode): void {
    this.fidHolders.delete(inode);
  }

  /** Gives up to `count` fids back, those used longest ago first and never `keep`. */
  dropFids(count: number, keep: number): void {
    let left = count;
    for (const holder of this.fidHolders) {
      if (left-- <= 0) return;
      if (!holder.holds(keep)) holder.dropFid();
    }
  }

  /** Whether a directory of `size` bytes is to be fetched whole at its `lookups`th single lookup. */
  worthListing(lookups: number, size: number): boolean {
    if (size > MAX_LISTING_BYTES) return false;
    if (this.kernel.turn < TURNS_OF_A_START) return lookups >= LOOKUPS_AT_START;
    return lookups * LISTING_BYTES_PER_LOOKUP >= size;
  }

  /** `dir` now holds a list of `count` names; others forget theirs when there are too many. */
  listingKept(dir: GoferDirectory, count: number): void {
    this.listingDropped(dir);
    this.listings.set(dir, count);
    this.listed += count;
    for (const oldest of this.listings.keys()) {
      if (this.listed <= MAX_LISTED || oldest === dir) return;
      oldest.forgetListing();
    }
  }

  listingDropped(dir: GoferDirectory): void {
    this.listed -= this.listings.get(dir) ?? 0;
    this.listings.delete(dir);
  }

  override statfs(): StatFs | number {
    const fid = this.root.fid();
    return fid < 0 ? -EIO : this.client.statfs(fid);
  }

  override revalidate(dir: Inode, name: string, inode: Inode | null): boolean {
    if (this.exclusive) return true;
    return (dir as GoferDirectory).stillHas(name, inode as GoferInode | null);
  }

  override destroy(): void {
    this.idle.clear();
    this.watches.stop();
    this.client.close();
  }
}
