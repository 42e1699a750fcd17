/**
 * Permission checks on inodes (path_resolution(7), "Permissions").
 */

import { CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER } from '../../spec/linux/capability.ts';
import { EACCES, EPERM } from '../../spec/linux/errno.ts';
import { S_ISVTX } from '../../spec/linux/stat.ts';
import type { Credentials } from './credentials.ts';
import type { Inode } from './inode.ts';

export const MAY_EXEC = 1;
export const MAY_WRITE = 2;
export const MAY_READ = 4;

/** 0 when `creds` may access `inode` as `mask` says (MAY_*), else -EACCES. */
export function permission(inode: Inode, creds: Credentials, mask: number): number {
  const mode = inode.mode;
  let bits = mode & 7;
  if (creds.fsuid === inode.uid) bits = (mode >> 6) & 7;
  else if (creds.inGroup(inode.gid)) bits = (mode >> 3) & 7;
  if ((mask & ~bits) === 0) return 0;
  const searchOrRead = inode.isDirectory ? (mask & MAY_WRITE) === 0 : mask === MAY_READ;
  if (searchOrRead && creds.has(CAP_DAC_READ_SEARCH)) return 0;
  const executes = (mask & MAY_EXEC) !== 0 && !inode.isDirectory;
  if ((!executes || (mode & 0o111) !== 0) && creds.has(CAP_DAC_OVERRIDE)) return 0;
  return -EACCES;
}

/** Whether `creds` own the inode or may act as its owner. */
export function ownerOrCapable(inode: Inode, creds: Credentials): boolean {
  return creds.fsuid === inode.uid || creds.has(CAP_FOWNER);
}

/** The sticky bit's rule for removing or renaming `victim` in `dir`; 0, -EACCES or -EPERM. */
export function mayDelete(dir: Inode, victim: Inode, creds: Credentials): number {
  const r = permission(dir, creds, MAY_WRITE | MAY_EXEC);
  if (r < 0) return r;
  if ((dir.mode & S_ISVTX) === 0) return 0;
  if (creds.fsuid === victim.uid || creds.fsuid === dir.uid || creds.has(CAP_FOWNER)) return 0;
  return -EPERM;
}
