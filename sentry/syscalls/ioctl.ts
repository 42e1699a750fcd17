/**
 * ioctl(2): the requests that every descriptor knows; all others are the file's own.
 */
import { EBADF, EFAULT } from '../../spec/linux/errno.ts';
import { O_NONBLOCK, SEEK_CUR } from '../../spec/linux/fcntl.ts';
import {
  FIGETBSZ,
  FIOASYNC,
  FIOCLEX,
  FIONBIO,
  FIONCLEX,
  FIONREAD,
} from '../../spec/linux/ioctl.ts';
import { SYS_ioctl } from '../../spec/linux/syscall_numbers.ts';
import type { SyscallArgs } from '../kernel/syscall_args.ts';
import type { SyscallFragment } from '../kernel/syscall_table.ts';
import type { Task } from '../kernel/task.ts';
import type { OpenFile } from '../vfs/open_file.ts';
import { openFd } from './path_argument.ts';

/** O_ASYNC by its kernel name. */
const FASYNC = 0o20000;

/** ioctl(2). */
export function sysIoctl(t: Task, a: SyscallArgs): number {
  const fd = a.int(0);
  const file = openFd(t, fd);
  if (file === undefined) return -EBADF;
  const request = a.uint(1);
  const argument = a.addr(2);
  switch (request) {
    case FIOCLEX:
      return t.files.setCloseOnExec(fd, true);
    case FIONCLEX:
      return t.files.setCloseOnExec(fd, false);
    case FIONBIO:
      return setFlag(t, file, O_NONBLOCK, argument);
    case FIOASYNC:
      return setFlag(t, file, FASYNC, argument);
    case FIONREAD:
      if (file.inode.isRegular) return giveUnread(t, file, argument);
      break;
    case FIGETBSZ:
      if (file.inode.isRegular || file.inode.isDirectory) return giveBlockSize(t, file, argument);
      break;
    default:
  }
  return file.ioctl(t, request, argument);
}

function setFlag(t: Task, file: OpenFile, flag: number, argument: number): number {
  const on = t.mm.readU32(argument);
  if (on < 0) return -EFAULT;
  return file.setStatusFlags(on === 0 ? file.flags & ~flag : file.flags | flag);
}

/** FIONREAD of a regular file: from the offset to the end, which may be negative. */
function giveUnread(t: Task, file: OpenFile, argument: number): number {
  const attr = file.getattr();
  if (typeof attr === 'number') return attr;
  const at = file.seek(0, SEEK_CUR);
  return t.mm.writeU32(argument, (attr.size - Math.max(0, at)) | 0);
}

function giveBlockSize(t: Task, file: OpenFile, argument: number): number {
  const attr = file.getattr();
  return typeof attr === 'number' ? attr : t.mm.writeU32(argument, attr.blksize);
}

export const ioctlSyscalls: SyscallFragment = {
  [SYS_ioctl]: { name: 'ioctl', args: 'fd hex hex', fn: sysIoctl },
};
