/** One application thread: a host thread of a stub process, and its record. */

import { ptrace } from '../../../native/ptrace.ts';
import { systrap } from '../../../native/systrap.ts';
import { EINVAL } from '../../../spec/linux/errno.ts';
import {
  type Context,
  STOP_EXITED,
  STOP_FAULT,
  STOP_INTERRUPTED,
  type StopReason,
} from '../platform.ts';
import {
  FLAG_SINGLE_STEP,
  RECORD_FAULT_ADDRESS,
  RECORD_FAULT_CODE,
  RECORD_FAULT_SIGNAL,
  RECORD_FLAGS,
  RECORD_REASON,
  RECORD_STATE,
  STATE_RESUMING,
  STATE_STOPPED,
} from '../ptrace/record.ts';
import { RecordRegisters } from '../record_registers.ts';
import type { SystrapAddressSpace } from './systrap_address_space.ts';
import type { SystrapPlatform } from './systrap_platform.ts';

/** Comes with a record's reason; kHotSite of native/src/systrap/systrap.h. */
const HOT_SITE = 0x100;

export class SystrapContext implements Context {
  readonly space: SystrapAddressSpace;
  readonly regs: RecordRegisters;
  readonly slot: number;
  readonly fpStateSize: number;
  stop: StopReason = STOP_INTERRUPTED;
  hotCallSite = false;
  faultSignal = 0;
  faultCode = 0;
  faultAddress = 0;
  owner: unknown = null;
  readonly #platform: SystrapPlatform;
  readonly #words: Uint32Array;
  readonly #record: number;
  #released = false;

  constructor(platform: SystrapPlatform, space: SystrapAddressSpace, slot: number, record: number) {
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
    const reason = words[at + RECORD_REASON] as number;
    this.stop = (reason & 0xff) as StopReason;
    this.hotCallSite = (reason & HOT_SITE) !== 0;
    if (this.stop !== STOP_FAULT) return;
    this.faultSignal = words[at + RECORD_FAULT_SIGNAL] as number;
    this.faultCode = (words[at + RECORD_FAULT_CODE] as number) | 0;
    const low = words[at + RECORD_FAULT_ADDRESS] as number;
    const high = words[at + RECORD_FAULT_ADDRESS + 1] as number;
    this.faultAddress = low + high * 2 ** 32;
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
    if (!this.isGone) systrap.systrapInterrupt(this.slot);
  }

  get singleStep(): boolean {
    return ((this.#words[this.#record + RECORD_FLAGS] as number) & FLAG_SINGLE_STEP) !== 0;
  }

  set singleStep(on: boolean) {
    this.#words[this.#record + RECORD_FLAGS] = on ? FLAG_SINGLE_STEP : 0;
  }

  getFpState(into: Uint8Array): number {
    return this.#released ? -EINVAL : systrap.systrapFpState(this.slot, 0, into);
  }

  setFpState(from: Uint8Array): number {
    return this.#released ? -EINVAL : systrap.systrapFpState(this.slot, 1, from);
  }

  resetFpState(): void {
    if (!this.isGone) systrap.systrapFpState(this.slot, 0, null);
  }

  /**
   * The host keeps clocks of other processes only as a whole. A thread of several is charged the
   * time from each resume to the stop, which counts waiting for a processor in.
   */
  cpuTimeNs(): number {
    if (this.#released) return 0;
    const { pid, cpuBaseNs, threaded } = this.space;
    const processNs = ptrace.ptraceProcessCpuNs(pid) - cpuBaseNs;
    if (processNs >= 0 && !threaded) return processNs;
    const runNs = systrap.systrapRunNs(this.slot);
    return processNs < 0 ? runNs : Math.min(runNs, processNs);
  }

  release(): void {
    if (this.#released) return;
    if (this.space.contexts.size === 1) {
      this.space.release();
      return;
    }
    this.#released = true;
    this.#platform.detach(this.slot);
    this.space.dismiss(this);
  }

  /** Its space is gone. */
  forget(): void {
    this.#released = true;
    this.#platform.detach(this.slot);
  }

  /** Whether the thread waits for the Sentry, as far as the host tells. */
  get isStopped(): boolean {
    return this.stop !== STOP_EXITED && this.#words[this.#record + RECORD_STATE] === STATE_STOPPED;
  }
}
