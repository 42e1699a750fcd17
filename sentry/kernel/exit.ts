/**
 * The end of tasks and thread groups (exit(2), exit_group(2); Linux's kernel/exit.c).
 */
import { POLLIN } from '../../spec/linux/poll.ts';
import {
  SA_NOCLDWAIT,
  SIG_IGN,
  SIGCHLD,
  SIGCONT,
  SIGHUP,
  SIGKILL,
} from '../../spec/linux/signal.ts';
import { leaveRobustFutexes, wakeClearedTid } from './futex_exit.ts';
import { claimMemory } from './ptrace_access.ts';
import { notifyParent, retargetSignals, sendToGroup, sendToProcessGroup } from './signal_send.ts';
import { TASK_DEAD, TASK_RUNNING, type Task } from './task.ts';
import type { ProcessGroup, ThreadGroup } from './thread_group.ts';

const CLD_EXITED = 1;
const CLD_KILLED = 2;
const CLD_DUMPED = 3;
const NS_PER_TICK = 10_000_000;

/** Marks the whole group for death with a wait status; its tasks die as the loop reaches them. */
export function beginGroupExit(g: ThreadGroup, status: number): void {
  if (g.exiting) return;
  g.exiting = true;
  g.exitStatus = status;
  g.stopSignal = 0;
  for (const t of g.tasks) t.kernel.ready(t);
}

/** Ends one task, wherever it is. The last one of its group makes the group a zombie. */
export function exitTask(t: Task): void {
  if (t.state === TASK_DEAD) return;
  const g = t.group;
  const stopped = t.state !== TASK_RUNNING;
  if (stopped) t.context.rest();
  t.abandonWait();
  leaveRobustFutexes(t);
  wakeClearedTid(t);
  endVfork(t);
  g.ownUsage.cpuNs += t.context.cpuTimeNs();
  g.pastIo.add(t.io);
  t.state = TASK_DEAD;
  claimMemory(t);
  if (!stopped) t.context.release();
  t.files.release();
  t.fs.release();
  g.ownUsage.maxRssBytes = Math.max(g.ownUsage.maxRssBytes, t.mm.peakRssBytes);
  t.kernel.endLater(t, t.context, t.mm);
  g.tasks.delete(t);
  if (t !== g.leader) t.container.pids.remove(g.pid, t.tid);
  if (g.tasks.size === 0) groupDied(g);
  else if (!g.exiting && !g.pending.set.empty) retargetSignals(t);
}

/** Lets a parent that waits for this task's exec or exit go on. */
export function endVfork(t: Task): void {
  const parent = t.vforkParent;
  if (parent === null) return;
  t.vforkParent = null;
  parent.vforking = false;
  parent.kernel.ready(parent);
}

function groupDied(g: ThreadGroup): void {
  const pids = g.leader.container.pids;
  g.exiting = true;
  g.zombie = true;
  g.timers?.release();
  g.leader.container.semaphores.processEnded(g.leader);
  g.setExecutable(null);
  reparentChildren(g);
  if (g.session.leader === g) hangupSession(g);
  const pg = g.processGroup;
  // Only a parent outside the group kept it from being orphaned.
  if (g.parent && g.parent.session === g.session && g.parent.processGroup !== pg) {
    signalIfOrphaned(pg);
  }
  if (pids.init === g) {
    killNamespace(g);
    g.leader.container.groupExited(g);
    return;
  }
  const action = g.parent?.handlers.get(SIGCHLD);
  const unwanted =
    action !== undefined &&
    g.exitSignal === SIGCHLD &&
    (action.handler === SIG_IGN || (action.flags & SA_NOCLDWAIT) !== 0);
  notifyOfExit(g, unwanted && action?.handler === SIG_IGN ? 0 : g.exitSignal);
  if (unwanted || g.parent === null) reap(g);
  g.leader.container.groupExited(g);
}

function notifyOfExit(g: ThreadGroup, signo: number): void {
  const status = g.exitStatus;
  const killed = (status & 0x7f) !== 0;
  let code = CLD_EXITED;
  if (killed) code = (status & 0x80) !== 0 ? CLD_DUMPED : CLD_KILLED;
  notifyParent(g, signo, {
    code,
    pid: g.pid,
    uid: g.leader.creds.uid,
    status: killed ? status & 0x7f : (status >> 8) & 0xff,
    utime: Math.floor(g.ownUsage.cpuNs / NS_PER_TICK),
    stime: 0,
  });
}

/** Frees the zombie's ids; its usage goes to the parent. */
export function reap(g: ThreadGroup): void {
  const pids = g.leader.container.pids;
  pids.tasks.delete(g.leader.tid);
  pids.remove(g.pid, g.pid);
  pids.groups.delete(g.pid);
  const parent = g.parent;
  if (parent !== null) {
    parent.children.delete(g);
    const u = parent.childrenUsage;
    u.cpuNs += g.ownUsage.cpuNs + g.childrenUsage.cpuNs;
    parent.pastIo.add(g.pastIo);
    u.maxRssBytes = Math.max(u.maxRssBytes, g.ownUsage.maxRssBytes, g.childrenUsage.maxRssBytes);
    g.parent = null;
  }
  leaveGroup(g);
}

/** Leaves the process group, which ends with its last member, as does the session. */
export function leaveGroup(g: ThreadGroup): void {
  const pids = g.leader.container.pids;
  const pg = g.processGroup;
  g.leaveProcessGroup();
  if (pg.members.size > 0) return;
  pids.processGroups.delete(pg.id);
  for (const other of pids.processGroups.values()) if (other.session === pg.session) return;
  pids.sessions.delete(pg.session.id);
}

function reparentChildren(g: ThreadGroup): void {
  const init = g.leader.container.pids.init;
  let heir = g.parent;
  while (heir !== null && !(heir.childSubreaper && !heir.exiting)) heir = heir.parent;
  heir ??= init;
  for (const child of [...g.children]) {
    g.children.delete(child);
    const previousGroup = child.processGroup;
    if (heir === null || heir === g) {
      child.parent = null;
      if (child.zombie) reap(child);
      continue;
    }
    child.parent = heir;
    child.exitSignal = SIGCHLD;
    heir.children.add(child);
    for (const t of child.tasks) {
      if (t.parentDeathSignal !== 0)
        sendToGroup(child, { signo: t.parentDeathSignal, code: 0, pid: g.pid });
    }
    if (child.zombie) adoptZombie(child, heir);
    else if (previousGroup !== g.processGroup && previousGroup.session === g.session) {
      signalIfOrphaned(previousGroup);
    }
  }
}

function adoptZombie(child: ThreadGroup, heir: ThreadGroup): void {
  const action = heir.handlers.get(SIGCHLD);
  if (action.handler === SIG_IGN || (action.flags & SA_NOCLDWAIT) !== 0) {
    reap(child);
    return;
  }
  notifyOfExit(child, SIGCHLD);
  heir.childQueue.notify(POLLIN);
}

/** A group that became orphaned and has stopped members gets SIGHUP and SIGCONT (POSIX). */
export function signalIfOrphaned(pg: ProcessGroup): void {
  if (!pg.orphaned) return;
  for (const m of pg.members) {
    if (m.stopSignal === 0 || m.zombie) continue;
    sendToProcessGroup(pg, { signo: SIGHUP, code: 0x80 }, null);
    sendToProcessGroup(pg, { signo: SIGCONT, code: 0x80 }, null);
    return;
  }
}

/**
 * The session leader died: the foreground group of its terminal is told, and the session has none any more.
 * Who has a pseudo terminal open keeps it, as in Linux.
 */
function hangupSession(g: ThreadGroup): void {
  const session = g.session;
  const terminal = session.terminal;
  if (terminal === null) return;
  const foreground = terminal.foreground;
  session.terminal = null;
  terminal.session = null;
  terminal.foreground = null;
  if (foreground !== null) sendToProcessGroup(foreground, { signo: SIGHUP, code: 0x80 }, null);
}

/** The namespace's init is gone: everybody in it dies (pid_namespaces(7)). */
function killNamespace(init: ThreadGroup): void {
  for (const g of init.leader.container.pids.groups.values()) {
    if (g === init) continue;
    if (g.zombie) {
      g.parent = null;
      continue;
    }
    beginGroupExit(g, SIGKILL);
  }
}
