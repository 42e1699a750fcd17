/**
 * Resource limits and usage (getrlimit(2), prlimit(2), getrusage(2)). RLIM_INFINITY is Infinity inside.
 */

import { CAP_SYS_RESOURCE } from '../../spec/linux/capability.ts';
import { EFAULT, EINVAL, EPERM, ESRCH } from '../../spec/linux/errno.ts';
import { RLIMIT } from '../../spec/linux/layout/process.ts';
import {
  RLIM_INFINITY,
  RLIM_NLIMITS,
  RLIMIT_CPU,
  RLIMIT_NOFILE,
  RUSAGE_CHILDREN,
  RUSAGE_SELF,
  RUSAGE_THREAD,
} from '../../spec/linux/resource.ts';
import {
  SYS_getrlimit,
  SYS_getrusage,
  SYS_prlimit64,
  SYS_setrlimit,
} from '../../spec/linux/syscall_numbers.ts';
import { GroupTimers } from '../kernel/posix_timers.ts';
import type { ResourceLimit } from '../kernel/resource_limits.ts';
import type { SyscallArgs } from '../kernel/syscall_args.ts';
import type { SyscallFragment } from '../kernel/syscall_table.ts';
import type { Task } from '../kernel/task.ts';
import type { ThreadGroup, Usage } from '../kernel/thread_group.ts';
import { encodeUsage } from './process.ts';

/** /proc/sys/fs/nr_open. */
const NR_OPEN = 1024 * 1024;
const INFINITE = Number.POSITIVE_INFINITY;

/** Linux's RLIM_INFINITY and everything a Number cannot tell from it count as no limit. */
function decodeLimit(raw: number): number {
  return raw >= Number.MAX_SAFE_INTEGER ? INFINITE : raw;
}

function encodeLimit(limit: number): number {
  return limit === INFINITE ? RLIM_INFINITY : limit;
}

function readLimit(t: Task, addr: number): ResourceLimit | number {
  const bytes = new Uint8Array(RLIMIT.size);
  if (t.mm.copyIn(addr, bytes) < 0) return -EFAULT;
  const raw = RLIMIT.decode(bytes);
  return { soft: decodeLimit(raw.rlim_cur), hard: decodeLimit(raw.rlim_max) };
}

function writeLimit(t: Task, addr: number, limit: ResourceLimit): number {
  const raw = { rlim_cur: encodeLimit(limit.soft), rlim_max: encodeLimit(limit.hard) };
  return t.mm.copyOut(addr, RLIMIT.encode(raw));
}

/** 0, -EINVAL or -EPERM. */
function setLimit(t: Task, g: ThreadGroup, resource: number, next: ResourceLimit): number {
  const old = g.limits.get(resource);
  if (old === undefined || next.soft > next.hard) return -EINVAL;
  if (resource === RLIMIT_NOFILE && next.hard > NR_OPEN) return -EPERM;
  if (next.hard > old.hard && !t.creds.has(CAP_SYS_RESOURCE)) return -EPERM;
  g.limits.set(resource, next);
  // A zombie's timers would never end.
  if (resource === RLIMIT_CPU && !g.zombie) GroupTimers.of(t.kernel, g).watchCpuLimit();
  return 0;
}

/** prlimit(2) on another process: all its ids are the caller's, or CAP_SYS_RESOURCE. */
function mayLimit(t: Task, target: Task): boolean {
  if (target.group === t.group) return true;
  const a = t.creds;
  const b = target.creds;
  const sameUser = a.uid === b.euid && a.uid === b.suid && a.uid === b.uid;
  const sameGroup = a.gid === b.egid && a.gid === b.sgid && a.gid === b.gid;
  return (sameUser && sameGroup) || a.has(CAP_SYS_RESOURCE);
}

/** prlimit64(2). */
export function sysPrlimit64(t: Task, a: SyscallArgs): number {
  const pid = a.int(0);
  const resource = a.uint(1);
  const newAddr = a.addr(2);
  const oldAddr = a.addr(3);
  if (resource >= RLIM_NLIMITS) return -EINVAL;
  const next = newAddr === 0 ? null : readLimit(t, newAddr);
  if (typeof next === 'number') return next;
  const target = pid === 0 ? t : t.container.pids.tasks.get(pid);
  if (target === undefined) return -ESRCH;
  if (!mayLimit(t, target)) return -EPERM;
  const old = target.group.limits.get(resource);
  if (old === undefined) return -EINVAL;
  if (next !== null) {
    const r = setLimit(t, target.group, resource, next);
    if (r < 0) return r;
  }
  return oldAddr === 0 ? 0 : writeLimit(t, oldAddr, old);
}

/** getrlimit(2). */
export function sysGetrlimit(t: Task, a: SyscallArgs): number {
  const limit = t.group.limits.get(a.uint(0));
  return limit === undefined ? -EINVAL : writeLimit(t, a.addr(1), limit);
}

/** setrlimit(2). */
export function sysSetrlimit(t: Task, a: SyscallArgs): number {
  if (a.uint(0) >= RLIM_NLIMITS) return -EINVAL;
  const next = readLimit(t, a.addr(1));
  return typeof next === 'number' ? next : setLimit(t, t.group, a.uint(0), next);
}

/** getrusage(2). */
export function sysGetrusage(t: Task, a: SyscallArgs): number {
  const usage = usageOf(t, a.int(0));
  return usage === null ? -EINVAL : t.mm.copyOut(a.addr(1), encodeUsage(usage));
}

function usageOf(t: Task, who: number): Usage | null {
  const g = t.group;
  const own = g.ownUsage;
  switch (who) {
    case RUSAGE_SELF: {
      const maxRssBytes = Math.max(own.maxRssBytes, t.mm.peakRssBytes);
      return { ...own, cpuNs: g.cpuTimeNs, maxRssBytes };
    }
    case RUSAGE_CHILDREN:
      return g.childrenUsage;
    case RUSAGE_THREAD:
      return {
        cpuNs: t.cpuTimeNs,
        minorFaults: 0,
        majorFaults: 0,
        voluntarySwitches: 0,
        involuntarySwitches: 0,
        maxRssBytes: Math.max(own.maxRssBytes, t.mm.peakRssBytes),
      };
    default:
      return null;
  }
}

const SPLIT = 'all CPU time counts as user time';

export const limitSyscalls: SyscallFragment = {
  [SYS_getrlimit]: { name: 'getrlimit', args: 'uint hex', fn: sysGetrlimit },
  [SYS_getrusage]: { name: 'getrusage', args: 'int hex', fn: sysGetrusage, gap: SPLIT },
  [SYS_setrlimit]: { name: 'setrlimit', args: 'uint hex', fn: sysSetrlimit },
  [SYS_prlimit64]: { name: 'prlimit64', args: 'int uint hex hex', fn: sysPrlimit64 },
};
