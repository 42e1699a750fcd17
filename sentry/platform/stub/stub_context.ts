/** One application thread: a host thread of a stub process, and its record. */

import { ptrace } from '../../../native/ptrace.ts';
import {
  type Context,
  STOP_EXITED,
  STOP_FAULT,
  STOP_INTERRUPTED,
  type StopReason,
} from '../platform.ts';
import {
  FLAG_SINGLE_STEP,
  REASON_CALL_ONLY,
  REASON_HOT_SITE,
  REASON_STOP,
  RECORD_FAULT_ADDRESS,
  RECORD_FAULT_CODE,
  RECORD_FAULT_SIGNAL,
  RECORD_FLAGS,
  RECORD_REASON,
  RECORD_STATE,
  STATE_RESUMING,
  STATE_STOPPED,
} from './record.ts';
import { RecordRegisters } from './record_registers.ts';
import type { StubAddressSpace } from './stub_address_space.ts';

export abstract class StubContext implements Context {
  readonly space: StubAddressSpace;
  readonly regs: RecordRegisters;
  readonly slot: number;
  readonly fpStateSize: number;
  stop: StopReason = STOP_INTERRUPTED;
  hotCallSite = false;
  faultSignal = 0;
  faultCode = 0;
  faultAddress = 0;
  owner: unknown = null;
  /** Set when it has been released: the slot may be another's by now. */
  protected released = false;
  readonly #words: Uint32Array;
  readonly #record: number;

  constructor(space: StubAddressSpace, slot: number) {
    const { platform } = space;
    this.space = space;
    this.slot = slot;
    this.fpStateSize = platform.fpStateSize;
    this.#words = platform.words;
    this.#record = platform.recordBase(slot);
    this.regs = new RecordRegisters(this.#words, this.#record, slot);
  }

  /** Copies why it stopped out of the record. */
  takeStop(): void {
    const words = this.#words;
    const at = this.#record;
    const reason = words[at + RECORD_REASON] as number;
    this.stop = (reason & REASON_STOP) as StopReason;
    this.hotCallSite = (reason & REASON_HOT_SITE) !== 0;
    this.regs.callOnly = (reason & REASON_CALL_ONLY) !== 0;
    if (this.stop !== STOP_FAULT) return;
    this.faultSignal = words[at + RECORD_FAULT_SIGNAL] as number;
    this.faultCode = (words[at + RECORD_FAULT_CODE] as number) | 0;
    const low = words[at + RECORD_FAULT_ADDRESS] as number;
    const high = words[at + RECORD_FAULT_ADDRESS + 1] as number;
    this.faultAddress = low + high * 2 ** 32;
  }

  /** STATE_*. */
  protected get state(): number {
    return this.#words[this.#record + RECORD_STATE] as number;
  }

  get isGone(): boolean {
    return this.released || this.stop === STOP_EXITED;
  }

  resume(): void {
    if (this.isGone || this.state !== STATE_STOPPED) return;
    this.space.apply();
    this.#words[this.#record + RECORD_STATE] = STATE_RESUMING;
    this.space.platform.queueResume(this.slot);
  }

  rest(): void {}

  abstract interrupt(): void;

  get singleStep(): boolean {
    return ((this.#words[this.#record + RECORD_FLAGS] as number) & FLAG_SINGLE_STEP) !== 0;
  }

  set singleStep(on: boolean) {
    this.#words[this.#record + RECORD_FLAGS] = on ? FLAG_SINGLE_STEP : 0;
  }

  abstract getFpState(into: Uint8Array): number;
  abstract setFpState(from: Uint8Array): number;
  abstract resetFpState(): void;

  /** The time from each resume to the stop that followed, all together. */
  protected abstract runNs(): number;

  /**
   * The host keeps clocks of other processes only as a whole. A thread of several is charged the
   * time from each resume to the stop, which counts waiting for a processor in.
   */
  cpuTimeNs(): number {
    if (this.released) return 0;
    const { pid, cpuBaseNs, threaded } = this.space;
    const processNs = ptrace.ptraceProcessCpuNs(pid) - cpuBaseNs;
    if (processNs >= 0 && !threaded) return processNs;
    const runNs = this.runNs();
    return processNs < 0 ? runNs : Math.min(runNs, processNs);
  }

  release(): void {
    if (this.released) return;
    if (this.space.contexts.size === 1) {
      this.space.release();
      return;
    }
    this.forget();
    this.space.contexts.delete(this);
    this.space.threadLeaves(this);
  }

  /** The host thread is nothing to it any more. */
  forget(): void {
    this.released = true;
    this.space.platform.detach(this.slot);
  }
}
