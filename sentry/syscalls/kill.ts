/**
 * Sending signals (kill(2), tkill(2), tgkill(2), rt_sigqueueinfo(2)).
 */
import { EFAULT, EINVAL, EPERM, ESRCH } from '../../spec/linux/errno.ts';
import { SIGINFO } from '../../spec/linux/layout/signal.ts';
import { NSIG, SI_TKILL, SI_USER } from '../../spec/linux/signal.ts';
import {
  SYS_kill,
  SYS_rt_sigqueueinfo,
  SYS_rt_tgsigqueueinfo,
  SYS_tgkill,
  SYS_tkill,
} from '../../spec/linux/syscall_numbers.ts';
import { decodeQueuedSigInfo } from '../kernel/siginfo.ts';
import type { SigInfo } from '../kernel/signal.ts';
import { maySignal, sendToGroup, sendToProcessGroup, sendToTask } from '../kernel/signal_send.ts';
import type { SyscallArgs } from '../kernel/syscall_args.ts';
import type { SyscallFragment } from '../kernel/syscall_table.ts';
import { TASK_DEAD, type Task } from '../kernel/task.ts';
import type { ProcessGroup, ThreadGroup } from '../kernel/thread_group.ts';

/** What a signal from `t` by kill (SI_USER) or tgkill (SI_TKILL) carries. */
function signalFrom(t: Task, signo: number, code: number): SigInfo {
  return { signo, code, pid: t.pid, uid: t.creds.uid };
}

/** Signal 0 only asks. */
function sendChecked(t: Task, g: ThreadGroup, info: SigInfo): number {
  if (g !== t.group && !maySignal(t, g, info.signo)) return -EPERM;
  return info.signo === 0 ? 0 : sendToGroup(g, info);
}

/** The process that `pid` names, by any of its threads as in Linux; zombies too. */
function findGroup(t: Task, pid: number): ThreadGroup | undefined {
  const { pids } = t.container;
  return pids.groups.get(pid) ?? pids.tasks.get(pid)?.group;
}

/** kill(2). */
export function sysKill(t: Task, a: SyscallArgs): number {
  const pid = a.int(0);
  const signo = a.int(1);
  if (signo < 0 || signo > NSIG) return -EINVAL;
  const info = signalFrom(t, signo, SI_USER);
  if (pid > 0) {
    const g = findGroup(t, pid);
    return g === undefined ? -ESRCH : sendChecked(t, g, info);
  }
  if (pid === -1) return killAll(t, info);
  const pg = pid === 0 ? t.group.processGroup : t.container.pids.processGroups.get(-pid);
  if (pg === undefined) return -ESRCH;
  return signo === 0 ? maySignalAny(t, pg) : sendToProcessGroup(pg, info, t);
}

/** Everybody but init and the caller's own process. */
function killAll(t: Task, info: SigInfo): number {
  const { pids } = t.container;
  let seen = false;
  for (const g of [...pids.groups.values()]) {
    if (g === pids.init || g === t.group) continue;
    seen = true;
    sendChecked(t, g, info);
  }
  return seen ? 0 : -ESRCH;
}

function maySignalAny(t: Task, pg: ProcessGroup): number {
  for (const g of pg.members) if (g === t.group || maySignal(t, g, 0)) return 0;
  return pg.members.size === 0 ? -ESRCH : -EPERM;
}

/** `tgid` -1 accepts any process. */
function sendToThread(t: Task, tgid: number, tid: number, info: SigInfo): number {
  const target = t.container.pids.tasks.get(tid);
  if (target === undefined || target.state === TASK_DEAD) return -ESRCH;
  if (tgid !== -1 && target.pid !== tgid) return -ESRCH;
  if (target.group !== t.group && !maySignal(t, target.group, info.signo)) return -EPERM;
  return info.signo === 0 ? 0 : sendToTask(target, info);
}

/** tkill(2). */
export function sysTkill(t: Task, a: SyscallArgs): number {
  const tid = a.int(0);
  const signo = a.int(1);
  if (tid <= 0 || signo < 0 || signo > NSIG) return -EINVAL;
  return sendToThread(t, -1, tid, signalFrom(t, signo, SI_TKILL));
}

/** tgkill(2). */
export function sysTgkill(t: Task, a: SyscallArgs): number {
  const tgid = a.int(0);
  const tid = a.int(1);
  const signo = a.int(2);
  if (tgid <= 0 || tid <= 0 || signo < 0 || signo > NSIG) return -EINVAL;
  return sendToThread(t, tgid, tid, signalFrom(t, signo, SI_TKILL));
}

/** The caller's siginfo; -EPERM when it pretends to come from the kernel or kill(2). */
function readQueuedInfo(t: Task, addr: number, signo: number, target: number): SigInfo | number {
  const bytes = new Uint8Array(SIGINFO.size);
  if (t.mm.copyIn(addr, bytes) < 0) return -EFAULT;
  const info = decodeQueuedSigInfo(bytes, signo);
  const reserved = info.code >= 0 || info.code === SI_TKILL;
  return reserved && target !== t.pid ? -EPERM : info;
}

/** rt_sigqueueinfo(2). */
export function sysRtSigqueueinfo(t: Task, a: SyscallArgs): number {
  const pid = a.int(0);
  const signo = a.int(1);
  const info = readQueuedInfo(t, a.addr(2), signo, pid);
  if (typeof info === 'number') return info;
  if (signo < 0 || signo > NSIG) return -EINVAL;
  const g = findGroup(t, pid);
  return g === undefined ? -ESRCH : sendChecked(t, g, info);
}

/** rt_tgsigqueueinfo(2). */
export function sysRtTgsigqueueinfo(t: Task, a: SyscallArgs): number {
  const tgid = a.int(0);
  const tid = a.int(1);
  const signo = a.int(2);
  if (tgid <= 0 || tid <= 0) return -EINVAL;
  const info = readQueuedInfo(t, a.addr(3), signo, tid);
  if (typeof info === 'number') return info;
  if (signo < 0 || signo > NSIG) return -EINVAL;
  return sendToThread(t, tgid, tid, info);
}

export const killSyscalls: SyscallFragment = {
  [SYS_kill]: { name: 'kill', args: 'int signal', fn: sysKill },
  [SYS_rt_sigqueueinfo]: {
    name: 'rt_sigqueueinfo',
    args: 'int signal hex',
    fn: sysRtSigqueueinfo,
  },
  [SYS_tkill]: { name: 'tkill', args: 'int signal', fn: sysTkill },
  [SYS_tgkill]: { name: 'tgkill', args: 'int int signal', fn: sysTgkill },
  [SYS_rt_tgsigqueueinfo]: {
    name: 'rt_tgsigqueueinfo',
    args: 'int int signal hex',
    fn: sysRtTgsigqueueinfo,
  },
};
