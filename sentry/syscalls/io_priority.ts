/**
 * I/O priorities (ioprio_set(2)): checked and remembered, so that programs find what they set; there is
 * no block device for them to have an effect on.
 */
import { CAP_SYS_ADMIN, CAP_SYS_NICE } from '../../spec/linux/capability.ts';
import { EINVAL, EPERM, ESRCH } from '../../spec/linux/errno.ts';
import {
  IOPRIO_CLASS_BE,
  IOPRIO_CLASS_IDLE,
  IOPRIO_CLASS_NONE,
  IOPRIO_CLASS_RT,
  IOPRIO_CLASS_SHIFT,
  IOPRIO_WHO_PGRP,
  IOPRIO_WHO_PROCESS,
  IOPRIO_WHO_USER,
} from '../../spec/linux/sched.ts';
import { SYS_ioprio_get, SYS_ioprio_set } from '../../spec/linux/syscall_numbers.ts';
import type { SyscallArgs } from '../kernel/syscall_args.ts';
import type { SyscallFragment } from '../kernel/syscall_table.ts';
import type { Task } from '../kernel/task.ts';

const LEVEL_MASK = 7;

/** Whether `t` may give somebody this priority: 0 or -errno. */
function checkPriority(t: Task, priority: number): number {
  switch (priority >> IOPRIO_CLASS_SHIFT) {
    case IOPRIO_CLASS_RT:
      return t.creds.has(CAP_SYS_ADMIN) || t.creds.has(CAP_SYS_NICE) ? 0 : -EPERM;
    case IOPRIO_CLASS_BE:
    case IOPRIO_CLASS_IDLE:
      return 0;
    case IOPRIO_CLASS_NONE:
      return (priority & LEVEL_MASK) === 0 ? 0 : -EINVAL;
    default:
      return -EINVAL;
  }
}

/** The tasks that `which` and `who` name, or -errno. */
function targetsOf(t: Task, which: number, who: number): Task[] | number {
  const { tasks } = t.container.pids;
  const live = [...tasks.values()].filter((other) => other.group.tasks.has(other));
  let chosen: Task[];
  switch (which) {
    case IOPRIO_WHO_PROCESS:
      chosen = live.filter((other) => (who === 0 ? other === t : other.tid === who));
      break;
    case IOPRIO_WHO_PGRP: {
      const id = who === 0 ? t.group.processGroup.id : who;
      chosen = live.filter((other) => other.group.processGroup.id === id);
      break;
    }
    case IOPRIO_WHO_USER: {
      const uid = who === 0 ? t.creds.uid : who >>> 0;
      chosen = live.filter((other) => other.creds.uid === uid);
      break;
    }
    default:
      return -EINVAL;
  }
  return chosen.length === 0 ? -ESRCH : chosen;
}

/** ioprio_set(2). */
export function sysIoprioSet(t: Task, a: SyscallArgs): number {
  const priority = a.int(2);
  const allowed = checkPriority(t, priority);
  if (allowed < 0) return allowed;
  const targets = targetsOf(t, a.int(0), a.int(1));
  if (typeof targets === 'number') return targets;
  const { uid, euid } = t.creds;
  for (const target of targets) {
    const owner = target.creds.uid;
    if (owner !== euid && owner !== uid && !t.creds.has(CAP_SYS_NICE)) return -EPERM;
    target.ioPriority = priority;
  }
  return 0;
}

/** ioprio_get(2): the highest of several is the smallest number. */
export function sysIoprioGet(t: Task, a: SyscallArgs): number {
  const targets = targetsOf(t, a.int(0), a.int(1));
  if (typeof targets === 'number') return targets;
  return Math.min(...targets.map((target) => target.ioPriority));
}

export const ioPrioritySyscalls: SyscallFragment = {
  [SYS_ioprio_set]: {
    name: 'ioprio_set',
    args: 'int int hex',
    fn: sysIoprioSet,
    gap: 'recorded, without effect',
  },
  [SYS_ioprio_get]: { name: 'ioprio_get', args: 'int int', fn: sysIoprioGet },
};
