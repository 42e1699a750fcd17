/**
 * One stub process holding one application address space. Memory operations are queued as host
 * system calls, which the process itself makes.
 */

import { ESRCH } from '../../../spec/linux/errno.ts';
import { MAP_FIXED, MAP_POPULATE, MAP_PRIVATE, MAP_SHARED } from '../../../spec/linux/mman.ts';
import { SYS_mmap, SYS_mprotect, SYS_munmap } from '../../../spec/linux/syscall_numbers.ts';
import type { AddressSpace } from '../platform.ts';
import { OP_WORDS } from './record.ts';
import type { StubContext } from './stub_context.ts';
import type { MadeSpace, StubPlatform } from './stub_platform.ts';

const NUMBERS_PER_OP = OP_WORDS / 2;

interface ForkedSpace extends MadeSpace {
  readonly empty: boolean;
}

export abstract class StubAddressSpace implements AddressSpace {
  readonly platform: StubPlatform;
  readonly contexts = new Set<StubContext>();
  /** The host process. */
  readonly pid: number;
  owner = '';
  /** Whether there was ever a second thread. */
  threaded = false;
  /** The processor time of its process when it became this space's. */
  readonly cpuBaseNs: number;
  #queue: number[] = [];
  /** The first failure of operations that `resume` or `fork` applied; told by the next flush. */
  #lateError = 0;
  #released = false;

  constructor(platform: StubPlatform, pid: number, cpuBaseNs: number) {
    this.platform = platform;
    this.pid = pid;
    this.cpuBaseNs = cpuBaseNs;
    platform.spaces.add(this);
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

  halt(): Iterable<StubContext> {
    return this.contexts;
  }

  countWaiter(_addr: number, _change: 1 | -1): void {}

  /** The stub must not be touched: an operation outside the application's part is a bug of ours. */
  #check(addr: number, length: number): void {
    const inside = addr >= 0 && length > 0 && addr + length <= this.platform.taskSize;
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
    if (this.#queue.length > 0) this.#applyQueue();
  }

  #applyQueue(): void {
    const queue = this.#queue;
    this.#queue = [];
    if (this.#released) {
      this.#lateError ||= -ESRCH;
      return;
    }
    const count = queue.length / NUMBERS_PER_OP;
    const capacity = this.platform.opsCapacity;
    for (let first = 0; first < count; first += capacity) {
      const last = Math.min(first + capacity, count);
      this.platform.layOps(queue, first, last);
      const error = this.makeOps(last - first);
      if (error < 0) this.#lateError ||= error;
    }
  }

  /** Has the process make the first `count` operations of the platform's list: 0 or the first -errno. */
  protected abstract makeOps(count: number): number;

  fork(from: StubContext, mappings = Number.POSITIVE_INFINITY): ForkedSpace | number {
    this.apply();
    if (this.#released || from.isGone) return -ESRCH;
    const made = this.makeFork(from, mappings);
    if (typeof made !== 'number') made.space.owner = this.owner;
    return made;
  }

  protected abstract makeFork(from: StubContext, mappings: number): ForkedSpace | number;

  newContext(from: StubContext): StubContext | number {
    if (this.#released || from.isGone) return -ESRCH;
    this.threaded = true;
    return this.makeThread(from);
  }

  protected abstract makeThread(from: StubContext): StubContext | number;

  /** A thread, not the last one, is wanted no more: it ends, or waits for another context. */
  abstract threadLeaves(context: StubContext): void;

  release(): void {
    if (this.#released) return;
    this.#released = true;
    this.platform.spaces.delete(this);
    this.end();
    for (const context of this.contexts) context.forget();
    this.contexts.clear();
  }

  /** Ends the process or keeps it for later, and with it the slots of all its threads. */
  protected abstract end(): void;
}
