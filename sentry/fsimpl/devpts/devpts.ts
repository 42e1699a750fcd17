/**
 * devpts (pts(4), Linux's Documentation/filesystems/devpts.rst): one node per pseudo terminal, and ptmx,
 * which makes them. Every mount is an instance of its own.
 */

import { CAP_SYS_ADMIN } from '../../../spec/linux/capability.ts';
import { EBUSY, EINVAL, EIO, ENODEV, ENOENT, ENOSPC } from '../../../spec/linux/errno.ts';
import { DT_CHR } from '../../../spec/linux/fcntl.ts';
import { S_IFCHR, S_IFMT } from '../../../spec/linux/stat.ts';
import { DEVPTS_SUPER_MAGIC } from '../../../spec/linux/statfs.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import type { Credentials } from '../../vfs/credentials.ts';
import type { Inode } from '../../vfs/inode.ts';
import type { MountNamespace, Path } from '../../vfs/mount.ts';
import type { DirEntry, SetAttr, Stat, Timestamp } from '../../vfs/stat.ts';
import {
  PseudoDevice,
  PseudoDirectory,
  PseudoFileSystem,
  PseudoInode,
} from '../pseudo/pseudo_file_system.ts';
import { type DevptsOptions, optionText } from './options.ts';
import { PTS_MAJOR, Pty } from './pty.ts';
import { ReplicaFile } from './pty_files.ts';

export const TTY_MAJOR = 5;
export const PTMX_MINOR = 2;
const PTMX_INO = 2;
/** Inode number of terminal 0. */
const FIRST_INO = 3;
const PERMISSIONS = 0o7777;

export class Devpts extends PseudoFileSystem {
  readonly type = 'devpts';
  protected readonly magic = DEVPTS_SUPER_MAGIC;
  readonly kernel: Kernel;
  readonly root: DevptsRoot;
  readonly settings: DevptsOptions;
  /** By index, as long as somebody has either end; names only as long as the master is open. */
  private readonly nodes = new Map<number, PtyNode>();

  constructor(kernel: Kernel, settings: DevptsOptions) {
    super(kernel.clock, kernel.vfs.nextDevMinor());
    this.kernel = kernel;
    this.settings = settings;
    this.root = new DevptsRoot(this);
  }

  override get options(): string {
    return optionText(this.settings);
  }

  /** A new terminal that belongs to `creds`, or -ENOSPC. */
  newPty(creds: Credentials): Pty | number {
    let index = 0;
    while (this.nodes.has(index)) index++;
    if (index >= this.settings.max) return -ENOSPC;
    const pty = new Pty(this.kernel, index, () => this.nodes.delete(index));
    const { uid, gid, mode } = this.settings;
    this.nodes.set(index, new PtyNode(this, pty, mode, uid ?? creds.fsuid, gid ?? creds.fsgid));
    return pty;
  }

  /** The node that has a name now. */
  node(index: number): PtyNode | undefined {
    const node = this.nodes.get(index);
    return node?.pty.masterOpen ? node : undefined;
  }

  listed(): PtyNode[] {
    return [...this.nodes.values()].filter((n) => n.pty.masterOpen);
  }

  /** Where a terminal's node is seen in `mounts`, or -ENOENT. */
  pathOf(mounts: MountNamespace, pty: Pty): Path | number {
    const mount = mounts.mounts.find((m) => m.fs === this && m.root.isRoot);
    if (mount === undefined) return -ENODEV;
    const dir = { mount, dentry: mount.root };
    const dentry = this.kernel.vfs.namei.child(dir, `${pty.devMinor}`);
    if (typeof dentry === 'number') return dentry;
    return dentry.inode === null ? -ENOENT : { mount, dentry };
  }

  /** Opens the program's end of a terminal; `flags` without creation flags. */
  openReplica(
    path: Path,
    pty: Pty,
    flags: number,
    creds: Credentials | null,
  ): ReplicaFile | number {
    const { inode } = path.dentry;
    if (inode === null || !pty.masterOpen || pty.locked) return -EIO;
    if (pty.exclusive && creds !== null && !creds.has(CAP_SYS_ADMIN)) return -EBUSY;
    return new ReplicaFile(path, inode, flags, pty);
  }
}

class DevptsRoot extends PseudoDirectory {
  declare readonly fs: Devpts;

  constructor(fs: Devpts) {
    super(fs, 0o755);
    const ptmx = new PseudoDevice(fs, fs.settings.ptmxMode, TTY_MAJOR, PTMX_MINOR);
    ptmx.ino = PTMX_INO;
    this.add('ptmx', ptmx);
  }

  private find(name: string): PtyNode | undefined {
    return /^(0|[1-9]\d{0,6})$/.test(name) ? this.fs.node(Number(name)) : undefined;
  }

  override lookup(name: string): Inode | number {
    const fixed = super.lookup(name);
    return typeof fixed === 'number' ? (this.find(name) ?? fixed) : fixed;
  }

  override revalidateEntry(name: string, inode: Inode | null): boolean {
    if (inode !== null && !(inode instanceof PtyNode)) return true;
    return (this.find(name) ?? null) === inode;
  }

  override readdir(): readonly DirEntry[] | number {
    const list = [...(super.readdir() as readonly DirEntry[])];
    for (const n of this.fs.listed()) {
      list.push({ name: `${n.pty.devMinor}`, ino: n.ino, type: DT_CHR });
    }
    return list;
  }
}

/** /dev/pts/N: its owner and mode can be changed, as login and mesg(1) do. */
export class PtyNode extends PseudoInode {
  readonly pty: Pty;
  private changed: Timestamp;

  constructor(fs: Devpts, pty: Pty, mode: number, uid: number, gid: number) {
    super(fs, S_IFCHR | mode, uid, gid);
    this.ino = FIRST_INO + pty.devMinor;
    this.rdevMajor = PTS_MAJOR;
    this.rdevMinor = pty.devMinor;
    this.pty = pty;
    this.changed = this.made;
  }

  override getattr(): Stat | number {
    const attr = super.getattr();
    return typeof attr === 'number' ? attr : { ...attr, blksize: 1024, ctime: this.changed };
  }

  override setattr(attr: SetAttr): number {
    if (attr.size !== undefined) return -EINVAL;
    if (attr.mode !== undefined) this.mode = (this.mode & S_IFMT) | (attr.mode & PERMISSIONS);
    if (attr.uid !== undefined) this.uid = attr.uid;
    if (attr.gid !== undefined) this.gid = attr.gid;
    this.changed = this.fs.clock.realtime();
    return 0;
  }
}
