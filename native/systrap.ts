/**
 * The native half of the systrap platform: raw calls over slots of the shared records, and spaces,
 * which are indices of stub processes. Only sentry/platform uses it.
 */

import { addon } from './index.ts';
import type { PtraceShared } from './ptrace.ts';

/** What `systrapStart` sets up: laid out as for the ptrace platform. */
export interface SystrapShared extends PtraceShared {
  /** Where trampolines of patched call sites jump. */
  readonly callEntry: number;
  /** For each space `controlBytes`, in them from `waitersAt` on a table of 32-bit counts. */
  readonly controls: ArrayBuffer;
  readonly controlBytes: number;
  readonly waitersAt: number;
}

export interface SystrapCalls {
  /** Once per process; or why the platform cannot run here, upon which nothing of it is left. */
  systrapStart(): SystrapShared | string;
  /** The next stopped slot, or -1. */
  systrapPoll(deadlineNs: number): number;
  /** Resumes what a poll would begin with. */
  systrapLetGo(): void;
  /**
   * A copy of `space` (-1: of the template) with one thread in `slot`, its floating-point state that
   * of `from`. The new space, or -errno.
   */
  systrapProcess(space: number, from: number, slot: number): number;
  /** One more thread, in `slot`: its tid, or -errno. */
  systrapThread(space: number, from: number, slot: number): number;
  /** Makes the first `count` staged operations. 0, or the first -errno. */
  systrapOps(space: number, count: number): number;
  systrapPid(space: number): number;
  systrapInterrupt(slot: number): void;
  /** All threads of the process have stopped when it returns; polls tell what for. */
  systrapHalt(process: number): void;
  /** Has one thread end. Its slot belongs to its space until the thread has ended. */
  systrapExit(slot: number): void;
  systrapEnded(slot: number): 0 | 1;
  /** One stopped thread need not look out for its answer any longer. */
  systrapRest(slot: number): void;
  /** Keeps one stopped thread in its space, for `systrapRevive`. */
  systrapPark(slot: number): void;
  /** Unmaps all application memory; all threads must be stopped, and are parked. 0 or -errno. */
  systrapEmpty(space: number): number;
  /** A parked thread begins anew, its floating-point state that of `from` (-1: fresh). 0 or -errno. */
  systrapRevive(from: number, slot: number): number;
  /** Kills the process; on return none of its threads touches memory any more. */
  systrapKill(space: number): void;
  /** Has the record hold all registers of a stop that was told with number and arguments alone. */
  systrapRegisters(slot: number): void;
  /** Reads (set 0) or loads (set 1) the XSAVE area; null resets it. 0 or -errno. */
  systrapFpState(slot: number, set: 0 | 1, bytes: Uint8Array | null): number;
  /** Whether patched sites answer futex calls by the tables of waiters; at first they do not. */
  systrapAnswerFutexes(on: 0 | 1): void;
  systrapRunNs(slot: number): number;
}

export { addon as systrap };
