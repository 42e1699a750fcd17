/**
 * The systrap platform: every application thread is a thread of a stub process whose system calls
 * the host turns into signals (seccomp(2), SECCOMP_RET_TRAP). A handler in the stub hands each to the
 * Sentry through shared memory. Needs no privilege and no ptrace.
 */

import { type SystrapShared, systrap } from '../../../native/systrap.ts';
import { StubPlatform } from '../stub/stub_platform.ts';
import { type SpareProcess, SystrapAddressSpace } from './systrap_address_space.ts';
import { SystrapContext } from './systrap_context.ts';

/** Processes kept for later spaces, and how many threads one of them may have. */
const MOST_SPARES = 8;
const MOST_THREADS = 6;
/** Words in a table of waiters, one for each in a page. */
const WAITER_COUNTS = 1024;

interface Made {
  readonly space: SystrapAddressSpace;
  readonly context: SystrapContext;
}

export class SystrapPlatform extends StubPlatform {
  readonly name = 'systrap';
  readonly #spares: { readonly owner: string; readonly process: SpareProcess }[] = [];
  /** For each process its control pages, with a table of waiters in them. */
  readonly #controls: Int32Array;
  readonly #controlWords: number;
  readonly #waitersAt: number;

  private constructor(shared: SystrapShared) {
    super(shared, shared.callEntry);
    this.#controls = new Int32Array(shared.controls);
    this.#controlWords = shared.controlBytes / 4;
    this.#waitersAt = shared.waitersAt / 4;
  }

  /** Starts the platform, or tells why it cannot run here. Once per process. */
  static create(): SystrapPlatform | string {
    const shared = systrap.systrapStart();
    return typeof shared === 'string' ? shared : new SystrapPlatform(shared);
  }

  override answerFutexes(): void {
    systrap.systrapAnswerFutexes(1);
  }

  /** AddressSpace.countWaiter for a process. */
  countWaiter(process: number, addr: number, change: 1 | -1): void {
    const word = (addr >>> 2) % WAITER_COUNTS;
    Atomics.add(this.#controls, process * this.#controlWords + this.#waitersAt + word, change);
  }

  protected override makeSpace(owner: string): Made | number {
    return this.useSpare(owner, null) ?? this.cloneProcess(null);
  }

  /** A process forked from `from`'s, or from the empty template. */
  cloneProcess(from: SystrapContext | null): Made | number {
    const slot = this.takeSlot();
    if (slot < 0) return slot;
    const index = systrap.systrapProcess(from?.space.index ?? -1, from?.slot ?? -1, slot);
    if (index < 0) {
      this.freeSlot(slot);
      return index;
    }
    return this.#open(index, slot, from, null);
  }

  #open(
    index: number,
    slot: number,
    from: SystrapContext | null,
    spare: SpareProcess | null,
  ): Made {
    const space = new SystrapAddressSpace(this, index, spare);
    return { space, context: this.attach(new SystrapContext(space, slot), from) };
  }

  /** An empty space in a process that is there already, or null. */
  useSpare(owner: string, from: SystrapContext | null): Made | null {
    for (;;) {
      const at = this.#spares.findLastIndex((each) => each.owner === owner);
      const found = this.#spares[at];
      if (found === undefined || owner === '') return null;
      this.#spares.splice(at, 1);
      const { process } = found;
      const slot = process.parked.pop() as number;
      if (systrap.systrapRevive(from?.slot ?? -1, slot) === 0) {
        return this.#open(process.index, slot, from, process);
      }
      process.parked.push(slot);
      this.killProcess(process);
    }
  }

  /** Empties a process whose threads are all stopped, for later. False when it should rather end. */
  keepSpare(owner: string, process: SpareProcess): boolean {
    if (owner === '' || process.parked.length > MOST_THREADS) return false;
    if (systrap.systrapEmpty(process.index) < 0) return false;
    this.#spares.push({ owner, process });
    if (this.#spares.length > MOST_SPARES) this.killProcess(this.#spares.shift()!.process);
    return true;
  }

  killProcess(process: SpareProcess): void {
    systrap.systrapKill(process.index);
    for (const slot of process.parked) this.freeSlot(slot);
    for (const slot of process.dismissed) this.freeSlot(slot);
  }

  /** A thread cloned from `from`, in the same space. */
  cloneThread(from: SystrapContext, slot: number): SystrapContext | number {
    const tid = systrap.systrapThread(from.space.index, from.slot, slot);
    return tid < 0 ? tid : this.attach(new SystrapContext(from.space, slot), from);
  }

  /** As cloneThread, with a thread of the space that is parked in `slot`. */
  reviveThread(from: SystrapContext, slot: number): SystrapContext | number {
    const error = systrap.systrapRevive(from.slot, slot);
    return error < 0 ? error : this.attach(new SystrapContext(from.space, slot), from);
  }

  override letGo(): void {
    systrap.systrapLetGo();
  }

  protected override pollSlot(deadlineNs: number): number {
    return systrap.systrapPoll(deadlineNs);
  }

  override destroy(): void {
    for (const space of [...this.spaces]) space.release();
    for (const { process } of this.#spares.splice(0)) this.killProcess(process);
    super.destroy();
  }
}
