/** One application thread: a traced host thread and its record. */

import { ptrace } from '../../../native/ptrace.ts';
import { EINVAL } from '../../../spec/linux/errno.ts';
import { type Context, STOP_EXITED, STOP_INTERRUPTED, type StopReason } from '../platform.ts';
import { RecordRegisters } from '../record_registers.ts';
import type { PtraceAddressSpace } from './ptrace_address_space.ts';
import type { PtracePlatform } from './ptrace_platform.ts';
import {
  FLAG_SINGLE_STEP,
  RECORD_FAULT_ADDRESS,
  RECORD_FAULT_CODE,
  RECORD_FAULT_SIGNAL,
  RECORD_FLAGS,
  RECORD_REASON,
  RECORD_STATE,
  STATE_RESUMING,
  STATE_RUNNING,
  STATE_STOPPED,
} from './record.ts';

export class PtraceContext implements Context {
  readonly space: PtraceAddressSpace;
  readonly regs: RecordRegisters;
  readonly slot: number;
  readonly fpStateSize: number;
  stop: StopReason = STOP_INTERRUPTED;
  readonly hotCallSite = false;
  faultSignal = 0;
  faultCode = 0;
  faultAddress = 0;
  owner: unknown = null;
  readonly #platform: PtracePlatform;
  readonly #words: Uint32Array;
  readonly #record: number;
  #released = false;

  constructor(platform: PtracePlatform, space: PtraceAddressSpace, slot: number, record: number) {
    this.space = space;
    this.slot = slot;
    this.fpStateSize = platform.fpStateSize;
    this.regs = new RecordRegisters(platform.words, record);
    this.#platform = platform;
    this.#words = platform.words;
    this.#record = record;
  }

  /** Copies why it stopped out of the record. */
  takeStop(): void {
    const words = this.#words;
    const at = this.#record;
    this.stop = words[at + RECORD_REASON] as StopReason;
    this.faultSignal = words[at + RECORD_FAULT_SIGNAL] as number;
    this.faultCode = (words[at + RECORD_FAULT_CODE] as number) | 0;
    const low = words[at + RECORD_FAULT_ADDRESS] as number;
    const high = words[at + RECORD_FAULT_ADDRESS + 1] as number;
    this.faultAddress = low + high * 2 ** 32;
  }

  get isRunning(): boolean {
    return this.#words[this.#record + RECORD_STATE] === STATE_RUNNING;
  }

  get isGone(): boolean {
    return this.#released || this.stop === STOP_EXITED;
  }

  resume(): void {
    if (this.isGone || this.#words[this.#record + RECORD_STATE] !== STATE_STOPPED) return;
    this.space.apply();
    this.#words[this.#record + RECORD_STATE] = STATE_RESUMING;
    this.#platform.queueResume(this.slot);
  }

  interrupt(): void {
    if (!this.isGone) ptrace.ptraceInterrupt(this.slot);
  }

  get singleStep(): boolean {
    return ((this.#words[this.#record + RECORD_FLAGS] as number) & FLAG_SINGLE_STEP) !== 0;
  }

  set singleStep(on: boolean) {
    this.#words[this.#record + RECORD_FLAGS] = on ? FLAG_SINGLE_STEP : 0;
  }

  getFpState(into: Uint8Array): number {
    if (into.length < this.fpStateSize) return -EINVAL;
    return ptrace.ptraceFpState(this.slot, 0, into);
  }

  setFpState(from: Uint8Array): number {
    if (from.length < this.fpStateSize) return -EINVAL;
    return ptrace.ptraceFpState(this.slot, 1, from.subarray(0, this.fpStateSize));
  }

  resetFpState(): void {
    if (!this.isGone) ptrace.ptraceFpState(this.slot, 0, null);
  }

  /**
   * The host keeps clocks of other processes only as a whole. A thread of several is charged the
   * time from each resume to the stop, which counts waiting for a processor in.
   */
  cpuTimeNs(): number {
    if (this.#released) return 0;
    const runNs = ptrace.ptraceRunNs(this.slot);
    const processNs = ptrace.ptraceProcessCpuNs(this.space.pid);
    if (processNs < 0) return runNs;
    return this.space.threaded ? Math.min(runNs, processNs) : processNs;
  }

  release(): void {
    if (this.#released) return;
    if (this.space.contexts.size === 1) {
      this.space.release();
      return;
    }
    this.#released = true;
    this.space.contexts.delete(this);
    ptrace.ptraceExit(this.slot, this.space.pid);
    this.#platform.freeSlot(this.slot);
  }

  /** Its process has been killed. */
  forget(): void {
    if (this.#released) return;
    this.#released = true;
    this.#platform.freeSlot(this.slot);
  }
}
