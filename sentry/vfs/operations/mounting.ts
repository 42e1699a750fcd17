/**
 * Changing the tree of mounts: mount(2), umount2(2), pivot_root(2), chroot(2), chdir(2). Counterpart of
 * Linux's fs/namespace.c.
 *
 * Deviation: mounts do not propagate (everything is MS_PRIVATE), so MS_SHARED and MS_UNBINDABLE are
 * refused rather than pretended. MS_SLAVE of a private mount is the same as MS_PRIVATE in Linux too.
 */

import { CAP_SYS_ADMIN, CAP_SYS_CHROOT } from '../../../spec/linux/capability.ts';
import { EBUSY, EINVAL, ELOOP, ENODEV, ENOENT, ENOTDIR, EPERM } from '../../../spec/linux/errno.ts';
import {
  MNT_DETACH,
  MNT_EXPIRE,
  MNT_FORCE,
  MS_BIND,
  MS_MOVE,
  MS_NOATIME,
  MS_NODEV,
  MS_NODIRATIME,
  MS_NOEXEC,
  MS_NOSUID,
  MS_PRIVATE,
  MS_RDONLY,
  MS_REC,
  MS_RELATIME,
  MS_REMOUNT,
  MS_SHARED,
  MS_SLAVE,
  MS_STRICTATIME,
  MS_UNBINDABLE,
  UMOUNT_NOFOLLOW,
} from '../../../spec/linux/mount.ts';
import type { FsCaller } from '../caller.ts';
import type { FsContext } from '../fs_context.ts';
import { type Mount, type Path, samePath } from '../mount.ts';
import { MAY_EXEC, permission } from '../permission.ts';
import type { Vfs } from '../vfs.ts';

/** The flags that a mount keeps. */
const KEPT =
  MS_RDONLY |
  MS_NOSUID |
  MS_NODEV |
  MS_NOEXEC |
  MS_NOATIME |
  MS_NODIRATIME |
  MS_RELATIME |
  MS_STRICTATIME;
const PROPAGATION = MS_SHARED | MS_PRIVATE | MS_SLAVE | MS_UNBINDABLE;
/** Linux's sysctl fs.mount-max is 100000; a sandbox gets by with fewer. */
const MAX_MOUNTS = 10_000;

export interface MountRequest {
  readonly source: string;
  readonly type: string;
  /** MS_*. */
  readonly flags: number;
  readonly data: string;
}

function isMountRoot(at: Path): boolean {
  return at.dentry === at.mount.root;
}

/** mount(2) on `at`, which is resolved with the last symlink followed. */
export function mountAt(vfs: Vfs, caller: FsCaller, at: Path, request: MountRequest): number {
  if (!caller.creds.has(CAP_SYS_ADMIN)) return -EPERM;
  const { flags } = request;
  if ((flags & MS_REMOUNT) !== 0) return remount(caller, at, request);
  if ((flags & MS_BIND) !== 0) return bindMount(vfs, caller, at, request);
  if ((flags & PROPAGATION) !== 0) return changePropagation(at, flags);
  if ((flags & MS_MOVE) !== 0) return moveMount(vfs, caller, at, request.source);
  return mountNew(vfs, caller, at, request);
}

/** With MS_BIND the mount alone changes, without it the file system too. */
function remount(caller: FsCaller, at: Path, { flags, data }: MountRequest): number {
  if (!isMountRoot(at)) return -EINVAL;
  const r = (flags & MS_BIND) !== 0 ? 0 : at.mount.fs.remount(caller, data);
  if (r < 0) return r;
  at.mount.flags = flags & KEPT;
  return 0;
}

function changePropagation(at: Path, flags: number): number {
  if (!isMountRoot(at)) return -EINVAL;
  const kind = flags & PROPAGATION;
  return kind === MS_PRIVATE || kind === MS_SLAVE ? 0 : -EINVAL;
}

function mountNew(vfs: Vfs, caller: FsCaller, at: Path, request: MountRequest): number {
  const ns = caller.fs.mounts;
  if (!ns.mounts.includes(at.mount)) return -EINVAL;
  const open = vfs.fileSystemTypes.get(request.type);
  if (open === undefined) return -ENODEV;
  if (at.dentry.inode === null) return -ENOENT;
  if (ns.mounts.length >= MAX_MOUNTS) return -ENOENT;
  const fs = open(caller, request.source, request.data);
  if (typeof fs === 'number') return fs;
  if (at.dentry.inode.isDirectory !== fs.root.isDirectory) {
    fs.destroy();
    return -ENOTDIR;
  }
  ns.mount(at, fs, request.source === '' ? 'none' : request.source, request.flags & KEPT);
  return 0;
}

function bindMount(vfs: Vfs, caller: FsCaller, at: Path, request: MountRequest): number {
  const ns = caller.fs.mounts;
  if (!ns.mounts.includes(at.mount)) return -EINVAL;
  const from = vfs.namei.lookup(caller, request.source, { follow: true });
  if (typeof from === 'number') return from;
  const inode = from.dentry.inode;
  if (inode === null || at.dentry.inode === null) return -ENOENT;
  // A mount that was detached lazily ends with its last user: nothing new may refer to it.
  if (!ns.mounts.includes(from.mount)) return -EINVAL;
  if (inode.isDirectory !== at.dentry.inode.isDirectory) return -ENOTDIR;
  const recursive = (request.flags & MS_REC) !== 0;
  const inside = recursive ? mountsBelow(from) : [];
  if (ns.mounts.length + inside.length >= MAX_MOUNTS) return -ENOENT;
  const before = new Set(ns.mounts);
  const top = ns.bind(at, from, from.mount.source, from.mount.flags);
  copyMounts(caller, top, inside, before);
  return 0;
}

/** Mounts that stand on dentries below `at` in its mount. */
function mountsBelow(at: Path): Mount[] {
  const list: Mount[] = [];
  for (const [dentry, m] of at.mount.children) if (dentry.isDescendantOf(at.dentry)) list.push(m);
  return list;
}

/** Gives the copy of a mount copies of what stood on it, but not of what is being made. */
function copyMounts(
  caller: FsCaller,
  to: Mount,
  below: readonly Mount[],
  before: ReadonlySet<Mount>,
): void {
  const pending = [{ to, below }];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    for (const m of next.below) {
      if (m.mountpoint === null || !before.has(m)) continue;
      const root = { mount: m, dentry: m.root };
      const at = { mount: next.to, dentry: m.mountpoint };
      const copy = caller.fs.mounts.bind(at, root, m.source, m.flags);
      pending.push({ to: copy, below: [...m.children.values()] });
    }
  }
}

function moveMount(vfs: Vfs, caller: FsCaller, at: Path, source: string): number {
  const ns = caller.fs.mounts;
  const from = vfs.namei.lookup(caller, source, { follow: true });
  if (typeof from === 'number') return from;
  if (!isMountRoot(from) || from.mount.parent === null) return -EINVAL;
  if (from.dentry.inode?.isDirectory !== at.dentry.inode?.isDirectory) return -ENOTDIR;
  for (let m: Mount | null = at.mount; m !== null; m = m.parent)
    if (m === from.mount) return -ELOOP;
  ns.move(from.mount, at);
  return 0;
}

/** umount2(2) on `at`, whose last symlink was followed or not as UMOUNT_NOFOLLOW says. */
export function unmountAt(caller: FsCaller, at: Path, flags: number): number {
  if ((flags & ~(MNT_FORCE | MNT_DETACH | MNT_EXPIRE | UMOUNT_NOFOLLOW)) !== 0) return -EINVAL;
  if (!caller.creds.has(CAP_SYS_ADMIN)) return -EPERM;
  const m = at.mount;
  if (at.dentry !== m.root || m.parent === null) return -EINVAL;
  // There is nothing that ages: the first MNT_EXPIRE only marks, in Linux, and says EAGAIN.
  if ((flags & MNT_EXPIRE) !== 0) return -EINVAL;
  const lazy = (flags & MNT_DETACH) !== 0;
  if (!lazy && (m.pins > 0 || m.children.size > 0)) return -EBUSY;
  detachTree(caller, m);
  return 0;
}

/** The innermost first. Without recursion: mounts can stand on each other thousands deep. */
function detachTree(caller: FsCaller, top: Mount): void {
  const tree = [top];
  for (let i = 0; i < tree.length; i++) tree.push(...(tree[i] as Mount).children.values());
  for (const m of tree.reverse()) caller.fs.mounts.detach(m);
}

/**
 * pivot_root(2): `newRoot` becomes the root mount and the old one moves to `putOld`. The caller then
 * relocates everybody who had the old root.
 */
export function pivotRoot(caller: FsCaller, newRoot: Path, putOld: Path): number {
  if (!caller.creds.has(CAP_SYS_ADMIN)) return -EPERM;
  const oldRoot = caller.fs.root;
  if (newRoot.dentry.inode?.isDirectory !== true) return -ENOTDIR;
  if (putOld.dentry.inode?.isDirectory !== true) return -ENOTDIR;
  if (newRoot.mount === oldRoot.mount || putOld.mount === oldRoot.mount) return -EBUSY;
  if (!isMountRoot(newRoot) || !isMountRoot(oldRoot)) return -EINVAL;
  if (newRoot.mount.parent === null || !reachable(putOld, newRoot)) return -EINVAL;
  caller.fs.mounts.pivot(oldRoot.mount, newRoot.mount, putOld);
  return 0;
}

function reachable(at: Path, from: Path): boolean {
  let { mount, dentry } = at;
  while (mount !== from.mount) {
    if (mount.parent === null || mount.mountpoint === null) return false;
    dentry = mount.mountpoint;
    mount = mount.parent;
  }
  return dentry.isDescendantOf(from.dentry);
}

/** After pivot_root: whoever stood in the old root now stands in the new one. */
export function relocate(fs: FsContext, oldRoot: Path, newRoot: Path): void {
  if (samePath(fs.root, oldRoot)) fs.setRoot(newRoot);
  if (samePath(fs.cwd, oldRoot)) fs.setCwd(newRoot);
}

/** chdir(2), fchdir(2). */
export function changeDirectory(caller: FsCaller, at: Path): number {
  const r = checkSearchable(caller, at);
  if (r === 0) caller.fs.setCwd(at);
  return r;
}

/** chroot(2). */
export function changeRoot(caller: FsCaller, at: Path): number {
  const r = checkSearchable(caller, at);
  if (r < 0) return r;
  if (!caller.creds.has(CAP_SYS_CHROOT)) return -EPERM;
  caller.fs.setRoot(at);
  return 0;
}

function checkSearchable(caller: FsCaller, at: Path): number {
  const inode = at.dentry.inode;
  if (inode === null) return -ENOENT;
  if (!inode.isDirectory) return -ENOTDIR;
  return permission(inode, caller.creds, MAY_EXEC);
}
