/**
 * Descriptors and paths among system call arguments: how the *at family decodes them (openat(2)).
 */
import { EBADF, ENOENT, ENOTDIR } from '../../spec/linux/errno.ts';
import { AT_FDCWD, O_PATH } from '../../spec/linux/fcntl.ts';
import type { Task } from '../kernel/task.ts';
import type { Path } from '../vfs/mount.ts';
import { PATH_MAX } from '../vfs/namei.ts';
import type { OpenFile } from '../vfs/open_file.ts';

/** The open file of a descriptor that may be used for more than its place: not one of O_PATH. */
export function openFd(t: Task, fd: number): OpenFile | undefined {
  const file = t.files.get(fd);
  return file === undefined || (file.flags & O_PATH) !== 0 ? undefined : file;
}

/** A path argument, or -EFAULT, -ENAMETOOLONG. */
export function readPath(t: Task, addr: number): string | number {
  return t.mm.copyInString(addr, PATH_MAX);
}

/** Where a relative path begins; undefined for the working directory, and for absolute paths. */
export function startOf(t: Task, dirFd: number, path: string): Path | undefined | number {
  if (dirFd === AT_FDCWD || path.charCodeAt(0) === 47) return undefined;
  const file = t.files.get(dirFd);
  if (file === undefined) return -EBADF;
  // The empty path is for the lookup itself to refuse.
  return path === '' || file.inode.isDirectory ? file.path : -ENOTDIR;
}

/** The object that a path argument names. `emptyPath`: '' means `dirFd` itself (AT_EMPTY_PATH). */
export function lookupAt(
  t: Task,
  dirFd: number,
  pathAddr: number,
  follow: boolean,
  emptyPath = false,
): Path | number {
  const path = readPath(t, pathAddr);
  if (typeof path === 'number') return path;
  return lookupPath(t, dirFd, path, follow, emptyPath);
}

export function lookupPath(
  t: Task,
  dirFd: number,
  path: string,
  follow: boolean,
  emptyPath = false,
): Path | number {
  if (path === '') {
    if (!emptyPath) return -ENOENT;
    if (dirFd === AT_FDCWD) return t.fs.cwd;
    return t.files.get(dirFd)?.path ?? -EBADF;
  }
  const start = startOf(t, dirFd, path);
  if (typeof start === 'number') return start;
  return t.kernel.vfs.namei.lookup(t, path, { follow, start });
}

/** For calls that make or remove a name: the start and the text. */
export interface NameArgument {
  readonly start: Path | undefined;
  readonly path: string;
}

/** `scoped`: openat2(2)'s RESOLVE_IN_ROOT, for which even an absolute path begins at `dirFd`. */
export function nameAt(
  t: Task,
  dirFd: number,
  pathAddr: number,
  scoped = false,
): NameArgument | number {
  const path = readPath(t, pathAddr);
  if (typeof path === 'number') return path;
  if (scoped && dirFd !== AT_FDCWD) {
    const root = t.files.get(dirFd);
    if (root === undefined) return -EBADF;
    return root.inode.isDirectory ? { start: root.path, path } : -ENOTDIR;
  }
  const start = startOf(t, dirFd, path);
  return typeof start === 'number' ? start : { start, path };
}
