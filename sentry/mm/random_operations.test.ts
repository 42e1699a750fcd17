/**
 * Random operations on several address spaces against a page-array oracle: after each step the host
 * must map what the Vmas and Pmas say, and every word must read as the oracle remembers.
 */
import { expect, test } from 'vitest';
import {
  MADV_DONTNEED,
  MAP_ANONYMOUS,
  MAP_DENYWRITE,
  MAP_FIXED,
  MAP_PRIVATE,
  MAP_SHARED,
  MREMAP_DONTUNMAP,
  MREMAP_FIXED,
  MREMAP_MAYMOVE,
  PAGE_SIZE,
  PROT_NONE,
  PROT_READ,
  PROT_WRITE,
} from '../../spec/linux/mman.ts';
import type { Context } from '../platform/platform.ts';
import { difference, FakeFile, FakeHost, load, store } from './fake_space.ts';
import { FAULT_ACCERR, FAULT_BUS, FAULT_MAPERR } from './fault.ts';
import { FilePages } from './file_pages.ts';
import type { Mappable } from './mappable.ts';
import type { MemoryManager } from './memory_manager.ts';

const BASE = 0x100000000000;
/** Pages of the arena where everything happens. */
const ARENA = 48;
const FILE_PAGES = 12;
const STEPS = 8000;

/** One word of memory; shared mappings and files share the cell. */
interface Cell {
  value: number;
}

interface Page {
  prot: number;
  shared: boolean;
  /** Null until written in a private mapping: then the file's cell shows through. */
  own: Cell | null;
  /** The file's page (anonymous shared memory is a file too); null for private anonymous memory. */
  file: Cell | null;
  /** Past the end of the file. */
  bus: boolean;
  /** To find what a page of a file shared by mremap growth would be. */
  cells: (Cell | null)[] | null;
  index: number;
}

class Oracle {
  readonly mm: MemoryManager;
  pages: (Page | null)[];

  constructor(mm: MemoryManager, pages: (Page | null)[] = new Array(ARENA).fill(null)) {
    this.mm = mm;
    this.pages = pages;
  }

  expected(index: number, write: boolean): number {
    const page = this.pages[index] ?? null;
    if (page === null) return -FAULT_MAPERR;
    if (write ? (page.prot & PROT_WRITE) === 0 : page.prot === PROT_NONE) return -FAULT_ACCERR;
    if (page.bus) return -FAULT_BUS;
    if (write) return 0;
    return (page.own ?? page.file)?.value ?? 0;
  }

  store(index: number, value: number): void {
    const page = this.pages[index]!;
    if (page.shared) page.file!.value = value;
    else if (page.own === null) page.own = { value };
    else page.own.value = value;
  }
}

function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

interface File {
  readonly file: Mappable | null;
  readonly cells: (Cell | null)[];
}

class World {
  readonly host = new FakeHost(32 * 1024 * 1024);
  readonly files: File[] = [];
  readonly spaces: Oracle[] = [];
  readonly pick: (below: number) => number;
  /** Steps after which some child had something that no child had touched. */
  untouched = 0;
  private next = 1;

  constructor(seed: number) {
    this.pick = random(seed);
    const bytes = new Uint8Array(FILE_PAGES * PAGE_SIZE);
    this.files.push({ file: new FakeFile(this.host, 7, bytes), cells: newCells(FILE_PAGES) });
    const pages = new FilePages(this.host.memory, {
      devMajor: 0,
      devMinor: 1,
      ino: 1,
      mapName: () => '/',
    });
    pages.truncate(FILE_PAGES * PAGE_SIZE);
    this.files.push({ file: pages, cells: newCells(FILE_PAGES) });
    const program = new Uint8Array(FILE_PAGES * PAGE_SIZE);
    this.files.push({ file: new FakeFile(this.host, 8, program), cells: newCells(FILE_PAGES) });
    const mm = this.host.newManager();
    // So that some forks begin empty.
    mm.space.owner = 'somebody';
    this.spaces.push(new Oracle(mm));
  }

  step(): void {
    const oracle = this.spaces[this.pick(this.spaces.length)]!;
    const kind = this.pick(20);
    if (kind < 4) this.map(oracle);
    else if (kind < 5) this.unmap(oracle);
    else if (kind < 7) this.protect(oracle);
    else if (kind < 9) this.remap(oracle);
    else if (kind < 10) this.dontNeed(oracle);
    else if (kind < 11) this.fork(oracle);
    else if (kind < 12) this.exit(oracle);
    else this.touch(oracle);
    for (const { mm } of this.spaces) {
      expect(difference(mm)).toBe('');
      if (mm.deferred.items.some((range) => range.inherited)) this.untouched++;
    }
  }

  private map(oracle: Oracle): void {
    const start = this.pick(ARENA);
    const count = 1 + this.pick(Math.min(12, ARENA - start));
    const prot = [PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE, PROT_READ | PROT_WRITE][
      this.pick(4)
    ]!;
    const source = this.pick(2) === 0 ? null : this.files[this.pick(3)]!;
    // The third file is a program: nobody writes it, and it is mapped as programs are.
    const program = source !== null && source === this.files[2];
    const shared = this.pick(3) === 0 && !program;
    const first = source === null ? 0 : this.pick(FILE_PAGES);
    const cells = source?.cells ?? (shared ? newCells(count) : null);
    const result = oracle.mm.mmap({
      addr: BASE + start * PAGE_SIZE,
      length: count * PAGE_SIZE,
      prot,
      flags:
        MAP_FIXED |
        (shared ? MAP_SHARED : MAP_PRIVATE) |
        (source === null ? MAP_ANONYMOUS : 0) |
        (program ? MAP_DENYWRITE : 0),
      file: source?.file ?? null,
      offset: first * PAGE_SIZE,
    });
    expect(result).toBe(BASE + start * PAGE_SIZE);
    for (let i = 0; i < count; i++) {
      oracle.pages[start + i] = newPage(prot, shared, cells, first + i);
    }
  }

  private unmap(oracle: Oracle): void {
    const start = this.pick(ARENA);
    const count = 1 + this.pick(Math.min(8, ARENA - start));
    expect(oracle.mm.munmap(BASE + start * PAGE_SIZE, count * PAGE_SIZE)).toBe(0);
    oracle.pages.fill(null, start, start + count);
  }

  private protect(oracle: Oracle): void {
    const start = this.pick(ARENA);
    const count = 1 + this.pick(Math.min(8, ARENA - start));
    const prot = [PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE][this.pick(3)]!;
    const result = oracle.mm.mprotect(BASE + start * PAGE_SIZE, count * PAGE_SIZE, prot);
    for (let i = start; i < start + count; i++) {
      const page = oracle.pages[i] ?? null;
      if (page === null) {
        expect(result).toBeLessThan(0);
        return;
      }
      page.prot = prot;
    }
    expect(result).toBe(0);
  }

  private remap(oracle: Oracle): void {
    const start = this.pick(ARENA);
    const vma = oracle.mm.vmas.find(BASE + start * PAGE_SIZE);
    if (vma === null) return;
    const most = (vma.end - BASE) / PAGE_SIZE - start;
    const oldCount = 1 + this.pick(most);
    const keep = this.pick(4) === 0;
    const count = keep ? oldCount : 1 + this.pick(8);
    const target = this.pick(ARENA - count + 1);
    const flags = MREMAP_MAYMOVE | MREMAP_FIXED | (keep ? MREMAP_DONTUNMAP : 0);
    const at = (index: number) => BASE + index * PAGE_SIZE;
    const length = oldCount * PAGE_SIZE;
    const result = oracle.mm.mremap(at(start), length, count * PAGE_SIZE, flags, at(target));
    if (target < start + oldCount && start < target + count) {
      expect(result).toBeLessThan(0);
      return;
    }
    expect(result).toBe(at(target));
    const old = oracle.pages.slice(start, start + oldCount) as Page[];
    if (keep) {
      for (let i = 0; i < oldCount; i++) oracle.pages[start + i] = { ...old[i]!, own: null };
    } else {
      oracle.pages.fill(null, start, start + oldCount);
    }
    const { prot, shared, cells, index } = old[0]!;
    for (let i = 0; i < count; i++) {
      oracle.pages[target + i] = old[i] ?? newPage(prot, shared, cells, index + i);
    }
  }

  private dontNeed(oracle: Oracle): void {
    const start = this.pick(ARENA);
    const count = 1 + this.pick(Math.min(8, ARENA - start));
    oracle.mm.madvise(BASE + start * PAGE_SIZE, count * PAGE_SIZE, MADV_DONTNEED);
    for (let i = start; i < start + count; i++) {
      const page = oracle.pages[i];
      if (page && !page.shared) page.own = null;
    }
  }

  private fork(oracle: Oracle): void {
    if (this.spaces.length >= 5) return;
    const forked = oracle.mm.fork(null as unknown as Context);
    if (typeof forked === 'number') throw new Error('fork failed');
    const pages = oracle.pages.map((page) => {
      return page === null ? null : { ...page, own: page.own === null ? null : { ...page.own } };
    });
    this.spaces.push(new Oracle(forked.mm, pages));
  }

  private exit(oracle: Oracle): void {
    if (this.spaces.length === 1) return;
    oracle.mm.release();
    this.spaces.splice(this.spaces.indexOf(oracle), 1);
  }

  private touch(oracle: Oracle): void {
    const index = this.pick(ARENA);
    const addr = BASE + index * PAGE_SIZE + 4 * this.pick(1);
    const write = this.pick(2) === 0;
    const byKernel = this.pick(3) === 0;
    const value = this.next++;
    const expected = oracle.expected(index, write);
    let result: number;
    if (write) {
      result = byKernel
        ? oracle.mm.writeU32(addr, value)
        : store(this.host, oracle.mm, addr, value);
    } else {
      result = byKernel ? oracle.mm.readU32(addr) : load(this.host, oracle.mm, addr);
    }
    // A platform that cannot tell a write from a read finds the missing page first.
    const either = oracle.pages[index]?.bus === true;
    if ((byKernel || either) && expected < 0) expect(result).toBeLessThan(0);
    else expect(result).toBe(expected);
    if (write && expected === 0) oracle.store(index, value);
  }

  end(): void {
    for (const { mm } of this.spaces) mm.release();
    (this.files[1]!.file as FilePages).release();
    expect(this.host.memory.reservedBytes).toBe(0);
  }
}

function newCells(count: number): (Cell | null)[] {
  return Array.from({ length: count }, () => ({ value: 0 }));
}

function newPage(
  prot: number,
  shared: boolean,
  cells: (Cell | null)[] | null,
  index: number,
): Page {
  const file = cells?.[index] ?? null;
  return { prot, shared, own: null, file, bus: cells !== null && file === null, cells, index };
}

for (const seed of [1, 2, 11, 13, 19]) {
  test(`random operations, seed ${seed}`, { timeout: 60_000 }, () => {
    const world = new World(seed);
    for (let i = 0; i < STEPS; i++) world.step();
    world.end();
    expect(world.untouched).toBeGreaterThan(STEPS / 20);
  });
}
