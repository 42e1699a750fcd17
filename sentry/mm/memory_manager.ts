/**
 * MemoryManager: one application address space (Linux's mm_struct). It keeps what was asked for
 * (Vmas), what backs it (Pmas) and what the host maps (through the platform's AddressSpace) in step.
 * Shared by all tasks made with CLONE_VM.
 *
 * The invariant: the host maps exactly the intersections of Vmas that allow any access with Pmas,
 * with the Vma's protection, less PROT_WRITE where the Pma is copy-on-write.
 *
 * The operations are in files of their own, by noun; this one holds the state and the public face.
 * Every public operation applies its host changes before it returns (`commit`), because pages may be
 * given to a new owner only when no thread of this application can see them any more.
 */

import { RangeMap } from '../base/range_map.ts';
import type { AddressSpace, Context, Registers } from '../platform/platform.ts';
import { brk } from './brk.ts';
import {
  type CallSites,
  forgetText,
  ILLEGAL,
  leaveTrampoline,
  mendCopy,
  replacedInstruction,
  takeBackPatches,
} from './call_sites.ts';
import { catchUp, type Deferred, splitDeferred } from './deferred.ts';
import { fault, prefault } from './fault.ts';
import { forkMemory } from './fork.ts';
import { type FutexKey, futexKey } from './futex_key.ts';
import type { Location } from './io_buffer.ts';
import { accessibleBytes, locate } from './locate.ts';
import { madvise } from './madvise.ts';
import type { Mappable, Mapper } from './mappable.ts';
import { invalidateFile } from './mapping.ts';
import { type MemoryFile, Reservation } from './memory_file.ts';
import { lockAll, lockRange, unlockRange } from './mlock.ts';
import { type MmapRequest, mmap, munmap } from './mmap.ts';
import { mprotect } from './mprotect.ts';
import { mremap } from './mremap.ts';
import { mincore, msync } from './msync.ts';
import type { PatchedTexts } from './patched_text.ts';
import { mapAllPatches, patchCallSite } from './patching.ts';
import { place, SearchStart } from './placement.ts';
import { DroppedPages, newPmaMap, type PmaMap } from './pma.ts';
import type { TouchHistory } from './touch_history.ts';
import { type MemoryUsage, memoryUsage, residentEstimate } from './usage.ts';
import { type HostFileAccess, UserMemory } from './user_memory.ts';
import { newVmaMap, type VmaMap } from './vma.ts';
import type { WriteHistory } from './write_history.ts';

/** Soft limits in bytes (Infinity for none), read at each check. */
export interface MemoryLimits {
  /** RLIMIT_AS, RLIMIT_DATA, RLIMIT_STACK, RLIMIT_MEMLOCK: the soft limit. */
  rlimit(resource: number): number;
  /** CAP_IPC_LOCK. */
  readonly mayLock: boolean;
}

/** Where things go in an address space; chosen by the loader (layout.ts). */
export interface MemoryLayout {
  /** Mappings are placed downwards from here. */
  readonly mmapBase: number;
  /** Lowest address that mmap may use (vm.mmap_min_addr). */
  readonly minAddress: number;
}

/** What a short program makes of them, and about what mapping its patched text costs. */
const CALLS_BEFORE_PATCHES = 64;

export class MemoryManager extends UserMemory implements Mapper {
  readonly space: AddressSpace;
  /** One past the highest application address. */
  readonly taskSize: number;
  readonly vmas: VmaMap;
  readonly searchStart = new SearchStart();
  readonly pmas: PmaMap;
  readonly dropped = new DroppedPages();
  /** Pages the host may still map because it refused a change: kept to the end. */
  private readonly stuck = new DroppedPages();
  /** Mappings the host has yet to be told of: see deferred.ts. */
  readonly deferred = new RangeMap<Deferred>(splitDeferred);
  /** Null before the first fork(2). */
  writeHistory: WriteHistory | null = null;
  touchHistory: TouchHistory | null = null;
  /** What is patched in files, for all address spaces. */
  readonly patchedTexts: PatchedTexts;
  /** Null before the first is patched. */
  callSites: CallSites | null = null;
  /** System calls to be made here before patched text is mapped: what for a few would be dearer than those. */
  callsBeforePatches = CALLS_BEFORE_PATCHES;
  layout: MemoryLayout;
  /** Of the thread group that runs here. */
  limits: MemoryLimits;

  /** The heap: [brkStart, brkEnd). Set by the loader. */
  brkStart = 0;
  brkEnd = 0;
  readonly heapPages = new Reservation();
  /** Kept up to date for RLIMIT_AS and RLIMIT_MEMLOCK. */
  mappedBytes = 0;
  lockedBytes = 0;
  /** VM_LOCKED when mlockall(MCL_FUTURE) is in force. */
  futureFlags = 0;

  /** For /proc/PID/{cmdline,environ,auxv,stat}; set by the loader and prctl(PR_SET_MM). */
  codeStart = 0;
  codeEnd = 0;
  dataStart = 0;
  dataEnd = 0;
  stackStart = 0;
  argStart = 0;
  argEnd = 0;
  envStart = 0;
  envEnd = 0;
  auxv: Uint8Array = new Uint8Array(0);

  private peakBytes = 0;

  /** Faults that were answered by trying again, since the last change: see fault.ts. */
  readonly retriedFaults = new Set<number>();

  private users = 1;
  /** Above zero while a batch is being built; see `beginBatch`. */
  private batchDepth = 0;

  constructor(
    space: AddressSpace,
    memory: MemoryFile,
    hostFiles: HostFileAccess,
    taskSize: number,
    layout: MemoryLayout,
    limits: MemoryLimits,
    patchedTexts: PatchedTexts,
  ) {
    super(memory, hostFiles);
    this.space = space;
    this.taskSize = taskSize;
    this.layout = layout;
    this.limits = limits;
    this.patchedTexts = patchedTexts;
    this.vmas = newVmaMap((upper) => upper.file?.addMapping(this));
    this.pmas = newPmaMap();
  }

  // Life -------------------------------------------------------------------------------------

  /** One more task or /proc reader uses this address space. */
  retain(): this {
    if (this.users <= 0) throw new Error('address space used after its release');
    this.users++;
    return this;
  }

  /** The last release ends the host address space and gives all pages back. */
  release(): void {
    if (--this.users > 0) return;
    if (this.users < 0) throw new Error('address space released twice');
    this.space.release();
    for (const vma of this.vmas.items) vma.file?.removeMapping(this);
    for (const pma of this.pmas.items) this.dropped.addPma(pma);
    this.vmas.clear();
    this.pmas.clear();
    this.deferred.clear();
    this.callSites?.release();
    this.heapPages.drop(this.memory);
    this.dropped.release(this.memory);
    this.stuck.release(this.memory);
    this.mappedBytes = 0;
    this.lockedBytes = 0;
    this.changed();
  }

  /** No task is left: accesses give -EFAULT. */
  get dead(): boolean {
    return this.users <= 0;
  }

  /** How many hold it: 1 means that nobody else shares this address space. */
  get userCount(): number {
    return this.users;
  }

  /**
   * A copy for fork(2) and its like: pages are shared and copied at the first write. `from` is the
   * stopped context of the calling thread.
   */
  fork(from: Context): { readonly mm: MemoryManager; readonly context: Context } | number {
    catchUp(this);
    return forkMemory(this, from);
  }

  // Keeping the host in step -----------------------------------------------------------------

  /** Vmas or Pmas changed: forget what was looked up. */
  changed(): void {
    this.flushTlb();
    if (this.retriedFaults.size > 0) this.retriedFaults.clear();
  }

  /**
   * Between beginBatch and endBatch host changes are only queued. For execve(2), where no thread runs
   * in the address space yet.
   */
  beginBatch(): void {
    this.batchDepth++;
  }

  get batching(): boolean {
    return this.batchDepth > 0;
  }

  endBatch(): number {
    this.batchDepth--;
    return this.commit();
  }

  /** Applies queued host changes, then frees the pages they took away. 0 or -errno. */
  commit(): number {
    if (this.batchDepth > 0) return 0;
    const result = this.space.flush();
    if (this.dropped.empty) return result;
    if (result < 0) this.dropped.moveTo(this.stuck);
    else this.dropped.release(this.memory);
    return result;
  }

  // System calls: 0 or the result, or -errno ---------------------------------------------------

  /** mmap(2). The caller has resolved the descriptor and checked its access mode. */
  mmap(request: MmapRequest): number {
    return mmap(this, request);
  }

  munmap(addr: number, length: number): number {
    return munmap(this, addr, length);
  }

  mprotect(addr: number, length: number, prot: number): number {
    catchUp(this);
    takeBackPatches(this, addr, addr + length);
    return mprotect(this, addr, length, prot);
  }

  mremap(addr: number, oldSize: number, newSize: number, flags: number, newAddr: number): number {
    catchUp(this);
    takeBackPatches(this, addr, addr + oldSize);
    return mremap(this, addr, oldSize, newSize, flags, newAddr);
  }

  madvise(addr: number, length: number, advice: number): number {
    catchUp(this);
    takeBackPatches(this, addr, addr + length);
    return madvise(this, addr, length, advice);
  }

  /** brk(2): the new or the unchanged end of the heap. */
  brk(addr: number): number {
    return brk(this, addr);
  }

  msync(addr: number, length: number, flags: number): number {
    return msync(this, addr, length, flags);
  }

  mincore(addr: number, length: number, vector: number): number {
    return mincore(this, addr, length, vector);
  }

  /** mlock(2), mlock2(2). */
  mlock(addr: number, length: number): number {
    catchUp(this);
    return lockRange(this, addr, length);
  }

  munlock(addr: number, length: number): number {
    return unlockRange(this, addr, length);
  }

  mlockall(flags: number): number {
    catchUp(this);
    return lockAll(this, flags);
  }

  munlockall(): number {
    return lockAll(this, 0);
  }

  /** A free range of `length` bytes, at `hint` (0: none) if that is free, or -ENOMEM. */
  findRoom(hint: number, length: number): number {
    return place(this, hint, length, false);
  }

  // Faults and lookups -----------------------------------------------------------------------

  /** See fault.ts: FAULT_HANDLED, or which signal to send. */
  fault(addr: number, access: number): number {
    return fault(this, addr, access);
  }

  /** Backs [start, end) as far as that goes, as MAP_POPULATE wants. */
  prefault(start: number, end: number): void {
    catchUp(this);
    prefault(this, start, end);
  }

  /** Where a futex at `addr` sleeps, or -EFAULT. */
  futexKey(addr: number, isPrivate: boolean): FutexKey | number {
    return futexKey(this, addr, isPrivate);
  }

  override locate(addr: number, length: number, write: boolean, into: Location): number {
    return locate(this, addr, length, write, into);
  }

  protected override accessible(addr: number, length: number, write: boolean): number {
    return accessibleBytes(this, addr, length, write);
  }

  /** One more of `callsBeforePatches` is made. */
  countCall(): void {
    if (--this.callsBeforePatches === 0) mapAllPatches(this);
  }

  /** See call_sites.ts. `regs` are those of a system call, `entry` is Platform.callEntry. */
  patchCallSite(regs: Registers, entry: number): string {
    return patchCallSite(this, regs, entry);
  }

  /** ILLEGAL and the like (call_sites.ts): what an illegal instruction was before a patch. */
  replacedInstruction(regs: Registers): number {
    return this.callSites === null ? ILLEGAL : replacedInstruction(this, regs);
  }

  mendCopy(regs: Registers): boolean {
    return this.callSites !== null && mendCopy(this, regs);
  }

  leaveTrampoline(regs: Registers): void {
    if (this.callSites !== null) leaveTrampoline(this, regs);
  }

  usage(): MemoryUsage {
    const usage = memoryUsage(this);
    this.peakBytes = Math.max(this.peakBytes, usage.resident);
    return usage;
  }

  /** The most that was resident at any look, this one included, which is a cheap one. */
  get peakRssBytes(): number {
    this.peakBytes = Math.max(this.peakBytes, residentEstimate(this));
    return this.peakBytes;
  }

  written(file: Mappable): void {
    if (this.callSites === null) return;
    forgetText(this, file);
    this.commit();
  }

  invalidate(file: Mappable, start: number, end: number, evenPrivate: boolean): void {
    invalidateFile(this, file, start, end, evenPrivate);
  }
}
