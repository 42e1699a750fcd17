/**
 * One host process holding one application address space. Memory operations are queued as host
 * system calls and made by a thread of the process itself, see native/src/inject.cc.
 */

import { ptrace } from '../../../native/ptrace.ts';
import { ESRCH } from '../../../spec/linux/errno.ts';
import { MAP_FIXED, MAP_POPULATE, MAP_PRIVATE, MAP_SHARED } from '../../../spec/linux/mman.ts';
import { SYS_mmap, SYS_mprotect, SYS_munmap } from '../../../spec/linux/syscall_numbers.ts';
import type { AddressSpace } from '../platform.ts';
import type { PtraceContext } from './ptrace_context.ts';
import type { PtracePlatform } from './ptrace_platform.ts';
import { OP_WORDS } from './record.ts';

const NUMBERS_PER_OP = OP_WORDS / 2;

interface PtraceForked {
  readonly space: PtraceAddressSpace;
  readonly context: PtraceContext;
  readonly empty: boolean;
}

export class PtraceAddressSpace implements AddressSpace {
  readonly contexts = new Set<PtraceContext>();
  /** The host process. */
  readonly pid: number;
  owner = '';
  /** Whether there was ever a second thread. */
  threaded = false;
  readonly #platform: PtracePlatform;
  #queue: number[] = [];
  /** The first failure of operations that `resume` or `fork` applied; told by the next flush. */
  #lateError = 0;
  #released = false;

  constructor(platform: PtracePlatform, pid: number) {
    this.#platform = platform;
    this.pid = pid;
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
    const queue = this.#queue;
    if (queue.length === 0) return;
    this.#queue = [];
    const lender = this.#released ? undefined : this.#lender();
    if (lender === undefined) {
      this.#lateError ||= -ESRCH;
      return;
    }
    const count = queue.length / NUMBERS_PER_OP;
    const capacity = this.#platform.opsCapacity;
    for (let first = 0; first < count; first += capacity) {
      const last = Math.min(first + capacity, count);
      this.#platform.layOps(queue, first, last);
      const error = ptrace.ptraceOps(lender.slot, last - first);
      if (error < 0) this.#lateError ||= error;
    }
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

  fork(from: PtraceContext, _mappings?: number): PtraceForked | number {
    this.apply();
    const made = this.#released ? -ESRCH : this.#platform.cloneProcess(from);
    if (typeof made === 'number') return made;
    made.space.owner = this.owner;
    return { ...made, empty: false };
  }

  newContext(from: PtraceContext): PtraceContext | number {
    if (this.#released) return -ESRCH;
    this.threaded = true;
    return this.#platform.cloneThread(from);
  }

  release(): void {
    if (this.#released) return;
    this.#released = true;
    ptrace.ptraceKill(
      this.pid,
      Int32Array.from(this.contexts, (context) => context.slot),
    );
    for (const context of this.contexts) context.forget();
    this.contexts.clear();
    this.#platform.spaces.delete(this);
  }
}
