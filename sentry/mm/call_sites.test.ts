/** Patching call sites, against a host made of arrays: what is patched, and how it is taken back. */
import { describe, expect, test } from 'vitest';
import { EEXIST, EFAULT } from '../../spec/linux/errno.ts';
import {
  MADV_DONTNEED,
  MAP_ANONYMOUS,
  MAP_FIXED,
  MAP_FIXED_NOREPLACE,
  MAP_GROWSDOWN,
  MAP_PRIVATE,
  MREMAP_MAYMOVE,
  PAGE_SIZE,
  PROT_EXEC,
  PROT_READ,
  PROT_WRITE,
} from '../../spec/linux/mman.ts';
import { RLIMIT_STACK } from '../../spec/linux/resource.ts';
import { type Context, REG_R9, REG_RAX, REG_RIP } from '../platform/platform.ts';
import { RecordRegisters } from '../platform/stub/record_registers.ts';
import { ILLEGAL, REPLACED_OTHER, REPLACED_SYSCALL, TRAMPOLINES } from './call_sites.ts';
import { difference, FakeFile, FakeHost, fakeSpace, MEMORY_FD, store } from './fake_space.ts';
import type { MemoryLimits, MemoryManager } from './memory_manager.ts';
import { offsetInPage, pageFloor } from './page.ts';
import { PatchedTexts } from './patched_text.ts';

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
const GO = [0x48, 0x89, 0xce, 0x48, 0x89, 0xdf, 0x0f, 0x05, 0xc3];
const CLONE = [0xb8, 56, 0, 0, 0, 0x0f, 0x05, 0xc3];
/** Where they lie, and behind their `syscall`. */
const [GETPPID_AT, READ_AT, FUTEX_AT, CLONE_AT] = [0x40, 0x80, 0x1040, 0xc0].map((at) => TEXT + at);

function program(prot = RX): { host: FakeHost; file: FakeFile; mm: MemoryManager } {
  const host = new FakeHost(1024 * PAGE_SIZE);
  const bytes = new Uint8Array(3 * PAGE_SIZE).fill(0x90);
  bytes.set(GETPPID, 0x40);
  bytes.set(READ, 0x80);
  bytes.set(FUTEX, 0x1040);
  bytes.set(CLONE, 0xc0);
  bytes.set(GO, 0x140);
  const file = new FakeFile(host, 5, bytes);
  return { host, file, mm: start(host, file, TEXT, prot) };
}

/** A process with the program at `base`. */
function start(
  host: FakeHost,
  file: FakeFile,
  base = TEXT,
  prot = RX,
  limits?: MemoryLimits,
): MemoryManager {
  const mm = host.newManager(limits);
  mm.mmap({ addr: base, length: 3 * PAGE_SIZE, prot, flags: FIXED, file, offset: 0 });
  mm.brkStart = mm.brkEnd = base + 16 * PAGE_SIZE;
  return mm;
}

const registers = () => new RecordRegisters(new Uint32Array(64), 0, 0);

/** A call that came back to `back`, whose number was also in r9. */
function call(mm: MemoryManager, back: number, number: number): void {
  const regs = registers();
  regs.set(REG_RAX, number);
  regs.set(REG_R9, number);
  regs.set(REG_RIP, back);
  mm.patchCallSite(regs, ENTRY);
}

function patchAll(mm: MemoryManager): void {
  call(mm, GETPPID_AT! + 7, 110);
  call(mm, READ_AT! + 4, 0);
  call(mm, FUTEX_AT! + 11, 202);
  call(mm, CLONE_AT! + 7, 56);
}

/** What an illegal instruction at `at` is, and where it goes on. */
function illegal(mm: MemoryManager, at: number): [number, number] {
  const regs = registers();
  regs.set(REG_RIP, at);
  return [mm.replacedInstruction(regs), regs.get(REG_RIP)];
}

/** What the application sees. */
function text(mm: MemoryManager, at: number, length: number): number[] {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) {
    const page = fakeSpace(mm).pages.get(pageFloor(at + i))!;
    const offset = page.offset + offsetInPage(at + i);
    if (page.fd === MEMORY_FD) bytes[i] = mm.memory.bytes[offset]!;
    else mm.hostFiles.pread(page.fd, bytes.subarray(i, i + 1), offset);
  }
  return [...bytes];
}

/** What the kernel reads for it. */
function read(mm: MemoryManager, at: number, length: number): number[] {
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
    expect(illegal(mm, READ_AT! + 2)).toEqual([REPLACED_SYSCALL, READ_AT! + 2]);
    expect(illegal(mm, GETPPID_AT! + 6)[0]).toBe(ILLEGAL);
    expect(illegal(mm, TEXT)[0]).toBe(ILLEGAL);
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
    call(mm, LIBRARY + 0x40 + 5, 7);
    call(mm, LIBRARY + 0x80 + 6, 202);
    const targets = [LIBRARY + 0x40, LIBRARY + 0x80].map((at) => target(mm, at));
    expect(text(mm, targets[0]!, 3)).toEqual(MOVED.slice(0, 3));
    expect(text(mm, targets[1]!, 4)).toEqual(BARE_FUTEX.slice(0, 4));
    // What is behind them has stayed; of the first the syscall has not.
    expect(text(mm, LIBRARY + 0x45, 1)).toEqual(MOVED.slice(5));
    expect(text(mm, LIBRARY + 0x84, 3)).toEqual(BARE_FUTEX.slice(4));
    expect(illegal(mm, LIBRARY + 0x43)[0]).toBe(REPLACED_SYSCALL);
    expect(difference(mm)).toBe('');

    const near = program().mm;
    near.brkStart = near.brkEnd = TEXT + PAGE_SIZE;
    call(near, FUTEX_AT! + 11, 203);
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
    call(mm, GETPPID_AT! + 7, 110);
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
      expect(illegal(mm, READ_AT! + 2)).toEqual([REPLACED_OTHER, READ_AT! + 2]);
      patchAll(mm);
      expect(patched(mm)).toEqual([false, false, true, false]);
      expect(difference(mm)).toBe('');
    }
    const { mm } = program();
    patchAll(mm);
    const moved = mm.mremap(TEXT, 3 * PAGE_SIZE, 4 * PAGE_SIZE, MREMAP_MAYMOVE, 0);
    expect(text(mm, moved + 0x40, 8)).toEqual(GETPPID);
  });

  test('are taken back before their trampolines go', () => {
    const { mm } = program();
    patchAll(mm);
    const regs = registers();
    regs.set(REG_RIP, target(mm, FUTEX_AT!) + 5);
    fakeSpace(mm).contexts.push({ regs } as unknown as Context);
    const page = pageFloor(target(mm, READ_AT!));
    mm.munmap(page, PAGE_SIZE);
    expect(fakeSpace(mm).halts).toBeGreaterThan(0);
    expect(regs.get(REG_RIP)).toBe(FUTEX_AT! + 5);
    expect(patched(mm)).toEqual([false, false, false, false]);
    expect(text(mm, READ_AT!, 8)).toEqual(READ);
    expect(difference(mm)).toBe('');
  });

  test('are not seen by the kernel', () => {
    const { file, mm } = program();
    patchAll(mm);
    call(mm, TEXT + 0x140 + 8, 1);
    expect(read(mm, TEXT, 2 * PAGE_SIZE)).toEqual([...file.bytes.subarray(0, 2 * PAGE_SIZE)]);
    expect(mm.readU8(READ_AT!)).toBe(READ[0]);
    const into = new Uint8Array(3 * PAGE_SIZE);
    expect(mm.userBuffer(TEXT, into.length, false)!.read(into, 0, into.length)).toBe(into.length);
    expect(into).toEqual(file.bytes);
    // And are not made twice, when a call comes by a signal all the same.
    const { flushes } = fakeSpace(mm);
    patchAll(mm);
    expect(fakeSpace(mm).flushes).toBe(flushes);
    expect(difference(mm)).toBe('');
  });

  test('go from under a heap, a stack and mappings of the application', () => {
    const wants: ((mm: MemoryManager, page: number) => number)[] = [
      (mm, page) => {
        const flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;
        const length = 3 * PAGE_SIZE;
        return mm.mmap({ addr: page - PAGE_SIZE, length, prot: 3, flags, file: null, offset: 0 });
      },
      (mm, page) => {
        const flags = MAP_PRIVATE | MAP_ANONYMOUS;
        return mm.mmap({ addr: page, length: PAGE_SIZE, prot: 3, flags, file: null, offset: 0 });
      },
      (mm, page) => {
        mm.brkStart = mm.brkEnd = page - 2 * PAGE_SIZE;
        return mm.brk(page + PAGE_SIZE);
      },
      (mm, page) => {
        const addr = page + 512 * PAGE_SIZE;
        const flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_GROWSDOWN;
        mm.mmap({ addr, length: PAGE_SIZE, prot: 3, flags, file: null, offset: 0 });
        return mm.writeU8(page + PAGE_SIZE, 1) === 0 ? page + PAGE_SIZE : 0;
      },
    ];
    for (const want of wants) {
      const { mm } = program();
      patchAll(mm);
      const page = pageFloor(target(mm, READ_AT!));
      expect(want(mm, page)).toBeGreaterThanOrEqual(page - PAGE_SIZE);
      expect(patched(mm)).toEqual([false, false, false, false]);
      expect(text(mm, READ_AT!, 8)).toEqual(READ);
      expect(mm.vmas.items.every((vma) => vma.name !== TRAMPOLINES)).toBe(true);
      expect(difference(mm)).toBe('');
    }
    // Room that is somebody's already is not made by taking them away.
    const { mm } = program();
    patchAll(mm);
    const page = pageFloor(target(mm, READ_AT!));
    const flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;
    const mapOne = (addr: number, length: number) =>
      mm.mmap({ addr, length, prot: 3, flags, file: null, offset: 0 });
    expect(mapOne(page + PAGE_SIZE, PAGE_SIZE)).toBe(page + PAGE_SIZE);
    expect(mapOne(page, 2 * PAGE_SIZE)).toBe(-EEXIST);
    expect(patched(mm)).toEqual([true, true, true, false]);
  });

  test('keep clear of where a stack may grow', () => {
    const first = program().mm;
    patchAll(first);
    const page = pageFloor(target(first, READ_AT!));
    const limit = 2048 * PAGE_SIZE;
    const guard = 256 * PAGE_SIZE;
    for (const near of [0, 1]) {
      const { host, file } = program();
      const mm = start(host, file, TEXT, RX, {
        rlimit: (which) => (which === RLIMIT_STACK ? limit : Infinity),
        mayLock: true,
      });
      const length = 32 * PAGE_SIZE;
      const addr = page + PAGE_SIZE + guard + limit - length - near * PAGE_SIZE;
      const flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_GROWSDOWN;
      mm.mmap({ addr, length, prot: 3, flags, file: null, offset: 0 });
      patchAll(mm);
      expect(patched(mm)).toEqual([true, true, true, false]);
      expect(pageFloor(target(mm, READ_AT!)) === page).toBe(near === 0);
      // All of the stack can be had.
      const lowest = addr + length - limit;
      expect([mm.writeU8(lowest, 1), mm.writeU8(lowest - 1, 1)]).toEqual([0, -EFAULT]);
      expect(patched(mm)).toEqual([true, true, true, false]);
    }
  });

  test('copied elsewhere are mended when they are executed', () => {
    for (const prot of [RX | PROT_WRITE, RX]) {
      const { mm } = program();
      patchAll(mm);
      const flags = MAP_PRIVATE | MAP_ANONYMOUS;
      const length = 2 * PAGE_SIZE;
      const copy = mm.mmap({ addr: 0, length, prot: 3, flags, file: null, offset: 0 }) + 0xf43;
      mm.copyOut(copy, Uint8Array.from(text(mm, TEXT, PAGE_SIZE)));
      mm.mprotect(pageFloor(copy), length, prot);
      const regs = registers();
      // The second thread has jumped before the first was helped.
      for (let i = 0; i < 2; i++) {
        regs.set(REG_RIP, target(mm, READ_AT!) + copy - TEXT);
        expect(mm.mendCopy(regs)).toBe(true);
        expect(regs.get(REG_RIP)).toBe(copy + 0x80);
        expect(text(mm, copy + 0x80, 8)).toEqual(READ);
      }
      expect(fakeSpace(mm).halts).toBe(1);
      regs.set(REG_RIP, target(mm, GETPPID_AT!) + copy - TEXT + 1);
      expect(mm.mendCopy(regs)).toBe(false);
      expect(patched(mm)).toEqual([true, true, true, false]);
      expect(difference(mm)).toBe('');
    }
  });

  test('are inherited, and changed by each for itself', () => {
    const { mm } = program();
    call(mm, GETPPID_AT! + 7, 110);
    const fork = mm.fork(null as unknown as Context);
    if (typeof fork === 'number') throw new Error(`fork: ${fork}`);
    patchAll(fork.mm);
    expect(patched(fork.mm)).toEqual([true, true, true, false]);
    expect(patched(mm)).toEqual([true, false, false, false]);
    fork.mm.mprotect(TEXT, PAGE_SIZE, RX | PROT_WRITE);
    expect(patched(mm)).toEqual([true, false, false, false]);
    expect([difference(mm), difference(fork.mm)]).toEqual(['', '']);
    fork.mm.release();
    mm.release();
  });

  test('take back threads that were interrupted in trampolines', () => {
    const { mm } = program();
    patchAll(mm);
    const regs = registers();
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

  test("lead on whoever stands in the middle of Go's", () => {
    const { mm } = program();
    call(mm, TEXT + 0x140 + 8, 1);
    const to = target(mm, TEXT + 0x140);
    expect(text(mm, to, 6)).toEqual(GO.slice(0, 6));
    expect(text(mm, TEXT + 0x146, 3)).toEqual(GO.slice(6));
    expect(illegal(mm, TEXT + 0x143)).toEqual([REPLACED_OTHER, to + 3]);
    expect(illegal(mm, TEXT + 0x142)[0]).toBe(ILLEGAL);
  });
});

describe('patched text', () => {
  test('is mapped by who comes later, wherever that is', () => {
    const { host, file, mm } = program();
    host.stamps.set(5, 'as it is');
    patchAll(mm);
    const other = start(host, file, TEXT + 0x10000000);
    expect(text(other, TEXT + 0x10000000, 2 * PAGE_SIZE)).toEqual(text(mm, TEXT, 2 * PAGE_SIZE));
    const at = READ_AT! + 0x10000000;
    expect(target(other, at)).toBe(target(mm, READ_AT!) + 0x10000000);
    expect(text(other, target(other, at), 32)).toEqual(text(mm, target(mm, READ_AT!), 32));
    expect(illegal(other, at + 2)[0]).toBe(REPLACED_SYSCALL);
    expect([difference(mm), difference(other)]).toEqual(['', '']);
    // Patched later by one, then by the other, without another copy.
    call(mm, TEXT + 0x140 + 8, 1);
    expect(target(other, TEXT + 0x10000140)).toBe(0);
    const before = host.memory.reservedBytes;
    call(other, TEXT + 0x10000140 + 8, 1);
    expect(target(other, TEXT + 0x10000140)).toBe(target(mm, TEXT + 0x140) + 0x10000000);
    expect(host.memory.reservedBytes).toBeLessThan(before);
    mm.release();
    other.release();
    expect(host.memory.reservedBytes).toBe(3 * PAGE_SIZE);
  });

  test('is not for a file that has changed', () => {
    const { host, file, mm } = program();
    patchAll(mm);
    expect(patched(start(host, file))).toEqual([false, false, false, false]);
    host.stamps.set(5, 'as it was');
    const second = start(host, file);
    patchAll(second);
    expect(patched(start(host, file))).toEqual([true, true, true, false]);
    host.stamps.set(5, 'as it is');
    file.bytes.fill(0x90, 0x40, 0x48);
    const third = start(host, file);
    expect(patched(third)).toEqual([false, false, false, false]);
    call(second, TEXT + 0x140 + 8, 1);
    expect(target(second, TEXT + 0x140)).toBe(0);
    patchAll(third);
    expect(patched(third)).toEqual([false, true, true, false]);
  });

  test('is given up when the file is written to, cut or not mapped any more', () => {
    const { host, file, mm } = program();
    const length = 3 * PAGE_SIZE;
    const changes: (() => unknown)[] = [
      () => mm.written(file),
      () => mm.invalidate(file, 0, Infinity, true),
      () => mm.munmap(TEXT, length),
    ];
    for (const [i, change] of changes.entries()) {
      patchAll(mm);
      expect(patched(mm)).toEqual([true, i === 0, true, false]);
      file.bytes.fill(0x90, 0x80, 0x88);
      change();
      mm.mmap({ addr: TEXT, length, prot: RX, flags: FIXED, file, offset: 0 });
      expect(text(mm, TEXT, length)).toEqual([...file.bytes]);
      expect(mm.vmas.items.length).toBe(1);
      expect(difference(mm)).toBe('');
    }
    // What its pages are copied from is the file's own.
    expect(host.memory.reservedBytes).toBe(0);
  });

  test('cannot be written by those who have it', () => {
    const { host, file, mm } = program();
    host.stamps.set(5, 'as it is');
    patchAll(mm);
    const other = start(host, file);
    const trampoline = target(mm, GETPPID_AT!);
    const before = text(other, TEXT, 2 * PAGE_SIZE);
    const code = text(other, trampoline, 64);
    const gone: MemoryManager[] = [mm];
    for (const [i, at] of [TEXT, pageFloor(trampoline)].entries()) {
      const hostile = i === 0 ? mm : start(host, file);
      gone.push(hostile);
      hostile.mprotect(at, PAGE_SIZE, RX | PROT_WRITE);
      expect(store(host, hostile, at + 0x40, 0x12345678)).toBe(0);
      expect(hostile.writeU32(at + 0x44, 0x12345678)).toBe(0);
      hostile.madvise(at, PAGE_SIZE, MADV_DONTNEED);
      expect(difference(hostile)).toBe('');
    }
    expect(text(other, TEXT, 2 * PAGE_SIZE)).toEqual(before);
    expect(text(other, trampoline, 64)).toEqual(code);
    expect(text(start(host, file), TEXT, 2 * PAGE_SIZE)).toEqual(before);
  });

  test('has variants where its trampolines have no room', () => {
    const { host, file, mm } = program();
    host.stamps.set(5, 'as it is');
    patchAll(mm);
    const taken = [pageFloor(target(mm, GETPPID_AT!))];
    for (let i = 0; i < 5; i++) {
      const other = host.newManager();
      for (const addr of taken) {
        const flags = FIXED | MAP_ANONYMOUS;
        other.mmap({ addr, length: PAGE_SIZE, prot: 3, flags, file: null, offset: 0 });
      }
      other.mmap({ addr: TEXT, length: 3 * PAGE_SIZE, prot: RX, flags: FIXED, file, offset: 0 });
      patchAll(other);
      expect(difference(other)).toBe('');
      // As many as there may be.
      expect(patched(other)).toEqual(i < 3 ? [true, true, true, false] : Array(4).fill(false));
      if (i < 3) taken.push(pageFloor(target(other, GETPPID_AT!)));
    }
    expect(new Set(taken).size).toBe(4);
  });

  test('is forgotten when there is too much, and kept by who has it', () => {
    const host = new FakeHost(1024 * PAGE_SIZE);
    const texts = new PatchedTexts(host.memory, 4 * PAGE_SIZE);
    const add = (stamp: string) => {
      const patchedText = texts.add(stamp)!;
      expect(patchedText.addPage(0)).not.toBe(null);
      expect(patchedText.addPage(PAGE_SIZE)).not.toBe(null);
      texts.grown(patchedText);
      return patchedText;
    };
    const first = add('1');
    add('2');
    add('3');
    expect(['1', '2', '3'].map((stamp) => texts.variants(stamp).length)).toEqual([0, 1, 1]);
    expect(first.trampolines.length).toBe(2);
    first.release();
    expect(host.memory.reservedBytes).toBe(4 * PAGE_SIZE);
  });
});
