/**
 * A file tree of this process's own, on a tmpfs that nobody else sees: where it is made, and how it
 * becomes the root. See pivot_root(2).
 */

import { EINVAL } from '../spec/linux/errno.ts';
import * as mnt from '../spec/linux/mount.ts';
import * as process from './process.ts';

/** Directories of the host that one of them surely has: the new root is mounted on the first. */
const PLACES = ['/tmp', '/run', '/mnt', '/var', '/dev', '/etc'];
const FLAGS = mnt.MS_NOSUID | mnt.MS_NODEV | mnt.MS_NOEXEC;
const DATA = 'mode=755,size=1m';

/** Mounts an empty tmpfs in a mount namespace of our own, and names the place; -errno. */
export function mountBase(): string | number {
  const error = process.mount(null, '/', null, mnt.MS_REC | mnt.MS_PRIVATE, null);
  if (error < 0) return error;
  const base = PLACES.find((place) => process.mount('tmpfs', place, 'tmpfs', FLAGS, DATA) >= 0);
  return base ?? -EINVAL;
}

/** The base becomes the root, and the old root disappears. 0, or -errno with the process outside. */
export function enterBase(base: string): number {
  let error = process.chdir(base);
  if (error === 0) error = changeRoot();
  if (error < 0) {
    process.umount2(base, mnt.MNT_DETACH);
    return error;
  }
  process.mount(null, '/', null, mnt.MS_REMOUNT | mnt.MS_RDONLY | FLAGS, DATA);
  return 0;
}

function changeRoot(): number {
  if (process.pivotRoot('.', '.') === 0) {
    process.umount2('.', mnt.MNT_DETACH);
    return process.chdir('/');
  }
  // On an initramfs, or already in a chroot: the old tree stays, but out of reach by any name.
  const moved = process.mount('.', '/', null, mnt.MS_MOVE, null);
  const error = process.chroot('.');
  if (error < 0) return moved < 0 ? moved : error;
  return process.chdir('/');
}
