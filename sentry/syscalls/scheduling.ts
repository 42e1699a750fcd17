/**
 * Scheduling (sched(7), getpriority(2), sched_setscheduler(2), sched_setaffinity(2), getcpu(2)). The host
 * schedules application threads; policies, priorities and affinities are checked and remembered, so that
 * programs find what they set, and have no effect.
 */

import { CAP_SYS_NICE } from '../../spec/linux/capability.ts';
import { E2BIG, EACCES, EFAULT, EINVAL, EPERM, ESRCH } from '../../spec/linux/errno.ts';
import { SCHED_ATTR } from '../../spec/linux/layout/process.ts';
import { RLIMIT_NICE, RLIMIT_RTPRIO } from '../../spec/linux/resource.ts';
import {
  PRIO_PGRP,
  PRIO_PROCESS,
  PRIO_USER,
  SCHED_BATCH,
  SCHED_DEADLINE,
  SCHED_FIFO,
  SCHED_IDLE,
  SCHED_NORMAL,
  SCHED_RESET_ON_FORK,
  SCHED_RR,
} from '../../spec/linux/sched.ts';
import {
  SYS_getcpu,
  SYS_getpriority,
  SYS_sched_get_priority_max,
  SYS_sched_get_priority_min,
  SYS_sched_getaffinity,
  SYS_sched_getattr,
  SYS_sched_getparam,
  SYS_sched_getscheduler,
  SYS_sched_rr_get_interval,
  SYS_sched_setaffinity,
  SYS_sched_setattr,
  SYS_sched_setparam,
  SYS_sched_setscheduler,
  SYS_sched_yield,
  SYS_setpriority,
} from '../../spec/linux/syscall_numbers.ts';
import type { SyscallArgs } from '../kernel/syscall_args.ts';
import type { SyscallFragment } from '../kernel/syscall_table.ts';
import type { Task } from '../kernel/task.ts';
import { writeTimespec } from './user_time.ts';

const NICE_MIN = -20;
const NICE_MAX = 19;
const PRIORITY_MAX = 99;
/** Linux's default round-robin slice. */
const RR_INTERVAL_NS = 100_000_000;
/** sizeof(struct sched_attr) as first published. */
const SCHED_ATTR_SIZE_VER0 = 48;

/** The thread called `tid`; 0 is the caller. */
function findTask(t: Task, tid: number): Task | undefined {
  return tid === 0 ? t : t.container.pids.tasks.get(tid);
}

function ownsOrNice(t: Task, target: Task): boolean {
  const { euid } = t.creds;
  const c = target.creds;
  return euid === c.euid || euid === c.uid || t.creds.has(CAP_SYS_NICE);
}

// nice -------------------------------------------------------------------------------------------

/** The tasks that `which` and `who` of getpriority(2) name, or -EINVAL. */
function priorityTargets(t: Task, which: number, who: number): Task[] | number {
  const all = [...t.container.pids.tasks.values()];
  switch (which) {
    case PRIO_PROCESS: {
      const target = findTask(t, who);
      return target === undefined ? [] : [target];
    }
    case PRIO_PGRP: {
      const pgid = who === 0 ? t.group.processGroup.id : who;
      return all.filter((other) => other.group.processGroup.id === pgid);
    }
    case PRIO_USER: {
      const uid = who === 0 ? t.creds.uid : who >>> 0;
      return all.filter((other) => other.creds.uid === uid);
    }
    default:
      return -EINVAL;
  }
}

/** getpriority(2): 20 - nice, so that it is never negative. */
export function sysGetpriority(t: Task, a: SyscallArgs): number {
  const targets = priorityTargets(t, a.int(0), a.int(1));
  if (typeof targets === 'number') return targets;
  if (targets.length === 0) return -ESRCH;
  return Math.max(...targets.map((target) => 20 - target.nice));
}

/** setpriority(2). */
export function sysSetpriority(t: Task, a: SyscallArgs): number {
  const targets = priorityTargets(t, a.int(0), a.int(1));
  if (typeof targets === 'number') return targets;
  const nice = Math.max(NICE_MIN, Math.min(NICE_MAX, a.int(2)));
  let result = -ESRCH;
  for (const target of targets) {
    if (!ownsOrNice(t, target)) {
      result = -EPERM;
    } else if (nice < target.nice && !mayRaise(t, target, nice)) {
      result = -EACCES;
    } else {
      target.nice = nice;
      if (result === -ESRCH) result = 0;
    }
  }
  return result;
}

function mayRaise(t: Task, target: Task, nice: number): boolean {
  return 20 - nice <= target.group.limits.soft(RLIMIT_NICE) || t.creds.has(CAP_SYS_NICE);
}

// Policies ---------------------------------------------------------------------------------------

function isRealtime(policy: number): boolean {
  return policy === SCHED_FIFO || policy === SCHED_RR;
}

function isKnown(policy: number): boolean {
  return (
    isRealtime(policy) || policy === SCHED_NORMAL || policy === SCHED_BATCH || policy === SCHED_IDLE
  );
}

/** Checks and sets; `policy` may hold SCHED_RESET_ON_FORK. */
function setPolicy(t: Task, target: Task, policy: number, priority: number): number {
  const kind = policy & ~SCHED_RESET_ON_FORK;
  if (!isKnown(kind) || priority < 0 || priority > PRIORITY_MAX) return -EINVAL;
  if (isRealtime(kind) !== priority > 0) return -EINVAL;
  if (!t.creds.has(CAP_SYS_NICE)) {
    const limit = target.group.limits.soft(RLIMIT_RTPRIO);
    if (isRealtime(kind) && priority > limit) return -EPERM;
    if (!ownsOrNice(t, target)) return -EPERM;
  }
  target.schedulingPolicy = policy;
  target.schedulingPriority = priority;
  return 0;
}

/** sched_setscheduler(2). */
export function sysSchedSetscheduler(t: Task, a: SyscallArgs): number {
  const policy = a.int(1);
  if (a.int(0) < 0 || policy < 0 || a.addr(2) === 0) return -EINVAL;
  const priority = t.mm.readU32(a.addr(2));
  if (priority < 0) return -EFAULT;
  const target = findTask(t, a.int(0));
  return target === undefined ? -ESRCH : setPolicy(t, target, policy, priority | 0);
}

/** sched_getscheduler(2). */
export function sysSchedGetscheduler(t: Task, a: SyscallArgs): number {
  if (a.int(0) < 0) return -EINVAL;
  return findTask(t, a.int(0))?.schedulingPolicy ?? -ESRCH;
}

/** sched_setparam(2). */
export function sysSchedSetparam(t: Task, a: SyscallArgs): number {
  if (a.int(0) < 0 || a.addr(1) === 0) return -EINVAL;
  const priority = t.mm.readU32(a.addr(1));
  if (priority < 0) return -EFAULT;
  const target = findTask(t, a.int(0));
  return target === undefined
    ? -ESRCH
    : setPolicy(t, target, target.schedulingPolicy, priority | 0);
}

/** sched_getparam(2). */
export function sysSchedGetparam(t: Task, a: SyscallArgs): number {
  if (a.int(0) < 0 || a.addr(1) === 0) return -EINVAL;
  const target = findTask(t, a.int(0));
  return target === undefined ? -ESRCH : t.mm.writeU32(a.addr(1), target.schedulingPriority);
}

/** sched_get_priority_max(2). */
export function sysSchedGetPriorityMax(_t: Task, a: SyscallArgs): number {
  const policy = a.int(0);
  if (!isKnown(policy) && policy !== SCHED_DEADLINE) return -EINVAL;
  return isRealtime(policy) ? PRIORITY_MAX : 0;
}

/** sched_get_priority_min(2). */
export function sysSchedGetPriorityMin(_t: Task, a: SyscallArgs): number {
  const policy = a.int(0);
  if (!isKnown(policy) && policy !== SCHED_DEADLINE) return -EINVAL;
  return isRealtime(policy) ? 1 : 0;
}

/** sched_rr_get_interval(2). */
export function sysSchedRrGetInterval(t: Task, a: SyscallArgs): number {
  if (a.int(0) < 0) return -EINVAL;
  const target = findTask(t, a.int(0));
  if (target === undefined) return -ESRCH;
  const nsec = (target.schedulingPolicy & ~SCHED_RESET_ON_FORK) === SCHED_FIFO ? 0 : RR_INTERVAL_NS;
  return writeTimespec(t, a.addr(1), { sec: 0, nsec });
}

/** sched_setattr(2). */
export function sysSchedSetattr(t: Task, a: SyscallArgs): number {
  if (a.int(0) < 0 || a.addr(1) === 0 || a.uint(2) !== 0) return -EINVAL;
  const declared = t.mm.readU32(a.addr(1));
  if (declared < 0) return -EFAULT;
  const size = declared === 0 ? SCHED_ATTR_SIZE_VER0 : declared;
  if (size < SCHED_ATTR_SIZE_VER0 || size > SCHED_ATTR.size) return -E2BIG;
  const bytes = new Uint8Array(SCHED_ATTR.size);
  if (t.mm.copyIn(a.addr(1), bytes, 0, size) < 0) return -EFAULT;
  const attr = SCHED_ATTR.decode(bytes);
  const target = findTask(t, a.int(0));
  if (target === undefined) return -ESRCH;
  const reset = (attr.sched_flags & 1) !== 0 ? SCHED_RESET_ON_FORK : 0;
  const r = setPolicy(t, target, attr.sched_policy | reset, attr.sched_priority);
  if (r < 0 || isRealtime(attr.sched_policy)) return r;
  const nice = Math.max(NICE_MIN, Math.min(NICE_MAX, attr.sched_nice));
  if (nice < target.nice && !mayRaise(t, target, nice)) return -EPERM;
  target.nice = nice;
  return 0;
}

/** sched_getattr(2). */
export function sysSchedGetattr(t: Task, a: SyscallArgs): number {
  const size = a.uint(2);
  if (a.int(0) < 0 || a.addr(1) === 0 || a.uint(3) !== 0) return -EINVAL;
  if (size < SCHED_ATTR_SIZE_VER0 || size > 4096) return -EINVAL;
  const target = findTask(t, a.int(0));
  if (target === undefined) return -ESRCH;
  const policy = target.schedulingPolicy & ~SCHED_RESET_ON_FORK;
  const bytes = SCHED_ATTR.encode({
    size: SCHED_ATTR_SIZE_VER0,
    sched_policy: policy,
    sched_flags: (target.schedulingPolicy & SCHED_RESET_ON_FORK) !== 0 ? 1 : 0,
    sched_nice: isRealtime(policy) ? 0 : target.nice,
    sched_priority: target.schedulingPriority,
  });
  return t.mm.copyOut(a.addr(1), bytes, 0, SCHED_ATTR_SIZE_VER0);
}

/** sched_yield(2). */
export function sysSchedYield(): number {
  return 0;
}

// Processors -------------------------------------------------------------------------------------

/** A cpu_set_t of all processors. */
function allProcessors(t: Task): Uint8Array {
  const count = t.container.cpuCount;
  const set = new Uint8Array(Math.ceil(count / 64) * 8);
  for (let cpu = 0; cpu < count; cpu++) set[cpu >> 3] = (set[cpu >> 3] ?? 0) | (1 << (cpu & 7));
  return set;
}

/** sched_setaffinity(2). */
export function sysSchedSetaffinity(t: Task, a: SyscallArgs): number {
  const target = findTask(t, a.int(0));
  const possible = allProcessors(t);
  const set = new Uint8Array(possible.length);
  const length = Math.min(a.uint(1), set.length);
  if (t.mm.copyIn(a.addr(2), set, 0, length) < 0) return -EFAULT;
  if (target === undefined) return -ESRCH;
  if (!ownsOrNice(t, target)) return -EPERM;
  for (let i = 0; i < set.length; i++) set[i] = (set[i] ?? 0) & (possible[i] ?? 0);
  if (set.every((byte) => byte === 0)) return -EINVAL;
  target.affinity = set;
  return 0;
}

/** sched_getaffinity(2): the number of bytes written. */
export function sysSchedGetaffinity(t: Task, a: SyscallArgs): number {
  const length = a.uint(1);
  if (length * 8 < t.container.cpuCount || length % 8 !== 0) return -EINVAL;
  const target = findTask(t, a.int(0));
  if (target === undefined) return -ESRCH;
  const set = target.affinity ?? allProcessors(t);
  const n = Math.min(length, set.length);
  return t.mm.copyOut(a.addr(2), set, 0, n) < 0 ? -EFAULT : n;
}

/** getcpu(2): the lowest processor that the caller may use. */
export function sysGetcpu(t: Task, a: SyscallArgs): number {
  const set = t.affinity ?? allProcessors(t);
  let cpu = 0;
  while (cpu < set.length * 8 && (((set[cpu >> 3] ?? 0) >> (cpu & 7)) & 1) === 0) cpu++;
  if (a.addr(0) !== 0 && t.mm.writeU32(a.addr(0), cpu) < 0) return -EFAULT;
  return a.addr(1) === 0 ? 0 : t.mm.writeU32(a.addr(1), 0);
}

const RECORDED = 'recorded, without effect';

export const schedulingSyscalls: SyscallFragment = {
  [SYS_sched_yield]: { name: 'sched_yield', args: '', fn: sysSchedYield },
  [SYS_getpriority]: { name: 'getpriority', args: 'int int', fn: sysGetpriority },
  [SYS_setpriority]: {
    name: 'setpriority',
    args: 'int int int',
    fn: sysSetpriority,
    gap: RECORDED,
  },
  [SYS_sched_setparam]: {
    name: 'sched_setparam',
    args: 'int hex',
    fn: sysSchedSetparam,
    gap: RECORDED,
  },
  [SYS_sched_getparam]: { name: 'sched_getparam', args: 'int hex', fn: sysSchedGetparam },
  [SYS_sched_setscheduler]: {
    name: 'sched_setscheduler',
    args: 'int int hex',
    fn: sysSchedSetscheduler,
    gap: RECORDED,
  },
  [SYS_sched_getscheduler]: { name: 'sched_getscheduler', args: 'int', fn: sysSchedGetscheduler },
  [SYS_sched_get_priority_max]: {
    name: 'sched_get_priority_max',
    args: 'int',
    fn: sysSchedGetPriorityMax,
  },
  [SYS_sched_get_priority_min]: {
    name: 'sched_get_priority_min',
    args: 'int',
    fn: sysSchedGetPriorityMin,
  },
  [SYS_sched_rr_get_interval]: {
    name: 'sched_rr_get_interval',
    args: 'int hex',
    fn: sysSchedRrGetInterval,
  },
  [SYS_sched_setaffinity]: {
    name: 'sched_setaffinity',
    args: 'int uint hex',
    fn: sysSchedSetaffinity,
    gap: RECORDED,
  },
  [SYS_sched_getaffinity]: {
    name: 'sched_getaffinity',
    args: 'int uint hex',
    fn: sysSchedGetaffinity,
  },
  [SYS_getcpu]: { name: 'getcpu', args: 'hex hex', fn: sysGetcpu, gap: 'always the same one' },
  [SYS_sched_setattr]: {
    name: 'sched_setattr',
    args: 'int hex hex',
    fn: sysSchedSetattr,
    gap: RECORDED,
  },
  [SYS_sched_getattr]: { name: 'sched_getattr', args: 'int hex uint hex', fn: sysSchedGetattr },
};
