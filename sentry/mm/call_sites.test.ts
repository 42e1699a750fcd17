/** Patching call sites, against a host made of arrays: what is patched, and how it is taken back. */
import { describe, expect, test } from 'vitest';
import {
  MADV_DONTNEED,
  MAP_ANONYMOUS,
  MAP_FIXED,
  MAP_PRIVATE,
  MREMAP_MAYMOVE,
  PAGE_SIZE,
  PROT_EXEC,
  PROT_READ,
  PROT_WRITE,
} from '../../spec/linux/mman.ts';
import { type Context, REG_COUNT, REG_R9, REG_RAX, REG_RIP } from '../platform/platform.ts';
import { RecordRegisters } from '../platform/stub/record_registers.ts';
import { difference, FakeFile, FakeHost } from './fake_space.ts';
import type { MemoryManager } from './memory_manager.ts';

const TEXT = 0x400000;
const ENTRY = 0x7fff000002c0;
const RX = PROT_READ | PROT_EXEC;
const FIXED = MAP_PRIVATE | MAP_FIXED;
const GETPPID = [0xb8, 110, 0, 0, 0, 0x0f, 0x05, 0xc3];
const READ = [0x31, 0xc0, 0x0f, 0x05, 0x48, 0x3d, 0, 0];
const FUTEX = [0xb8, 202, 0, 0, 0, 0x40, 0x80, 0xf6, 0x81, 0x0f, 0x05, 0xc3];
/** mov %r9d,%eax; syscall. */
const MOVED = [0x44, 0x89, 0xc8, 0x0f, 0x05, 0xc3];
/** xor $0x80,%sil; syscall. */
const BARE_FUTEX = [0x40, 0x80, 0xf6, 0x80, 0x0f, 0x05, 0xc3];
const LIBRARY = 0x7e0000000000;
const CLONE = [0xb8, 56, 0, 0, 0, 0x0f, 0x05, 0xc3];
/** Where they lie, and behind their `syscall`. */
const [GETPPID_AT, READ_AT, FUTEX_AT, CLONE_AT] = [0x40, 0x80, 0x1040, 0xc0].map((at) => TEXT + at);

function program(prot = RX): { host: FakeHost; mm: MemoryManager } {
  const host = new FakeHost(1024 * PAGE_SIZE);
  const mm = host.newManager();
  const bytes = new Uint8Array(2 * PAGE_SIZE).fill(0x90);
  bytes.set(GETPPID, 0x40);
  bytes.set(READ, 0x80);
  bytes.set(FUTEX, 0x1040);
  bytes.set(CLONE, 0xc0);
  const file = new FakeFile(host, 5, bytes);
  mm.mmap({ addr: TEXT, length: bytes.length, prot, flags: FIXED, file, offset: 0 });
  mm.brkStart = mm.brkEnd = TEXT + 16 * PAGE_SIZE;
  return { host, mm };
}

/** After a call from `back`, whose number was also in r9. */
function patch(mm: MemoryManager, back: number, number: number): void {
  const regs = new RecordRegisters(new Uint32Array(2 * REG_COUNT), 0, 0);
  regs.set(REG_RIP, back);
  regs.set(REG_RAX, number);
  regs.set(REG_R9, number);
  mm.patchCallSite(regs, ENTRY);
}

function patchAll(mm: MemoryManager): void {
  patch(mm, GETPPID_AT! + 7, 110);
  patch(mm, READ_AT! + 4, 0);
  patch(mm, FUTEX_AT! + 11, 202);
  patch(mm, CLONE_AT! + 7, 56);
}

function text(mm: MemoryManager, at: number, length: number): number[] {
  const bytes = new Uint8Array(length);
  expect(mm.copyIn(at, bytes)).toBe(0);
  return [...bytes];
}

/** Where the jump at `at` leads, or 0 when there is none. */
function target(mm: MemoryManager, at: number): number {
  const bytes = Uint8Array.from(text(mm, at, 5));
  if (bytes[0] !== 0xe9) return 0;
  return at + 5 + new DataView(bytes.buffer).getInt32(1, true);
}

const patched = (mm: MemoryManager) =>
  [GETPPID_AT!, READ_AT!, FUTEX_AT!, CLONE_AT!].map((at) => target(mm, at) !== 0);

describe('call sites', () => {
  test('are patched in program text', () => {
    const { mm } = program();
    patchAll(mm);
    expect(patched(mm)).toEqual([true, true, true, false]);
    expect(text(mm, target(mm, GETPPID_AT!), 5)).toEqual(GETPPID.slice(0, 5));
    expect(text(mm, target(mm, READ_AT!), 2)).toEqual(READ.slice(0, 2));
    expect(text(mm, target(mm, FUTEX_AT!), 9)).toEqual(FUTEX.slice(0, 9));
    expect(text(mm, FUTEX_AT! + 5, 7)).toEqual(FUTEX.slice(5));
    // The byte behind read's syscall is what it was, and its place no instruction.
    expect(text(mm, READ_AT! + 2, 3)[0]).toBe(0x06);
    expect(text(mm, READ_AT! + 4, 4)).toEqual(READ.slice(4));
    expect([READ_AT! + 2, GETPPID_AT! + 5].map((at) => mm.isReplacedSyscall(at))).toEqual([
      true,
      false,
    ]);
    expect(difference(mm)).toBe('');
  });

  test('of fewer bytes are patched where there is room', () => {
    const host = new FakeHost(1024 * PAGE_SIZE);
    const mm = host.newManager();
    const bytes = new Uint8Array(PAGE_SIZE).fill(0x90);
    bytes.set(MOVED, 0x40);
    bytes.set(BARE_FUTEX, 0x80);
    const file = new FakeFile(host, 5, bytes);
    const length = PAGE_SIZE;
    mm.mmap({ addr: LIBRARY, length, prot: RX, flags: FIXED, file, offset: 0 });
    patch(mm, LIBRARY + 0x40 + 5, 7);
    patch(mm, LIBRARY + 0x80 + 6, 202);
    const targets = [LIBRARY + 0x40, LIBRARY + 0x80].map((at) => target(mm, at));
    expect(targets[0]).toBe(LIBRARY + 0x050f1000);
    expect(targets[1]).toBe(LIBRARY + 0x0f001000);
    expect(text(mm, targets[0]!, 3)).toEqual(MOVED.slice(0, 3));
    expect(text(mm, targets[1]!, 4)).toEqual(BARE_FUTEX.slice(0, 4));
    // What is behind them has stayed.
    expect(text(mm, LIBRARY + 0x43, 3)).toEqual(MOVED.slice(3));
    expect(text(mm, LIBRARY + 0x84, 3)).toEqual(BARE_FUTEX.slice(4));
    expect(difference(mm)).toBe('');

    const near = program().mm;
    near.brkStart = near.brkEnd = TEXT + PAGE_SIZE;
    patch(near, FUTEX_AT! + 11, 203);
    expect(target(near, FUTEX_AT! + 5)).toBe(0);
  });

  test('are not patched in what somebody may write', () => {
    const writable = program(RX | PROT_WRITE).mm;
    patchAll(writable);
    expect(patched(writable)).toEqual([false, false, false, false]);
    const { mm } = program();
    const text = new Uint8Array(PAGE_SIZE);
    text.set(GETPPID, 0x40);
    const flags = FIXED | MAP_ANONYMOUS;
    mm.mmap({ addr: TEXT, length: PAGE_SIZE, prot: 3, flags, file: null, offset: 0 });
    mm.copyOut(TEXT, text);
    mm.mprotect(TEXT, PAGE_SIZE, RX);
    patch(mm, GETPPID_AT! + 7, 110);
    expect(patched(mm)[0]).toBe(false);
  });

  test('are taken back before their text is changed', () => {
    const changes: ((mm: MemoryManager) => void)[] = [
      (mm) => mm.mprotect(TEXT, PAGE_SIZE, RX | PROT_WRITE),
      (mm) => mm.madvise(TEXT, PAGE_SIZE, MADV_DONTNEED),
    ];
    for (const change of changes) {
      const { mm } = program();
      patchAll(mm);
      change(mm);
      expect(patched(mm)).toEqual([false, false, true, false]);
      expect(text(mm, READ_AT!, 8)).toEqual(READ);
      // Who was stopped there before is still known.
      expect(mm.isReplacedSyscall(READ_AT! + 2)).toBe(true);
      patchAll(mm);
      expect(patched(mm)).toEqual([false, false, true, false]);
      expect(difference(mm)).toBe('');
    }
    const { mm } = program();
    patchAll(mm);
    const moved = mm.mremap(TEXT, 2 * PAGE_SIZE, 4 * PAGE_SIZE, MREMAP_MAYMOVE, 0);
    expect(text(mm, moved + 0x40, 8)).toEqual(GETPPID);
  });

  test('are taken back before their trampolines go', () => {
    const { mm } = program();
    patchAll(mm);
    const page = (at: number) => at - (at % PAGE_SIZE);
    mm.munmap(page(target(mm, READ_AT!)), PAGE_SIZE);
    expect(patched(mm)).toEqual([false, false, true, false]);
    mm.munmap(page(target(mm, FUTEX_AT!)), PAGE_SIZE);
    expect(patched(mm)).toEqual([false, false, false, false]);
    expect(difference(mm)).toBe('');
  });

  test('are inherited, and changed by each for itself', () => {
    const { mm } = program();
    patch(mm, GETPPID_AT! + 7, 110);
    const fork = mm.fork(null as unknown as Context);
    if (typeof fork === 'number') throw new Error(`fork: ${fork}`);
    const before = text(mm, target(mm, GETPPID_AT!), 64);
    patchAll(fork.mm);
    expect(patched(fork.mm)).toEqual([true, true, true, false]);
    expect(patched(mm)).toEqual([true, false, false, false]);
    expect(text(mm, target(mm, GETPPID_AT!), 64)).toEqual(before);
    fork.mm.mprotect(TEXT, PAGE_SIZE, RX | PROT_WRITE);
    expect(patched(mm)).toEqual([true, false, false, false]);
    expect([difference(mm), difference(fork.mm)]).toEqual(['', '']);
    fork.mm.release();
    mm.release();
  });

  test('take back threads that were interrupted in trampolines', () => {
    const { mm } = program();
    patchAll(mm);
    const regs = new RecordRegisters(new Uint32Array(64), 0, 0);
    const left = (from: number) => {
      regs.set(REG_RIP, from);
      mm.leaveTrampoline(regs);
      return regs.get(REG_RIP);
    };
    const futex = target(mm, FUTEX_AT!);
    expect([0, 5, 9, 19, 29].map((at) => left(futex + at) - FUTEX_AT!)).toEqual([0, 5, 9, 9, 9]);
    expect(left(target(mm, READ_AT!) + 12)).toBe(READ_AT! + 2);
    expect(left(FUTEX_AT!)).toBe(FUTEX_AT);
  });
});
