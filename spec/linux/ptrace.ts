/**
 * ptrace(2): requests, options and events.
 */

/** Requests. */
export const PTRACE_TRACEME = 0x0;
export const PTRACE_PEEKTEXT = 0x1;
export const PTRACE_PEEKDATA = 0x2;
export const PTRACE_PEEKUSR = 0x3;
export const PTRACE_POKETEXT = 0x4;
export const PTRACE_POKEDATA = 0x5;
export const PTRACE_POKEUSR = 0x6;
export const PTRACE_CONT = 0x7;
export const PTRACE_KILL = 0x8;
export const PTRACE_SINGLESTEP = 0x9;
export const PTRACE_GETREGS = 0xc;
export const PTRACE_SETREGS = 0xd;
export const PTRACE_GETFPREGS = 0xe;
export const PTRACE_SETFPREGS = 0xf;
export const PTRACE_ATTACH = 0x10;
export const PTRACE_DETACH = 0x11;
export const PTRACE_GETFPXREGS = 0x12;
export const PTRACE_SETFPXREGS = 0x13;
export const PTRACE_OLDSETOPTIONS = 0x15;
export const PTRACE_SYSCALL = 0x18;
export const PTRACE_GET_THREAD_AREA = 0x19;
export const PTRACE_SET_THREAD_AREA = 0x1a;
export const PTRACE_ARCH_PRCTL = 0x1e;
export const PTRACE_SYSEMU = 0x1f;
export const PTRACE_SYSEMU_SINGLESTEP = 0x20;
export const PTRACE_SETOPTIONS = 0x4200;
export const PTRACE_GETEVENTMSG = 0x4201;
export const PTRACE_GETSIGINFO = 0x4202;
export const PTRACE_SETSIGINFO = 0x4203;
export const PTRACE_GETREGSET = 0x4204;
export const PTRACE_SETREGSET = 0x4205;
export const PTRACE_SEIZE = 0x4206;
export const PTRACE_INTERRUPT = 0x4207;
export const PTRACE_LISTEN = 0x4208;
export const PTRACE_PEEKSIGINFO = 0x4209;
export const PTRACE_GETSIGMASK = 0x420a;
export const PTRACE_SETSIGMASK = 0x420b;
export const PTRACE_SECCOMP_GET_FILTER = 0x420c;
export const PTRACE_SECCOMP_GET_METADATA = 0x420d;
export const PTRACE_GET_SYSCALL_INFO = 0x420e;
export const PTRACE_GET_RSEQ_CONFIGURATION = 0x420f;

/** Options. */
export const PTRACE_O_TRACESYSGOOD = 0x1;
export const PTRACE_O_TRACEFORK = 0x2;
export const PTRACE_O_TRACEVFORK = 0x4;
export const PTRACE_O_TRACECLONE = 0x8;
export const PTRACE_O_TRACEEXEC = 0x10;
export const PTRACE_O_TRACEVFORKDONE = 0x20;
export const PTRACE_O_TRACEEXIT = 0x40;
export const PTRACE_O_TRACESECCOMP = 0x80;
export const PTRACE_O_EXITKILL = 0x100000;
export const PTRACE_O_SUSPEND_SECCOMP = 0x200000;
export const PTRACE_O_MASK = 0x3000ff;

/** Events, in bits 8 and up of the stop status. */
export const PTRACE_EVENT_FORK = 1;
export const PTRACE_EVENT_VFORK = 2;
export const PTRACE_EVENT_CLONE = 3;
export const PTRACE_EVENT_EXEC = 4;
export const PTRACE_EVENT_VFORK_DONE = 5;
export const PTRACE_EVENT_EXIT = 6;
export const PTRACE_EVENT_SECCOMP = 7;
export const PTRACE_EVENT_STOP = 128;

/** PTRACE_GET_SYSCALL_INFO. */
export const PTRACE_SYSCALL_INFO_NONE = 0;
export const PTRACE_SYSCALL_INFO_ENTRY = 1;
export const PTRACE_SYSCALL_INFO_EXIT = 2;
export const PTRACE_SYSCALL_INFO_SECCOMP = 3;
