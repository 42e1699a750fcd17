/**
 * One stub process holding one application address space. Memory operations are queued as host
 * system calls, which the memory thread of the process makes: see native/src/systrap/.
 */

import { ptrace } from '../../../native/ptrace.ts';
import { systrap } from '../../../native/systrap.ts';
import { ESRCH } from '../../../spec/linux/errno.ts';
import { MAP_FIXED, MAP_POPULATE, MAP_PRIVATE, MAP_SHARED } from '../../../spec/linux/mman.ts';
import { SYS_mmap, SYS_mprotect, SYS_munmap } from '../../../spec/linux/syscall_numbers.ts';
import type { AddressSpace } from '../platform.ts';
import { OP_WORDS } from '../ptrace/record.ts';
import type { SystrapContext } from './systrap_context.ts';
import type { SystrapPlatform } from './systrap_platform.ts';

const NUMBERS_PER_OP = OP_WORDS / 2;
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

interface SystrapForked {
  readonly space: SystrapAddressSpace;
  readonly context: SystrapContext;
  readonly empty: boolean;
}

export class SystrapAddressSpace implements AddressSpace {
  readonly contexts = new Set<SystrapContext>();
  /** The index of its process. */
  readonly index: number;
  readonly pid: number;
  owner = '';
  /** Whether there was ever a second thread. */
  threaded = false;
  /** The processor time of its process when it became this space's. */
  readonly cpuBaseNs: number;
  readonly #platform: SystrapPlatform;
  /** Slots of threads told to end: their pages stay mapped here, so only this process may reuse them. */
  readonly #dismissed: number[];
  /** Slots of threads that wait to be used again. */
  readonly #parked: number[];
  #queue: number[] = [];
  /** The first failure of operations that `resume` or `fork` applied; told by the next flush. */
  #lateError = 0;
  #released = false;

  constructor(platform: SystrapPlatform, index: number, spare: SpareProcess | null) {
    this.#platform = platform;
    this.index = index;
    this.pid = systrap.systrapPid(index);
    this.#dismissed = spare?.dismissed ?? [];
    this.#parked = spare?.parked ?? [];
    this.cpuBaseNs = spare === null ? 0 : ptrace.ptraceProcessCpuNs(this.pid);
  }

  map(
    addr: number,
    length: number,
    fd: number,
    offset: number,
    prot: number,
    shared: boolean,
    populate = false,
  ): void {
    this.#check(addr, length);
    const kind = shared ? MAP_SHARED : MAP_PRIVATE;
    const flags = MAP_FIXED | kind | (populate ? MAP_POPULATE : 0);
    this.#queue.push(SYS_mmap, addr, length, prot, flags, fd, offset);
  }

  unmap(addr: number, length: number): void {
    this.#check(addr, length);
    this.#queue.push(SYS_munmap, addr, length, 0, 0, 0, 0);
  }

  protect(addr: number, length: number, prot: number): void {
    this.#check(addr, length);
    this.#queue.push(SYS_mprotect, addr, length, prot, 0, 0, 0);
  }

  /** The stub must not be touched: an operation outside the application's part is a bug of ours. */
  #check(addr: number, length: number): void {
    const inside = addr >= 0 && length > 0 && addr + length <= this.#platform.taskSize;
    if (!inside) throw new Error(`operation outside of the address space: ${addr} + ${length}`);
  }

  flush(): number {
    this.apply();
    const error = this.#lateError;
    this.#lateError = 0;
    return error;
  }

  /** Makes the queued operations, keeping the first failure for `flush`. */
  apply(): void {
    if (this.#queue.length === 0) return;
    const queue = this.#queue;
    this.#queue = [];
    if (this.#released) {
      this.#lateError ||= -ESRCH;
      return;
    }
    const count = queue.length / NUMBERS_PER_OP;
    const capacity = this.#platform.opsCapacity;
    for (let first = 0; first < count; first += capacity) {
      const last = Math.min(first + capacity, count);
      this.#platform.stageOps(queue, first, last);
      const error = systrap.systrapOps(this.index, last - first);
      if (error < 0) this.#lateError ||= error;
    }
  }

  fork(from: SystrapContext, mappings = Number.POSITIVE_INFINITY): SystrapForked | number {
    this.apply();
    if (this.#released || from.isGone) return -ESRCH;
    const spare = mappings > MOST_MAPPINGS ? null : this.#platform.useSpare(this.owner, from);
    const made = spare ?? this.#platform.cloneProcess(from);
    if (typeof made === 'number') return made;
    made.space.owner = this.owner;
    return { ...made, empty: spare !== null };
  }

  newContext(from: SystrapContext): SystrapContext | number {
    if (this.#released || from.isGone) return -ESRCH;
    this.threaded = true;
    const parked = this.#parked.pop();
    if (parked !== undefined) return this.#platform.reviveThread(from, parked);
    const slot = this.#platform.threadSlot(this.#takeDismissed());
    if (slot < 0) return slot;
    const made = this.#platform.cloneThread(from, slot);
    // Its area may be mapped here by now.
    if (typeof made === 'number') this.#dismissed.push(slot);
    return made;
  }

  /** A thread leaves; its slot stays. */
  dismiss(context: SystrapContext): void {
    this.contexts.delete(context);
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

  release(): void {
    if (this.#released) return;
    this.#released = true;
    this.#platform.spaces.delete(this);
    const slots = [...this.contexts].map((context) => context.slot);
    const all = [...slots, ...this.#parked];
    const spare = { index: this.index, parked: all, dismissed: this.#dismissed };
    const kept = this.#isQuiet() && this.#platform.keepSpare(this.owner, spare);
    for (const context of this.contexts) context.forget();
    this.contexts.clear();
    if (!kept) this.#platform.killProcess(spare);
  }

  /** Whether no thread of it runs. */
  #isQuiet(): boolean {
    for (const context of this.contexts) if (!context.isStopped) return false;
    return this.#dismissed.every((slot) => systrap.systrapEnded(slot) === 1);
  }
}
