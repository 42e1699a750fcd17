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
  PROT_WRITE,
} from '../../spec/linux/mman.ts';
import { RLIMIT_STACK } from '../../spec/linux/resource.ts';
import { type Context, REG_RIP } from '../platform/platform.ts';
import { ILLEGAL, REPLACED_OTHER, REPLACED_SYSCALL, TRAMPOLINES } from './call_sites.ts';
import {
  BARE_FUTEX,
  call,
  FIXED,
  FUTEX,
  FUTEX_AT,
  GETPPID,
  GETPPID_AT,
  GO,
  illegal,
  LIBRARY,
  MOVED,
  patchAll,
  patched,
  program,
  READ,
  READ_AT,
  RX,
  read,
  registers,
  start,
  TEXT,
  target,
  text,
} from './fake_program.ts';
import { difference, FakeFile, FakeHost, fakeSpace } from './fake_space.ts';
import type { MemoryManager } from './memory_manager.ts';
import { pageFloor } from './page.ts';

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
