/**
 * One stub process holding one application address space. Memory operations are queued as host
 * system calls, which the memory thread of the process makes: see native/src/systrap/.
 */

import { systrap } from '../../../native/systrap.ts';
import { ESRCH } from '../../../spec/linux/errno.ts';
import { MAP_FIXED, MAP_PRIVATE, MAP_SHARED } from '../../../spec/linux/mman.ts';
import { SYS_mmap, SYS_mprotect, SYS_munmap } from '../../../spec/linux/syscall_numbers.ts';
import type { AddressSpace } from '../platform.ts';
import { OP_WORDS } from '../ptrace/record.ts';
import type { SystrapContext } from './systrap_context.ts';
import type { SystrapPlatform } from './systrap_platform.ts';

const NUMBERS_PER_OP = OP_WORDS / 2;

export class SystrapAddressSpace implements AddressSpace {
  readonly contexts = new Set<SystrapContext>();
  /** The index of its process. */
  readonly index: number;
  readonly pid: number;
  /** Whether there was ever a second thread. */
  threaded = false;
  readonly #platform: SystrapPlatform;
  /** Slots of threads told to end: their pages stay mapped here, so only this space may reuse them. */
  #dismissed: number[] = [];
  #queue: number[] = [];
  /** The first failure of operations that `resume` or `fork` applied; told by the next flush. */
  #lateError = 0;
  #released = false;

  constructor(platform: SystrapPlatform, index: number) {
    this.#platform = platform;
    this.index = index;
    this.pid = systrap.systrapPid(index);
  }

  map(
    addr: number,
    length: number,
    fd: number,
    offset: number,
    prot: number,
    shared: boolean,
  ): void {
    this.#check(addr, length);
    const flags = MAP_FIXED | (shared ? MAP_SHARED : MAP_PRIVATE);
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

  fork(from: SystrapContext): { space: SystrapAddressSpace; context: SystrapContext } | number {
    this.apply();
    return this.#released || from.isGone ? -ESRCH : this.#platform.cloneProcess(from);
  }

  newContext(from: SystrapContext): SystrapContext | number {
    if (this.#released || from.isGone) return -ESRCH;
    this.threaded = true;
    return this.#platform.cloneThread(from, this.#takeDismissed());
  }

  /** A thread leaves; its slot stays. */
  dismiss(context: SystrapContext): void {
    this.contexts.delete(context);
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
    systrap.systrapKill(this.index);
    for (const context of this.contexts) context.forget();
    for (const slot of this.#dismissed) this.#platform.freeSlot(slot);
    this.contexts.clear();
    this.#dismissed = [];
    this.#platform.spaces.delete(this);
  }
}
