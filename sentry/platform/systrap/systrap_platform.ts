/**
 * The systrap platform: every application thread is a thread of a stub process whose system calls
 * the host turns into signals (seccomp(2), SECCOMP_RET_TRAP). A handler in the stub hands each to the
 * Sentry through shared memory. Needs no privilege and no ptrace. One per Sentry process, and only in
 * a process that has no other children.
 *
 * Descriptors passed to `AddressSpace.map` are this process's own: stub processes share its
 * descriptor table, so a descriptor must stay open until the operation has been flushed.
 */

import { kill, wait4 } from '../../../native/process.ts';
import { type SystrapShared, systrap } from '../../../native/systrap.ts';
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
} from '../ptrace/record.ts';
import { type SpareProcess, SystrapAddressSpace } from './systrap_address_space.ts';
import { SystrapContext } from './systrap_context.ts';

const WALL = 0x40000000;
/** Processes kept for later spaces, and how many threads one of them may have. */
const MOST_SPARES = 8;
const MOST_THREADS = 6;

interface Made {
  readonly space: SystrapAddressSpace;
  readonly context: SystrapContext;
}

export class SystrapPlatform implements Platform {
  readonly name = 'systrap';
  readonly taskSize: number;
  readonly callEntry: number;
  readonly fpStateSize: number;
  readonly hostPoller: EpollHostPoller;
  /** The shared memory as words: the header, then a record for each slot. */
  readonly words: Uint32Array;
  readonly spaces = new Set<SystrapAddressSpace>();
  readonly #firstRecord: number;
  readonly #ops: Uint32Array;
  readonly #templatePid: number;
  readonly #contexts: (SystrapContext | null)[] = [];
  readonly #freeSlots: number[] = [];
  readonly #spares: { readonly owner: string; readonly process: SpareProcess }[] = [];
  readonly #maxSlots: number;

  private constructor(shared: SystrapShared) {
    this.taskSize = shared.taskSize;
    this.callEntry = shared.callEntry;
    this.fpStateSize = shared.fpStateSize;
    this.words = new Uint32Array(shared.shared);
    this.#ops = new Uint32Array(shared.ops);
    this.#maxSlots = shared.maxSlots;
    this.#firstRecord = HEADER_SLOTS + shared.maxSlots;
    this.#templatePid = shared.templatePid;
    this.hostPoller = new EpollHostPoller(shared.epollFd);
  }

  /** Starts the platform, or tells why it cannot run here. Once per process. */
  static create(): SystrapPlatform | string {
    const shared = systrap.systrapStart();
    return typeof shared === 'string' ? shared : new SystrapPlatform(shared);
  }

  newAddressSpace(owner = ''): Made | number {
    const made = this.useSpare(owner, null) ?? this.cloneProcess(null);
    if (typeof made !== 'number') made.space.owner = owner;
    return made;
  }

  /** A process forked from `from`'s, or from the empty template. */
  cloneProcess(from: SystrapContext | null): Made | number {
    const slot = this.#takeSlot();
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
    this.spaces.add(space);
    return { space, context: this.#bind(space, slot, from) };
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

  /** `kept`, a slot of the space, or if that is -1 a free one; or -ENOMEM. */
  threadSlot(kept: number): number {
    return kept >= 0 ? kept : this.#takeSlot();
  }

  /** A thread cloned from `from`, in the same space. */
  cloneThread(from: SystrapContext, slot: number): SystrapContext | number {
    const tid = systrap.systrapThread(from.space.index, from.slot, slot);
    return tid < 0 ? tid : this.#bind(from.space, slot, from);
  }

  /** As cloneThread, with a thread of the space that is parked in `slot`. */
  reviveThread(from: SystrapContext, slot: number): SystrapContext | number {
    const error = systrap.systrapRevive(from.slot, slot);
    return error < 0 ? error : this.#bind(from.space, slot, from);
  }

  #bind(space: SystrapAddressSpace, slot: number, from: SystrapContext | null): SystrapContext {
    const context = new SystrapContext(this, space, slot, this.recordBase(slot));
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

  /** No context is in `slot` any more; its process keeps it. */
  detach(slot: number): void {
    this.#contexts[slot] = null;
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
  stageOps(queue: readonly number[], first: number, last: number): void {
    const per = OP_WORDS / 2;
    let at = 0;
    for (let i = first * per; i < last * per; i++) {
      const value = queue[i] as number;
      this.#ops[at++] = value;
      this.#ops[at++] = Math.floor(value / 2 ** 32);
    }
  }

  poll(deadlineNs: number): SystrapContext | null {
    for (;;) {
      const slot = systrap.systrapPoll(deadlineNs);
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
    for (const { process } of this.#spares.splice(0)) this.killProcess(process);
    kill(this.#templatePid, SIGKILL);
    for (;;) {
      const ended = wait4(-1, WALL);
      if (typeof ended === 'number') return;
    }
  }
}
