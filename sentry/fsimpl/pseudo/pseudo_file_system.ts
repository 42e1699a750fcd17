/**
 * Building blocks for file systems whose contents the kernel makes up: /proc, /sys, /dev.
 */
import { EACCES, EFBIG, EINVAL, ENOENT, EPERM } from '../../../spec/linux/errno.ts';
import {
  DT_BLK,
  DT_CHR,
  DT_DIR,
  DT_FIFO,
  DT_LNK,
  DT_REG,
  DT_SOCK,
} from '../../../spec/linux/fcntl.ts';
import {
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
  S_IFSOCK,
} from '../../../spec/linux/stat.ts';
import { byteStringBytes, decodeByteString } from '../../base/byte_string.ts';
import type { Clock } from '../../base/clock.ts';
import type { IoBuffer } from '../../mm/io_buffer.ts';
import type { FsCaller } from '../../vfs/caller.ts';
import { FileSystem, Inode } from '../../vfs/inode.ts';
import type { Path } from '../../vfs/mount.ts';
import { DirectoryFile, type OpenFile, SeekableFile } from '../../vfs/open_file.ts';
import type { DirEntry, SetAttr, Stat, StatFs, Timestamp } from '../../vfs/stat.ts';

const BLOCK_SIZE = 4096;
/** Longest text that one write to a pseudo file may carry. */
const MAX_WRITE = 65536;

/** DT_* of a mode's file type. */
export function direntType(mode: number): number {
  switch (mode & S_IFMT) {
    case S_IFDIR:
      return DT_DIR;
    case S_IFLNK:
      return DT_LNK;
    case S_IFCHR:
      return DT_CHR;
    case S_IFBLK:
      return DT_BLK;
    case S_IFIFO:
      return DT_FIFO;
    case S_IFSOCK:
      return DT_SOCK;
    default:
      return DT_REG;
  }
}

export abstract class PseudoFileSystem extends FileSystem {
  private lastIno = 0;
  /** f_type of statfs(2). */
  protected abstract readonly magic: number;

  constructor(clock: Clock, devMinor: number) {
    super(clock, 0, devMinor);
  }

  newIno(): number {
    return ++this.lastIno;
  }

  override revalidate(dir: Inode, name: string, inode: Inode | null): boolean {
    return (dir as PseudoInode).revalidateEntry(name, inode);
  }

  statfs(): StatFs {
    return {
      type: this.magic,
      bsize: BLOCK_SIZE,
      blocks: 0,
      bfree: 0,
      bavail: 0,
      files: 0,
      ffree: 0,
      namelen: 255,
    };
  }
}

/** What all pseudo inodes share: attributes that nobody stores. */
export abstract class PseudoInode extends Inode {
  declare readonly fs: PseudoFileSystem;
  protected readonly made: Timestamp;
  nlink = 1;

  constructor(fs: PseudoFileSystem, mode: number, uid = 0, gid = 0) {
    super(fs, fs.newIno(), mode, uid, gid);
    this.made = fs.clock.realtime();
  }

  /** Bytes, as stat tells. */
  protected get size(): number {
    return 0;
  }

  getattr(): Stat | number {
    return {
      devMajor: this.fs.devMajor,
      devMinor: this.fs.devMinor,
      ino: this.ino,
      mode: this.mode,
      nlink: this.nlink,
      uid: this.uid,
      gid: this.gid,
      rdevMajor: this.rdevMajor,
      rdevMinor: this.rdevMinor,
      size: this.size,
      blksize: BLOCK_SIZE,
      blocks: 0,
      atime: this.made,
      mtime: this.made,
      ctime: this.made,
      btime: null,
    };
  }

  override setattr(attr: SetAttr): number {
    // Opening with O_TRUNC is how shells write to these files.
    return attr.size !== undefined && Object.keys(attr).length === 1 ? 0 : -EPERM;
  }

  /**
   * Whether the cached `inode` (null: an absence) is still what `name` stands for in this directory. An
   * inode whose owner changes is brought up to date here.
   */
  revalidateEntry(_name: string, _inode: Inode | null): boolean {
    return true;
  }

  open(_caller: FsCaller, path: Path, flags: number): OpenFile | number {
    return this.isDirectory ? new DirectoryFile(path, this, flags) : -EACCES;
  }
}

/** A directory whose entries are set up once. */
export class PseudoDirectory extends PseudoInode {
  protected readonly entries = new Map<string, Inode>();

  constructor(fs: PseudoFileSystem, mode = 0o555, uid = 0, gid = 0) {
    super(fs, S_IFDIR | mode, uid, gid);
    this.nlink = 2;
  }

  /** Adds an entry and returns it. */
  add<T extends Inode>(name: string, inode: T): T {
    this.entries.set(name, inode);
    if (inode.isDirectory) this.nlink++;
    return inode;
  }

  /** A subdirectory. */
  addDirectory(name: string, mode = 0o555): PseudoDirectory {
    return this.add(name, new PseudoDirectory(this.fs, mode));
  }

  /** A read-only text file. */
  addText(name: string, produce: (caller: FsCaller) => string | number, mode = 0o444): TextFile {
    return this.add(name, new TextFile(this.fs, mode, produce));
  }

  addSymlink(name: string, target: string): PseudoSymlink {
    return this.add(name, new PseudoSymlink(this.fs, () => target));
  }

  override lookup(name: string): Inode | number {
    return this.entries.get(name) ?? -ENOENT;
  }

  override readdir(): readonly DirEntry[] | number {
    const list: DirEntry[] = [];
    for (const [name, inode] of this.entries) {
      list.push({ name, ino: inode.ino, type: direntType(inode.mode) });
    }
    return list;
  }
}

export class PseudoSymlink extends PseudoInode {
  private readonly target: () => string | number;

  constructor(fs: PseudoFileSystem, target: () => string | number, mode = 0o777) {
    super(fs, S_IFLNK | mode);
    this.target = target;
  }

  override readlink(): string | number {
    return this.target();
  }
}

/** A device node; opening goes through the DeviceTable. */
export class PseudoDevice extends PseudoInode {
  constructor(fs: PseudoFileSystem, mode: number, major: number, minor: number) {
    super(fs, S_IFCHR | mode);
    this.rdevMajor = major;
    this.rdevMinor = minor;
  }
}

/** Takes what was written (a byte string) and returns 0 or -errno. */
export type TextWriter = (caller: FsCaller, text: string) => number;

/** A file whose text is made when it is opened, or rewound and read again. */
export class TextFile extends PseudoInode {
  readonly produce: (caller: FsCaller) => string | number;
  readonly accept: TextWriter | null;

  /** `produce` gives a byte string, or -errno for the reader. */
  constructor(
    fs: PseudoFileSystem,
    mode: number,
    produce: (caller: FsCaller) => string | number,
    accept: TextWriter | null = null,
  ) {
    super(fs, S_IFREG | mode);
    this.produce = produce;
    this.accept = accept;
  }

  override open(_caller: FsCaller, path: Path, flags: number): OpenFile | number {
    return new OpenTextFile(path, this, flags);
  }
}

class OpenTextFile extends SeekableFile {
  private readonly file: TextFile;
  private text: Uint8Array | null = null;

  constructor(path: Path, file: TextFile, flags: number) {
    super(path, file, flags);
    this.file = file;
  }

  protected size(): number {
    return 0;
  }

  override pread(caller: FsCaller, dst: IoBuffer, offset: number): number {
    if (this.text === null || offset === 0) {
      const made = this.file.produce(caller);
      if (typeof made === 'number') return made;
      this.text = byteStringBytes(made);
    }
    return offset >= this.text.length ? 0 : dst.write(this.text, offset);
  }

  override pwrite(caller: FsCaller, src: IoBuffer, _offset: number): number {
    if (this.file.accept === null) return -EINVAL;
    if (src.remaining > MAX_WRITE) return -EFBIG;
    const bytes = new Uint8Array(src.remaining);
    const n = src.read(bytes);
    const r = this.file.accept(caller, decodeByteString(bytes, 0, n));
    return r < 0 ? r : n;
  }
}
