/**
 * inotify_init1(2), inotify_add_watch(2), inotify_rm_watch(2).
 */
import { EBADF, EINVAL, ENOENT, ENOTDIR } from '../../spec/linux/errno.ts';
import { AT_FDCWD, O_NONBLOCK, O_RDONLY } from '../../spec/linux/fcntl.ts';
import {
  IN_ALL_EVENTS,
  IN_CLOEXEC,
  IN_DONT_FOLLOW,
  IN_MASK_ADD,
  IN_MASK_CREATE,
  IN_NONBLOCK,
  IN_ONLYDIR,
} from '../../spec/linux/inotify.ts';
import {
  SYS_inotify_add_watch,
  SYS_inotify_init,
  SYS_inotify_init1,
  SYS_inotify_rm_watch,
} from '../../spec/linux/syscall_numbers.ts';
import { anonPath } from '../fsimpl/anon/anon_inode.ts';
import { InotifyFile } from '../fsimpl/inotify/inotify.ts';
import type { SyscallArgs } from '../kernel/syscall_args.ts';
import type { SyscallFragment } from '../kernel/syscall_table.ts';
import type { Task } from '../kernel/task.ts';
import { MAY_READ, permission } from '../vfs/permission.ts';
import { newDescriptor } from './new_descriptor.ts';
import { lookupAt, openFd } from './path_argument.ts';

function inotifyInit(t: Task, flags: number): number {
  if ((flags & ~(IN_CLOEXEC | IN_NONBLOCK)) !== 0) return -EINVAL;
  const path = anonPath(t.kernel, 'anon_inode:inotify');
  const inode = path.dentry.inode;
  if (inode === null) throw new Error('anonymous path without an inode');
  const status = O_RDONLY | ((flags & IN_NONBLOCK) !== 0 ? O_NONBLOCK : 0);
  const file = new InotifyFile(path, inode, status);
  return newDescriptor(t, file, (flags & IN_CLOEXEC) !== 0);
}

/** inotify_init(2). */
export function sysInotifyInit(t: Task): number {
  return inotifyInit(t, 0);
}

/** inotify_init1(2). */
export function sysInotifyInit1(t: Task, a: SyscallArgs): number {
  return inotifyInit(t, a.int(0));
}

/** inotify_add_watch(2). */
export function sysInotifyAddWatch(t: Task, a: SyscallArgs): number {
  const mask = a.uint(2);
  if ((mask & IN_ALL_EVENTS) === 0) return -EINVAL;
  const both = IN_MASK_ADD | IN_MASK_CREATE;
  if ((mask & both) === both) return -EINVAL;
  const file = openFd(t, a.int(0));
  if (file === undefined) return -EBADF;
  if (!(file instanceof InotifyFile)) return -EINVAL;
  const at = lookupAt(t, AT_FDCWD, a.addr(1), (mask & IN_DONT_FOLLOW) === 0);
  if (typeof at === 'number') return at;
  const inode = at.dentry.inode;
  if (inode === null) return -ENOENT;
  if ((mask & IN_ONLYDIR) !== 0 && !inode.isDirectory) return -ENOTDIR;
  const r = permission(inode, t.creds, MAY_READ);
  return r < 0 ? r : file.addWatch(inode, mask);
}

/** inotify_rm_watch(2). */
export function sysInotifyRmWatch(t: Task, a: SyscallArgs): number {
  const file = openFd(t, a.int(0));
  if (file === undefined) return -EBADF;
  return file instanceof InotifyFile ? file.removeWatch(a.int(1)) : -EINVAL;
}

export const inotifySyscalls: SyscallFragment = {
  [SYS_inotify_init]: { name: 'inotify_init', args: '', fn: sysInotifyInit },
  [SYS_inotify_init1]: { name: 'inotify_init1', args: 'oflags', fn: sysInotifyInit1 },
  [SYS_inotify_add_watch]: {
    name: 'inotify_add_watch',
    args: 'fd path hex',
    fn: sysInotifyAddWatch,
  },
  [SYS_inotify_rm_watch]: { name: 'inotify_rm_watch', args: 'fd int', fn: sysInotifyRmWatch },
};
