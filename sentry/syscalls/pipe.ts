/**
 * pipe(2), pipe2(2).
 */
import { EFAULT, EINVAL } from '../../spec/linux/errno.ts';
import { O_CLOEXEC, O_DIRECT, O_NONBLOCK } from '../../spec/linux/fcntl.ts';
import { SYS_pipe, SYS_pipe2 } from '../../spec/linux/syscall_numbers.ts';
import { makePipe } from '../fsimpl/pipe/pipe_file.ts';
import type { SyscallArgs } from '../kernel/syscall_args.ts';
import type { SyscallFragment } from '../kernel/syscall_table.ts';
import type { Task } from '../kernel/task.ts';
import { newDescriptor } from './new_descriptor.ts';

function doPipe(t: Task, addr: number, flags: number): number {
  const made = makePipe(t.kernel, t, flags);
  if (typeof made === 'number') return made;
  const { reader, writer } = made;
  const closeOnExec = (flags & O_CLOEXEC) !== 0;
  const readFd = newDescriptor(t, reader, closeOnExec);
  if (readFd < 0) {
    writer.close();
    return readFd;
  }
  const writeFd = newDescriptor(t, writer, closeOnExec);
  if (writeFd < 0) {
    t.files.close(readFd);
    return writeFd;
  }
  if (t.mm.writeU32(addr, readFd) >= 0 && t.mm.writeU32(addr + 4, writeFd) >= 0) return 0;
  t.files.close(readFd);
  t.files.close(writeFd);
  return -EFAULT;
}

/** pipe(2). */
export function sysPipe(t: Task, a: SyscallArgs): number {
  return doPipe(t, a.addr(0), 0);
}

/** pipe2(2). */
export function sysPipe2(t: Task, a: SyscallArgs): number {
  const flags = a.int(1);
  if ((flags & ~(O_CLOEXEC | O_DIRECT | O_NONBLOCK)) !== 0) return -EINVAL;
  return doPipe(t, a.addr(0), flags);
}

export const pipeSyscalls: SyscallFragment = {
  [SYS_pipe]: { name: 'pipe', args: 'hex', fn: sysPipe },
  [SYS_pipe2]: { name: 'pipe2', args: 'hex oflags', fn: sysPipe2 },
};
