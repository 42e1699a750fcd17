/**
 * New tasks (clone(2), fork(2), vfork(2); Linux's kernel/fork.c).
 */

import { CAP_SYS_ADMIN, CAP_SYS_RESOURCE } from '../../spec/linux/capability.ts';
import { EAGAIN, EINVAL, EPERM } from '../../spec/linux/errno.ts';
import { RLIMIT_CPU, RLIMIT_NPROC } from '../../spec/linux/resource.ts';
import {
  CLONE_CHILD_CLEARTID,
  CLONE_CHILD_SETTID,
  CLONE_FILES,
  CLONE_FS,
  CLONE_NEWCGROUP,
  CLONE_NEWIPC,
  CLONE_NEWNET,
  CLONE_NEWNS,
  CLONE_NEWPID,
  CLONE_NEWUSER,
  CLONE_NEWUTS,
  CLONE_PARENT,
  CLONE_PARENT_SETTID,
  CLONE_SETTLS,
  CLONE_SIGHAND,
  CLONE_THREAD,
  CLONE_VFORK,
  CLONE_VM,
} from '../../spec/linux/sched.ts';
import type { MemoryManager } from '../mm/memory_manager.ts';
import { type Context, REG_FS_BASE, REG_RAX, REG_RSP } from '../platform/platform.ts';
import { GroupTimers } from './posix_timers.ts';
import { claimMemory } from './ptrace_access.ts';
import { memoryLimits, ResourceLimits } from './resource_limits.ts';
import { Task } from './task.ts';
import { ThreadGroup } from './thread_group.ts';

/** Decoded arguments of clone and clone3. Addresses are 0 when not wanted. */
export interface CloneRequest {
  readonly flags: number;
  /** Initial stack pointer; 0 keeps the parent's. */
  readonly stack: number;
  readonly parentTid: number;
  readonly childTid: number;
  readonly tls: number;
  readonly exitSignal: number;
  /** CLONE_CLEAR_SIGHAND, which lies above bit 31 of clone3's flags. */
  readonly clearHandlers: boolean;
}

const NAMESPACES =
  CLONE_NEWNS |
  CLONE_NEWUTS |
  CLONE_NEWIPC |
  CLONE_NEWUSER |
  CLONE_NEWPID |
  CLONE_NEWNET |
  CLONE_NEWCGROUP;

/** The new task's id, or -errno. The parent sleeps afterwards if CLONE_VFORK made `vforking` true. */
export function cloneTask(parent: Task, r: CloneRequest): number {
  const bad = checkFlags(parent, r);
  if (bad !== 0) return bad;
  const pids = parent.container.pids;
  if (pids.init === null || pids.init.exiting) return -EAGAIN;
  if (processLimitReached(parent)) return -EAGAIN;
  const tid = pids.allocate();
  if (tid < 0) return tid;
  const memory = cloneMemory(parent, (r.flags & CLONE_VM) !== 0);
  if (typeof memory === 'number') return memory;
  const child = makeTask(parent, r, tid, memory.mm, memory.context);
  const regs = child.context.regs;
  regs.set(REG_RAX, 0);
  if (r.stack !== 0) regs.set(REG_RSP, r.stack);
  if ((r.flags & CLONE_SETTLS) !== 0) regs.set(REG_FS_BASE, r.tls);
  if ((r.flags & CLONE_PARENT_SETTID) !== 0) parent.mm.writeU32(r.parentTid, tid);
  if ((r.flags & CLONE_CHILD_SETTID) !== 0) child.mm.writeU32(r.childTid, tid);
  if ((r.flags & CLONE_CHILD_CLEARTID) !== 0) child.clearChildTid = r.childTid;
  if ((r.flags & CLONE_VFORK) !== 0) {
    child.vforkParent = parent;
    parent.vforking = true;
  }
  parent.kernel.ready(child);
  return tid;
}

function checkFlags(t: Task, r: CloneRequest): number {
  const { flags } = r;
  if ((flags & CLONE_SIGHAND) !== 0 && (flags & CLONE_VM) === 0) return -EINVAL;
  if ((flags & CLONE_THREAD) !== 0 && (flags & CLONE_SIGHAND) === 0) return -EINVAL;
  if ((flags & CLONE_FS) !== 0 && (flags & (CLONE_NEWNS | CLONE_NEWUSER)) !== 0) return -EINVAL;
  if (r.clearHandlers && (flags & CLONE_SIGHAND) !== 0) return -EINVAL;
  if ((flags & CLONE_PARENT) !== 0 && t.container.pids.init === t.group) return -EINVAL;
  if ((flags & NAMESPACES) === 0) return 0;
  if (!t.creds.has(CAP_SYS_ADMIN) && (flags & CLONE_NEWUSER) === 0) return -EPERM;
  return -EINVAL;
}

function processLimitReached(t: Task): boolean {
  const limit = t.group.limits.soft(RLIMIT_NPROC);
  if (limit === Number.POSITIVE_INFINITY) return false;
  if (t.creds.uid === 0 || t.creds.has(CAP_SYS_RESOURCE)) return false;
  let count = 0;
  for (const other of t.container.pids.tasks.values()) if (other.creds.uid === t.creds.uid) count++;
  return count >= limit;
}

function cloneMemory(
  parent: Task,
  share: boolean,
): { readonly mm: MemoryManager; readonly context: Context } | number {
  claimMemory(parent);
  if (!share) return parent.mm.fork(parent.context);
  const context = parent.mm.space.newContext(parent.context);
  return typeof context === 'number' ? context : { mm: parent.mm.retain(), context };
}

function makeTask(
  parent: Task,
  r: CloneRequest,
  tid: number,
  mm: MemoryManager,
  context: Context,
): Task {
  const { flags } = r;
  const pids = parent.container.pids;
  const isThread = (flags & CLONE_THREAD) !== 0;
  const group = isThread ? parent.group : makeGroup(parent, r, tid);
  const child = new Task({
    kernel: parent.kernel,
    container: parent.container,
    group,
    tid,
    mm,
    files: (flags & CLONE_FILES) !== 0 ? parent.files.share() : parent.files.copy(),
    fs: (flags & CLONE_FS) !== 0 ? parent.fs.share() : parent.fs.copy(),
    creds: parent.creds,
    context,
    name: parent.name,
  });
  child.signalMask.copyFrom(parent.savedMask ?? parent.signalMask);
  child.nice = parent.nice;
  child.schedulingPolicy = parent.schedulingPolicy;
  child.schedulingPriority = parent.schedulingPriority;
  child.ioPriority = parent.ioPriority;
  child.timerSlackNs = parent.timerSlackNs;
  child.affinity = parent.affinity;
  const sharesStack = (flags & CLONE_VM) !== 0 && (flags & CLONE_VFORK) === 0;
  if (!sharesStack) child.alternateStack = parent.alternateStack;
  group.tasks.add(child);
  pids.tasks.set(tid, child);
  if (!isThread) {
    group.leader = child;
    pids.groups.set(tid, group);
    group.joinProcessGroup(parent.group.processGroup);
    group.setExecutable(parent.group.executable?.acquire() ?? null);
    if (group.limits.soft(RLIMIT_CPU) !== Number.POSITIVE_INFINITY) {
      GroupTimers.of(parent.kernel, group).watchCpuLimit();
    }
    if ((flags & CLONE_VM) === 0) mm.limits = memoryLimits(group.limits, child.creds);
  }
  return child;
}

function makeGroup(parent: Task, r: CloneRequest, pid: number): ThreadGroup {
  const { flags } = r;
  const inherit = (flags & CLONE_PARENT) !== 0;
  const real = inherit ? parent.group.parent : parent.group;
  const shareHandlers = (flags & CLONE_SIGHAND) !== 0;
  if (shareHandlers) parent.group.handlers.refs++;
  const handlers = shareHandlers ? parent.group.handlers : parent.group.handlers.copy();
  if (r.clearHandlers) handlers.resetForExec();
  const group = new ThreadGroup(
    {
      pid,
      parent: real,
      handlers,
      limits: new ResourceLimits(parent.group.limits),
      exitSignal: inherit ? parent.group.exitSignal : r.exitSignal,
    },
    parent.kernel.clock.monotonicNs(),
  );
  group.oomScoreAdj = parent.group.oomScoreAdj;
  group.dumpable = parent.group.dumpable;
  real?.children.add(group);
  return group;
}
