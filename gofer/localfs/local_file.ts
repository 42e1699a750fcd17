/**
 * A host file behind a fid: an O_PATH descriptor, never a path.
 *
 * Everything is done relative to descriptors and one component at a time, so nothing outside the tree can be
 * named: no "..", no "/", and no link is ever followed (the Sentry resolves them). Calls that Linux offers only
 * by path go through /proc/self/fd/N of our own descriptor: it leads to the very inode, whose type was looked at
 * and never changes, so no rename makes it another file. docs/decisions/gofer.md goes through the requests.
 */
import * as fs from '../../native/fs.ts';
import { describeFile, lookUp, openRegular } from '../../native/index.ts';
import * as socket from '../../native/socket.ts';
import * as stat from '../../native/stat.ts';
import {
  EACCES,
  EADDRINUSE,
  EEXIST,
  EINVAL,
  EISDIR,
  ENOENT,
  ENOSYS,
  EOPNOTSUPP,
  ESTALE,
} from '../../spec/linux/errno.ts';
import {
  AT_REMOVEDIR,
  AT_SYMLINK_NOFOLLOW,
  O_CLOEXEC,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_PATH,
  O_RDONLY,
  O_WRONLY,
  RESOLVE_BENEATH,
  RESOLVE_NO_MAGICLINKS,
  RESOLVE_NO_SYMLINKS,
} from '../../spec/linux/fcntl.ts';
import { AF_UNIX, SOCK_CLOEXEC, SOCK_NONBLOCK } from '../../spec/linux/socket.ts';
import { S_IFDIR, S_IFLNK, S_IFMT, S_IFREG, S_IFSOCK } from '../../spec/linux/stat.ts';
import { PROC_SUPER_MAGIC } from '../../spec/linux/statfs.ts';
import * as p9 from '../../spec/p9/constants.ts';
import { getAttr, getMode, getQid } from '../../spec/p9/decoder.ts';
import { ATTR_SIZE } from '../../spec/p9/encoder.ts';
import type { Fields, P9Attr, Qid } from '../../spec/p9/messages.ts';
import type {
  CreatedFile,
  FileNode,
  FileStatfs,
  OpenedChild,
  OpenNode,
  Owner,
} from '../server/backend.ts';
import { openError } from '../server/file_requests.ts';
import type { InodeNumbers } from './inode_numbers.ts';
import { OpenLocalDirectory, OpenLocalFile, OpenLocalSocket } from './open_local_file.ts';
import { setTimes } from './set_times.ts';
import { SharedFd } from './shared_fd.ts';

const RESOLVE = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS;
/** Open flags that a client may choose; their 9P values are the host's. */
const OPEN_FLAGS =
  p9.P9_ACCMODE | p9.P9_TRUNC | p9.P9_APPEND | p9.P9_DSYNC | p9.P9_SYNC | p9.P9_NOATIME;

/** What the addon told last of a file: the body of an Rgetattr. */
const told = new Uint8Array(ATTR_SIZE);
const toldView = new DataView(told.buffer);

/** One component below `directory`, opened without following anything. */
function openBeneath(directory: number, name: string, flags: number, mode: number): number {
  const how = flags | O_NOFOLLOW | O_CLOEXEC;
  const fd = fs.openat2(directory, name, how, mode, RESOLVE);
  // Before Linux 5.6. With O_NOFOLLOW a single component cannot lead out of its directory either.
  return fd === -ENOSYS ? fs.openat(directory, name, how, mode) : fd;
}

export class LocalFile implements FileNode {
  readonly qid: Qid;
  readonly fileType: number;
  private readonly self: SharedFd;
  private readonly numbers: InodeNumbers;
  /** Where it was found, for Tremove and Trename; null for the root. */
  private directory: SharedFd | null;
  private name: string;

  private constructor(
    self: SharedFd,
    directory: SharedFd | null,
    name: string,
    numbers: InodeNumbers,
    qid: Qid,
    fileType: number,
  ) {
    this.self = self;
    this.directory = directory;
    this.name = name;
    this.numbers = numbers;
    this.qid = qid;
    this.fileType = fileType;
  }

  /** The file that O_PATH descriptor `fd` (taken over, closed on failure) refers to. */
  static of(
    fd: number,
    directory: SharedFd | null,
    name: string,
    numbers: InodeNumbers,
  ): LocalFile | number {
    const result = describeFile(fd, told, numbers.table);
    if (result === 0) return LocalFile.told(fd, directory, name, numbers);
    fs.close(fd);
    return result;
  }

  /** The same, when the addon just told its attributes. */
  private static told(
    fd: number,
    directory: SharedFd | null,
    name: string,
    numbers: InodeNumbers,
  ): LocalFile {
    const type = getMode(toldView, 0) & S_IFMT;
    const self = new SharedFd(fd);
    return new LocalFile(
      self,
      directory?.acquire() ?? null,
      name,
      numbers,
      getQid(toldView, 8),
      type,
    );
  }

  get fd(): number {
    return this.self.fd;
  }

  get pathDonation(): number {
    // Not of directories: names are this process's business, and special files may be devices.
    return this.fileType === S_IFREG || this.fileType === S_IFLNK ? this.fd : -1;
  }

  clone(): LocalFile {
    this.directory?.acquire();
    const { self, directory, name, numbers, qid, fileType } = this;
    return new LocalFile(self.acquire(), directory, name, numbers, qid, fileType);
  }

  release(): void {
    this.self.release();
    this.directory?.release();
  }

  walk(name: string, into: Uint8Array | null = null, at = 0): LocalFile | number {
    const fd = lookUp(this.fd, name, told, this.numbers.table);
    if (fd < 0) return fd;
    into?.set(told, at);
    return LocalFile.told(fd, this.self, name, this.numbers);
  }

  tell(into: Uint8Array): number {
    return describeFile(this.fd, into, this.numbers.table);
  }

  getattr(): P9Attr | number {
    const result = this.tell(told);
    return result < 0 ? result : getAttr(toldView, 0);
  }

  setattr(c: Fields<'Tsetattr'>): number {
    const { valid } = c;
    let result = 0;
    if ((valid & p9.SETATTR_SIZE) !== 0) result = this.truncate(c.size);
    if (result === 0 && (valid & (p9.SETATTR_UID | p9.SETATTR_GID)) !== 0) {
      const uid = (valid & p9.SETATTR_UID) !== 0 ? c.uid : -1;
      const gid = (valid & p9.SETATTR_GID) !== 0 ? c.gid : -1;
      result = stat.fchown(this.fd, uid, gid);
    }
    // After chown, which takes set-user-ID bits away.
    if (result === 0 && (valid & p9.SETATTR_MODE) !== 0) {
      result = stat.fchmodPath(this.fd, c.mode & 0o7777);
    }
    if (result === 0 && (valid & (p9.SETATTR_ATIME | p9.SETATTR_MTIME)) !== 0) {
      result = setTimes(this.fd, c);
    }
    return result;
  }

  private truncate(size: number): number {
    if (this.fileType !== S_IFREG || size > Number.MAX_SAFE_INTEGER) return -EINVAL;
    const fd = this.reopen(O_WRONLY, true);
    if (fd < 0) return fd;
    const result = fs.ftruncate(fd, size);
    fs.close(fd);
    return result;
  }

  open(flags: number): OpenNode | number {
    const refused = openError(this.fileType);
    if (refused < 0) return refused;
    if (this.fileType === S_IFDIR) {
      const fd = openBeneath(this.fd, '.', O_RDONLY | O_DIRECTORY, 0);
      return fd < 0 ? fd : new OpenLocalDirectory(fd, this.numbers);
    }
    const how = flags & OPEN_FLAGS;
    const fd = this.reopen(how, (how & (p9.P9_ACCMODE | p9.P9_TRUNC)) !== 0);
    return fd < 0 ? fd : new OpenLocalFile(fd);
  }

  openChild(name: string, flags: number): OpenedChild | number {
    const fd = openRegular(this.fd, name, flags & OPEN_FLAGS, told, this.numbers.table);
    if (fd >= 0) return { fd, qid: getQid(toldView, 8) };
    if (fd !== -EOPNOTSUPP) return fd;
    const type = getMode(toldView, 0) & S_IFMT;
    return type === S_IFDIR ? -EISDIR : openError(type) || fd;
  }

  /** A descriptor for the contents of this regular file. */
  private reopen(how: number, writes: boolean): number {
    if (writes) {
      const s = stat.fstatfs(this.fd);
      if (typeof s === 'number') return s;
      // In a volume that shows the host's /proc: our own memory is a file there.
      if (s.type === PROC_SUPER_MAGIC) return -EACCES;
    }
    return fs.open(stat.procPath(this.fd), how | O_CLOEXEC);
  }

  create(name: string, flags: number, mode: number, owner: Owner): CreatedFile | number {
    const how = (flags & OPEN_FLAGS) | O_CREAT | O_EXCL;
    // Set-ID bits come when it has its owner (`own`): until then it would be ours.
    const fd = openBeneath(this.fd, name, how, mode & 0o777);
    if (fd === -EEXIST && (flags & p9.P9_EXCL) === 0) return this.openExisting(name, flags);
    if (fd < 0) return fd;
    const path = fs.open(stat.procPath(fd), O_PATH | O_CLOEXEC);
    const node = path < 0 ? path : LocalFile.of(path, this.self, name, this.numbers);
    const result = typeof node === 'number' ? node : node.own(mode, owner);
    if (typeof node !== 'number' && result === 0) return { node, open: new OpenLocalFile(fd) };
    if (typeof node !== 'number') node.release();
    fs.close(fd);
    fs.unlinkat(this.fd, name, 0);
    return result;
  }

  private openExisting(name: string, flags: number): CreatedFile | number {
    const node = this.walk(name);
    if (typeof node === 'number') return node;
    const open = node.fileType === S_IFDIR ? -EEXIST : node.open(flags);
    if (typeof open !== 'number') return { node, open };
    node.release();
    return open;
  }

  /** Gives a file just made its owner and the exact mode, whatever directory bits did to them. */
  private own(mode: number, owner: Owner): number {
    const s = stat.statxOf(this.fd);
    if (typeof s === 'number') return s;
    let chmod = this.fileType !== S_IFLNK && (s.mode & 0o7777) !== mode;
    if (s.uid !== owner.uid || s.gid !== owner.gid) {
      const result = stat.fchown(this.fd, owner.uid, owner.gid);
      if (result < 0) return result;
      chmod = this.fileType !== S_IFLNK && (chmod || (mode & 0o7000) !== 0);
    }
    return chmod ? stat.fchmodPath(this.fd, mode) : 0;
  }

  /**
   * Finishes mkdir, mknod and symlink: the qid of `name`, just made; it is removed on failure. Whoever
   * else writes this very directory may have put something else there: at least not of another kind.
   */
  private made(name: string, type: number, mode: number, owner: Owner): Qid | number {
    const node = this.walk(name);
    if (typeof node === 'number') return node;
    const result = node.fileType === type ? node.own(mode, owner) : -ESTALE;
    node.release();
    if (result === 0) return node.qid;
    if (result !== -ESTALE) fs.unlinkat(this.fd, name, type === S_IFDIR ? AT_REMOVEDIR : 0);
    return result;
  }

  mkdir(name: string, mode: number, owner: Owner): Qid | number {
    const result = fs.mkdirat(this.fd, name, mode & 0o777);
    return result < 0 ? result : this.made(name, S_IFDIR, mode, owner);
  }

  mknod(name: string, mode: number, owner: Owner): Qid | number {
    const type = mode & S_IFMT;
    const result = fs.mknodat(this.fd, name, type | (mode & 0o777), 0);
    return result < 0 ? result : this.made(name, type, mode & 0o7777, owner);
  }

  symlink(name: string, target: string, owner: Owner): Qid | number {
    const result = fs.symlinkat(target, this.fd, name);
    return result < 0 ? result : this.made(name, S_IFLNK, 0o777, owner);
  }

  /** connect(2) follows the link of our own O_PATH descriptor to the socket that was walked to. */
  connect(type: number): OpenLocalSocket | number {
    const fd = socket.socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return fd;
    const result = socket.connectUnix(fd, stat.procPath(this.fd));
    if (result === 0) return new OpenLocalSocket(fd);
    fs.close(fd);
    return result;
  }

  /** bind(2) makes one component below our own descriptor, or fails where something has that name. */
  bind(name: string, type: number, mode: number, owner: Owner): OpenLocalSocket | number {
    const fd = socket.socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return fd;
    let result = socket.bindUnix(fd, `${stat.procPath(this.fd)}/${name}`);
    if (result === 0) {
      const made = this.made(name, S_IFSOCK, mode, owner);
      if (typeof made !== 'number') return new OpenLocalSocket(fd);
      result = made;
    }
    fs.close(fd);
    return result === -EADDRINUSE ? -EEXIST : result;
  }

  openFifo(access: number): number {
    return fs.open(stat.procPath(this.fd), access | O_NONBLOCK | O_CLOEXEC);
  }

  readlink(): string | number {
    return fs.readlinkat(this.fd, '');
  }

  link(name: string, target: FileNode): number {
    return fs.linkFd((target as LocalFile).fd, this.fd, name);
  }

  rename(oldName: string, newDirectory: FileNode, newName: string): number {
    return fs.renameat2(this.fd, oldName, (newDirectory as LocalFile).fd, newName, 0);
  }

  unlink(name: string, removeDirectory: boolean): number {
    return fs.unlinkat(this.fd, name, removeDirectory ? AT_REMOVEDIR : 0);
  }

  /** Where this file still is, or -ENOENT. */
  private place(): SharedFd | number {
    if (this.directory === null) return -EINVAL;
    const here = stat.fstatat(this.directory.fd, this.name, AT_SYMLINK_NOFOLLOW);
    if (typeof here === 'number') return here;
    return this.numbers.qid(here).path === this.qid.path ? this.directory : -ENOENT;
  }

  renameSelf(newDirectory: FileNode, newName: string): number {
    const place = this.place();
    if (typeof place === 'number') return place;
    const to = (newDirectory as LocalFile).self;
    const result = fs.renameat2(place.fd, this.name, to.fd, newName, 0);
    if (result < 0) return result;
    this.directory = to.acquire();
    this.name = newName;
    place.release();
    return 0;
  }

  removeSelf(): number {
    const place = this.place();
    if (typeof place === 'number') return place;
    return fs.unlinkat(place.fd, this.name, this.fileType === S_IFDIR ? AT_REMOVEDIR : 0);
  }

  private get xattrTarget(): stat.XattrTarget {
    return { path: stat.procPath(this.fd), follow: true };
  }

  getXattr(name: string): Uint8Array | number {
    return stat.getXattr(this.xattrTarget, name);
  }

  listXattr(): readonly string[] | number {
    return stat.listXattr(this.xattrTarget);
  }

  setXattr(name: string, value: Uint8Array, flags: number): number {
    return stat.setXattr(this.xattrTarget, name, value, flags);
  }

  removeXattr(name: string): number {
    return stat.removeXattr(this.xattrTarget, name);
  }

  statfs(): FileStatfs | number {
    const s = stat.fstatfs(this.fd);
    if (typeof s === 'number') return s;
    const { type, bsize, blocks, bfree, bavail, files, ffree, namelen } = s;
    return { type, bsize, blocks, bfree, bavail, files, ffree, namelen };
  }
}
