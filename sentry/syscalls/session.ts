/**
 * Process ids, process groups and sessions (getpid(2), gettid(2), getppid(2), setpgid(2), getpgid(2),
 * setsid(2), getsid(2)).
 */
import { EACCES, EINVAL, EPERM, ESRCH } from '../../spec/linux/errno.ts';
import {
  SYS_getpgid,
  SYS_getpgrp,
  SYS_getpid,
  SYS_getppid,
  SYS_getsid,
  SYS_gettid,
  SYS_setpgid,
  SYS_setsid,
} from '../../spec/linux/syscall_numbers.ts';
import { makeSession, moveToProcessGroup } from '../kernel/job_control.ts';
import type { SyscallArgs } from '../kernel/syscall_args.ts';
import type { SyscallFragment } from '../kernel/syscall_table.ts';
import type { Task } from '../kernel/task.ts';
import type { ThreadGroup } from '../kernel/thread_group.ts';

/** getpid(2). */
export function sysGetpid(t: Task): number {
  return t.group.pid;
}

/** gettid(2). */
export function sysGettid(t: Task): number {
  return t.tid;
}

/** getppid(2): 0 for init, whose parent is outside. */
export function sysGetppid(t: Task): number {
  return t.group.parent?.pid ?? 0;
}

/** The process called `pid`; 0 is the caller's. */
function findGroup(t: Task, pid: number): ThreadGroup | undefined {
  if (pid === 0) return t.group;
  const { pids } = t.container;
  return pids.groups.get(pid) ?? pids.tasks.get(pid)?.group;
}

/** getpgid(2). */
export function sysGetpgid(t: Task, a: SyscallArgs): number {
  return findGroup(t, a.int(0))?.processGroup.id ?? -ESRCH;
}

/** getpgrp(2). */
export function sysGetpgrp(t: Task): number {
  return t.group.processGroup.id;
}

/** getsid(2). */
export function sysGetsid(t: Task, a: SyscallArgs): number {
  return findGroup(t, a.int(0))?.session.id ?? -ESRCH;
}

/** setpgid(2). */
export function sysSetpgid(t: Task, a: SyscallArgs): number {
  const pid = a.int(0) || t.group.pid;
  const pgid = a.int(1) || pid;
  if (pgid < 0) return -EINVAL;
  const target = t.container.pids.groups.get(pid);
  if (target === undefined) return -ESRCH;
  if (target !== t.group) {
    if (target.parent !== t.group) return -ESRCH;
    if (target.session !== t.group.session) return -EPERM;
    if (target.executed) return -EACCES;
  }
  if (target.session.leader === target) return -EPERM;
  if (pgid !== pid) {
    const existing = t.container.pids.processGroups.get(pgid);
    if (existing === undefined || existing.session !== t.group.session) return -EPERM;
  }
  moveToProcessGroup(target, pgid);
  return 0;
}

/** setsid(2). */
export function sysSetsid(t: Task): number {
  const g = t.group;
  if (g.session.leader === g || t.container.pids.processGroups.has(g.pid)) return -EPERM;
  makeSession(g);
  return g.pid;
}

export const sessionSyscalls: SyscallFragment = {
  [SYS_getpid]: { name: 'getpid', args: '', fn: sysGetpid },
  [SYS_setpgid]: { name: 'setpgid', args: 'int int', fn: sysSetpgid },
  [SYS_getppid]: { name: 'getppid', args: '', fn: sysGetppid },
  [SYS_getpgrp]: { name: 'getpgrp', args: '', fn: sysGetpgrp },
  [SYS_setsid]: { name: 'setsid', args: '', fn: sysSetsid },
  [SYS_getpgid]: { name: 'getpgid', args: 'int', fn: sysGetpgid },
  [SYS_getsid]: { name: 'getsid', args: 'int', fn: sysGetsid },
  [SYS_gettid]: { name: 'gettid', args: '', fn: sysGettid },
};
