/**
 * Signals: signal(7), sigaction(2), sigaltstack(2), siginfo codes, linux/signal.h and
 * asm/siginfo.h.
 */

/** Signal numbers. */
export const SIGHUP = 1;
export const SIGINT = 2;
export const SIGQUIT = 3;
export const SIGILL = 4;
export const SIGTRAP = 5;
export const SIGABRT = 6;
export const SIGBUS = 7;
export const SIGFPE = 8;
export const SIGKILL = 9;
export const SIGUSR1 = 10;
export const SIGSEGV = 11;
export const SIGUSR2 = 12;
export const SIGPIPE = 13;
export const SIGALRM = 14;
export const SIGTERM = 15;
export const SIGSTKFLT = 16;
export const SIGCHLD = 17;
export const SIGCONT = 18;
export const SIGSTOP = 19;
export const SIGTSTP = 20;
export const SIGTTIN = 21;
export const SIGTTOU = 22;
export const SIGURG = 23;
export const SIGXCPU = 24;
export const SIGXFSZ = 25;
export const SIGVTALRM = 26;
export const SIGPROF = 27;
export const SIGWINCH = 28;
export const SIGIO = 29;
export const SIGPWR = 30;
export const SIGSYS = 31;
/** Other names for the same numbers. */
export const SIGPOLL = SIGIO;
export const SIGIOT = SIGABRT;

/** Real-time signals, and how many signals there are. */
export const SIGRTMIN = 32;
export const SIGRTMAX = 64;
export const NSIG = 64;

/** sigaction(2) flags. */
export const SA_NOCLDSTOP = 0x1;
export const SA_NOCLDWAIT = 0x2;
export const SA_SIGINFO = 0x4;
export const SA_UNSUPPORTED = 0x400;
export const SA_EXPOSE_TAGBITS = 0x800;
export const SA_RESTORER = 0x4000000;
export const SA_ONSTACK = 0x8000000;
export const SA_RESTART = 0x10000000;
export const SA_NODEFER = 0x40000000;
export const SA_NOMASK = 0x40000000;
export const SA_ONESHOT = 0x80000000;
export const SA_RESETHAND = 0x80000000;

/** Handlers that are no address. */
export const SIG_DFL = 0;
export const SIG_IGN = 1;

/** sigprocmask(2). */
export const SIG_BLOCK = 0;
export const SIG_UNBLOCK = 1;
export const SIG_SETMASK = 2;

/** sigaltstack(2). */
export const SS_ONSTACK = 0x1;
export const SS_DISABLE = 0x2;
export const SS_AUTODISARM = 0x80000000;
export const MINSIGSTKSZ = 0x800;
export const SIGSTKSZ = 0x2000;

/** si_code: who sent it. */
export const SI_USER = 0;
export const SI_KERNEL = 128;
export const SI_QUEUE = -1;
export const SI_TIMER = -2;
export const SI_MESGQ = -3;
export const SI_ASYNCIO = -4;
export const SI_SIGIO = -5;
export const SI_TKILL = -6;
export const SI_DETHREAD = -7;
export const SI_ASYNCNL = -60;

/** si_code of SIGILL. */
export const ILL_ILLOPC = 1;
export const ILL_ILLOPN = 2;
export const ILL_ILLADR = 3;
export const ILL_ILLTRP = 4;
export const ILL_PRVOPC = 5;
export const ILL_PRVREG = 6;
export const ILL_COPROC = 7;
export const ILL_BADSTK = 8;
export const ILL_BADIADDR = 9;

/** si_code of SIGFPE. */
export const FPE_INTDIV = 1;
export const FPE_INTOVF = 2;
export const FPE_FLTDIV = 3;
export const FPE_FLTOVF = 4;
export const FPE_FLTUND = 5;
export const FPE_FLTRES = 6;
export const FPE_FLTINV = 7;
export const FPE_FLTSUB = 8;
export const FPE_FLTUNK = 14;
export const FPE_CONDTRAP = 15;

/** si_code of SIGSEGV. */
export const SEGV_MAPERR = 1;
export const SEGV_ACCERR = 2;
export const SEGV_BNDERR = 3;
export const SEGV_PKUERR = 4;
export const SEGV_ACCADI = 5;
export const SEGV_ADIDERR = 6;
export const SEGV_ADIPERR = 7;
export const SEGV_MTEAERR = 8;
export const SEGV_MTESERR = 9;

/** si_code of SIGBUS. */
export const BUS_ADRALN = 1;
export const BUS_ADRERR = 2;
export const BUS_OBJERR = 3;
export const BUS_MCEERR_AR = 4;
export const BUS_MCEERR_AO = 5;

/** si_code of SIGTRAP. */
export const TRAP_BRKPT = 1;
export const TRAP_TRACE = 2;
export const TRAP_BRANCH = 3;
export const TRAP_HWBKPT = 4;
export const TRAP_UNK = 5;
export const TRAP_PERF = 6;

/** si_code of SIGCHLD. */
export const CLD_EXITED = 1;
export const CLD_KILLED = 2;
export const CLD_DUMPED = 3;
export const CLD_TRAPPED = 4;
export const CLD_STOPPED = 5;
export const CLD_CONTINUED = 6;

/** si_code of SIGPOLL. */
export const POLL_IN = 1;
export const POLL_OUT = 2;
export const POLL_MSG = 3;
export const POLL_ERR = 4;
export const POLL_PRI = 5;
export const POLL_HUP = 6;

/** si_code of SIGSYS. */
export const SYS_SECCOMP = 1;
export const SYS_USER_DISPATCH = 2;

/** sigevent(7) notification kinds. */
export const SIGEV_SIGNAL = 0;
export const SIGEV_NONE = 1;
export const SIGEV_THREAD = 2;
export const SIGEV_THREAD_ID = 4;
export const SIGEV_PAD_SIZE = 12;
export const SIGEV_MAX_SIZE = 64;

/** signalfd(2). */
export const SFD_CLOEXEC = 0x80000;
export const SFD_NONBLOCK = 0x800;

/** Context flags of the x86-64 signal frame, asm/ucontext.h. */
export const UC_FP_XSTATE = 0x1;
export const UC_SIGCONTEXT_SS = 0x2;
export const UC_STRICT_RESTORE_SS = 0x4;

/** Marks that the frame's floating-point state is in XSAVE format, asm/sigcontext.h. */
export const FP_XSTATE_MAGIC1 = 0x46505853;
export const FP_XSTATE_MAGIC2 = 0x46505845;
export const FP_XSTATE_MAGIC2_SIZE = 0x4;

const NAMES: readonly string[] = (
  'HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP ' +
  'TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS'
).split(' ');

/** `SIGTERM` for 15, `SIGRT_3` for 35, `SIG99` for a number that is none. */
export function signalName(signal: number): string {
  const name = NAMES[signal - 1];
  if (name !== undefined) return `SIG${name}`;
  if (signal >= SIGRTMIN && signal <= SIGRTMAX) return `SIGRT_${signal - SIGRTMIN}`;
  return `SIG${signal}`;
}

/**
 * 15 for `SIGTERM`, `TERM`, `term` or `15`; also `SIGRTMIN+2` and `SIGRTMAX-1` in the C library's
 * numbering, where SIGRTMIN is 34. -1 for a name that is none.
 */
export function signalNumber(name: string): number {
  if (/^\d{1,2}$/.test(name)) {
    const number = Number(name);
    return number <= NSIG ? number : -1;
  }
  const short = name.toUpperCase().replace(/^SIG/, '');
  const index = NAMES.indexOf(short);
  if (index >= 0) return index + 1;
  if (short === 'POLL') return SIGIO;
  if (short === 'IOT') return SIGABRT;
  if (short === 'CLD') return SIGCHLD;
  const rt = /^RTM(IN|AX)(?:([+-])(\d{1,2}))?$/.exec(short);
  if (!rt) return -1;
  const base = rt[1] === 'IN' ? 34 : SIGRTMAX;
  const number = base + Number(rt[3] ?? 0) * (rt[2] === '-' ? -1 : 1);
  return number >= 34 && number <= SIGRTMAX ? number : -1;
}
