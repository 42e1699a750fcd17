/**
 * What a call site looks like and what it is patched with: x86-64 instructions (Intel SDM vol. 2).
 *
 * A site is a `mov $number,%eax` and the `syscall` behind it. The first five bytes of the mov become
 * a jump to a trampoline; the `syscall` stays. So a thread that is between the two, and code that
 * jumps to the `syscall`, make their call as before: there is no moment at which patching is unsafe.
 */

export const JUMP_BYTES = 5;
export const TRAMPOLINE_BYTES = 32;
/** How far before a `syscall` a site may begin, and the byte before it, which may be a prefix. */
export const LONGEST_SITE = 8;

/** How many bytes before the `syscall` the mov begins, or 0 when it is not such a site. */
export function movBefore(code: Uint8Array, syscallAt: number, number: number): number {
  if (code[syscallAt] !== 0x0f || code[syscallAt + 1] !== 0x05 || syscallAt < LONGEST_SITE)
    return 0;
  let immediate = 0;
  for (let i = 1; i <= 4; i++) immediate = immediate * 256 + (code[syscallAt - i] as number);
  if (immediate !== number) return 0;
  if (code[syscallAt - 5] === 0xb8) return isPrefix(code[syscallAt - 6] as number) ? 0 : 5;
  const long = code[syscallAt - 7] === 0x48 && code[syscallAt - 6] === 0xc7;
  return long && code[syscallAt - 5] === 0xc0 && !isPrefix(code[syscallAt - 8] as number) ? 7 : 0;
}

/** A byte that, were it a prefix, would make the instruction another one. */
function isPrefix(byte: number): boolean {
  return (byte >= 0x40 && byte <= 0x4f) || byte === 0x66;
}

/** `jmp` from `at` to `to`. */
export function jump(at: number, to: number): Uint8Array {
  const bytes = new Uint8Array(JUMP_BYTES);
  bytes[0] = 0xe9;
  new DataView(bytes.buffer).setInt32(1, to - (at + JUMP_BYTES), true);
  return bytes;
}

/** mov $number,%eax; movabs $back,%rcx; movabs $entry,%r11; jmp *%r11. */
export function trampoline(number: number, back: number, entry: number): Uint8Array {
  const bytes = new Uint8Array(TRAMPOLINE_BYTES).fill(0xcc);
  const view = new DataView(bytes.buffer);
  bytes[0] = 0xb8;
  view.setUint32(1, number, true);
  putMove64(bytes, view, 5, [0x48, 0xb9], back);
  putMove64(bytes, view, 15, [0x49, 0xbb], entry);
  bytes.set([0x41, 0xff, 0xe3], 25);
  return bytes;
}

function putMove64(
  bytes: Uint8Array,
  view: DataView,
  at: number,
  opcode: readonly number[],
  value: number,
): void {
  bytes.set(opcode, at);
  view.setUint32(at + 2, value % 2 ** 32, true);
  view.setUint32(at + 6, Math.floor(value / 2 ** 32), true);
}
