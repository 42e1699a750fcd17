/** One application thread: a traced host thread and its record. */

import { ptrace } from '../../../native/ptrace.ts';
import { EINVAL } from '../../../spec/linux/errno.ts';
import { STATE_RUNNING } from '../stub/record.ts';
import { StubContext } from '../stub/stub_context.ts';
import type { PtraceAddressSpace } from './ptrace_address_space.ts';

export class PtraceContext extends StubContext {
  declare readonly space: PtraceAddressSpace;

  get isRunning(): boolean {
    return this.state === STATE_RUNNING;
  }

  override interrupt(): void {
    if (!this.isGone) ptrace.ptraceInterrupt(this.slot);
  }

  override getFpState(into: Uint8Array): number {
    if (into.length < this.fpStateSize) return -EINVAL;
    return ptrace.ptraceFpState(this.slot, 0, into);
  }

  override setFpState(from: Uint8Array): number {
    if (from.length < this.fpStateSize) return -EINVAL;
    return ptrace.ptraceFpState(this.slot, 1, from.subarray(0, this.fpStateSize));
  }

  override resetFpState(): void {
    if (!this.isGone) ptrace.ptraceFpState(this.slot, 0, null);
  }

  protected override runNs(): number {
    return ptrace.ptraceRunNs(this.slot);
  }
}
