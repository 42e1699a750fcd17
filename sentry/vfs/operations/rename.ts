/**
 * rename(2), renameat2(2). Counterpart of do_renameat2 and vfs_rename in Linux's fs/namei.c.
 */
import {
  EBUSY,
  EEXIST,
  EINVAL,
  EISDIR,
  ENOENT,
  ENOTDIR,
  ENOTEMPTY,
  EXDEV,
} from '../../../spec/linux/errno.ts';
import { RENAME_EXCHANGE, RENAME_NOREPLACE } from '../../../spec/linux/fcntl.ts';
import { IN_ATTRIB } from '../../../spec/linux/inotify.ts';
import type { FsCaller } from '../caller.ts';
import type { Dentry } from '../dentry.ts';
import { notifyInode, notifyMove } from '../fsnotify.ts';
import type { Inode } from '../inode.ts';
import type { Path } from '../mount.ts';
import type { ParentPath } from '../namei.ts';
import { MAY_WRITE, mayDelete, permission } from '../permission.ts';
import type { Vfs } from '../vfs.ts';
import { mayCreate } from './create.ts';
import { dropAbsences } from './remove.ts';
import { checkWritable } from './writable.ts';

interface Ends {
  readonly from: ParentPath;
  readonly to: ParentPath;
  readonly source: Dentry;
  readonly target: Dentry;
}

function isName(name: string): boolean {
  return name !== '' && name !== '.' && name !== '..';
}

/** renameat2(2): `flags` are RENAME_NOREPLACE and RENAME_EXCHANGE; others are -EINVAL. */
export function rename(
  vfs: Vfs,
  caller: FsCaller,
  oldStart: Path | undefined,
  oldPath: string,
  newStart: Path | undefined,
  newPath: string,
  flags: number,
): number {
  const exchange = (flags & RENAME_EXCHANGE) !== 0;
  const noReplace = (flags & RENAME_NOREPLACE) !== 0;
  // RENAME_WHITEOUT is for overlay file systems themselves; none is stacked on ours.
  if ((flags & ~(RENAME_EXCHANGE | RENAME_NOREPLACE)) !== 0) return -EINVAL;
  if (exchange && noReplace) return -EINVAL;
  const from = vfs.namei.lookupParent(caller, oldPath, { follow: false, start: oldStart });
  if (typeof from === 'number') return from;
  const to = vfs.namei.lookupParent(caller, newPath, { follow: false, start: newStart });
  if (typeof to === 'number') return to;
  if (from.parent.mount !== to.parent.mount) return -EXDEV;
  if (!isName(from.name)) return -EBUSY;
  if (!isName(to.name)) return noReplace ? -EEXIST : -EBUSY;
  const writable = checkWritable(from.parent);
  if (writable < 0) return writable;
  const source = vfs.namei.child(from.parent, from.name);
  if (typeof source === 'number') return source;
  if (source.inode === null) return -ENOENT;
  const target = vfs.namei.child(to.parent, to.name);
  if (typeof target === 'number') return target;
  if (noReplace && target.inode !== null) return -EEXIST;
  if (exchange && target.inode === null) return -ENOENT;
  const ends = { from, to, source, target };
  const shaped = checkShapes(ends, exchange);
  if (shaped < 0) return shaped;
  if (source.inode === target.inode) return 0;
  const allowed = checkPermissions(caller, ends, exchange);
  if (allowed < 0) return allowed;
  if (source.mountCount > 0 || target.mountCount > 0) return -EBUSY;
  return carryOut(vfs, ends, flags);
}

/** Trailing slashes, and a directory into itself. */
function checkShapes(ends: Ends, exchange: boolean): number {
  const { from, to, source, target } = ends;
  const isDirectory = source.inode?.isDirectory === true;
  if (exchange && target.inode?.isDirectory !== true && to.trailingSlash) return -ENOTDIR;
  if (!isDirectory) {
    if (from.trailingSlash) return -ENOTDIR;
    if (!exchange && to.trailingSlash) return -ENOTDIR;
  }
  if (to.parent.dentry.isDescendantOf(source)) return -EINVAL;
  if (target.inode !== null && from.parent.dentry.isDescendantOf(target)) {
    return exchange ? -EINVAL : -ENOTEMPTY;
  }
  return 0;
}

function checkPermissions(caller: FsCaller, ends: Ends, exchange: boolean): number {
  const { from, to } = ends;
  const source = ends.source.inode as Inode;
  const target = ends.target.inode;
  const oldDir = from.parent.dentry.inode as Inode;
  const newDir = to.parent.dentry.inode as Inode;
  let r = mayDelete(oldDir, source, caller.creds);
  if (r < 0) return r;
  r = target === null ? mayCreate(caller, to.parent) : mayDelete(newDir, target, caller.creds);
  if (r < 0) return r;
  if (target !== null && !exchange) {
    if (source.isDirectory && !target.isDirectory) return -ENOTDIR;
    if (!source.isDirectory && target.isDirectory) return -EISDIR;
  }
  if (from.parent.dentry === to.parent.dentry) return 0;
  // A directory's '..' changes with its parent.
  if (source.isDirectory) {
    r = permission(source, caller.creds, MAY_WRITE);
    if (r < 0) return r;
  }
  return exchange && target?.isDirectory ? permission(target, caller.creds, MAY_WRITE) : 0;
}

function carryOut(vfs: Vfs, ends: Ends, flags: number): number {
  const { from, to, source, target } = ends;
  const moved = source.inode as Inode;
  const victim = target.inode;
  const oldDir = from.parent.dentry.inode as Inode;
  const newDir = to.parent.dentry.inode as Inode;
  const r = oldDir.rename(from.name, moved, newDir, to.name, victim, flags);
  if (r < 0) return r;
  if ((flags & RENAME_EXCHANGE) !== 0) {
    vfs.dentries.exchange(source, target);
    notifyMove(moved, oldDir, from.name, newDir, to.name, vfs.nextMoveCookie());
    notifyMove(victim as Inode, newDir, to.name, oldDir, from.name, vfs.nextMoveCookie());
    return 0;
  }
  if (victim !== null) {
    dropAbsences(vfs, target);
    notifyInode(victim, IN_ATTRIB);
  }
  vfs.dentries.move(source, to.parent.dentry, to.name);
  vfs.dentries.add(from.parent.dentry, from.name, null);
  notifyMove(moved, oldDir, from.name, newDir, to.name, vfs.nextMoveCookie());
  return 0;
}
