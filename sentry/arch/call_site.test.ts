/** Which instructions count as call sites, and what they are patched with. */
import { describe, expect, it } from 'vitest';
import {
  bytesBefore,
  farTarget,
  jump,
  LONGEST_SITE,
  reachOf,
  replacesSyscall,
  trampoline,
} from './call_site.ts';

const SYSCALL = [0x0f, 0x05];
const GETPPID = [110, 0, 0, 0];

/** Code that ends with its `syscall`, seen from LONGEST_SITE bytes before that. */
function site(...bytes: readonly number[]): Uint8Array {
  return Uint8Array.from([...Array(LONGEST_SITE).fill(0x90), ...bytes, ...SYSCALL]).slice(
    -LONGEST_SITE - SYSCALL.length,
  );
}

/** r9 holds 110, the others nothing. */
const found = (code: Uint8Array, number = 110) =>
  bytesBefore(code, LONGEST_SITE, number, (n) => (n === 9 ? 110 : 0));

describe('call sites', () => {
  it('knows both forms of mov', () => {
    expect(found(site(0xb8, ...GETPPID))).toBe(5);
    expect(found(site(0x48, 0xc7, 0xc0, ...GETPPID))).toBe(7);
  });

  it('knows those of futexes', () => {
    expect(found(site(0xb8, 0xca, 0, 0, 0, 0x40, 0x80, 0xf6, 0x81), 202)).toBe(9);
    // The number may have been set before.
    expect(found(site(0xb8, 0xca, 0, 0, 0, 0x40, 0x80, 0xf6, 0x81), 203)).toBe(4);
    expect(found(site(0x41, 0x40, 0x80, 0xf6, 0x81), 202)).toBe(0);
    expect(found(site(0x41, 0xb8, 0xca, 0, 0, 0, 0x40, 0x80, 0xf6, 0x81), 202)).toBe(0);
    expect(found(site(0xb8, 0xca, 0, 0, 0, 0x40, 0x80, 0xf7, 0x81), 202)).toBe(0);
  });

  it('leaves other instructions alone', () => {
    // mov $110,%r8d; movabs; mov $110,%ax; another register; another number; no syscall.
    expect(found(site(0x41, 0xb8, ...GETPPID))).toBe(0);
    expect(found(site(0x48, 0xb8, ...GETPPID))).toBe(0);
    expect(found(site(0x66, 0xb8, ...GETPPID))).toBe(0);
    expect(found(site(0xbf, ...GETPPID))).toBe(0);
    expect(found(site(0x48, 0xc7, 0xc7, ...GETPPID))).toBe(0);
    expect(found(site(0x49, 0xc7, 0xc0, ...GETPPID))).toBe(0);
    expect(found(site(0x41, 0x48, 0xc7, 0xc0, ...GETPPID))).toBe(0);
    expect(found(site(0xb8, ...GETPPID), 39)).toBe(0);
    expect(found(site(0xb8, ...GETPPID).fill(0x90, LONGEST_SITE))).toBe(0);
  });

  it('knows a number that was kept', () => {
    expect(found(site(0x44, 0x89, 0xc8))).toBe(3);
    // Another register; another number; to another register; behind a prefix; r11.
    expect(found(site(0x44, 0x89, 0xc0))).toBe(0);
    expect(found(site(0x44, 0x89, 0xc8), 39)).toBe(0);
    expect(found(site(0x44, 0x89, 0xca))).toBe(0);
    expect(found(site(0x66, 0x44, 0x89, 0xc8))).toBe(0);
    expect(bytesBefore(site(0x44, 0x89, 0xd8), LONGEST_SITE, 1, () => 1)).toBe(0);
  });

  it('jumps over a syscall that stays', () => {
    const at = 0x7f0012345678;
    for (const length of [3, 4]) {
      const reach = reachOf(at, length);
      for (const to of [reach!.from, reach!.from + reach!.bytes - 1]) {
        expect([...jump(at, to), 5].slice(length, length + 2)).toEqual(SYSCALL);
      }
    }
    expect(reachOf(at, 5)).toBe(null);
  });

  it('jumps both ways', () => {
    expect([...jump(0x400000, 0x3ff000)]).toEqual([0xe9, 0xfb, 0xef, 0xff, 0xff]);
    expect([...jump(0x1000, 0x7ff01000)]).toEqual([0xe9, 0xfb, 0xff, 0xef, 0x7f]);
  });

  it('knows read(2)', () => {
    expect(found(site(0x31, 0xc0), 0)).toBe(2);
    expect(found(site(0x31, 0xc0), 1)).toBe(0);
    expect(found(site(0x45, 0x31, 0xc0), 0)).toBe(0);
    expect(found(site(0x31, 0xff), 0)).toBe(0);
    expect([7, 5, 2].map(replacesSyscall)).toEqual([false, false, true]);
  });

  it('knows syscall(2)', () => {
    expect(found(site(0x4c, 0x8b, 0x4c, 0x24, 0x08), 202)).toBe(5);
    expect(found(site(0x48, 0x8b, 0x44, 0x24, 0x10), 202)).toBe(5);
    // From fs; relative to rip; not a load.
    expect(found(site(0x64, 0x4c, 0x8b, 0x4c, 0x24, 0x08), 202)).toBe(0);
    expect(found(site(0x8b, 0x05, 0x4c, 0x24, 0x08), 202)).toBe(0);
    expect(found(site(0x4c, 0x89, 0x4c, 0x24, 0x08), 202)).toBe(0);
  });

  it('jumps from there over the byte that follows', () => {
    const at = 0x7f0012345678;
    for (const next of [0x48, 0xc3]) {
      const bytes = jump(at, farTarget(at, next, 7) + 31);
      expect([...bytes]).toEqual([0xe9, 31, 0x06, 7, next]);
    }
    expect(farTarget(0x401000, 0x48, 0) - 0x401005).toBe(0x48000600);
    expect([
      ...trampoline(Uint8Array.of(0x31, 0xc0), 0x401004, 0x7fff000002c0).slice(0, 12),
    ]).toEqual([...[0x31, 0xc0], ...[0x48, 0xb9, 0x04, 0x10, 0x40, 0x00, 0, 0, 0, 0]]);
  });

  it('makes trampolines', () => {
    expect([
      ...trampoline(Uint8Array.of(0xb8, 110, 0, 0, 0), 0x7f0012345678, 0x7fff000002c0).slice(0, 28),
    ]).toEqual([
      ...[0xb8, 110, 0, 0, 0],
      ...[0x48, 0xb9, 0x78, 0x56, 0x34, 0x12, 0x00, 0x7f, 0, 0],
      ...[0x49, 0xbb, 0xc0, 0x02, 0x00, 0x00, 0xff, 0x7f, 0, 0],
      ...[0x41, 0xff, 0xe3],
    ]);
  });
});
