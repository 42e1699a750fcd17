/**
 * Job control on a terminal (credentials(7), tty_ioctl(2), Linux's tty_jobctrl.c): who may read, write and
 * change it, and whose it is.
 */
import { CAP_SYS_ADMIN } from '../../../spec/linux/capability.ts';
import { EINVAL, EIO, ENOTTY, EPERM, ERESTARTSYS, ESRCH } from '../../../spec/linux/errno.ts';
import {
  SI_KERNEL,
  SIG_IGN,
  SIGCONT,
  SIGHUP,
  SIGTTIN,
  SIGTTOU,
} from '../../../spec/linux/signal.ts';
import { TOSTOP } from '../../../spec/linux/termios.ts';
import { sendToProcessGroup } from '../../kernel/signal_send.ts';
import type { Task } from '../../kernel/task.ts';
import type { Pty } from './pty.ts';

/**
 * Whether `t` may go on: 0 for the foreground and for strangers. A background process is stopped by
 * `signo` and tries again when it is continued (-ERESTARTSYS); -EIO when a stop would be for ever.
 */
function checkForeground(t: Task, pty: Pty, signo: number): number {
  if (!pty.controls(t.group)) return 0;
  const group = t.group.processGroup;
  if (pty.foreground === null || pty.foreground === group) return 0;
  const ignored = t.signalMask.has(signo) || t.group.handlers.get(signo).handler === SIG_IGN;
  if (ignored) return signo === SIGTTIN ? -EIO : 0;
  if (group.orphaned) return -EIO;
  sendToProcessGroup(group, { signo, code: SI_KERNEL }, null);
  return -ERESTARTSYS;
}

export function mayRead(t: Task, pty: Pty): number {
  return checkForeground(t, pty, SIGTTIN);
}

export function mayWrite(t: Task, pty: Pty): number {
  if ((pty.discipline.termios.lflag & TOSTOP) === 0) return 0;
  return checkForeground(t, pty, SIGTTOU);
}

/** Before settings are changed. */
export function mayChange(t: Task, pty: Pty): number {
  return checkForeground(t, pty, SIGTTOU);
}

/** Opening a terminal makes it the controlling one of a session leader that has none. */
export function acquireAtOpen(t: Task, pty: Pty): void {
  const { session } = t.group;
  if (session.leader !== t.group || session.terminal !== null || pty.session !== null) return;
  pty.control(session, t.group.processGroup);
}

/** TIOCSCTTY. `steal`: take it from another session, with CAP_SYS_ADMIN. */
export function setControlling(t: Task, pty: Pty, readable: boolean, steal: boolean): number {
  const { session } = t.group;
  const isLeader = session.leader === t.group;
  if (isLeader && pty.session === session) return 0;
  if (!isLeader || session.terminal !== null) return -EPERM;
  const privileged = t.creds.has(CAP_SYS_ADMIN);
  if (pty.session !== null && !(steal && privileged)) return -EPERM;
  if (!readable && !privileged) return -EPERM;
  pty.control(session, t.group.processGroup);
  return 0;
}

/** TIOCNOTTY: the session leader's giving it up hangs up the foreground. */
export function giveUp(t: Task, pty: Pty): number {
  if (!pty.controls(t.group)) return -ENOTTY;
  const { session } = t.group;
  if (session.leader !== t.group) {
    pty.disowned.add(t.group);
    return 0;
  }
  const { foreground } = pty;
  session.terminal = null;
  pty.session = null;
  pty.foreground = null;
  if (foreground !== null) {
    sendToProcessGroup(foreground, { signo: SIGHUP, code: SI_KERNEL }, null);
    sendToProcessGroup(foreground, { signo: SIGCONT, code: SI_KERNEL }, null);
  }
  return 0;
}

/** TIOCGPGRP. The master may ask about any terminal. */
export function foregroundId(t: Task, pty: Pty, master: boolean): number {
  if (!master && !pty.controls(t.group)) return -ENOTTY;
  return pty.foreground?.id ?? 0;
}

/** TIOCSPGRP. */
export function setForeground(t: Task, pty: Pty, id: number): number {
  const r = mayChange(t, pty);
  if (r < 0) return r === -EIO ? -ENOTTY : r;
  if (!pty.controls(t.group) || pty.session !== t.group.session) return -ENOTTY;
  if (id < 0) return -EINVAL;
  const group = t.container.pids.processGroups.get(id);
  if (group === undefined) return -ESRCH;
  if (group.session !== t.group.session) return -EPERM;
  pty.foreground = group;
  return 0;
}

/** TIOCGSID. */
export function sessionId(t: Task, pty: Pty, master: boolean): number {
  if (!master && !pty.controls(t.group)) return -ENOTTY;
  return pty.session?.id ?? -ENOTTY;
}
