/**
 * What happens to a task on its way back to the application (signal(7); Linux's get_signal and
 * arch_do_signal_or_restart): exits, job-control stops, default actions, handlers, and whether an
 * interrupted system call is restarted. The -ERESTART* codes end here.
 *
 * Deviation: no core files are written, so the core bit of a wait status is never set.
 */
import {
  EINTR,
  ERESTART_RESTARTBLOCK,
  ERESTARTNOHAND,
  ERESTARTNOINTR,
  ERESTARTSYS,
} from '../../spec/linux/errno.ts';
import {
  CLD_STOPPED,
  SA_NOCLDSTOP,
  SA_NODEFER,
  SA_RESETHAND,
  SA_RESTART,
  SI_KERNEL,
  SIG_DFL,
  SIG_IGN,
  SIGBUS,
  SIGCHLD,
  SIGFPE,
  SIGILL,
  SIGKILL,
  SIGSEGV,
  SIGSTOP,
  SIGSYS,
  SIGTRAP,
} from '../../spec/linux/signal.ts';
import { SYS_restart_syscall } from '../../spec/linux/syscall_numbers.ts';
import { REG_RAX, REG_RIP } from '../platform/platform.ts';
import { beginGroupExit, exitTask } from './exit.ts';
import { DEFAULT_ACTION, type SigInfo, type SignalAction, STOP_SIGNALS } from './signal.ts';
import { pushSignalFrame } from './signal_frame.ts';
import { forceSignal, notifyParent } from './signal_send.ts';
import { SignalSet } from './signal_set.ts';
import { dequeueSignal } from './signal_take.ts';
import { TASK_RUNNING, TASK_STOPPED, type Task } from './task.ts';
import type { ThreadGroup } from './thread_group.ts';

/** Go back to the application. */
export const DELIVER_RESUME = 0;
/** The task has exited. */
export const DELIVER_GONE = 1;
/** The task is stopped; SIGCONT puts it on the run queue again. */
export const DELIVER_STOPPED = 2;

export type DeliveryResult = typeof DELIVER_RESUME | typeof DELIVER_GONE | typeof DELIVER_STOPPED;

/** Raised by the task's own instructions. */
const SYNCHRONOUS = SignalSet.of(SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGSYS);
/** Length of the `syscall` instruction. */
const SYSCALL_BYTES = 2;

/**
 * Works off everything that stands between `t` and the application. When the task stops, its
 * `inSyscall` is kept so that the restart is decided once it goes on.
 */
export function deliverSignals(t: Task): DeliveryResult {
  const g = t.group;
  if (nothingToDo(t)) {
    t.inSyscall = false;
    return DELIVER_RESUME;
  }
  for (;;) {
    if (g.exiting) {
      exitTask(t);
      return DELIVER_GONE;
    }
    if (t.pending.set.has(SIGKILL) || g.pending.set.has(SIGKILL)) return terminate(t, SIGKILL);
    if (g.stopSignal !== 0) {
      t.state = TASK_STOPPED;
      return DELIVER_STOPPED;
    }
    const info = dequeueSignal(t, t.signalMask, SYNCHRONOUS);
    if (info === null) {
      if (finishWithoutHandler(t)) continue;
      return DELIVER_RESUME;
    }
    const action = g.handlers.get(info.signo);
    if (action.handler === SIG_IGN) continue;
    if (action.handler !== SIG_DFL) {
      handle(t, info, action);
      continue;
    }
    if (g.handlers.ignores(info.signo) || sparesInit(t, info)) continue;
    if (!STOP_SIGNALS.has(info.signo)) return terminate(t, info.signo);
    if (info.signo !== SIGSTOP && g.processGroup.orphaned) continue;
    stopGroup(g, info.signo, t);
  }
}

/** The common case, after a system call that nothing interrupted. */
function nothingToDo(t: Task): boolean {
  const mayRestart = t.inSyscall && t.syscallResult <= -ERESTARTSYS;
  return !mayRestart && t.savedMask === null && !t.signalPending && t.group.stopSignal === 0;
}

/** Ends the group with a signal's status. */
function terminate(t: Task, signo: number): DeliveryResult {
  beginGroupExit(t.group, signo);
  exitTask(t);
  return DELIVER_GONE;
}

/** Whether the task itself caused it: such signals also end init. */
function isFault(info: SigInfo): boolean {
  return info.pid === undefined && info.code > 0 && SYNCHRONOUS.has(info.signo);
}

/** A container's init is not ended by signals it has no handler for (pid_namespaces(7)). */
function sparesInit(t: Task, info: SigInfo): boolean {
  if (t.container.pids.init !== t.group) return false;
  return info.signo !== SIGKILL && info.signo !== SIGSTOP && !isFault(info);
}

/** Job control: every thread stops as it comes by here; those that run are made to. */
function stopGroup(g: ThreadGroup, signo: number, by: Task): void {
  g.stopSignal = signo;
  g.stopReported = false;
  g.continueReported = true;
  for (const t of g.tasks) if (t !== by && t.state === TASK_RUNNING) t.context.interrupt();
  const silent = g.parent && (g.parent.handlers.get(SIGCHLD).flags & SA_NOCLDSTOP) !== 0;
  notifyParent(g, silent ? 0 : SIGCHLD, {
    code: CLD_STOPPED,
    pid: g.pid,
    uid: g.leader.creds.uid,
    status: signo,
  });
}

/** Makes the application run its handler next. */
function handle(t: Task, info: SigInfo, action: SignalAction): void {
  const { signo } = info;
  if (t.inSyscall) {
    restartForHandler(t, action.flags);
    t.inSyscall = false;
  }
  const handlers = t.group.handlers;
  if ((action.flags & SA_RESETHAND) !== 0) {
    handlers.set(signo, { ...action, handler: SIG_DFL });
  }
  // Who steps through a trampoline sees it.
  if (signo !== SIGTRAP) t.mm.leaveTrampoline(t.context.regs);
  const oldMask = t.savedMask ?? t.signalMask;
  if (pushSignalFrame(t, info, action, oldMask) < 0) {
    if (signo === SIGSEGV) handlers.set(SIGSEGV, DEFAULT_ACTION);
    forceSignal(t, { signo: SIGSEGV, code: SI_KERNEL, address: 0 });
    return;
  }
  t.savedMask = null;
  const mask = t.signalMask.copy();
  mask.addAll(new SignalSet(action.maskLo, action.maskHi));
  if ((action.flags & SA_NODEFER) === 0) mask.add(signo);
  t.setSignalMask(mask.lo, mask.hi);
}

/** The interrupted call's result as the handler's frame shall hold it (signal(7), "Interruption"). */
function restartForHandler(t: Task, flags: number): void {
  switch (t.syscallResult) {
    case -ERESTARTSYS:
      if ((flags & SA_RESTART) !== 0) rewind(t, t.syscallNumber);
      else t.context.regs.set(REG_RAX, -EINTR);
      break;
    case -ERESTARTNOINTR:
      rewind(t, t.syscallNumber);
      break;
    case -ERESTARTNOHAND:
    case -ERESTART_RESTARTBLOCK:
      t.context.regs.set(REG_RAX, -EINTR);
      break;
  }
}

/**
 * No handler runs: restarts an interrupted call and puts back the mask that sigsuspend and its like
 * replaced. True when that uncovered another signal.
 */
function finishWithoutHandler(t: Task): boolean {
  if (t.inSyscall) {
    t.inSyscall = false;
    switch (t.syscallResult) {
      case -ERESTARTSYS:
      case -ERESTARTNOINTR:
      case -ERESTARTNOHAND:
        rewind(t, t.syscallNumber);
        break;
      case -ERESTART_RESTARTBLOCK:
        rewind(t, SYS_restart_syscall);
        break;
    }
  }
  if (t.savedMask === null) return false;
  t.signalMask.copyFrom(t.savedMask);
  t.savedMask = null;
  return t.signalPending;
}

/** Makes the application execute its `syscall` instruction once more. */
function rewind(t: Task, syscallNumber: number): void {
  const { regs } = t.context;
  regs.fetch();
  const at = regs.base + 2 * REG_RIP;
  const lo = regs.words[at] as number;
  regs.words[at] = lo - SYSCALL_BYTES;
  if (lo < SYSCALL_BYTES) regs.words[at + 1] = (regs.words[at + 1] as number) - 1;
  regs.set(REG_RAX, syscallNumber);
}
