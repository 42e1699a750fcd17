/**
 * Extended attributes with the rules of their name spaces (xattr(7)).
 */

import { CAP_SETFCAP, CAP_SYS_ADMIN } from '../../../spec/linux/capability.ts';
import {
  E2BIG,
  EINVAL,
  ENODATA,
  ENOENT,
  EOPNOTSUPP,
  EPERM,
  ERANGE,
} from '../../../spec/linux/errno.ts';
import { XATTR_NAME_MAX, XATTR_SIZE_MAX } from '../../../spec/linux/fcntl.ts';
import { IN_ATTRIB } from '../../../spec/linux/inotify.ts';
import { S_ISVTX } from '../../../spec/linux/stat.ts';
import {
  XATTR_NAME_CAPS,
  XATTR_SECURITY_PREFIX,
  XATTR_TRUSTED_PREFIX,
  XATTR_USER_PREFIX,
} from '../../../spec/linux/xattr.ts';
import type { FsCaller } from '../caller.ts';
import { notifyFile } from '../fsnotify.ts';
import type { Inode } from '../inode.ts';
import type { Path } from '../mount.ts';
import { MAY_READ, MAY_WRITE, ownerOrCapable, permission } from '../permission.ts';
import { checkWritable } from './writable.ts';

function checkName(name: string): number {
  return name === '' || name.length > XATTR_NAME_MAX ? -ERANGE : 0;
}

const PREFIXES = [XATTR_SECURITY_PREFIX, XATTR_TRUSTED_PREFIX, XATTR_USER_PREFIX];

/** Whether the name space lets `caller` read (or write) the attribute: 0 or -errno. */
function mayAccess(caller: FsCaller, inode: Inode, name: string, write: boolean): number {
  const { creds } = caller;
  if (name.startsWith(XATTR_SECURITY_PREFIX)) {
    if (!write) return 0;
    const needed = name === XATTR_NAME_CAPS ? CAP_SETFCAP : CAP_SYS_ADMIN;
    return creds.has(needed) ? 0 : -EPERM;
  }
  if (name.startsWith(XATTR_TRUSTED_PREFIX)) {
    if (creds.has(CAP_SYS_ADMIN)) return 0;
    return write ? -EPERM : -ENODATA;
  }
  if (!name.startsWith(XATTR_USER_PREFIX)) return -EOPNOTSUPP;
  if (!inode.isRegular && !inode.isDirectory) return write ? -EPERM : -ENODATA;
  const sticky = inode.isDirectory && (inode.mode & S_ISVTX) !== 0;
  if (write && sticky && !ownerOrCapable(inode, creds)) return -EPERM;
  return permission(inode, creds, write ? MAY_WRITE : MAY_READ);
}

export function getXattr(caller: FsCaller, at: Path, name: string): Uint8Array | number {
  const inode = at.dentry.inode;
  if (inode === null) return -ENOENT;
  const valid = checkName(name);
  if (valid < 0) return valid;
  const allowed = mayAccess(caller, inode, name, false);
  if (allowed < 0) return allowed;
  return PREFIXES.includes(name) ? -EINVAL : inode.getxattr(name);
}

export function setXattr(
  caller: FsCaller,
  at: Path,
  name: string,
  value: Uint8Array,
  flags: number,
): number {
  const inode = at.dentry.inode;
  if (inode === null) return -ENOENT;
  const valid = checkName(name);
  if (valid < 0) return valid;
  if (value.length > XATTR_SIZE_MAX) return -E2BIG;
  const r = mayChange(caller, at, inode, name);
  if (r < 0) return r;
  const done = inode.setxattr(name, value, flags);
  if (done === 0) notifyFile(at.dentry, IN_ATTRIB);
  return done;
}

export function removeXattr(caller: FsCaller, at: Path, name: string): number {
  const inode = at.dentry.inode;
  if (inode === null) return -ENOENT;
  const valid = checkName(name);
  if (valid < 0) return valid;
  const r = mayChange(caller, at, inode, name);
  if (r < 0) return r;
  const done = inode.removexattr(name);
  if (done === 0) notifyFile(at.dentry, IN_ATTRIB);
  return done;
}

function mayChange(caller: FsCaller, at: Path, inode: Inode, name: string): number {
  const writable = checkWritable(at);
  const allowed = writable < 0 ? writable : mayAccess(caller, inode, name, true);
  return allowed === 0 && PREFIXES.includes(name) ? -EINVAL : allowed;
}

/** The names that `caller` may know of. */
export function listXattr(caller: FsCaller, at: Path): readonly string[] | number {
  const inode = at.dentry.inode;
  if (inode === null) return -ENOENT;
  const names = inode.listxattr();
  if (typeof names === 'number' || caller.creds.has(CAP_SYS_ADMIN)) return names;
  return names.filter((name) => !name.startsWith(XATTR_TRUSTED_PREFIX));
}
