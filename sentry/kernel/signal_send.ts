/**
 * Sending signals (kill(2), tgkill(2), sigqueue(3); Linux's send_signal_locked and complete_signal).
 */

import { CAP_KILL } from '../../spec/linux/capability.ts';
import { EAGAIN, EPERM } from '../../spec/linux/errno.ts';
import { POLLIN } from '../../spec/linux/poll.ts';
import { RLIMIT_SIGPENDING } from '../../spec/linux/resource.ts';
import { SIG_DFL, SIG_IGN, SIGCHLD, SIGCONT, SIGKILL, SIGSTOP } from '../../spec/linux/signal.ts';
import {
  DEFAULT_ACTION,
  FIRST_REALTIME,
  MAX_QUEUED,
  SIGNAL_MAX,
  type SigInfo,
  STOP_SIGNALS,
} from './signal.ts';
import { SignalSet } from './signal_set.ts';
import { TASK_BLOCKED, TASK_RUNNING, TASK_STOPPED, TASK_VFORK, type Task } from './task.ts';
import type { ProcessGroup, ThreadGroup } from './thread_group.ts';

const CONTINUE = SignalSet.of(SIGCONT);

/** Whether `from` may signal `to` (kill(2), "Permission"). */
export function maySignal(from: Task, to: ThreadGroup, signo: number): boolean {
  const target = to.leader.creds;
  const c = from.creds;
  if (c.euid === target.suid || c.euid === target.uid) return true;
  if (c.uid === target.suid || c.uid === target.uid) return true;
  if (c.has(CAP_KILL)) return true;
  return signo === SIGCONT && from.group.session === to.session;
}

/** Sends to one task. 0, or -EAGAIN when too many real-time signals are queued. */
export function sendToTask(t: Task, info: SigInfo): number {
  return send(t.group, t, info);
}

/**
 * A signal that a task brought upon itself by a fault: a blocked or ignored one becomes the default
 * action, which also ends init (Linux's force_sig_info).
 */
export function forceSignal(t: Task, info: SigInfo): void {
  const { signo } = info;
  const handlers = t.group.handlers;
  if (t.signalMask.has(signo) || handlers.get(signo).handler === SIG_IGN) {
    handlers.set(signo, DEFAULT_ACTION);
    t.signalMask.delete(signo);
  }
  t.pending.add(info);
  wakeTask(t);
}

/** Sends to a process: any of its threads takes the signal. */
export function sendToGroup(g: ThreadGroup, info: SigInfo): number {
  return send(g, null, info);
}

/** Sends to every member the sender may signal; `from` null means the kernel. 0 or -EPERM. */
export function sendToProcessGroup(pg: ProcessGroup, info: SigInfo, from: Task | null): number {
  let sent = false;
  for (const g of [...pg.members]) {
    if (from !== null && !maySignal(from, g, info.signo)) continue;
    sent = true;
    sendToGroup(g, info);
  }
  return sent ? 0 : -EPERM;
}

/** SIGCHLD or another exit signal to the parent, with the child's fate. */
export function notifyParent(
  child: ThreadGroup,
  signo: number,
  info: Omit<SigInfo, 'signo'>,
): void {
  const parent = child.parent;
  if (parent === null) return;
  if (signo !== 0) sendToGroup(parent, { ...info, signo });
  parent.childQueue.notify(POLLIN);
}

function send(g: ThreadGroup, target: Task | null, info: SigInfo): number {
  const signo = info.signo;
  if (g.zombie || g.tasks.size === 0) return 0;
  prepare(g, signo);
  if (dropped(g, target, info)) return 0;
  const pending = target === null ? g.pending : target.pending;
  const most = Math.min(g.limits.soft(RLIMIT_SIGPENDING), MAX_QUEUED);
  if (signo >= FIRST_REALTIME && pending.length >= most) {
    return -EAGAIN;
  }
  pending.add(info);
  g.signalQueue.notify(POLLIN);
  wake(g, target, signo);
  return 0;
}

/** Stop signals and SIGCONT cancel each other when sent, whatever the disposition. */
function prepare(g: ThreadGroup, signo: number): void {
  if (STOP_SIGNALS.has(signo)) discardEverywhere(g, CONTINUE);
  else if (signo === SIGCONT) {
    discardEverywhere(g, STOP_SIGNALS);
    continueGroup(g);
  } else if (signo === SIGKILL && g.stopSignal !== 0) {
    g.stopSignal = 0;
    resumeStopped(g);
  }
}

function discardEverywhere(g: ThreadGroup, signals: SignalSet): void {
  g.pending.discard(signals);
  for (const t of g.tasks) t.pending.discard(signals);
}

function continueGroup(g: ThreadGroup): void {
  if (g.stopSignal === 0) return;
  g.stopSignal = 0;
  g.stopReported = true;
  g.continueReported = false;
  const leader = g.leader;
  notifyParent(g, SIGCHLD, {
    code: 6,
    pid: g.pid,
    uid: leader.creds.uid,
    status: SIGCONT,
  });
  resumeStopped(g);
}

function resumeStopped(g: ThreadGroup): void {
  for (const t of g.tasks) if (t.state === TASK_STOPPED) t.kernel.ready(t);
}

/** Whether the signal would do nothing and is not kept (Linux's sig_ignored). */
function dropped(g: ThreadGroup, target: Task | null, info: SigInfo): boolean {
  const { signo } = info;
  const mask = (target ?? g.anyTask)?.signalMask;
  if (mask?.has(signo)) return false;
  const isInit = g.leader.container.pids.init === g;
  if (isInit && g.handlers.get(signo).handler === SIG_DFL) {
    // Init gets only signals it asked for, except SIGKILL and SIGSTOP from outside its container.
    const outside = info.queued !== true && (info.pid === undefined || info.pid === 0);
    if (!outside || (signo !== SIGKILL && signo !== SIGSTOP)) return true;
  }
  if (signo === SIGKILL || signo === SIGSTOP) return false;
  return g.handlers.ignores(signo);
}

function wake(g: ThreadGroup, target: Task | null, signo: number): void {
  if (signo === SIGKILL) {
    for (const t of g.tasks) wakeTask(t);
    return;
  }
  if (target !== null) {
    if (!target.signalMask.has(signo)) wakeTask(target);
    return;
  }
  const leader = g.leader;
  if (g.tasks.has(leader) && !leader.signalMask.has(signo)) {
    wakeTask(leader);
    return;
  }
  for (const t of g.tasks) {
    if (t.signalMask.has(signo)) continue;
    wakeTask(t);
    return;
  }
}

/**
 * The group's signals that `t` was woken for and can take no more (it blocked them, or it exits) go
 * to another thread (Linux's retarget_shared_pending).
 */
export function retargetSignals(t: Task): void {
  const left = t.group.pending.set.copy();
  for (const other of t.group.tasks) {
    if (left.empty) return;
    if (other === t || !left.anyOutside(other.signalMask)) continue;
    wakeTask(other);
    left.set(left.lo & other.signalMask.lo, left.hi & other.signalMask.hi);
  }
}

/** Whether a signal that ends the process waits for `t`, which sleeps through all others. */
export function fatalSignalPending(t: Task): boolean {
  const g = t.group;
  for (const set of [t.pending.set, g.pending.set]) {
    if (set.has(SIGKILL)) return true;
    if (!set.anyOutside(t.signalMask) || g.leader.container.pids.init === g) continue;
    for (let s = 1; s <= SIGNAL_MAX; s++) {
      if (!set.has(s) || t.signalMask.has(s) || STOP_SIGNALS.has(s)) continue;
      if (g.handlers.get(s).handler === SIG_DFL && !g.handlers.ignores(s)) return true;
    }
  }
  return false;
}

/** Makes `t` notice its pending signals soon. */
export function wakeTask(t: Task): void {
  if (t.state === TASK_BLOCKED || t.state === TASK_VFORK) t.kernel.ready(t);
  else if (t.state === TASK_RUNNING) t.context.interrupt();
  else if (t.state === TASK_STOPPED && t.pending.set.has(SIGKILL)) t.kernel.ready(t);
}
