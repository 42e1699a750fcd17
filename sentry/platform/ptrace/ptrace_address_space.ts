/** One traced host process. Its memory operations are injected into it: see native/src/inject.cc. */

import { ptrace } from '../../../native/ptrace.ts';
import { ESRCH } from '../../../spec/linux/errno.ts';
import { StubAddressSpace } from '../stub/stub_address_space.ts';
import type { PtraceContext } from './ptrace_context.ts';
import type { PtracePlatform } from './ptrace_platform.ts';

export class PtraceAddressSpace extends StubAddressSpace {
  declare readonly platform: PtracePlatform;
  declare readonly contexts: Set<PtraceContext>;

  protected override makeOps(count: number): number {
    const lender = this.#lender();
    return lender === undefined ? -ESRCH : ptrace.ptraceOps(lender.slot, count);
  }

  /** The thread to make the calls: a stopped one, or else one that has to be interrupted for it. */
  #lender(): PtraceContext | undefined {
    let running: PtraceContext | undefined;
    for (const context of this.contexts) {
      if (context.isGone) continue;
      if (!context.isRunning) return context;
      running ??= context;
    }
    return running;
  }

  protected override makeFork(from: PtraceContext) {
    const made = this.platform.cloneProcess(from);
    return typeof made === 'number' ? made : { ...made, empty: false };
  }

  protected override makeThread(from: PtraceContext): PtraceContext | number {
    return this.platform.cloneThread(from);
  }

  override threadLeaves({ slot }: PtraceContext): void {
    ptrace.ptraceExit(slot, this.pid);
    this.platform.freeSlot(slot);
  }

  protected override end(): void {
    const slots = Int32Array.from(this.contexts, (context) => context.slot);
    ptrace.ptraceKill(this.pid, slots);
    for (const slot of slots) this.platform.freeSlot(slot);
  }
}
