/**
 * What a call site looks like and what it is patched with: x86-64 instructions (Intel SDM vol. 2).
 *
 * A site is a `mov $number,%eax` and the `syscall` behind it. The first five bytes of the mov become
 * a jump to a trampoline; the `syscall` stays. So a thread that is between the two, and code that
 * jumps to the `syscall`, make their call as before: there is no moment at which patching is unsafe.
 *
 * read(2) begins with `xor %eax,%eax`: with the `syscall` four bytes, one less than a jump. The fifth
 * stays what it is and becomes the highest of the distance, so the trampoline is at one of a few
 * places. Where the `syscall` was stands a byte that is no instruction: whoever comes there raises
 * SIGILL, and is known by the address.
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

/** Whether a `xor %eax,%eax` precedes the `syscall`. */
export function xorBefore(code: Uint8Array, syscallAt: number): boolean {
  if (code[syscallAt] !== 0x0f || code[syscallAt + 1] !== 0x05 || syscallAt < LONGEST_SITE) {
    return false;
  }
  if (isPrefix(code[syscallAt - 3] as number)) return false;
  return code[syscallAt - 2] === 0x31 && code[syscallAt - 1] === 0xc0;
}

/** Bytes of a `xor` site that a jump replaces. */
export const XOR_SITE_BYTES = 4;
/** In 64-bit mode no instruction begins with it. */
const NO_INSTRUCTION = 0x06;
/** How many `xorTarget`s there are, this far apart. */
export const XOR_TARGETS = 256;

/** Where a jump at `at` can lead when `next` follows the site: the n-th place, or up to 255 bytes above. */
export function xorTarget(at: number, next: number, n: number): number {
  return at + JUMP_BYTES + ((next << 24) | (n << 16) | (NO_INSTRUCTION << 8) | 0);
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
  bytes[0] = 0xb8;
  new DataView(bytes.buffer).setUint32(1, number, true);
  return leave(bytes, 5, back, entry);
}

/** The same for a `xor`, with what that does to the flags. */
export function xorTrampoline(back: number, entry: number): Uint8Array {
  const bytes = new Uint8Array(TRAMPOLINE_BYTES).fill(0xcc);
  bytes.set([0x31, 0xc0]);
  return leave(bytes, 2, back, entry);
}

function leave(bytes: Uint8Array, at: number, back: number, entry: number): Uint8Array {
  const view = new DataView(bytes.buffer);
  putMove64(bytes, view, at, [0x48, 0xb9], back);
  putMove64(bytes, view, at + 10, [0x49, 0xbb], entry);
  bytes.set([0x41, 0xff, 0xe3], at + 20);
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
