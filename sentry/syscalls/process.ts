/**
 * Making, running, ending and awaiting processes: clone(2), clone3(2), fork(2), vfork(2), execve(2),
 * exit(2), wait4(2), waitid(2).
 */
import { E2BIG, EAGAIN, EFAULT, EINVAL, ENOENT, ENOSYS, ESRCH } from '../../spec/linux/errno.ts';
import { AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW } from '../../spec/linux/fcntl.ts';
import { CLONE_ARGS, RUSAGE } from '../../spec/linux/layout/process.ts';
import { POLLIN } from '../../spec/linux/poll.ts';
import {
  CLONE_ARGS_SIZE_VER0,
  CLONE_CLEAR_SIGHAND,
  CLONE_DETACHED,
  CLONE_INTO_CGROUP,
  CLONE_PIDFD,
  CLONE_THREAD,
  CLONE_VFORK,
  CLONE_VM,
  CSIGNAL,
} from '../../spec/linux/sched.ts';
import { NSIG, SIGCHLD } from '../../spec/linux/signal.ts';
import {
  SYS_clone,
  SYS_clone3,
  SYS_execve,
  SYS_execveat,
  SYS_exit,
  SYS_exit_group,
  SYS_fork,
  SYS_vfork,
  SYS_wait4,
  SYS_waitid,
} from '../../spec/linux/syscall_numbers.ts';
import {
  __WALL,
  __WCLONE,
  __WNOTHREAD,
  exitStatus,
  P_ALL,
  P_PGID,
  P_PID,
  WCONTINUED,
  WEXITED,
  WNOHANG,
  WNOWAIT,
  WSTOPPED,
  WUNTRACED,
} from '../../spec/linux/wait.ts';
import { StringList } from '../base/string_list.ts';
import { type ChildEvent, type ChildSelector, lookForChild } from '../kernel/child_wait.ts';
import { type CloneRequest, cloneTask } from '../kernel/clone.ts';
import { type ExecRequest, execTask } from '../kernel/exec.ts';
import { beginGroupExit, exitTask } from '../kernel/exit.ts';
import type { SyscallArgs } from '../kernel/syscall_args.ts';
import { BLOCKED, NO_RESULT, type SyscallFragment } from '../kernel/syscall_table.ts';
import { TASK_VFORK, type Task } from '../kernel/task.ts';
import type { Usage } from '../kernel/thread_group.ts';
import { REG_RAX } from '../platform/platform.ts';
import { samePath } from '../vfs/mount.ts';
import { PATH_MAX } from '../vfs/namei.ts';

/** Linux's bounds on one string and on all of them are checked by the loader; these bound us. */
const MAX_ARG_STRLEN = 131072;
const MAX_ARGUMENT_BYTES = 6 * 2 ** 20;

// clone ------------------------------------------------------------------------------------------

function doClone(t: Task, r: CloneRequest): number {
  const tid = cloneTask(t, r);
  if (tid < 0 || !t.vforking) return tid;
  t.syscallResult = tid;
  t.context.regs.set(REG_RAX, tid);
  t.state = TASK_VFORK;
  return BLOCKED;
}

/** clone(2), in x86-64's argument order. */
export function sysClone(t: Task, a: SyscallArgs): number {
  const word = a.uint(0);
  return doClone(t, {
    flags: word & ~CSIGNAL,
    stack: a.addr(1),
    parentTid: a.addr(2),
    childTid: a.addr(3),
    tls: a.addr(4),
    // Any number is taken, as in Linux; one that is no signal is not sent.
    exitSignal: (word & CSIGNAL) > NSIG ? 0 : word & CSIGNAL,
    clearHandlers: false,
  });
}

/** clone3(2). */
export function sysClone3(t: Task, a: SyscallArgs): number {
  const size = a.sizeT(1);
  if (size < CLONE_ARGS_SIZE_VER0) return -EINVAL;
  if (size > 4096) return -E2BIG;
  const bytes = new Uint8Array(Math.max(size, CLONE_ARGS.size));
  if (t.mm.copyIn(a.addr(0), bytes, 0, size) < 0) return -EFAULT;
  for (let i = CLONE_ARGS.size; i < size; i++) if (bytes[i] !== 0) return -E2BIG;
  const c = CLONE_ARGS.decode(bytes, 0);
  const clearHandlers = Math.floor(c.flags / CLONE_CLEAR_SIGHAND) % 2 === 1;
  if (Math.floor(c.flags / CLONE_INTO_CGROUP) > 0) return -EINVAL;
  const flags = (c.flags % 2 ** 32) | 0;
  if ((flags & (CLONE_DETACHED | CSIGNAL | CLONE_PIDFD)) !== 0) return -EINVAL;
  if (c.set_tid !== 0 || c.set_tid_size !== 0 || c.exit_signal > 64) return -EINVAL;
  if ((c.stack === 0) !== (c.stack_size === 0)) return -EINVAL;
  if ((flags & CLONE_THREAD) !== 0 && c.exit_signal !== 0) return -EINVAL;
  return doClone(t, {
    flags,
    stack: c.stack + c.stack_size,
    parentTid: c.parent_tid,
    childTid: c.child_tid,
    tls: c.tls,
    exitSignal: c.exit_signal,
    clearHandlers,
  });
}

const PLAIN_FORK: CloneRequest = {
  flags: 0,
  stack: 0,
  parentTid: 0,
  childTid: 0,
  tls: 0,
  exitSignal: SIGCHLD,
  clearHandlers: false,
};

/** fork(2). */
export function sysFork(t: Task): number {
  return doClone(t, PLAIN_FORK);
}

/** vfork(2). */
export function sysVfork(t: Task): number {
  return doClone(t, { ...PLAIN_FORK, flags: CLONE_VM | CLONE_VFORK });
}

// execve -----------------------------------------------------------------------------------------

/** A NULL-terminated array of strings; a NULL array counts as empty. -errno on failure. */
function copyInStrings(t: Task, array: number): StringList | number {
  const strings = new StringList();
  if (array === 0) return strings;
  for (let at = array; ; at += 8) {
    const pointer = t.mm.readU64(at);
    if (pointer < 0) return -EFAULT;
    if (pointer === 0) return strings;
    const added = t.mm.addString(pointer, MAX_ARG_STRLEN, strings);
    if (added < 0) return added === -EFAULT ? -EFAULT : -E2BIG;
    if (strings.byteLength + 8 * strings.count > MAX_ARGUMENT_BYTES) return -E2BIG;
  }
}

function doExec(
  t: Task,
  program: Pick<ExecRequest, 'path' | 'filename' | 'nameless'>,
  argv: number,
  envp: number,
): number {
  const args = copyInStrings(t, argv);
  if (typeof args === 'number') return args;
  const env = copyInStrings(t, envp);
  if (typeof env === 'number') return env;
  const r = execTask(t, { ...program, argv: args, envp: env });
  return r < 0 ? r : NO_RESULT;
}

/** execve(2). */
export function sysExecve(t: Task, a: SyscallArgs): number {
  const name = t.mm.copyInString(a.addr(0), PATH_MAX);
  if (typeof name === 'number') return name;
  const path = t.kernel.vfs.namei.lookup(t, name, { follow: true });
  if (typeof path === 'number') return path;
  return doExec(t, { path, filename: name }, a.addr(1), a.addr(2));
}

/** execveat(2). */
export function sysExecveat(t: Task, a: SyscallArgs): number {
  const fd = a.int(0);
  const flags = a.int(4);
  const argv = a.addr(2);
  const envp = a.addr(3);
  if ((flags & ~(AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW)) !== 0) return -EINVAL;
  const name = t.mm.copyInString(a.addr(1), PATH_MAX);
  if (typeof name === 'number') return name;
  const start = t.startPath(fd, name);
  if (typeof start === 'number') return start;
  if (name === '') {
    if ((flags & AT_EMPTY_PATH) === 0) return -ENOENT;
    const program = { path: start, filename: `/dev/fd/${fd}`, nameless: true };
    return doExec(t, program, argv, envp);
  }
  const follow = (flags & AT_SYMLINK_NOFOLLOW) === 0;
  const path = t.kernel.vfs.namei.lookup(t, name, { follow, start });
  if (typeof path === 'number') return path;
  const direct = name.startsWith('/') || samePath(start, t.fs.cwd);
  return doExec(t, { path, filename: direct ? name : `/dev/fd/${fd}/${name}` }, argv, envp);
}

// exit -------------------------------------------------------------------------------------------

/** exit(2): this thread only. */
export function sysExit(t: Task, a: SyscallArgs): number {
  if (t.group.tasks.size === 1) t.group.exitStatus = exitStatus(a.int(0));
  exitTask(t);
  return NO_RESULT;
}

/** exit_group(2). */
export function sysExitGroup(t: Task, a: SyscallArgs): number {
  beginGroupExit(t.group, exitStatus(a.int(0)));
  exitTask(t);
  return NO_RESULT;
}

// wait -------------------------------------------------------------------------------------------

const NS_PER_US = 1000;

export function encodeUsage(u: Usage): Uint8Array {
  const us = Math.floor(u.cpuNs / NS_PER_US);
  return RUSAGE.encode({
    ru_utime: { tv_sec: Math.floor(us / 1e6), tv_usec: us % 1e6 },
    ru_maxrss: Math.floor(u.maxRssBytes / 1024),
    ru_minflt: u.minorFaults,
    ru_majflt: u.majorFaults,
    ru_nvcsw: u.voluntarySwitches,
    ru_nivcsw: u.involuntarySwitches,
  });
}

/** Waits as `options` say and hands the event to `found`, whose result is the call's. */
function waitForChild(
  t: Task,
  which: ChildSelector,
  options: number,
  nothing: number,
  found: (event: ChildEvent) => number,
): number {
  const attempt = (): number => {
    const event = lookForChild(t, which, options);
    return typeof event === 'number' ? event : found(event);
  };
  const r = t.waitUntil(t.group.childQueue, POLLIN, (options & WNOHANG) !== 0, attempt);
  return r === -EAGAIN ? nothing : r;
}

/** wait4(2). */
export function sysWait4(t: Task, a: SyscallArgs): number {
  const pid = a.int(0);
  const statusAddr = a.addr(1);
  const options = a.uint(2);
  const usageAddr = a.addr(3);
  const known = WNOHANG | WUNTRACED | WCONTINUED | __WNOTHREAD | __WALL | __WCLONE;
  if ((options & ~known) !== 0) return -EINVAL;
  if (pid === -(2 ** 31)) return -ESRCH;
  let pgid = 0;
  if (pid === 0) pgid = t.group.processGroup.id;
  else if (pid < -1) pgid = -pid;
  return waitForChild(t, { pid: Math.max(pid, 0), pgid }, options | WEXITED, 0, (event) => {
    if (statusAddr !== 0 && t.mm.writeU32(statusAddr, event.status) < 0) return -EFAULT;
    if (usageAddr !== 0 && t.mm.copyOut(usageAddr, encodeUsage(event.usage)) < 0) return -EFAULT;
    return event.pid;
  });
}

/** waitid(2). */
export function sysWaitid(t: Task, a: SyscallArgs): number {
  const idType = a.int(0);
  const id = a.int(1);
  const infoAddr = a.addr(2);
  const options = a.uint(3);
  const usageAddr = a.addr(4);
  const known =
    WNOHANG | WNOWAIT | WEXITED | WSTOPPED | WCONTINUED | __WNOTHREAD | __WALL | __WCLONE;
  if ((options & ~known) !== 0 || (options & (WEXITED | WSTOPPED | WCONTINUED)) === 0) {
    return -EINVAL;
  }
  const which = selectChildren(t, idType, id);
  if (typeof which === 'number') return which;
  const report = (event: ChildEvent | null): number => {
    if (infoAddr !== 0 && writeWaitInfo(t, infoAddr, event) < 0) return -EFAULT;
    if (event === null || usageAddr === 0) return 0;
    return t.mm.copyOut(usageAddr, encodeUsage(event.usage)) < 0 ? -EFAULT : 0;
  };
  const none = -ENOSYS;
  const r = waitForChild(t, which, options, none, report);
  return r === none ? report(null) : r;
}

function selectChildren(t: Task, idType: number, id: number): ChildSelector | number {
  if (idType === P_ALL) return { pid: 0, pgid: 0 };
  if (idType === P_PID) return id <= 0 ? -EINVAL : { pid: id, pgid: 0 };
  if (idType !== P_PGID || id < 0) return -EINVAL;
  return { pid: 0, pgid: id === 0 ? t.group.processGroup.id : id };
}

/** The fields of siginfo_t that waitid fills, at their offsets. */
function writeWaitInfo(t: Task, addr: number, event: ChildEvent | null): number {
  const status =
    event === null
      ? 0
      : (event.status & 0x7f) === 0 || (event.status & 0xff) === 0x7f
        ? (event.status >> 8) & 0xff
        : event.status & 0x7f;
  const words = new Int32Array(7);
  words[0] = event === null ? 0 : SIGCHLD;
  words[2] = event?.code ?? 0;
  words[4] = event?.pid ?? 0;
  words[5] = event?.uid ?? 0;
  words[6] = status;
  return t.mm.copyOut(addr, new Uint8Array(words.buffer));
}

export const processSyscalls: SyscallFragment = {
  [SYS_clone]: { name: 'clone', args: 'cloneflags hex hex hex hex', fn: sysClone },
  [SYS_fork]: { name: 'fork', args: '', fn: sysFork },
  [SYS_vfork]: { name: 'vfork', args: '', fn: sysVfork },
  [SYS_execve]: { name: 'execve', args: 'path strings strings', fn: sysExecve },
  [SYS_exit]: { name: 'exit', args: 'int', fn: sysExit },
  [SYS_wait4]: { name: 'wait4', args: 'int status int rusage', fn: sysWait4 },
  [SYS_exit_group]: { name: 'exit_group', args: 'int', fn: sysExitGroup },
  [SYS_waitid]: { name: 'waitid', args: 'int int hex int rusage', fn: sysWaitid },
  [SYS_execveat]: { name: 'execveat', args: 'fd path strings strings hex', fn: sysExecveat },
  [SYS_clone3]: {
    name: 'clone3',
    args: 'hex size',
    fn: sysClone3,
    gap: 'no CLONE_PIDFD, CLONE_INTO_CGROUP, set_tid or new namespaces',
  },
};
