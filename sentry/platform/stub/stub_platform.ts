/**
 * What the ptrace and the systrap platform are alike in: application threads are threads of stub
 * processes, each has a slot and in it a record that native code shares with us (record.ts). Only in
 * a process that has no other children; one per process.
 *
 * Descriptors passed to `AddressSpace.map` are this process's own: stub processes share its
 * descriptor table, so a descriptor must stay open until the operation has been flushed.
 */

import { kill, wait4 } from '../../../native/process.ts';
import type { PtraceShared } from '../../../native/ptrace.ts';
import { ENOMEM } from '../../../spec/linux/errno.ts';
import { SIGKILL } from '../../../spec/linux/signal.ts';
import { EpollHostPoller } from '../epoll_host_poller.ts';
import type { Platform } from '../platform.ts';
import {
  HEADER_RESUMING,
  HEADER_RUNNING,
  HEADER_SLOTS,
  OP_WORDS,
  RECORD_STATE,
  RECORD_WORDS,
  STATE_STOPPED,
} from './record.ts';
import type { StubAddressSpace } from './stub_address_space.ts';
import type { StubContext } from './stub_context.ts';

const WALL = 0x40000000;

export interface MadeSpace {
  readonly space: StubAddressSpace;
  readonly context: StubContext;
}

export abstract class StubPlatform implements Platform {
  abstract readonly name: Platform['name'];
  readonly taskSize: number;
  readonly callEntry: number;
  readonly fpStateSize: number;
  readonly hostPoller: EpollHostPoller;
  /** The shared memory as words: the header, then a record for each slot. */
  readonly words: Uint32Array;
  readonly spaces = new Set<StubAddressSpace>();
  readonly #firstRecord: number;
  readonly #ops: Uint32Array;
  readonly #templatePid: number;
  readonly #contexts: (StubContext | null)[] = [];
  readonly #freeSlots: number[] = [];
  readonly #maxSlots: number;

  constructor(shared: PtraceShared, callEntry: number, beforeDrain?: () => void) {
    this.taskSize = shared.taskSize;
    this.callEntry = callEntry;
    this.fpStateSize = shared.fpStateSize;
    this.words = new Uint32Array(shared.shared);
    this.#ops = new Uint32Array(shared.ops);
    this.#maxSlots = shared.maxSlots;
    this.#firstRecord = HEADER_SLOTS + shared.maxSlots;
    this.#templatePid = shared.templatePid;
    this.hostPoller = new EpollHostPoller(shared.epollFd, beforeDrain);
  }

  newAddressSpace(owner = ''): MadeSpace | number {
    const made = this.makeSpace(owner);
    if (typeof made !== 'number') made.space.owner = owner;
    return made;
  }

  answerFutexes(): void {}

  protected abstract makeSpace(owner: string): MadeSpace | number;

  /** A free slot, or -ENOMEM. */
  takeSlot(): number {
    const free = this.#freeSlots.pop();
    if (free !== undefined) return free;
    if (this.#contexts.length >= this.#maxSlots) return -ENOMEM;
    this.#contexts.push(null);
    return this.#contexts.length - 1;
  }

  freeSlot(slot: number): void {
    this.#contexts[slot] = null;
    this.#freeSlots.push(slot);
  }

  /** Puts a new context in its slot; its registers are those of `from`, or zero. */
  attach<C extends StubContext>(context: C, from: StubContext | null): C {
    const { regs } = context;
    if (from === null) this.words.fill(0, regs.base, regs.base + RECORD_STATE);
    else regs.copyFrom(from.regs);
    this.#contexts[context.slot] = context;
    context.space.contexts.add(context);
    return context;
  }

  /** No context is in `slot` any more. */
  detach(slot: number): void {
    this.#contexts[slot] = null;
  }

  recordBase(slot: number): number {
    return this.#firstRecord + slot * RECORD_WORDS;
  }

  queueResume(slot: number): void {
    const count = this.words[HEADER_RESUMING] as number;
    if (count >= this.#maxSlots) throw new Error('more resumes than threads since the last poll');
    this.words[HEADER_SLOTS + count] = slot;
    this.words[HEADER_RESUMING] = count + 1;
  }

  /** How many operations one list holds. */
  get opsCapacity(): number {
    return Math.floor(this.#ops.length / OP_WORDS);
  }

  /** Copies operations [first, last) of a queue into the list. */
  layOps(queue: readonly number[], first: number, last: number): void {
    const per = OP_WORDS / 2;
    let at = 0;
    for (let i = first * per; i < last * per; i++) {
      const value = queue[i] as number;
      this.#ops[at++] = value;
      this.#ops[at++] = Math.floor(value / 2 ** 32);
    }
  }

  letGo(): void {}

  poll(deadlineNs: number): StubContext | null {
    for (;;) {
      const slot = this.pollSlot(deadlineNs);
      if (slot < 0) return null;
      const context = this.#contexts[slot];
      // Released, or resumed again, since the stop was noted.
      if (!context || this.words[this.recordBase(slot) + RECORD_STATE] !== STATE_STOPPED) continue;
      context.takeStop();
      return context;
    }
  }

  /** The next stopped slot, or -1. */
  protected abstract pollSlot(deadlineNs: number): number;

  get running(): number {
    return (this.words[HEADER_RUNNING] as number) + (this.words[HEADER_RESUMING] as number);
  }

  destroy(): void {
    for (const space of [...this.spaces]) space.release();
    kill(this.#templatePid, SIGKILL);
    for (;;) {
      const ended = wait4(-1, WALL);
      if (typeof ended === 'number') return;
    }
  }
}
