/** Patched text that many address spaces have, against a host made of arrays. */
import { describe, expect, test } from 'vitest';
import { MADV_DONTNEED, MAP_ANONYMOUS, PAGE_SIZE, PROT_WRITE } from '../../spec/linux/mman.ts';
import type { Context } from '../platform/platform.ts';
import { REPLACED_SYSCALL } from './call_sites.ts';
import {
  call,
  FIXED,
  GETPPID_AT,
  illegal,
  patchAll,
  patched,
  program,
  READ_AT,
  RX,
  start,
  TEXT,
  target,
  text,
} from './fake_program.ts';
import { difference, FakeHost, store } from './fake_space.ts';
import type { MemoryManager } from './memory_manager.ts';
import { pageFloor } from './page.ts';
import { PatchedTexts } from './patched_text.ts';

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

  test('is mapped for who makes many calls, and for its children', () => {
    const { host, file, mm } = program();
    host.stamps.set(5, 'as it is');
    patchAll(mm);
    const length = 3 * PAGE_SIZE;
    const other = host.newManager();
    other.callsBeforePatches = 3;
    other.mmap({ addr: TEXT, length, prot: RX, flags: FIXED, file, offset: 0 });
    other.countCall();
    patchAll(other);
    const short = other.fork(null as unknown as Context);
    if (typeof short === 'number') throw new Error('fork');
    other.countCall();
    expect(text(other, TEXT, length)).toEqual([...file.bytes]);
    expect(other.vmas.items.length).toBe(1);
    other.countCall();
    expect(text(other, TEXT, length)).toEqual(text(mm, TEXT, length));
    const busy = other.fork(null as unknown as Context);
    if (typeof busy === 'number') throw new Error('fork');
    const elsewhere = TEXT + 0x10000000;
    for (const each of [busy.mm, short.mm]) {
      each.mmap({ addr: elsewhere, length, prot: RX, flags: FIXED, file, offset: 0 });
      expect(target(each, READ_AT! + 0x10000000) !== 0).toBe(each === busy.mm);
      expect(difference(each)).toBe('');
    }
    short.mm.countCall();
    short.mm.countCall();
    expect(patched(short.mm)).toEqual(patched(mm));
    expect([difference(other), difference(short.mm)]).toEqual(['', '']);
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
