/**
 * The ptrace platform: every application thread is a thread of a traced host process, see ptrace(2).
 * Needs no privilege.
 */

import { wait4 } from '../../../native/process.ts';
import { ptrace } from '../../../native/ptrace.ts';
import { type MadeSpace, StubPlatform } from '../stub/stub_platform.ts';
import { PtraceAddressSpace } from './ptrace_address_space.ts';
import { PtraceContext } from './ptrace_context.ts';

const WNOHANG = 1;
const WALL = 0x40000000;

export class PtracePlatform extends StubPlatform {
  readonly name = 'ptrace';

  /** Starts the platform; -errno when the host does not let us trace. Once per process. */
  static create(): PtracePlatform | number {
    const shared = ptrace.ptraceStart();
    if (typeof shared === 'number') return shared;
    return new PtracePlatform(shared, 0, () => ptrace.doorbellAnswer());
  }

  protected override makeSpace(): MadeSpace | number {
    return this.cloneProcess(null);
  }

  /** A process forked from `from`'s, or from the empty template. */
  cloneProcess(from: PtraceContext | null): MadeSpace | number {
    const slot = this.takeSlot();
    if (slot < 0) return slot;
    const pid = ptrace.ptraceClone(from === null ? -1 : from.slot, slot, 0);
    if (pid < 0) {
      this.freeSlot(slot);
      return pid;
    }
    const space = new PtraceAddressSpace(this, pid, 0);
    return { space, context: this.attach(new PtraceContext(space, slot), from) };
  }

  /** A thread cloned from `from`, in the same space. */
  cloneThread(from: PtraceContext): PtraceContext | number {
    const slot = this.takeSlot();
    if (slot < 0) return slot;
    const tid = ptrace.ptraceClone(from.slot, slot, 1);
    if (tid < 0) {
      this.freeSlot(slot);
      return tid;
    }
    return this.attach(new PtraceContext(from.space, slot), from);
  }

  protected override pollSlot(deadlineNs: number): number {
    return ptrace.ptracePoll(deadlineNs);
  }

  /** Takes in the ends of processes that were killed, so that they do not stay zombies. */
  reap(): void {
    for (;;) {
      const ended = wait4(-1, WALL | WNOHANG);
      if (typeof ended === 'number' || ended.pid === 0) return;
    }
  }
}
