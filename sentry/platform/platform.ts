/**
 * The platform contract: how application threads run and how their traps reach the kernel.
 *
 * A Platform owns host threads. Each Context is one application thread running in one AddressSpace.
 * A Context is either running (the host may execute application code in it) or stopped (the kernel
 * owns its registers). `resume` makes it running; it comes back from `Platform.poll` stopped, with
 * `stop` saying why. All calls are made from the one kernel thread and none of them awaits.
 *
 * Every outcome of a run is one of the STOP_* values; nothing else may reach the kernel.
 */

/** The thread made a system call. Registers are those at the call; `rax` holds its number. */
export const STOP_SYSCALL = 1;
/** The thread raised a synchronous fault: see `faultSignal`, `faultCode`, `faultAddress`. */
export const STOP_FAULT = 2;
/** `interrupt` was called (or the host stopped the thread); registers are those of the application. */
export const STOP_INTERRUPTED = 3;
/** The host thread is gone (killed from outside). The context can only be released. */
export const STOP_EXITED = 4;

export type StopReason =
  | typeof STOP_SYSCALL
  | typeof STOP_FAULT
  | typeof STOP_INTERRUPTED
  | typeof STOP_EXITED;

export interface Platform {
  readonly name: 'ptrace' | 'systrap' | 'kvm';

  /** One past the highest application address; the platform's own pages lie above it. */
  readonly taskSize: number;

  /**
   * An empty address space with one stopped context whose registers are all zero, or -errno.
   * `owner`: see AddressSpace.
   */
  newAddressSpace(
    owner?: string,
  ): { readonly space: AddressSpace; readonly context: Context } | number;

  /**
   * The one place where the kernel sleeps. Returns the next stopped context, or null when
   * `deadlineNs` (CLOCK_MONOTONIC, nanoseconds; Infinity for none; 0 to only look) has passed or a
   * watched host descriptor is ready (collect those with `HostPoller.drain`).
   */
  poll(deadlineNs: number): Context | null;

  /** Has resumed contexts go on now, and not first with the next `poll`. */
  letGo(): void;

  /**
   * Where call sites may be made to jump instead of executing `syscall`: with the number in rax and
   * the address behind the site's `syscall` in rcx; r11 is free. 0 when the platform has no such entry.
   */
  readonly callEntry: number;

  /**
   * From now on futex(2) calls from patched sites that change nothing may be answered without a stop:
   * to wake on a private futex where `AddressSpace.countWaiter` counts nobody, to wait on one whose word
   * has another value. Not to be asked for by a kernel that wants to see every call.
   */
  answerFutexes(): void;

  /** How many contexts are running on the host now. */
  readonly running: number;

  /** Kills and reaps every host process of the platform. */
  destroy(): void;
}

/**
 * One host address space. Operations are queued and take effect no later than the next `flush`,
 * `resume` of one of its contexts, or `fork`. All addresses and lengths are page-aligned bytes.
 */
export interface AddressSpace {
  /**
   * Whose code runs here, '' for nobody's. The platform may let a host process outlive its space and
   * serve another of the same owner: a hostile thread that survives in it unseen finds nothing it
   * could not have had by ptrace(2). So two processes may have one owner only if each may trace the
   * other. To be right at `fork`, at `release` and when the last context is released.
   */
  owner: string;
  /**
   * Maps host descriptor `fd` from byte `offset` at exactly `addr`, replacing what is there.
   * `prot` is PROT_*; `shared` false means a private (copy-on-write in the host) mapping, which the
   * kernel only uses without PROT_WRITE. `populate`: all of it will be written soon, have its pages
   * mapped at once.
   */
  map(
    addr: number,
    length: number,
    fd: number,
    offset: number,
    prot: number,
    shared: boolean,
    populate?: boolean,
  ): void;
  unmap(addr: number, length: number): void;
  protect(addr: number, length: number, prot: number): void;
  /**
   * One more thread (`change` -1: one less) waits in the kernel on the private futex at `addr`. For
   * the threads that see the count to be right: count first, then compare the word.
   */
  countWaiter(addr: number, change: 1 | -1): void;
  /**
   * Has all threads stop, and names them. Those that ran come out of `Platform.poll` next, with what
   * they have stopped for. Where the platform has no `callEntry` it is not asked for.
   */
  halt(): Iterable<Context>;
  /** Applies the queue now. 0, or the first -errno (ENOMEM when the host has no more mappings). */
  flush(): number;
  /**
   * A new address space of the same owner holding the same mappings (to the same files), and one
   * stopped context with a copy of `from`'s registers and floating-point state. `from` must be stopped.
   * If it turns out `empty`, the caller has to make the mappings, of which there are about `mappings`.
   */
  fork(from: Context, mappings?: number): ForkedSpace | number;
  /** One more stopped context in this space, registers and floating-point state copied from `from`. */
  newContext(from: Context): Context | number;
  /**
   * Kills the host process; its contexts become unusable. On return no thread of it, running until
   * now or not, can touch the mapped memory any more. Idempotent.
   */
  release(): void;
}

export interface ForkedSpace {
  readonly space: AddressSpace;
  readonly context: Context;
  readonly empty: boolean;
}

/** One application thread. `regs` may be read and written only while it is stopped. */
export interface Context {
  readonly space: AddressSpace;
  readonly regs: Registers;
  stop: StopReason;
  /** Valid after STOP_SYSCALL: calls from this address are frequent and worth `Platform.callEntry`. */
  readonly hotCallSite: boolean;
  /** Valid after STOP_FAULT: SIGSEGV, SIGBUS, SIGILL, SIGFPE or SIGTRAP, its si_code and si_addr. */
  faultSignal: number;
  faultCode: number;
  faultAddress: number;
  /** Free for the kernel: the Task that runs here. */
  owner: unknown;

  /** Lets the thread run. Its next stop comes out of `Platform.poll`. */
  resume(): void;
  /** Asks a running thread to stop soon with STOP_INTERRUPTED. No effect on a stopped one. */
  interrupt(): void;
  /**
   * Single-steps instead of running freely until cleared (for ptrace(2) inside the sandbox): the next
   * stop after one instruction is STOP_FAULT with SIGTRAP, TRAP_TRACE.
   */
  singleStep: boolean;
  /** Bytes of floating-point state in XSAVE format (Intel SDM vol. 1 ch. 13), the same for all contexts. */
  readonly fpStateSize: number;
  /** Copies the state out; returns 0 or -errno. */
  getFpState(into: Uint8Array): number;
  /** Loads state the application supplied: invalid contents give -EINVAL and change nothing. */
  setFpState(from: Uint8Array): number;
  /** Resets floating-point state to what execve(2) leaves. */
  resetFpState(): void;
  /** CPU time used by this thread, nanoseconds (user plus what the host spent for it). */
  cpuTimeNs(): number;
  /** For a stopped one: it is not to be resumed soon, if at all, so its processor may be wanted by others. */
  rest(): void;
  /** Ends this one host thread. Idempotent. */
  release(): void;
}

/**
 * General registers as little-endian 32-bit pairs over the platform's shared record: register r is
 * words[base + 2 * r] (low) and words[base + 2 * r + 1] (high), in the order of REG_*. After
 * STOP_SYSCALL the words of other registers than the number and the arguments need `fetch`.
 */
export interface Registers {
  readonly words: Uint32Array;
  readonly base: number;
  /** Has `words` hold all registers, to be read and written. */
  fetch(): void;
  /** As an unsigned Number: exact below 2^53. */
  get(reg: number): number;
  /** Takes a safe integer; negative values are stored in two's complement. */
  set(reg: number, value: number): void;
  /** Copies all registers of `other`. */
  copyFrom(other: Registers): void;
}

/** Register indices: the order of struct user_regs_struct (linux sys/user.h). */
export const REG_R15 = 0;
export const REG_R14 = 1;
export const REG_R13 = 2;
export const REG_R12 = 3;
export const REG_RBP = 4;
export const REG_RBX = 5;
export const REG_R11 = 6;
export const REG_R10 = 7;
export const REG_R9 = 8;
export const REG_R8 = 9;
export const REG_RAX = 10;
export const REG_RCX = 11;
export const REG_RDX = 12;
export const REG_RSI = 13;
export const REG_RDI = 14;
export const REG_ORIG_RAX = 15;
export const REG_RIP = 16;
export const REG_CS = 17;
export const REG_EFLAGS = 18;
export const REG_RSP = 19;
export const REG_SS = 20;
export const REG_FS_BASE = 21;
export const REG_GS_BASE = 22;
export const REG_DS = 23;
export const REG_ES = 24;
export const REG_FS = 25;
export const REG_GS = 26;
export const REG_COUNT = 27;

/**
 * Host descriptors the kernel waits for, in the same sleep as the contexts. Edge-triggered: the
 * callback runs (from `drain`) when the state changes, so try, then wait.
 */
export interface HostPoller {
  /** Watches `fd` for EPOLLIN | EPOLLOUT | EPOLLHUP edges. 0 or -errno (EPERM: not pollable). */
  add(fd: number, onReady: (events: number) => void): number;
  remove(fd: number): void;
  /** Runs the callbacks of all descriptors that became ready. */
  drain(): void;
}
