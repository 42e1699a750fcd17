/**
 * Making names: mkdir(2), mknod(2), symlink(2), link(2), and the new file of open(2). Counterpart of the
 * vfs_mkdir family in Linux's fs/namei.c.
 */

import { CAP_FSETID, CAP_MKNOD } from '../../../spec/linux/capability.ts';
import { EEXIST, EINVAL, ENAMETOOLONG, ENOENT, EPERM, EXDEV } from '../../../spec/linux/errno.ts';
import { IN_ATTRIB, IN_CREATE } from '../../../spec/linux/inotify.ts';
import {
  S_IFBLK,
  S_IFCHR,
  S_IFIFO,
  S_IFREG,
  S_IFSOCK,
  S_ISGID,
  S_IXGRP,
} from '../../../spec/linux/stat.ts';
import type { FsCaller } from '../caller.ts';
import { notifyEntry, notifyInode } from '../fsnotify.ts';
import type { HostSocket } from '../host_socket.ts';
import type { Inode, NewInode } from '../inode.ts';
import { MemoryRegular } from '../memory_regular.ts';
import type { Path } from '../mount.ts';
import { PATH_MAX } from '../namei.ts';
import { MAY_EXEC, MAY_WRITE, permission } from '../permission.ts';
import type { Vfs } from '../vfs.ts';
import { checkWritable } from './writable.ts';

/** A directory and a name in it that does not exist yet. */
export interface NewName {
  readonly parent: Path;
  readonly dir: Inode;
  readonly name: string;
}

/** Finds where `path` is to be made. -EEXIST when it is there already. */
function newName(
  vfs: Vfs,
  caller: FsCaller,
  start: Path | undefined,
  path: string,
  directory: boolean,
): NewName | number {
  const found = vfs.namei.lookupParent(caller, path, { follow: false, start });
  if (typeof found === 'number') return found;
  const { parent, name } = found;
  if (name === '' || name === '.' || name === '..') return -EEXIST;
  const d = vfs.namei.child(parent, name);
  if (typeof d === 'number') return d;
  if (d.inode !== null) return -EEXIST;
  if (found.trailingSlash && !directory) return -ENOENT;
  const r = mayCreate(caller, parent);
  if (r < 0) return r;
  return { parent, dir: parent.dentry.inode as Inode, name };
}

/** Whether names may be made in the directory `parent`: 0 or -errno. */
export function mayCreate(caller: FsCaller, parent: Path): number {
  const r = checkWritable(parent);
  if (r < 0) return r;
  const dir = parent.dentry.inode;
  if (dir === null || parent.dentry.detached) return -ENOENT;
  return permission(dir, caller.creds, MAY_WRITE | MAY_EXEC);
}

/** Owner and permissions of something new in `dir`: umask and set-group-id directories applied. */
export function newInode(caller: FsCaller, dir: Inode, mode: number, directory: boolean): NewInode {
  const { creds } = caller;
  let bits = mode & 0o7777 & ~caller.fs.umask;
  const inherits = (dir.mode & S_ISGID) !== 0;
  const gid = inherits ? dir.gid : creds.fsgid;
  if (inherits && directory) bits |= S_ISGID;
  const runsAsGroup = (bits & (S_ISGID | S_IXGRP)) === (S_ISGID | S_IXGRP);
  if (!directory && runsAsGroup && !creds.inGroup(gid) && !creds.has(CAP_FSETID)) bits &= ~S_ISGID;
  return { mode: bits, uid: creds.fsuid, gid };
}

/** Puts what was made into the name cache and tells watchers. */
export function announce(vfs: Vfs, at: NewName, inode: Inode): Path {
  const dentry = vfs.dentries.add(at.parent.dentry, at.name, inode);
  notifyEntry(at.dir, IN_CREATE, at.name, inode.isDirectory);
  return { mount: at.parent.mount, dentry };
}

/** mkdirat(2). `start` is where a relative path begins, here and below. */
export function makeDirectory(
  vfs: Vfs,
  caller: FsCaller,
  start: Path | undefined,
  path: string,
  mode: number,
): number {
  const at = newName(vfs, caller, start, path, true);
  if (typeof at === 'number') return at;
  // mkdir(2): of the set-id bits only the sticky bit counts.
  const made = at.dir.mkdir(at.name, newInode(caller, at.dir, mode & 0o1777, true));
  if (typeof made === 'number') return made;
  announce(vfs, at, made);
  return 0;
}

/**
 * bind(2) of a unix socket of SOCK_* `socketType`: the path of its new inode, and where that is a name of
 * the host, the socket there. Or -errno.
 */
export function makeSocket(
  vfs: Vfs,
  caller: FsCaller,
  path: string,
  socketType: number,
): { readonly at: Path; readonly host: HostSocket | null } | number {
  const at = newName(vfs, caller, undefined, path, false);
  if (typeof at === 'number') return at;
  const how = newInode(caller, at.dir, 0o777, false);
  const bound = at.dir.bindSocket(at.name, socketType, how);
  if (typeof bound === 'number') return bound;
  if (bound !== null) return { at: announce(vfs, at, bound.inode), host: bound.socket };
  const made = at.dir.mknod(at.name, S_IFSOCK, how, 0, 0);
  return typeof made === 'number' ? made : { at: announce(vfs, at, made), host: null };
}

/** mknodat(2). The new node's path, or -errno. */
export function makeNode(
  vfs: Vfs,
  caller: FsCaller,
  start: Path | undefined,
  path: string,
  type: number,
  mode: number,
  major: number,
  minor: number,
): Path | number {
  const known = [S_IFREG, S_IFIFO, S_IFSOCK, S_IFCHR, S_IFBLK].includes(type);
  if (!known) return -EINVAL;
  const at = newName(vfs, caller, start, path, false);
  if (typeof at === 'number') return at;
  const device = type === S_IFCHR || type === S_IFBLK;
  if (device && !caller.creds.has(CAP_MKNOD)) return -EPERM;
  const how = newInode(caller, at.dir, mode, false);
  const made =
    type === S_IFREG ? at.dir.create(at.name, how) : at.dir.mknod(at.name, type, how, major, minor);
  return typeof made === 'number' ? made : announce(vfs, at, made);
}

/** symlinkat(2). */
export function makeSymlink(
  vfs: Vfs,
  caller: FsCaller,
  target: string,
  start: Path | undefined,
  path: string,
): number {
  if (target === '') return -ENOENT;
  if (target.length >= PATH_MAX) return -ENAMETOOLONG;
  const at = newName(vfs, caller, start, path, false);
  if (typeof at === 'number') return at;
  const made = at.dir.symlink(at.name, target, newInode(caller, at.dir, 0o777, false));
  if (typeof made === 'number') return made;
  announce(vfs, at, made);
  return 0;
}

/** linkat(2) once the existing file is found. */
export function makeLink(
  vfs: Vfs,
  caller: FsCaller,
  existing: Path,
  start: Path | undefined,
  path: string,
): number {
  const at = newName(vfs, caller, start, path, false);
  if (typeof at === 'number') return at;
  const inode = existing.dentry.inode;
  if (inode === null) return -ENOENT;
  if (existing.mount !== at.parent.mount || inode.fs !== at.dir.fs) return -EXDEV;
  if (inode.isDirectory) return -EPERM;
  const unnamed = existing.dentry.detached && inode instanceof MemoryRegular && inode.nlink === 0;
  if (unnamed && !inode.linkable) return -ENOENT;
  const r = at.dir.link(at.name, inode);
  if (r < 0) return r;
  announce(vfs, at, inode);
  notifyInode(inode, IN_ATTRIB);
  return 0;
}
