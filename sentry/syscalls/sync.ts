/**
 * Flushing and advice: fsync(2), sync(2), syncfs(2), sync_file_range(2), posix_fadvise(2),
 * readahead(2).
 */
import { EBADF, EINVAL, ESPIPE } from '../../spec/linux/errno.ts';
import {
  POSIX_FADV_NOREUSE,
  SYNC_FILE_RANGE_WAIT_AFTER,
  SYNC_FILE_RANGE_WAIT_BEFORE,
  SYNC_FILE_RANGE_WRITE,
} from '../../spec/linux/fcntl.ts';
import { S_IFIFO } from '../../spec/linux/stat.ts';
import {
  SYS_fadvise64,
  SYS_fdatasync,
  SYS_fsync,
  SYS_readahead,
  SYS_sync,
  SYS_sync_file_range,
  SYS_syncfs,
} from '../../spec/linux/syscall_numbers.ts';
import type { SyscallArgs } from '../kernel/syscall_args.ts';
import type { SyscallFragment } from '../kernel/syscall_table.ts';
import type { Task } from '../kernel/task.ts';
import { openFd } from './path_argument.ts';

/** fsync(2). */
export function sysFsync(t: Task, a: SyscallArgs): number {
  return openFd(t, a.int(0))?.fsync(false) ?? -EBADF;
}

/** fdatasync(2). */
export function sysFdatasync(t: Task, a: SyscallArgs): number {
  return openFd(t, a.int(0))?.fsync(true) ?? -EBADF;
}

/** sync(2): what the container has mounted. */
export function sysSync(t: Task): number {
  const done = new Set<object>();
  for (const { fs } of t.fs.mounts.mounts) {
    if (done.has(fs)) continue;
    done.add(fs);
    fs.sync();
  }
  return 0;
}

/** syncfs(2). */
export function sysSyncfs(t: Task, a: SyscallArgs): number {
  return openFd(t, a.int(0))?.path.mount.fs.sync() ?? -EBADF;
}

/** sync_file_range(2). */
export function sysSyncFileRange(t: Task, a: SyscallArgs): number {
  const known = SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;
  const file = openFd(t, a.int(0));
  if (file === undefined) return -EBADF;
  if ((a.uint(3) & ~known) !== 0 || a.long(1) < 0 || a.long(2) < 0) return -EINVAL;
  const { inode } = file;
  if (!inode.isRegular && !inode.isDirectory) return -ESPIPE;
  return file.fsync(true);
}

/** posix_fadvise(2): advice about a cache that is the host's. */
export function sysFadvise64(t: Task, a: SyscallArgs): number {
  const file = openFd(t, a.int(0));
  if (file === undefined) return -EBADF;
  if (file.inode.type === S_IFIFO) return -ESPIPE;
  const advice = a.int(3);
  return a.long(2) < 0 || advice < 0 || advice > POSIX_FADV_NOREUSE ? -EINVAL : 0;
}

/** readahead(2): likewise. */
export function sysReadahead(t: Task, a: SyscallArgs): number {
  const file = openFd(t, a.int(0));
  if (!file?.readable) return -EBADF;
  return file.inode.isRegular ? 0 : -EINVAL;
}

export const syncSyscalls: SyscallFragment = {
  [SYS_fsync]: { name: 'fsync', args: 'fd', fn: sysFsync },
  [SYS_fdatasync]: { name: 'fdatasync', args: 'fd', fn: sysFdatasync },
  [SYS_sync]: { name: 'sync', args: '', fn: sysSync },
  [SYS_syncfs]: { name: 'syncfs', args: 'fd', fn: sysSyncfs },
  [SYS_sync_file_range]: {
    name: 'sync_file_range',
    args: 'fd offset offset hex',
    fn: sysSyncFileRange,
  },
  [SYS_fadvise64]: { name: 'fadvise64', args: 'fd offset offset int', fn: sysFadvise64 },
  [SYS_readahead]: { name: 'readahead', args: 'fd offset size', fn: sysReadahead },
};
