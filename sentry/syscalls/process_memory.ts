/**
 * Copying between the caller's memory and another process's: process_vm_readv(2), process_vm_writev(2).
 */
import { EFAULT, EINVAL, EPERM, ESRCH } from '../../spec/linux/errno.ts';
import { SYS_process_vm_readv, SYS_process_vm_writev } from '../../spec/linux/syscall_numbers.ts';
import { mayPtrace } from '../kernel/ptrace_access.ts';
import type { SyscallArgs } from '../kernel/syscall_args.ts';
import type { SyscallFragment } from '../kernel/syscall_table.ts';
import { TASK_DEAD, type Task } from '../kernel/task.ts';
import { IoBuffer } from '../mm/io_buffer.ts';
import { MAX_RW_COUNT } from '../mm/user_memory.ts';

const IOV_MAX = 1024;
const IOVEC_SIZE = 16;

/** Pairs of address and length from an iovec array in `t`'s memory, or -errno. */
function readRanges(t: Task, iov: number, count: number): number[] | number {
  if (count > IOV_MAX) return -EINVAL;
  const ranges: number[] = [];
  let total = 0;
  for (let i = 0; i < count; i++) {
    const base = t.mm.readU64(iov + i * IOVEC_SIZE);
    const length = t.mm.readU64(iov + i * IOVEC_SIZE + 8);
    if (base < 0 || length < 0) return -EFAULT;
    if (length >= 2 ** 63) return -EINVAL;
    const n = Math.min(length, MAX_RW_COUNT - total);
    ranges.push(base, n);
    total += n;
  }
  return ranges;
}

function sum(ranges: readonly number[]): number {
  let total = 0;
  for (let i = 1; i < ranges.length; i += 2) total += ranges[i]!;
  return total;
}

/** `write`: into the other process. Bytes copied, or -errno. */
function copyAcross(t: Task, a: SyscallArgs, write: boolean): number {
  if (a.long(5) !== 0) return -EINVAL;
  const mine = readRanges(t, a.addr(1), a.sizeT(2));
  if (typeof mine === 'number') return mine;
  if (sum(mine) === 0) return 0;
  const theirs = readRanges(t, a.addr(3), a.sizeT(4));
  if (typeof theirs === 'number') return theirs;
  if (sum(theirs) === 0) return 0;
  const target = t.container.pids.tasks.get(a.int(0));
  if (target === undefined || target.state === TASK_DEAD) return -ESRCH;
  if (!mayPtrace(t, target, 'real')) return -EPERM;
  const here = IoBuffer.user(t.mm, mine, sum(mine), !write);
  const there = IoBuffer.user(target.mm, theirs, sum(theirs), write);
  const n = write ? here.transfer(there) : there.transfer(here);
  return n === 0 ? -EFAULT : n;
}

/** process_vm_readv(2). */
export function sysProcessVmReadv(t: Task, a: SyscallArgs): number {
  return copyAcross(t, a, false);
}

/** process_vm_writev(2). */
export function sysProcessVmWritev(t: Task, a: SyscallArgs): number {
  return copyAcross(t, a, true);
}

export const processMemorySyscalls: SyscallFragment = {
  [SYS_process_vm_readv]: {
    name: 'process_vm_readv',
    args: 'int hex size hex size hex',
    fn: sysProcessVmReadv,
  },
  [SYS_process_vm_writev]: {
    name: 'process_vm_writev',
    args: 'int hex size hex size hex',
    fn: sysProcessVmWritev,
  },
};
