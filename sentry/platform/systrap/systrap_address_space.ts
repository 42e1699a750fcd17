/**
 * One stub process holding one application address space. Its memory thread makes the memory
 * operations: see native/src/systrap/.
 */

import { ptrace } from '../../../native/ptrace.ts';
import { systrap } from '../../../native/systrap.ts';
import { StubAddressSpace } from '../stub/stub_address_space.ts';
import type { SystrapContext } from './systrap_context.ts';
import type { SystrapPlatform } from './systrap_platform.ts';

/** With more mappings, having the host copy them all is cheaper than making them one by one. */
const MOST_MAPPINGS = 200;
/** Threads a space keeps for its next ones. */
const MOST_PARKED = 4;

/** A process without application memory, kept for another space; slots of its threads. */
export interface SpareProcess {
  readonly index: number;
  /** The last is the one to use next. */
  readonly parked: number[];
  /** Ended, or about to. */
  readonly dismissed: number[];
}

export class SystrapAddressSpace extends StubAddressSpace {
  declare readonly platform: SystrapPlatform;
  declare readonly contexts: Set<SystrapContext>;
  /** The index of its process. */
  readonly index: number;
  /** Slots of threads told to end: their pages stay mapped here, so only this process may reuse them. */
  readonly #dismissed: number[];
  /** Slots of threads that wait to be used again. */
  readonly #parked: number[];

  constructor(platform: SystrapPlatform, index: number, spare: SpareProcess | null) {
    const pid = systrap.systrapPid(index);
    super(platform, pid, spare === null ? 0 : ptrace.ptraceProcessCpuNs(pid));
    this.index = index;
    this.#dismissed = spare?.dismissed ?? [];
    this.#parked = spare?.parked ?? [];
  }

  override countWaiter(addr: number, change: 1 | -1): void {
    this.platform.countWaiter(this.index, addr, change);
  }

  override halt(): Iterable<SystrapContext> {
    systrap.systrapHalt(this.index);
    return this.contexts;
  }

  protected override makeOps(count: number): number {
    return systrap.systrapOps(this.index, count);
  }

  protected override makeFork(from: SystrapContext, mappings: number) {
    const spare = mappings > MOST_MAPPINGS ? null : this.platform.useSpare(this.owner, from);
    const made = spare ?? this.platform.cloneProcess(from);
    return typeof made === 'number' ? made : { ...made, empty: spare !== null };
  }

  protected override makeThread(from: SystrapContext): SystrapContext | number {
    const parked = this.#parked.pop();
    if (parked !== undefined) return this.platform.reviveThread(from, parked);
    const kept = this.#takeDismissed();
    const slot = kept >= 0 ? kept : this.platform.takeSlot();
    if (slot < 0) return slot;
    const made = this.platform.cloneThread(from, slot);
    // Its area may be mapped here by now.
    if (typeof made === 'number') this.#dismissed.push(slot);
    return made;
  }

  /** Its slot stays with the process. */
  override threadLeaves(context: SystrapContext): void {
    if (this.owner !== '' && context.isStopped && this.#parked.length < MOST_PARKED) {
      systrap.systrapPark(context.slot);
      this.#parked.push(context.slot);
      return;
    }
    systrap.systrapExit(context.slot);
    this.#dismissed.push(context.slot);
  }

  /** The slot of a thread that has ended since, or -1. */
  #takeDismissed(): number {
    const at = this.#dismissed.findIndex((slot) => systrap.systrapEnded(slot) === 1);
    return at < 0 ? -1 : (this.#dismissed.splice(at, 1)[0] as number);
  }

  protected override end(): void {
    const slots = Array.from(this.contexts, (context) => context.slot);
    const parked = [...slots, ...this.#parked];
    const spare = { index: this.index, parked, dismissed: this.#dismissed };
    const kept = this.#isQuiet() && this.platform.keepSpare(this.owner, spare);
    if (!kept) this.platform.killProcess(spare);
  }

  /** Whether no thread of it runs. */
  #isQuiet(): boolean {
    for (const context of this.contexts) if (!context.isStopped) return false;
    return this.#dismissed.every((slot) => systrap.systrapEnded(slot) === 1);
  }
}
