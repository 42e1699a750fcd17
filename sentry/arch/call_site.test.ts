/** Which instructions count as call sites, and what they are patched with. */
import { describe, expect, it } from 'vitest';
import {
  distances,
  findSite,
  JUMP_BYTES,
  jump,
  LONGEST_SITE,
  mayLead,
  type SiteForm,
  trampoline,
} from './call_site.ts';

const SYSCALL = [0x0f, 0x05];
const GETPPID = [110, 0, 0, 0];
const BEHIND = 0x48;
const FREE = [-1, -1, -1, -1];

/** Code that ends one byte behind its `syscall`, seen from LONGEST_SITE bytes before that. */
function site(...bytes: readonly number[]): Uint8Array {
  const code = [...Array(LONGEST_SITE).fill(0x90), ...bytes, ...SYSCALL, BEHIND];
  return Uint8Array.from(code).slice(-LONGEST_SITE - SYSCALL.length - 1);
}

/** `registers` by their number; rax is the first. */
const form = (code: Uint8Array, ...registers: readonly number[]) =>
  findSite(code, LONGEST_SITE, (n) => registers[n] ?? 1000 + n);
const found = (code: Uint8Array, number = 110) => form(code, number)?.length ?? 0;

describe('call sites', () => {
  it('knows both forms of mov', () => {
    expect(form(site(0xb8, ...GETPPID), 110)).toEqual({ length: 5, distance: FREE });
    expect(found(site(0x48, 0xc7, 0xc0, ...GETPPID))).toBe(7);
  });

  it('knows those of futexes', () => {
    expect(found(site(0xb8, 0xca, 0, 0, 0, 0x40, 0x80, 0xf6, 0x81), 202)).toBe(9);
    // The number may have been set before.
    expect(form(site(0xb8, 0xca, 0, 0, 0, 0x40, 0x80, 0xf6, 0x81), 203)).toEqual({
      length: 4,
      distance: [-1, -1, -1, 0x0f],
    });
    expect(found(site(0x41, 0x40, 0x80, 0xf6, 0x81), 202)).toBe(0);
    expect(found(site(0x41, 0xb8, 0xca, 0, 0, 0, 0x40, 0x80, 0xf6, 0x81), 202)).toBe(0);
    expect(found(site(0xb8, 0xca, 0, 0, 0, 0x40, 0x80, 0xf7, 0x81), 202)).toBe(0);
    // mov %r8d,%eax; xor $0x80,%sil.
    const restored = form(
      site(0x44, 0x89, 0xc0, 0x40, 0x80, 0xf6, 0x80),
      ...[202, 1, 1, 1, 1, 1, 1, 1, 202],
    );
    expect(restored).toEqual({ length: 7, distance: [-1, -1, 6, -1] });
  });

  it('leaves other instructions alone', () => {
    // mov $110,%r8d; movabs; mov $110,%ax; another register; another number; no syscall.
    expect(found(site(0x41, 0xb8, ...GETPPID))).toBe(0);
    expect(found(site(0x48, 0xb8, ...GETPPID))).toBe(0);
    expect(found(site(0x66, 0xb8, ...GETPPID))).toBe(0);
    expect(found(site(0xb9, ...GETPPID))).toBe(0);
    expect(found(site(0x48, 0xc7, 0xc7, ...GETPPID))).toBe(0);
    expect(found(site(0x49, 0xc7, 0xc0, ...GETPPID))).toBe(0);
    expect(found(site(0x41, 0x48, 0xc7, 0xc0, ...GETPPID))).toBe(0);
    expect(found(site(0xb8, ...GETPPID), 39)).toBe(0);
    expect(found(site(0xb8, ...GETPPID).fill(0x90, LONGEST_SITE))).toBe(0);
  });

  it('knows read(2)', () => {
    expect(form(site(0x31, 0xc0), 0)).toEqual({ length: 2, distance: [-1, 6, -1, BEHIND] });
    expect(found(site(0x31, 0xc0), 1)).toBe(0);
    expect(found(site(0x45, 0x31, 0xc0), 0)).toBe(0);
    expect(found(site(0x31, 0xff), 0)).toBe(0);
  });

  it('knows syscall(2)', () => {
    expect(found(site(0x4c, 0x8b, 0x4c, 0x24, 0x08), 202)).toBe(5);
    expect(found(site(0x48, 0x8b, 0x44, 0x24, 0x10), 202)).toBe(5);
    // From fs; relative to rip; not a load.
    expect(found(site(0x64, 0x4c, 0x8b, 0x4c, 0x24, 0x08), 202)).toBe(0);
    expect(found(site(0x8b, 0x05, 0x4c, 0x24, 0x08), 202)).toBe(0);
    expect(found(site(0x4c, 0x89, 0x4c, 0x24, 0x08), 202)).toBe(0);
  });

  it('knows numbers that come from a register, if they do', () => {
    const r8 = (value: number) => [110, 1, 1, 1, 1, 1, 1, 1, value];
    const restored = site(0x44, 0x89, 0xc0);
    expect(form(restored, ...r8(110))).toEqual({ length: 3, distance: [-1, -1, 6, -1] });
    expect(form(restored, ...r8(2 ** 32 + 110))?.length).toBe(3);
    expect(form(restored, ...r8(111))).toBe(null);
    // mov %edx,%eax; with a prefix; mov %eax,%edx; mov %r8d,%r8d.
    expect(form(site(0x89, 0xd0), 110, 0, 110)).toEqual({
      length: 2,
      distance: [-1, 6, -1, BEHIND],
    });
    expect(form(site(0x41, 0x89, 0xd0), 110, 0, 110)).toBe(null);
    expect(form(site(0x89, 0xc2), 110, 0, 110)).toBe(null);
    expect(form(site(0x45, 0x89, 0xc0), ...r8(110))).toBe(null);
  });

  it('knows arguments that are constant', () => {
    // openat(AT_FDCWD, ...).
    const at = site(0xbf, 0x9c, 0xff, 0xff, 0xff);
    expect(form(at, 257, 0, 0, 0, 0, 0, 0, 0xffffff9c)).toEqual({ length: 5, distance: FREE });
    expect(form(at, 257, 0, 0, 0, 0, 0, 0, 0x9c)).toBe(null);
  });

  it('knows that of Go', () => {
    // mov %rcx,%rsi; mov %rbx,%rdi: of rcx a system call leaves nothing.
    const go = site(0x48, 0x89, 0xce, 0x48, 0x89, 0xdf);
    expect(form(go, 1, 0, 0, 7, 0, 0, 5, 7)).toEqual({ length: 6, distance: [-1, -1, 6, -1] });
    expect(form(go, 1, 0, 0, 7, 0, 0, 5, 8)).toBe(null);
  });

  it('leads where each instruction begins with none', () => {
    const at = 0x7f0012345678;
    const forms: SiteForm[] = [
      { length: 5, distance: FREE },
      { length: 2, distance: [-1, 6, -1, 0x89] },
      { length: 6, distance: [-1, -1, 6, -1] },
      { length: 4, distance: [-1, -1, -1, 0x0f] },
    ];
    for (const each of forms) {
      let count = 0;
      for (const distance of distances(each)) {
        expect(mayLead(each, at, at + JUMP_BYTES + distance)).toBe(true);
        const bytes = jump(distance);
        each.distance.forEach((byte, i) => {
          if (byte >= 0) expect(bytes[i + 1]).toBe(byte);
        });
        count++;
      }
      expect(count).toBeGreaterThan(5);
    }
    expect(mayLead(forms[1]!, at, at + JUMP_BYTES + 0x48000600)).toBe(false);
    expect(mayLead(forms[0]!, at, at + 2 ** 31 + JUMP_BYTES)).toBe(false);
    expect(mayLead(forms[0]!, at, at - 2 ** 31 + JUMP_BYTES)).toBe(true);
  });

  it('jumps both ways', () => {
    expect([...jump(-0x1005)]).toEqual([0xe9, 0xfb, 0xef, 0xff, 0xff]);
    expect([...jump(0x7feffffb)]).toEqual([0xe9, 0xfb, 0xff, 0xef, 0x7f]);
  });

  it('makes trampolines', () => {
    const own = Uint8Array.of(0xb8, ...GETPPID);
    expect([...trampoline(own, -0x48000000, 0x7fff000002c0).slice(0, 26)]).toEqual([
      ...own,
      ...[0x48, 0x8d, 0x0d, 0xf4, 0xff, 0xff, 0xb7],
      ...[0x49, 0xbb, 0xc0, 0x02, 0x00, 0x00, 0xff, 0x7f, 0, 0],
      ...[0x41, 0xff, 0xe3, 0xcc],
    ]);
  });
});
