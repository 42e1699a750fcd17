/**
 * Changing attributes: chmod(2), chown(2), utimensat(2), truncate(2), access(2). Counterpart of Linux's
 * fs/attr.c and fs/open.c.
 */

import { CAP_CHOWN, CAP_FSETID } from '../../../spec/linux/capability.ts';
import {
  EACCES,
  EFBIG,
  EINVAL,
  EISDIR,
  ENOENT,
  EOPNOTSUPP,
  EPERM,
  EROFS,
  ETXTBSY,
} from '../../../spec/linux/errno.ts';
import { IN_ATTRIB, IN_MODIFY } from '../../../spec/linux/inotify.ts';
import { MS_NOEXEC } from '../../../spec/linux/mount.ts';
import { SIGXFSZ } from '../../../spec/linux/signal.ts';
import { S_ISGID, S_ISUID, S_IXGRP } from '../../../spec/linux/stat.ts';
import type { FsCaller } from '../caller.ts';
import { type Credentials, NO_CAPABILITIES } from '../credentials.ts';
import { notifyFile } from '../fsnotify.ts';
import type { Inode } from '../inode.ts';
import { MAX_FILE_SIZE } from '../memory_regular.ts';
import type { Path } from '../mount.ts';
import { MAY_EXEC, MAY_READ, MAY_WRITE, ownerOrCapable, permission } from '../permission.ts';
import type { SetAttr, Timestamp } from '../stat.ts';
import { checkWritable } from './writable.ts';

/** The mode without the set-id bits that a change of contents or owner takes away. */
function withoutSetId(mode: number): number {
  let kept = mode & ~S_ISUID;
  if ((mode & S_IXGRP) !== 0) kept &= ~S_ISGID;
  return kept & 0o7777;
}

/** chmod(2) on what `at` names. */
export function changeMode(caller: FsCaller, at: Path, mode: number): number {
  const inode = at.dentry.inode;
  if (inode === null) return -ENOENT;
  const r = checkWritable(at);
  if (r < 0) return r;
  if (inode.isSymlink) return -EOPNOTSUPP;
  const { creds } = caller;
  if (!ownerOrCapable(inode, creds)) return -EPERM;
  let bits = mode & 0o7777;
  if (!creds.inGroup(inode.gid) && !creds.has(CAP_FSETID)) bits &= ~S_ISGID;
  return apply(at, inode, { mode: bits });
}

/** chown(2); -1 leaves an id as it is. */
export function changeOwner(caller: FsCaller, at: Path, uid: number, gid: number): number {
  const inode = at.dentry.inode;
  if (inode === null) return -ENOENT;
  const r = checkWritable(at);
  if (r < 0) return r;
  const { creds } = caller;
  if (!creds.has(CAP_CHOWN)) {
    const owns = creds.fsuid === inode.uid;
    if (uid !== -1 && !(owns && uid === inode.uid)) return -EPERM;
    if (gid !== -1 && !(owns && (gid === inode.gid || creds.inGroup(gid)))) return -EPERM;
  }
  const attr: SetAttr = {};
  if (uid !== -1) attr.uid = uid;
  if (gid !== -1) attr.gid = gid;
  if (!inode.isDirectory && !inode.isSymlink && (inode.mode & (S_ISUID | S_ISGID)) !== 0) {
    attr.mode = withoutSetId(inode.mode);
  }
  return apply(at, inode, attr);
}

function apply(at: Path, inode: Inode, attr: SetAttr): number {
  const r = inode.setattr(attr);
  if (r === 0) notifyFile(at.dentry, IN_ATTRIB);
  return r;
}

/** A time for utimensat(2): a moment, now, or left as it is. */
export type NewTime = Timestamp | 'now' | 'omit';

export function changeTimes(caller: FsCaller, at: Path, atime: NewTime, mtime: NewTime): number {
  const inode = at.dentry.inode;
  if (inode === null) return -ENOENT;
  if (atime === 'omit' && mtime === 'omit') return 0;
  const r = checkWritable(at);
  if (r < 0) return r;
  if (!ownerOrCapable(inode, caller.creds)) {
    if (atime !== 'now' || mtime !== 'now') return -EPERM;
    const allowed = permission(inode, caller.creds, MAY_WRITE);
    if (allowed < 0) return allowed;
  }
  const now = inode.fs.clock.realtime();
  const attr: SetAttr = {};
  if (atime !== 'omit') attr.atime = atime === 'now' ? now : atime;
  if (mtime !== 'omit') attr.mtime = mtime === 'now' ? now : mtime;
  return apply(at, inode, attr);
}

/** truncate(2) by name. */
export function truncatePath(caller: FsCaller, at: Path, length: number): number {
  const inode = at.dentry.inode;
  if (inode === null) return -ENOENT;
  if (inode.isDirectory) return -EISDIR;
  if (!inode.isRegular) return -EINVAL;
  const r = checkWritable(at);
  if (r < 0) return r;
  const allowed = permission(inode, caller.creds, MAY_WRITE);
  if (allowed < 0) return allowed;
  if (inode.writeCount < 0) return -ETXTBSY;
  const done = setSize(caller, inode, length);
  if (done === 0) notifyFile(at.dentry, IN_MODIFY);
  return done;
}

/** Sets the size of a file that may be written, minding RLIMIT_FSIZE and the set-id bits. */
export function setSize(caller: FsCaller, inode: Inode, length: number): number {
  if (length > MAX_FILE_SIZE) return -EFBIG;
  if (length > caller.fileSizeLimit) {
    caller.raise(SIGXFSZ);
    return -EFBIG;
  }
  return inode.setattr(withPrivilegesDropped(caller, inode, { size: length }));
}

/** O_TRUNC. */
export function truncateForOpen(caller: FsCaller, inode: Inode): number {
  return inode.setattr(withPrivilegesDropped(caller, inode, { size: 0 }));
}

function withPrivilegesDropped(caller: FsCaller, inode: Inode, attr: SetAttr): SetAttr {
  if (!losesPrivileges(caller, inode)) return attr;
  return { ...attr, mode: withoutSetId(inode.mode) };
}

function losesPrivileges(caller: FsCaller, inode: Inode): boolean {
  const { mode } = inode;
  if ((mode & (S_ISUID | S_ISGID)) === 0 || !inode.isRegular) return false;
  const group = (mode & (S_ISGID | S_IXGRP)) === (S_ISGID | S_IXGRP);
  return ((mode & S_ISUID) !== 0 || group) && !caller.creds.has(CAP_FSETID);
}

/** A write to a set-id program takes the set-id bits away. */
export function dropPrivileges(caller: FsCaller, inode: Inode): void {
  if (losesPrivileges(caller, inode)) inode.setattr({ mode: withoutSetId(inode.mode) });
}

/** The credentials that access(2) goes by: real ids, and the capabilities exec would give them. */
export function realCredentials(creds: Credentials): Credentials {
  const effective = creds.uid === 0 ? creds.permitted : NO_CAPABILITIES;
  if (creds.fsuid === creds.uid && creds.fsgid === creds.gid && creds.effective === effective) {
    return creds;
  }
  return creds.with({ fsuid: creds.uid, fsgid: creds.gid, effective });
}

/** access(2): `mask` is MAY_*, which equal R_OK, W_OK and X_OK. */
export function checkAccess(creds: Credentials, at: Path, mask: number): number {
  const inode = at.dentry.inode;
  if (inode === null) return -ENOENT;
  if ((mask & MAY_EXEC) !== 0 && inode.isRegular && (at.mount.flags & MS_NOEXEC) !== 0) {
    return -EACCES;
  }
  const r = permission(inode, creds, mask & (MAY_READ | MAY_WRITE | MAY_EXEC));
  if (r < 0 || (mask & MAY_WRITE) === 0 || !at.mount.readonly) return r;
  const stored = inode.isRegular || inode.isDirectory || inode.isSymlink;
  return stored ? -EROFS : 0;
}
