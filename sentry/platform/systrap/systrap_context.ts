/** One application thread: a host thread of a stub process, and its record. */

import { systrap } from '../../../native/systrap.ts';
import { EINVAL } from '../../../spec/linux/errno.ts';
import { STOP_EXITED } from '../platform.ts';
import { STATE_STOPPED } from '../stub/record.ts';
import { StubContext } from '../stub/stub_context.ts';
import type { SystrapAddressSpace } from './systrap_address_space.ts';

export class SystrapContext extends StubContext {
  declare readonly space: SystrapAddressSpace;

  override rest(): void {
    if (this.isStopped) systrap.systrapRest(this.slot);
  }

  override interrupt(): void {
    if (!this.isGone) systrap.systrapInterrupt(this.slot);
  }

  override getFpState(into: Uint8Array): number {
    return this.released ? -EINVAL : systrap.systrapFpState(this.slot, 0, into);
  }

  override setFpState(from: Uint8Array): number {
    return this.released ? -EINVAL : systrap.systrapFpState(this.slot, 1, from);
  }

  override resetFpState(): void {
    if (!this.isGone) systrap.systrapFpState(this.slot, 0, null);
  }

  protected override runNs(): number {
    return systrap.systrapRunNs(this.slot);
  }

  /** Whether the thread waits for the Sentry, as far as the host tells. */
  get isStopped(): boolean {
    return this.stop !== STOP_EXITED && this.state === STATE_STOPPED;
  }
}
