/**
 * The inodes of tmpfs: directories, regular files, symlinks and special files.
 */
import { ENOENT, ENOTEMPTY } from '../../../spec/linux/errno.ts';
import { DT_UNKNOWN, RENAME_EXCHANGE } from '../../../spec/linux/fcntl.ts';
import { S_IFDIR, S_IFLNK, S_IFMT, S_IFREG } from '../../../spec/linux/stat.ts';
import type { FsCaller } from '../../vfs/caller.ts';
import type { Inode, NewInode } from '../../vfs/inode.ts';
import { MemoryInode } from '../../vfs/memory_inode.ts';
import { MemoryRegular } from '../../vfs/memory_regular.ts';
import type { Path } from '../../vfs/mount.ts';
import { DirectoryFile, type OpenFile } from '../../vfs/open_file.ts';
import type { DirEntry } from '../../vfs/stat.ts';
import type { Tmpfs } from './tmpfs.ts';

/** What Linux's tmpfs reports as a directory's size per entry. */
const DIRENT_BYTES = 20;

type TmpfsInode = TmpfsDirectory | TmpfsFile | TmpfsNode;

export class TmpfsFile extends MemoryRegular {
  protected override destroyed(): void {
    (this.fs as Tmpfs).dropInode();
  }
}

/** Symlinks, fifos, sockets and device nodes: no contents of their own here. */
export class TmpfsNode extends MemoryInode {
  readonly target: string;

  constructor(fs: Tmpfs, ino: number, mode: number, uid: number, gid: number, target: string) {
    super(fs, ino, mode, uid, gid);
    this.target = target;
  }

  override get size(): number {
    return this.target.length;
  }

  override open(): OpenFile | number {
    return -ENOENT; // The VFS opens these by their type and never comes here.
  }

  override readlink(): string | number {
    return this.isSymlink ? this.target : super.readlink();
  }

  override forget(): void {
    if (this.nlink !== 0) return;
    this.nlink = -1;
    this.ended();
    (this.fs as Tmpfs).dropInode();
  }
}

export class TmpfsDirectory extends MemoryInode {
  private readonly entries = new Map<string, TmpfsInode>();
  private gone = false;

  constructor(fs: Tmpfs, ino: number, mode: number, uid: number, gid: number) {
    super(fs, ino, mode, uid, gid);
    this.nlink = 2;
  }

  private get tmpfs(): Tmpfs {
    return this.fs as Tmpfs;
  }

  override get size(): number {
    return DIRENT_BYTES * (this.entries.size + 2);
  }

  override open(_caller: FsCaller, path: Path, flags: number): OpenFile {
    return new DirectoryFile(path, this, flags);
  }

  override lookup(name: string): Inode | number {
    return this.entries.get(name) ?? -ENOENT;
  }

  override readdir(): readonly DirEntry[] {
    const list: DirEntry[] = [];
    for (const [name, inode] of this.entries) {
      list.push({ name, ino: inode.ino, type: (inode.mode & S_IFMT) >> 12 || DT_UNKNOWN });
    }
    // Newest first, as Linux's tmpfs lists them.
    return list.reverse();
  }

  // Making ------------------------------------------------------------------------------------

  private insert(name: string, inode: TmpfsInode): Inode {
    this.entries.set(name, inode);
    this.touchModified();
    return inode;
  }

  private newFile(how: NewInode): TmpfsFile | number {
    if (this.gone) return -ENOENT;
    const r = this.tmpfs.addInode();
    if (r < 0) return r;
    const { fs, memory } = { fs: this.tmpfs, memory: this.tmpfs.memory };
    const mode = S_IFREG | how.mode;
    return new TmpfsFile(fs, fs.nextIno(), mode, how.uid, how.gid, memory, fs);
  }

  override create(name: string, how: NewInode): Inode | number {
    const file = this.newFile(how);
    return typeof file === 'number' ? file : this.insert(name, file);
  }

  override tmpfile(how: NewInode): Inode | number {
    const file = this.newFile(how);
    if (typeof file !== 'number') file.nlink = 0;
    return file;
  }

  override mkdir(name: string, how: NewInode): Inode | number {
    if (this.gone) return -ENOENT;
    const r = this.tmpfs.addInode();
    if (r < 0) return r;
    const fs = this.tmpfs;
    this.nlink++;
    return this.insert(
      name,
      new TmpfsDirectory(fs, fs.nextIno(), S_IFDIR | how.mode, how.uid, how.gid),
    );
  }

  private node(name: string, mode: number, how: NewInode, target: string): TmpfsNode | number {
    if (this.gone) return -ENOENT;
    const fs = this.tmpfs;
    const r = fs.addInode();
    if (r < 0) return r;
    const node = new TmpfsNode(fs, fs.nextIno(), mode, how.uid, how.gid, target);
    this.insert(name, node);
    return node;
  }

  override mknod(
    name: string,
    type: number,
    how: NewInode,
    major: number,
    minor: number,
  ): Inode | number {
    if (type === S_IFREG) return this.create(name, how);
    const node = this.node(name, type | how.mode, how, '');
    if (typeof node === 'number') return node;
    node.rdevMajor = major;
    node.rdevMinor = minor;
    return node;
  }

  override symlink(name: string, target: string, how: NewInode): Inode | number {
    return this.node(name, S_IFLNK | 0o777, how, target);
  }

  override link(name: string, target: Inode): number {
    if (this.gone) return -ENOENT;
    const inode = target as TmpfsFile | TmpfsNode;
    inode.nlink++;
    inode.touchChanged();
    this.insert(name, inode);
    return 0;
  }

  // Removing ----------------------------------------------------------------------------------

  private drop(inode: TmpfsInode): void {
    inode.nlink--;
    inode.touchChanged();
  }

  override unlink(name: string, victim: Inode): number {
    if (this.entries.get(name) !== victim) return -ENOENT;
    this.entries.delete(name);
    this.drop(victim as TmpfsInode);
    this.touchModified();
    return 0;
  }

  override rmdir(name: string, victim: Inode): number {
    const dir = victim as TmpfsDirectory;
    if (this.entries.get(name) !== dir) return -ENOENT;
    if (dir.entries.size > 0) return -ENOTEMPTY;
    this.entries.delete(name);
    dir.unnamed();
    this.nlink--;
    this.touchModified();
    return 0;
  }

  /** The directory was removed; nothing can be made in it any more. */
  private unnamed(): void {
    this.gone = true;
    this.nlink = 0;
    this.touchChanged();
  }

  override forget(): void {
    if (!this.gone || this.nlink !== 0) return;
    this.nlink = -1;
    this.ended();
    this.tmpfs.dropInode();
  }

  override rename(
    oldName: string,
    source: Inode,
    newDir: Inode,
    newName: string,
    victim: Inode | null,
    flags: number,
  ): number {
    const to = newDir as TmpfsDirectory;
    const moved = source as TmpfsInode;
    if (to.gone) return -ENOENT;
    if ((flags & RENAME_EXCHANGE) !== 0) {
      this.exchange(oldName, moved, to, newName, victim as TmpfsInode);
      return 0;
    }
    if (victim instanceof TmpfsDirectory) {
      if (victim.entries.size > 0) return -ENOTEMPTY;
      victim.unnamed();
      to.nlink--;
    } else if (victim !== null) {
      this.drop(victim as TmpfsInode);
    }
    this.entries.delete(oldName);
    // Deleted first so that the entry moves to the end of the listing order.
    to.entries.delete(newName);
    to.entries.set(newName, moved);
    if (moved instanceof TmpfsDirectory && to !== this) {
      this.nlink--;
      to.nlink++;
    }
    moved.touchChanged();
    this.touchModified();
    if (to !== this) to.touchModified();
    return 0;
  }

  private exchange(
    oldName: string,
    a: TmpfsInode,
    to: TmpfsDirectory,
    newName: string,
    b: TmpfsInode,
  ): void {
    this.entries.set(oldName, b);
    to.entries.set(newName, a);
    const delta = (b.isDirectory ? 1 : 0) - (a.isDirectory ? 1 : 0);
    this.nlink += delta;
    to.nlink -= delta;
    a.touchChanged();
    b.touchChanged();
    this.touchModified();
    to.touchModified();
  }

  /** The file system was unmounted for good. */
  destroyTree(): void {
    const pending: TmpfsDirectory[] = [this];
    for (let dir = pending.pop(); dir !== undefined; dir = pending.pop()) {
      for (const inode of dir.entries.values()) {
        if (inode instanceof TmpfsDirectory) pending.push(inode);
        else {
          inode.nlink--;
          inode.forget();
        }
      }
      dir.entries.clear();
      dir.dropXattrs();
    }
  }
}
