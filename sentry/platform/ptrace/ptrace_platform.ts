/**
 * The ptrace platform: every application thread is a thread of a traced host process, see ptrace(2).
 * Needs no privilege. One per Sentry process, and only in a process that has no other children.
 *
 * Descriptors passed to `AddressSpace.map` are this process's own: application processes share its
 * descriptor table, so a descriptor must stay open until the operation has been flushed.
 */

import { kill, wait4 } from '../../../native/process.ts';
import { type PtraceShared, ptrace } from '../../../native/ptrace.ts';
import { ENOMEM } from '../../../spec/linux/errno.ts';
import { SIGKILL } from '../../../spec/linux/signal.ts';
import { EpollHostPoller } from '../epoll_host_poller.ts';
import type { Platform } from '../platform.ts';
import { PtraceAddressSpace } from './ptrace_address_space.ts';
import { PtraceContext } from './ptrace_context.ts';
import {
  HEADER_RESUMING,
  HEADER_RUNNING,
  HEADER_SLOTS,
  OP_WORDS,
  RECORD_STATE,
  RECORD_WORDS,
  STATE_STOPPED,
} from './record.ts';

const WNOHANG = 1;
const WALL = 0x40000000;

export class PtracePlatform implements Platform {
  readonly name = 'ptrace';
  readonly taskSize: number;
  readonly callEntry: number = 0;
  readonly fpStateSize: number;
  readonly hostPoller: EpollHostPoller;
  /** The shared memory as words: the header, then a record for each slot. */
  readonly words: Uint32Array;
  readonly spaces = new Set<PtraceAddressSpace>();
  readonly #firstRecord: number;
  readonly #ops: Uint32Array;
  readonly #templatePid: number;
  readonly #contexts: (PtraceContext | null)[] = [];
  readonly #freeSlots: number[] = [];
  readonly #maxSlots: number;

  private constructor(shared: PtraceShared) {
    this.taskSize = shared.taskSize;
    this.fpStateSize = shared.fpStateSize;
    this.words = new Uint32Array(shared.shared);
    this.#ops = new Uint32Array(shared.ops);
    this.#maxSlots = shared.maxSlots;
    this.#firstRecord = HEADER_SLOTS + shared.maxSlots;
    this.#templatePid = shared.templatePid;
    this.hostPoller = new EpollHostPoller(shared.epollFd, () => ptrace.doorbellAnswer());
  }

  /** Starts the platform; -errno when the host does not let us trace. Once per process. */
  static create(): PtracePlatform | number {
    const shared = ptrace.ptraceStart();
    return typeof shared === 'number' ? shared : new PtracePlatform(shared);
  }

  newAddressSpace(owner = ''): { space: PtraceAddressSpace; context: PtraceContext } | number {
    const made = this.cloneProcess(null);
    if (typeof made !== 'number') made.space.owner = owner;
    return made;
  }

  /** A process forked from `from`'s, or from the empty template. */
  cloneProcess(
    from: PtraceContext | null,
  ): { space: PtraceAddressSpace; context: PtraceContext } | number {
    const slot = this.#takeSlot();
    if (slot < 0) return slot;
    const pid = ptrace.ptraceClone(from === null ? -1 : from.slot, slot, 0);
    if (pid < 0) {
      this.freeSlot(slot);
      return pid;
    }
    const space = new PtraceAddressSpace(this, pid);
    this.spaces.add(space);
    return { space, context: this.#bind(space, slot, from) };
  }

  /** A thread cloned from `from`, in the same space. */
  cloneThread(from: PtraceContext): PtraceContext | number {
    const slot = this.#takeSlot();
    if (slot < 0) return slot;
    const tid = ptrace.ptraceClone(from.slot, slot, 1);
    if (tid < 0) {
      this.freeSlot(slot);
      return tid;
    }
    return this.#bind(from.space, slot, from);
  }

  #bind(space: PtraceAddressSpace, slot: number, from: PtraceContext | null): PtraceContext {
    const context = new PtraceContext(this, space, slot, this.recordBase(slot));
    if (from === null) this.words.fill(0, context.regs.base, context.regs.base + RECORD_STATE);
    else context.regs.copyFrom(from.regs);
    this.#contexts[slot] = context;
    space.contexts.add(context);
    return context;
  }

  #takeSlot(): number {
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

  poll(deadlineNs: number): PtraceContext | null {
    for (;;) {
      const slot = ptrace.ptracePoll(deadlineNs);
      if (slot < 0) return null;
      const context = this.#contexts[slot];
      // Released, or resumed again, since the stop was noted.
      if (!context || this.words[this.recordBase(slot) + RECORD_STATE] !== STATE_STOPPED) continue;
      context.takeStop();
      return context;
    }
  }

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

  /** Takes in the ends of processes that were killed, so that they do not stay zombies. */
  reap(): void {
    for (;;) {
      const ended = wait4(-1, WALL | WNOHANG);
      if (typeof ended === 'number' || ended.pid === 0) return;
    }
  }
}
