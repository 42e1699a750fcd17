/**
 * Signal state: actions, siginfo, pending queues (signal(7); Linux's sighand_struct, sigpending).
 */
import {
  SIG_DFL,
  SIG_IGN,
  SIGCHLD,
  SIGCONT,
  SIGKILL,
  SIGSTOP,
  SIGTSTP,
  SIGTTIN,
  SIGTTOU,
  SIGURG,
  SIGWINCH,
} from '../../spec/linux/signal.ts';
import { SignalSet } from './signal_set.ts';

export const SIGNAL_MAX = 64;
/** Signals from here on are queued one by one (real-time). */
export const FIRST_REALTIME = 32;
/** Of one process or thread, whatever RLIMIT_SIGPENDING allows. */
export const MAX_QUEUED = 65536;

export const STOP_SIGNALS = SignalSet.of(SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU);
export const UNBLOCKABLE = SignalSet.of(SIGKILL, SIGSTOP);
const IGNORED_BY_DEFAULT = SignalSet.of(SIGCHLD, SIGCONT, SIGURG, SIGWINCH);

/** What a signal carries (sigaction(2), siginfo_t). Fields beyond the first three by `code` and kind. */
export interface SigInfo {
  readonly signo: number;
  /** SI_* or a fault, child or poll code. */
  readonly code: number;
  readonly errno?: number;
  readonly pid?: number;
  readonly uid?: number;
  /** sigval as two 32-bit halves. */
  readonly valueLo?: number;
  readonly valueHi?: number;
  /** Fault address. */
  readonly address?: number;
  /** Child status: exit code or signal, and clock ticks. */
  readonly status?: number;
  readonly utime?: number;
  readonly stime?: number;
  readonly timerId?: number;
  overrun?: number;
  readonly band?: number;
  readonly fd?: number;
  /** Made by rt_sigqueueinfo(2): whatever it says, it comes from inside the container. */
  readonly queued?: boolean;
  /** For SIGSYS. */
  readonly syscall?: number;
}

/** One entry of the action table (struct sigaction of the kernel). */
export interface SignalAction {
  readonly handler: number;
  readonly flags: number;
  readonly restorer: number;
  readonly maskLo: number;
  readonly maskHi: number;
}

export const DEFAULT_ACTION: SignalAction = {
  handler: SIG_DFL,
  flags: 0,
  restorer: 0,
  maskLo: 0,
  maskHi: 0,
};

/** The action table, shared by CLONE_SIGHAND. */
export class SignalHandlers {
  private readonly actions: SignalAction[];
  refs = 1;

  constructor(actions?: readonly SignalAction[]) {
    this.actions = actions ? [...actions] : new Array<SignalAction>(65).fill(DEFAULT_ACTION);
  }

  get(signo: number): SignalAction {
    return this.actions[signo] as SignalAction;
  }

  set(signo: number, action: SignalAction): void {
    this.actions[signo] = action;
  }

  copy(): SignalHandlers {
    return new SignalHandlers(this.actions);
  }

  /** For execve(2) and CLONE_CLEAR_SIGHAND: handlers go back to default, ignored stay ignored. */
  resetForExec(): void {
    for (let s = 1; s <= SIGNAL_MAX; s++) {
      const keep = this.get(s).handler === SIG_IGN;
      this.actions[s] = keep ? { ...DEFAULT_ACTION, handler: SIG_IGN } : DEFAULT_ACTION;
    }
  }

  /** Whether delivering `signo` now would do nothing. */
  ignores(signo: number): boolean {
    const handler = this.get(signo).handler;
    return handler === SIG_IGN || (handler === SIG_DFL && IGNORED_BY_DEFAULT.has(signo));
  }
}

/** Signals waiting for a task, or for a whole thread group. */
export class PendingSignals {
  readonly set = new SignalSet();
  private readonly queue: SigInfo[] = [];

  get length(): number {
    return this.queue.length;
  }

  /** False when a standard signal is already pending: the new one is lost, as in Linux. */
  add(info: SigInfo): boolean {
    if (info.signo < FIRST_REALTIME && this.set.has(info.signo)) return false;
    this.set.add(info.signo);
    this.queue.push(info);
    return true;
  }

  /** Takes the first signal outside `mask`: the lowest number, oldest first; null when none. */
  dequeue(mask: SignalSet): SigInfo | null {
    if (!this.set.anyOutside(mask)) return null;
    let best = -1;
    for (let i = 0; i < this.queue.length; i++) {
      const s = (this.queue[i] as SigInfo).signo;
      if (mask.has(s)) continue;
      if (best < 0 || s < (this.queue[best] as SigInfo).signo) best = i;
    }
    if (best < 0) throw new Error('pending signal set and queue disagree');
    const info = this.queue.splice(best, 1)[0] as SigInfo;
    if (!this.queue.some((q) => q.signo === info.signo)) this.set.delete(info.signo);
    return info;
  }

  /** Whether this very signal is still waiting. */
  holds(info: SigInfo): boolean {
    return this.set.has(info.signo) && this.queue.includes(info);
  }

  /** Drops every pending signal of `signals`. */
  discard(signals: SignalSet): void {
    if (!this.set.intersects(signals)) return;
    for (let i = this.queue.length - 1; i >= 0; i--) {
      const s = (this.queue[i] as SigInfo).signo;
      if (!signals.has(s)) continue;
      this.queue.splice(i, 1);
      this.set.delete(s);
    }
  }
}

/** sigaltstack(2). */
export interface AlternateStack {
  readonly address: number;
  readonly size: number;
  readonly flags: number;
}
