/**
 * Opening by name (open(2), openat2(2)). Counterpart of path_openat and may_open in Linux's fs/namei.c.
 */
import {
  EACCES,
  EEXIST,
  EINVAL,
  EISDIR,
  ELOOP,
  ENOENT,
  ENOTDIR,
  ENXIO,
  EPERM,
  EROFS,
  ETXTBSY,
} from '../../../spec/linux/errno.ts';
import {
  O_ACCMODE,
  O_CLOEXEC,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_NOATIME,
  O_NOCTTY,
  O_NOFOLLOW,
  O_PATH,
  O_RDONLY,
  O_TMPFILE,
  O_TRUNC,
  O_WRONLY,
} from '../../../spec/linux/fcntl.ts';
import { IN_MODIFY, IN_OPEN } from '../../../spec/linux/inotify.ts';
import { MS_NODEV } from '../../../spec/linux/mount.ts';
import {
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFLNK,
  S_IFREG,
  S_IFSOCK,
} from '../../../spec/linux/stat.ts';
import type { FsCaller } from '../caller.ts';
import { Dentry } from '../dentry.ts';
import { notifyFile } from '../fsnotify.ts';
import type { Inode } from '../inode.ts';
import { MemoryRegular } from '../memory_regular.ts';
import type { Path } from '../mount.ts';
import { type OpenFile, PathFile } from '../open_file.ts';
import { MAY_READ, MAY_WRITE, ownerOrCapable, permission } from '../permission.ts';
import type { Vfs } from '../vfs.ts';
import { truncateForOpen } from './attributes.ts';
import { announce, mayCreate, newInode } from './create.ts';
import { checkWritable } from './writable.ts';

export interface OpenHow {
  /** O_*. */
  readonly flags: number;
  /** Permission bits of a new file, before the umask. */
  readonly mode: number;
  /** RESOLVE_*. */
  readonly resolve?: number;
}

/** Flags that say how to open and are not kept. */
const CREATION_FLAGS = O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_CLOEXEC;
const IS_TMPFILE = O_TMPFILE & ~O_DIRECTORY;

/** The open file, or -errno. `start` is where a relative path begins. */
export function openFile(
  vfs: Vfs,
  caller: FsCaller,
  start: Path | undefined,
  path: string,
  how: OpenHow,
): OpenFile | number {
  const { flags } = how;
  if ((flags & O_PATH) !== 0) return openPath(vfs, caller, start, path, how);
  if ((flags & IS_TMPFILE) !== 0) return openTmpfile(vfs, caller, start, path, how);
  if ((flags & O_CREAT) !== 0) return openCreating(vfs, caller, start, path, how);
  const found = lookupForOpen(vfs, caller, start, path, how);
  return typeof found === 'number' ? found : openExisting(vfs, caller, found, flags);
}

function lookupForOpen(
  vfs: Vfs,
  caller: FsCaller,
  start: Path | undefined,
  path: string,
  how: OpenHow,
): Path | number {
  const follow = (how.flags & O_NOFOLLOW) === 0;
  return vfs.namei.lookup(caller, path, { follow, start, resolve: how.resolve ?? 0 });
}

function openPath(
  vfs: Vfs,
  caller: FsCaller,
  start: Path | undefined,
  path: string,
  how: OpenHow,
): OpenFile | number {
  const found = lookupForOpen(vfs, caller, start, path, how);
  if (typeof found === 'number') return found;
  const inode = found.dentry.inode;
  if (inode === null) return -ENOENT;
  if ((how.flags & O_DIRECTORY) !== 0 && !inode.isDirectory) return -ENOTDIR;
  return new PathFile(found, inode, how.flags & (O_PATH | O_DIRECTORY | O_NOFOLLOW));
}

function openTmpfile(
  vfs: Vfs,
  caller: FsCaller,
  start: Path | undefined,
  path: string,
  how: OpenHow,
): OpenFile | number {
  if ((how.flags & O_TMPFILE) !== O_TMPFILE) return -EINVAL;
  if ((how.flags & O_ACCMODE) === O_RDONLY || (how.flags & O_CREAT) !== 0) return -EINVAL;
  const found = lookupForOpen(vfs, caller, start, path, how);
  if (typeof found === 'number') return found;
  const dir = found.dentry.inode;
  if (dir === null || !dir.isDirectory) return -ENOTDIR;
  const r = mayCreate(caller, found);
  if (r < 0) return r;
  const inode = dir.tmpfile(newInode(caller, dir, how.mode, false));
  if (typeof inode === 'number') return inode;
  if (inode instanceof MemoryRegular) inode.linkable = (how.flags & O_EXCL) === 0;
  const dentry = new Dentry(found.dentry, `#${inode.ino}`, inode);
  dentry.detached = true;
  return finish(vfs, caller, { mount: found.mount, dentry }, inode, how.flags & ~O_TRUNC);
}

function openCreating(
  vfs: Vfs,
  caller: FsCaller,
  start: Path | undefined,
  path: string,
  how: OpenHow,
): OpenFile | number {
  const { flags } = how;
  if ((flags & O_DIRECTORY) !== 0) return -EINVAL;
  const exclusive = (flags & O_EXCL) !== 0;
  const follow = !exclusive && (flags & O_NOFOLLOW) === 0;
  const resolve = how.resolve ?? 0;
  const found = vfs.namei.lookupParent(caller, path, { follow, start, resolve });
  if (typeof found === 'number') return found;
  const { parent, name } = found;
  // A magic link, or a path that ends in '/', '.' or '..': it exists.
  if (name === '' || name === '.' || name === '..') {
    if (exclusive) return -EEXIST;
    if (parent.dentry.inode?.isDirectory !== false) return -EISDIR;
    return openExisting(vfs, caller, parent, flags);
  }
  if (found.trailingSlash) return -EISDIR;
  const d = vfs.namei.child(parent, name);
  if (typeof d === 'number') return d;
  if (d.inode !== null) {
    if (exclusive) return -EEXIST;
    const at = caller.fs.mounts.top({ mount: parent.mount, dentry: d });
    if (at.dentry.inode?.isDirectory === true) return -EISDIR;
    return openExisting(vfs, caller, at, flags);
  }
  const r = mayCreate(caller, parent);
  if (r < 0) return r;
  const dir = parent.dentry.inode as Inode;
  const made = dir.create(name, newInode(caller, dir, how.mode, false));
  if (typeof made === 'number') return made;
  const at = announce(vfs, { parent, dir, name }, made);
  // Whoever made the file may use it as it asked for, whatever the permission bits are.
  return finish(vfs, caller, at, made, flags & ~O_TRUNC);
}

/** Opens what a path led to, with all checks (also /proc/PID/fd links and open_by_handle). */
export function openExisting(
  vfs: Vfs,
  caller: FsCaller,
  at: Path,
  flags: number,
): OpenFile | number {
  const inode = at.dentry.inode;
  if (inode === null) return -ENOENT;
  if ((flags & O_DIRECTORY) !== 0 && !inode.isDirectory) return -ENOTDIR;
  const r = mayOpen(caller, at, inode, flags);
  if (r < 0) return r;
  if ((flags & O_TRUNC) !== 0 && inode.isRegular) {
    const truncated = truncateForOpen(caller, inode);
    if (truncated < 0) return truncated;
    notifyFile(at.dentry, IN_MODIFY);
  }
  return finish(vfs, caller, at, inode, flags);
}

function mayOpen(caller: FsCaller, at: Path, inode: Inode, flags: number): number {
  const access = flags & O_ACCMODE;
  const writes = access !== O_RDONLY;
  let mask = 0;
  if (access !== O_WRONLY) mask |= MAY_READ;
  if (writes || (flags & O_TRUNC) !== 0) mask |= MAY_WRITE;
  switch (inode.type) {
    case S_IFLNK:
      return -ELOOP;
    case S_IFDIR:
      if ((mask & MAY_WRITE) !== 0) return -EISDIR;
      break;
    case S_IFCHR:
    case S_IFBLK:
      if ((at.mount.flags & MS_NODEV) !== 0) return -EACCES;
      break;
    case S_IFSOCK:
      return -ENXIO;
    default:
  }
  const allowed = permission(inode, caller.creds, mask);
  if (allowed < 0) return allowed;
  if ((flags & O_NOATIME) !== 0 && !ownerOrCapable(inode, caller.creds)) return -EPERM;
  if (!inode.isRegular) return 0;
  if ((mask & MAY_WRITE) !== 0) {
    const writable = checkWritable(at);
    if (writable < 0) return -EROFS;
    if (inode.writeCount < 0) return -ETXTBSY;
  }
  return 0;
}

function finish(
  vfs: Vfs,
  caller: FsCaller,
  at: Path,
  inode: Inode,
  flags: number,
): OpenFile | number {
  // Terminals want to know O_NOCTTY; nobody keeps it.
  const file = openByType(vfs, caller, at, inode, flags & ~(CREATION_FLAGS & ~O_NOCTTY));
  if (typeof file === 'number') return file;
  file.flags &= ~O_NOCTTY;
  if (file.writable && inode.isRegular) {
    inode.writeCount++;
    file.deniesExecution = true;
  }
  notifyFile(at.dentry, IN_OPEN);
  return file;
}

function openByType(
  vfs: Vfs,
  caller: FsCaller,
  at: Path,
  inode: Inode,
  flags: number,
): OpenFile | number {
  const special = inode.openSpecial(caller, at, flags);
  if (special !== null) return special;
  switch (inode.type) {
    case S_IFREG:
    case S_IFDIR:
      return inode.open(caller, at, flags);
    case S_IFIFO:
      return vfs.openFifo(caller, at, flags);
    case S_IFCHR:
      return vfs.devices.open(caller, at, flags);
    default:
      return -ENXIO;
  }
}
