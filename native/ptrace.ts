/**
 * The native half of the ptrace platform: raw calls over slots of the shared records. Only
 * sentry/platform uses it, and only from the thread that called `ptraceStart`.
 */

import { addon } from './index.ts';

/** What `ptraceStart` sets up. `shared` and `ops` are laid out as native/src/tracer.h draws them. */
export interface PtraceShared {
  readonly shared: ArrayBuffer;
  readonly ops: ArrayBuffer;
  readonly maxSlots: number;
  readonly taskSize: number;
  readonly fpStateSize: number;
  readonly epollFd: number;
  readonly templatePid: number;
}

export interface PtraceCalls {
  /** Once per process: 0 and more is success, -errno. */
  ptraceStart(): PtraceShared | number;
  /** The next stopped slot, or -1. */
  ptracePoll(deadlineNs: number): number;
  /** Clones the thread of `from` (-1: the template) into `slot`: its tid, or -errno. */
  ptraceClone(from: number, slot: number, thread: 0 | 1): number;
  /** Runs the first `count` operations of the list in the address space of `slot`. */
  ptraceOps(slot: number, count: number): number;
  ptraceInterrupt(slot: number): void;
  /** Ends one thread of process `pid`. */
  ptraceExit(slot: number, pid: number): void;
  /** Kills a process with the threads `slots`; on return none of them touches memory any more. */
  ptraceKill(pid: number, slots: Int32Array): void;
  /** Reads (set 0) or loads (set 1) the XSAVE area; null resets it. 0 or -errno. */
  ptraceFpState(slot: number, set: 0 | 1, bytes: Uint8Array | null): number;
  ptraceProcessCpuNs(pid: number): number;
  ptraceRunNs(slot: number): number;
  /** Says that ready descriptors are about to be collected. */
  doorbellAnswer(): void;
}

export { addon as ptrace };
