/**
 * Removing names: unlink(2), rmdir(2).
 */
import { EBUSY, EINVAL, EISDIR, ENOENT, ENOTDIR, ENOTEMPTY } from '../../../spec/linux/errno.ts';
import { IN_ATTRIB, IN_DELETE } from '../../../spec/linux/inotify.ts';
import type { FsCaller } from '../caller.ts';
import type { Dentry } from '../dentry.ts';
import { notifyEntry, notifyInode } from '../fsnotify.ts';
import type { Inode } from '../inode.ts';
import type { Path } from '../mount.ts';
import { mayDelete } from '../permission.ts';
import type { Vfs } from '../vfs.ts';
import { checkWritable } from './writable.ts';

interface Victim {
  readonly dir: Inode;
  readonly parent: Path;
  readonly dentry: Dentry;
  readonly inode: Inode;
}

function findVictim(
  vfs: Vfs,
  caller: FsCaller,
  parent: Path,
  name: string,
  directory: boolean,
  trailingSlash: boolean,
): Victim | number {
  const r = checkWritable(parent);
  if (r < 0) return r;
  const dentry = vfs.namei.child(parent, name);
  if (typeof dentry === 'number') return dentry;
  const inode = dentry.inode;
  const dir = parent.dentry.inode;
  if (inode === null || dir === null) return -ENOENT;
  if (trailingSlash && !directory) return inode.isDirectory ? -EISDIR : -ENOTDIR;
  const allowed = mayDelete(dir, inode, caller.creds);
  if (allowed < 0) return allowed;
  if (directory && !inode.isDirectory) return -ENOTDIR;
  if (!directory && inode.isDirectory) return -EISDIR;
  if (dentry.mountCount > 0) return -EBUSY;
  return { dir, parent, dentry, inode };
}

/** unlinkat(2) without AT_REMOVEDIR. */
export function removeFile(
  vfs: Vfs,
  caller: FsCaller,
  start: Path | undefined,
  path: string,
): number {
  const found = vfs.namei.lookupParent(caller, path, { follow: false, start });
  if (typeof found === 'number') return found;
  const { parent, name } = found;
  if (name === '' || name === '.' || name === '..') return -EISDIR;
  const v = findVictim(vfs, caller, parent, name, false, found.trailingSlash);
  if (typeof v === 'number') return v;
  const r = v.dir.unlink(name, v.inode);
  if (r < 0) return r;
  notifyInode(v.inode, IN_ATTRIB);
  forgetName(vfs, v, name);
  return 0;
}

/** rmdir(2). */
export function removeDirectory(
  vfs: Vfs,
  caller: FsCaller,
  start: Path | undefined,
  path: string,
): number {
  const found = vfs.namei.lookupParent(caller, path, { follow: false, start });
  if (typeof found === 'number') return found;
  const { parent, name } = found;
  if (name === '') return -EBUSY;
  if (name === '.') return -EINVAL;
  if (name === '..') return -ENOTEMPTY;
  const v = findVictim(vfs, caller, parent, name, true, false);
  if (typeof v === 'number') return v;
  const r = v.dir.rmdir(name, v.inode);
  if (r < 0) return r;
  dropAbsences(vfs, v.dentry);
  forgetName(vfs, v, name);
  return 0;
}

/** Takes the cached absences out of a directory that is empty and going. */
export function dropAbsences(vfs: Vfs, d: Dentry): void {
  if (d.children === null) return;
  for (const child of [...d.children.values()])
    if (child.inode === null) vfs.dentries.remove(child);
}

function forgetName(vfs: Vfs, v: Victim, name: string): void {
  vfs.dentries.remove(v.dentry);
  notifyEntry(v.dir, IN_DELETE, name, v.inode.isDirectory);
  vfs.dentries.add(v.parent.dentry, name, null);
}
