/**
 * What a call site looks like and what it is patched with: x86-64 instructions (Intel SDM vol. 2).
 *
 * A site is a `syscall` and what is before it, if that can be executed elsewhere as well: a mov of the
 * number to eax, with the xor of a futex operation behind it or not, or a load from the stack, as
 * syscall(2) of the C library ends. The first instruction has five bytes or more, which become a jump to
 * a trampoline; the rest stays. So a thread that is in between, and code that jumps to the `syscall`,
 * make their call as before: there is no moment at which patching is unsafe.
 *
 * Shorter first instructions, of three or four bytes, get a jump whose highest bytes are those of the
 * `syscall`, which stays as well; so their trampolines are in one small part of the address space.
 *
 * read(2) begins with `xor %eax,%eax`: with the `syscall` four bytes, one less than a jump. The fifth
 * stays what it is and becomes the highest of the distance, so the trampoline is at one of a few
 * places. Where the `syscall` was stands a byte that is no instruction: whoever comes there raises
 * SIGILL, and is known by the address.
 */

export const JUMP_BYTES = 5;
export const TRAMPOLINE_BYTES = 32;
/** How far before a `syscall` a site may begin, and the byte before it, which may be a prefix. */
export const LONGEST_SITE = 10;
const SYSCALL_BYTES = 2;
/** Its two bytes. */
const SYSCALL_BYTE = 0x0f;
const SYSCALL_SECOND = 0x05;

/**
 * How many bytes before the `syscall` at `at` the site begins, or 0 when it is none. `number` is what
 * rax has held there, and `register(n)` what the n-th register has, by the numbers of instructions.
 */
export function bytesBefore(
  code: Uint8Array,
  at: number,
  number: number,
  register: (n: number) => number,
): number {
  if (code[at] !== 0x0f || code[at + 1] !== 0x05 || at < LONGEST_SITE) return 0;
  const byte = (before: number) => code[at - before] as number;
  const immediate = (end: number) =>
    byte(end + 4) + byte(end + 3) * 2 ** 8 + byte(end + 2) * 2 ** 16 + byte(end + 1) * 2 ** 24;
  let length = 0;
  if (byte(5) === 0xb8 && immediate(0) === number) length = 5;
  else if (isFutexXor(byte(4), byte(3), byte(2)) && byte(9) === 0xb8 && immediate(4) === number)
    length = 9;
  else if (isFutexXor(byte(4), byte(3), byte(2))) length = 4;
  else if (isStackLoad(byte(5), byte(4), byte(3), byte(2))) length = 5;
  else if (byte(7) === 0x48 && byte(6) === 0xc7 && byte(5) === 0xc0 && immediate(0) === number)
    length = 7;
  else if (byte(3) === 0x44 && byte(2) === 0x89 && isNumberMove(byte(1), number, register))
    length = 3;
  else if (byte(2) === 0x31 && byte(1) === 0xc0 && number === 0) length = 2;
  return length > 0 && isPrefix(byte(length + 1)) ? 0 : length;
}

/** xor $imm8,%sil. */
function isFutexXor(rex: number, opcode: number, modRm: number): boolean {
  return rex === 0x40 && opcode === 0x80 && modRm === 0xf6;
}

/** mov disp8(%rsp),%REG64. */
function isStackLoad(rex: number, opcode: number, modRm: number, sib: number): boolean {
  return (
    (rex === 0x48 || rex === 0x4c) && opcode === 0x8b && (modRm & 0xc7) === 0x44 && sib === 0x24
  );
}

/** mov %r8d…%r15d,%eax, by its last byte; `syscall` overwrites r11. */
function isNumberMove(modRm: number, number: number, register: (n: number) => number): boolean {
  const from = 8 + ((modRm >> 3) & 7);
  return (modRm & 0xc7) === 0xc0 && from !== 11 && register(from) === number;
}

/** A byte that, were it a prefix, would make the instruction another one. */
function isPrefix(byte: number): boolean {
  return (byte >= 0x40 && byte <= 0x4f) || (byte >= 0x64 && byte <= 0x67) || byte === 0xf0;
}

/** Whether the jump must take the place of the `syscall`, too. */
export function replacesSyscall(length: number): boolean {
  return length + SYSCALL_BYTES < JUMP_BYTES;
}

/** So many bytes, from here on. */
export interface Reach {
  readonly from: number;
  readonly bytes: number;
}

/**
 * Where a jump at `at` can lead that takes the place of `length` bytes and leaves the `syscall` behind
 * them; null for wherever it reaches.
 */
export function reachOf(at: number, length: number): Reach | null {
  if (length >= JUMP_BYTES) return null;
  const end = at + JUMP_BYTES;
  if (length === 4) return { from: end + (SYSCALL_BYTE << 24), bytes: 2 ** 24 };
  return { from: end + (SYSCALL_SECOND << 24) + (SYSCALL_BYTE << 16), bytes: 2 ** 16 };
}

/** In 64-bit mode no instruction begins with it. */
const NO_INSTRUCTION = 0x06;
/** How many `farTarget`s there are, this far apart. */
export const FAR_TARGETS = 256;

/** Where a jump at `at` can lead when `next` follows the site: the n-th place, or up to 255 bytes above. */
export function farTarget(at: number, next: number, n: number): number {
  return at + JUMP_BYTES + ((next << 24) | (n << 16) | (NO_INSTRUCTION << 8) | 0);
}

/** `jmp` from `at` to `to`. */
export function jump(at: number, to: number): Uint8Array {
  const bytes = new Uint8Array(JUMP_BYTES);
  bytes[0] = 0xe9;
  new DataView(bytes.buffer).setInt32(1, to - (at + JUMP_BYTES), true);
  return bytes;
}

/** The site's own instructions; movabs $back,%rcx; movabs $entry,%r11; jmp *%r11. */
export function trampoline(own: Uint8Array, back: number, entry: number): Uint8Array {
  const bytes = new Uint8Array(TRAMPOLINE_BYTES).fill(0xcc);
  const view = new DataView(bytes.buffer);
  bytes.set(own);
  const at = own.length;
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
