/**
 * For tests: a host made of arrays. FakeSpace is an AddressSpace that keeps one entry per page;
 * `load` and `store` touch memory as an application would, taking faults to the MemoryManager.
 */

import { PAGE_SIZE, PROT_NONE, PROT_WRITE } from '../../spec/linux/mman.ts';
import type { AddressSpace, Context, ForkedSpace } from '../platform/platform.ts';
import { FAULT_HANDLED } from './fault.ts';
import type { MemoryFileHost } from './free_space.ts';
import { type Extent, type Mappable, type Mapper, MappingSet } from './mappable.ts';
import { hostProt } from './mapping.ts';
import { MemoryFile } from './memory_file.ts';
import { type MemoryLimits, MemoryManager } from './memory_manager.ts';
import { pageCeil } from './page.ts';
import { PatchedTexts } from './patched_text.ts';
import { isShared } from './vma.ts';

export const MEMORY_FD = 100;
const HUGE_FD = 101;
export const TASK_SIZE = 2 ** 47 - 2 * PAGE_SIZE;

interface HostPage {
  fd: number;
  offset: number;
  prot: number;
}

export class FakeHost {
  readonly memory: MemoryFile;
  readonly files = new Map<number, Uint8Array>();
  readonly stamps = new Map<number, string>();
  readonly patchedTexts: PatchedTexts;

  /** The last `hugeBytes` are those of the file with huge pages. */
  constructor(size: number, hugeBytes = 0) {
    const huge = hugeBytes === 0 ? null : { fd: HUGE_FD, start: size - hugeBytes };
    const bytes = new Uint8Array(size);
    const host: MemoryFileHost = {
      punch: (_fd, offset, length) => {
        bytes.fill(0, offset, offset + length);
        return 0;
      },
      nextData: (_fd, offset) => offset,
      nextHole: () => size,
      write: (_fd, offset, from) => {
        bytes.set(from, offset);
        return from.length;
      },
    };
    this.memory = new MemoryFile(MEMORY_FD, bytes.buffer, host, huge);
    this.patchedTexts = new PatchedTexts(this.memory);
  }

  pread(fd: number, into: Uint8Array, offset: number): number {
    const part = this.files.get(fd)!.subarray(offset, offset + into.length);
    into.set(part);
    return part.length;
  }

  pwrite(fd: number, from: Uint8Array, offset: number): number {
    this.files.get(fd)!.set(from, offset);
    return from.length;
  }

  stamp(fd: number): string {
    return this.stamps.get(fd) ?? '';
  }

  newManager(limits: MemoryLimits = { rlimit: () => Infinity, mayLock: true }): MemoryManager {
    const layout = { mmapBase: 0x7f0000000000, minAddress: 0x10000 };
    const mm = new MemoryManager(
      new FakeSpace(),
      this.memory,
      this,
      TASK_SIZE,
      layout,
      limits,
      this.patchedTexts,
    );
    // As after many calls, so that tests need not make them.
    mm.callsBeforePatches = 0;
    return mm;
  }
}

/** The contents of a host file, as a donated descriptor offers them. */
export class FakeFile implements Mappable {
  readonly identity = this;
  readonly devMajor = 8;
  readonly devMinor = 1;
  readonly ino: number;
  readonly bytes: Uint8Array;
  readonly mappings = new MappingSet();

  constructor(host: FakeHost, fd: number, bytes: Uint8Array) {
    this.ino = fd;
    this.bytes = bytes;
    host.files.set(fd, bytes);
  }

  mapName(): string {
    return `/file${this.ino}`;
  }
  translate(offset: number, length: number, _write: boolean, into: Extent): number {
    const end = pageCeil(this.bytes.length);
    if (offset >= end) return -6;
    into.fd = this.ino;
    into.offset = offset;
    into.length = Math.min(length, end - offset);
    return 0;
  }
  addMapping(mapper: Mapper): void {
    this.mappings.add(mapper);
  }
  removeMapping(mapper: Mapper): void {
    this.mappings.remove(mapper);
  }
  syncRange(): number {
    return 0;
  }
  removeRange(): number {
    return -95;
  }
}

export class FakeSpace implements AddressSpace {
  readonly pages = new Map<number, HostPage>();
  owner = '';
  flushes = 0;
  /** What `halt` names. */
  contexts: Context[] = [];
  halts = 0;
  forks = 0;
  /** What flush will answer next. */
  failure = 0;

  map(addr: number, length: number, fd: number, offset: number, prot: number): void {
    if (length <= 0 || addr % PAGE_SIZE || length % PAGE_SIZE || offset % PAGE_SIZE) {
      throw new Error('FakeSpace: bad map');
    }
    for (let done = 0; done < length; done += PAGE_SIZE) {
      this.pages.set(addr + done, { fd, offset: offset + done, prot });
    }
  }
  unmap(addr: number, length: number): void {
    for (const page of this.pages.keys()) {
      if (page >= addr && page < addr + length) this.pages.delete(page);
    }
  }
  protect(addr: number, length: number, prot: number): void {
    for (let done = 0; done < length; done += PAGE_SIZE) {
      const page = this.pages.get(addr + done);
      if (page === undefined) throw new Error('FakeSpace: protect of nothing');
      page.prot = prot;
    }
  }
  countWaiter(): void {}
  halt(): Context[] {
    this.halts++;
    return this.contexts;
  }
  flush(): number {
    this.flushes++;
    const { failure } = this;
    this.failure = 0;
    return failure;
  }
  fork(_from: Context): ForkedSpace {
    const space = new FakeSpace();
    // As the platforms do, some forks copy and some leave it to the caller.
    const empty = this.owner !== '' && ++this.forks % 2 === 0;
    if (!empty) for (const [addr, page] of this.pages) space.pages.set(addr, { ...page });
    space.owner = this.owner;
    return { space, context: null as unknown as Context, empty };
  }
  newContext(): number {
    return -38;
  }
  release(): void {
    this.pages.clear();
  }
}

export function fakeSpace(mm: MemoryManager): FakeSpace {
  return mm.space as FakeSpace;
}

/** An application's access to a 32-bit word: its value (or 0 for a store), or minus the FAULT_*. */
export function load(host: FakeHost, mm: MemoryManager, addr: number): number {
  return access(host, mm, addr, false, 0);
}

export function store(host: FakeHost, mm: MemoryManager, addr: number, value: number): number {
  return access(host, mm, addr, true, value);
}

function access(
  host: FakeHost,
  mm: MemoryManager,
  addr: number,
  write: boolean,
  value: number,
): number {
  const inPage = addr % PAGE_SIZE;
  for (let tries = 0; tries < 5; tries++) {
    const page = fakeSpace(mm).pages.get(addr - inPage);
    if (page !== undefined && (write ? page.prot & PROT_WRITE : page.prot) !== 0) {
      const inMemory = host.memory.fds.includes(page.fd);
      const bytes = inMemory ? host.memory.bytes : host.files.get(page.fd)!;
      const view = new DataView(bytes.buffer);
      if (!write) return view.getUint32(page.offset + inPage, true);
      view.setUint32(page.offset + inPage, value, true);
      return 0;
    }
    const result = mm.fault(addr, 0);
    if (result !== FAULT_HANDLED) return -result;
  }
  throw new Error('access faults for ever');
}

/** Checks the invariant of memory_manager.ts; returns a description of the first difference, or ''. */
export function difference(mm: MemoryManager): string {
  const { pages } = fakeSpace(mm);
  let expected = 0;
  for (const vma of mm.vmas.items) {
    if (vma.prot === PROT_NONE) continue;
    for (let i = mm.pmas.lowerBound(vma.start); i < mm.pmas.items.length; i++) {
      const pma = mm.pmas.items[i]!;
      if (pma.start >= vma.end) break;
      const to = Math.min(pma.end, vma.end);
      for (let at = Math.max(pma.start, vma.start); at < to; at += PAGE_SIZE) {
        expected++;
        const page = pages.get(at);
        if (mm.deferred.find(at) !== null) {
          if (page !== undefined) return `${at.toString(16)} is deferred, and mapped`;
          expected--;
          continue;
        }
        if (page === undefined) return `${at.toString(16)} is not mapped`;
        const fd = pma.fd < 0 ? mm.memory.fdAt(pma.offset) : pma.fd;
        if (page.fd !== fd || page.offset !== pma.offset + (at - pma.start)) {
          return `${at.toString(16)} maps the wrong page`;
        }
        if (page.prot !== hostProt(vma, pma)) return `${at.toString(16)} has prot ${page.prot}`;
        if (page.prot & PROT_WRITE && !isShared(vma) && pma.fd >= 0) return 'private file writable';
      }
    }
  }
  return expected === pages.size ? '' : `${pages.size - expected} pages mapped too many`;
}
