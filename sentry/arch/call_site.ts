/**
 * What a call site looks like and what it is patched with: x86-64 instructions (Intel SDM vol. 2).
 *
 * A site is a `syscall` and what is before it, if that can be executed elsewhere as well: moves and
 * exclusive ors of registers, a mov of the number, a load from the stack as syscall(2) of the C library
 * ends. Its first five bytes become a jump to a trampoline, which has the same instructions and enters
 * the platform.
 *
 * Somebody may stand at any of the instructions, or jump there. So each must be what it was, or none:
 * where one begins within the jump, that byte of the distance is 06, no instruction in 64-bit mode.
 * Whoever comes there raises SIGILL, and goes on at the same instruction of the trampoline. Where the
 * last byte of the jump begins an instruction, or is of the one behind the site, it stays what it is.
 * The distance is therefore free in some of its bytes only: that is the site's form.
 */

export const JUMP_BYTES = 5;
export const TRAMPOLINE_BYTES = 32;
export const SYSCALL_BYTES = 2;
/** How far before a `syscall` a site may begin, and the byte before it, which may be a prefix. */
export const LONGEST_SITE = 10;
/** Bytes behind a `syscall` that the longest jump may take in. */
export const BYTES_BEHIND = 1;
/** In 64-bit mode no instruction begins with it. */
export const NO_INSTRUCTION = 0x06;
const FREE = -1;

export interface SiteForm {
  /** Bytes before the `syscall`. */
  readonly length: number;
  /** The bytes of the jump's distance, lowest first: a value, or -1 where any will do. */
  readonly distance: readonly number[];
}

/** The value of a register by its number in instructions, or of its lower half, as Numbers. */
export type RegisterValue = (register: number) => number;

const RAX = 0;
const RCX = 1;
const R11 = 11;
const TWO_32 = 2 ** 32;

/**
 * The site with its `syscall` at `at` of `code`, or null when it is none. `register` tells what they held
 * when it was executed: bytes that look like the instructions may be the end of a longer one.
 */
export function findSite(code: Uint8Array, at: number, register: RegisterValue): SiteForm | null {
  if (code[at] !== 0x0f || code[at + 1] !== 0x05 || at < LONGEST_SITE) return null;
  const lengths = instructionsBefore(code, at, register);
  const length = lengths.reduce((sum, each) => sum + each, 0);
  if (length === 0 || isPrefix(code[at - length - 1] as number)) return null;
  const distance = [FREE, FREE, FREE, FREE];
  let begin = 0;
  for (const each of lengths) {
    begin += each;
    if (begin < JUMP_BYTES - 1) distance[begin - 1] = NO_INSTRUCTION;
    // What begins with the last byte can stay as it is.
    if (begin === JUMP_BYTES - 1) distance[begin - 1] = code[at - length + begin] as number;
  }
  for (let i = length + SYSCALL_BYTES; i < JUMP_BYTES; i++) {
    distance[i - 1] = code[at - length + i] as number;
  }
  return { length, distance };
}

/** The lengths of the instructions before `at` that can be moved, in their order. */
function instructionsBefore(code: Uint8Array, at: number, register: RegisterValue): number[] {
  const number = register(RAX) % TWO_32;
  const last = numberMove(code, at, number) || numberFromRegister(code, at, register);
  if (last > 0) return [last];
  if (isFutexXor(code, at)) {
    const first = numberMove(code, at - 4, number) || numberFromRegister(code, at - 4, register);
    return first > 0 ? [first, 4] : [4];
  }
  if (isStackLoad(code, at) || isImmediateMove(code, at, register)) return [5];
  if (isMove64(code, at, register) && isMove64(code, at - 3, register)) return [3, 3];
  return [];
}

/** mov $number,%eax; mov $number,%rax; xor %eax,%eax: the length of that before `end`, or 0. */
function numberMove(code: Uint8Array, end: number, number: number): number {
  if (code[end - 2] === 0x31 && code[end - 1] === 0xc0 && number === 0) return 2;
  if (end < 5 || immediate(code, end) !== number) return 0;
  if (code[end - 5] === 0xb8) return 5;
  return code[end - 7] === 0x48 && code[end - 6] === 0xc7 && code[end - 5] === 0xc0 ? 7 : 0;
}

function immediate(code: Uint8Array, end: number): number {
  return new DataView(code.buffer, code.byteOffset).getUint32(end - 4, true);
}

/** mov %REG32,%eax. */
function numberFromRegister(code: Uint8Array, end: number, register: RegisterValue): number {
  const modRm = code[end - 1] as number;
  if (code[end - 2] !== 0x89 || (modRm & 0xc7) !== 0xc0) return 0;
  const rex = code[end - 3] as number;
  const low = (modRm >> 3) & 7;
  const from = rex === 0x44 ? low + 8 : low;
  if (from === RAX || !agree(register, from, RAX, TWO_32)) return 0;
  return rex === 0x44 ? 3 : 2;
}

/** mov %REG64,%REG64. */
function isMove64(code: Uint8Array, end: number, register: RegisterValue): boolean {
  const rex = code[end - 3] as number;
  const modRm = code[end - 1] as number;
  if ((rex & 0xfa) !== 0x48 || code[end - 2] !== 0x89 || (modRm & 0xc0) !== 0xc0) return false;
  const from = ((rex & 4) << 1) + ((modRm >> 3) & 7);
  const to = ((rex & 1) << 3) + (modRm & 7);
  return agree(register, from, to, Number.POSITIVE_INFINITY);
}

/** Whether they hold the same below `modulus`, as far as a `syscall` leaves that to be seen. */
function agree(register: RegisterValue, a: number, b: number, modulus: number): boolean {
  if (a === RCX || a === R11) return true;
  return register(a) % modulus === register(b) % modulus;
}

/** xor $imm8,%sil. */
function isFutexXor(code: Uint8Array, end: number): boolean {
  return code[end - 4] === 0x40 && code[end - 3] === 0x80 && code[end - 2] === 0xf6;
}

/** mov $imm32,%REG32, of the first eight. */
function isImmediateMove(code: Uint8Array, end: number, register: RegisterValue): boolean {
  const to = (code[end - 5] as number) - 0xb8;
  return to > RCX && to < 8 && immediate(code, end) === register(to);
}

/** mov disp8(%rsp),%REG64. */
function isStackLoad(code: Uint8Array, end: number): boolean {
  const rex = code[end - 5] as number;
  const load = (rex === 0x48 || rex === 0x4c) && code[end - 4] === 0x8b;
  return load && ((code[end - 3] as number) & 0xc7) === 0x44 && code[end - 2] === 0x24;
}

/** A byte that, were it a prefix, would make the instruction another one. */
function isPrefix(byte: number): boolean {
  return (byte >= 0x40 && byte <= 0x4f) || (byte >= 0x64 && byte <= 0x67) || byte === 0xf0;
}

/** Whether a jump at `at` may lead to `to`. */
export function mayLead(form: SiteForm, at: number, to: number): boolean {
  const distance = to - (at + JUMP_BYTES);
  if (distance !== (distance | 0)) return false;
  return form.distance.every((byte, i) => byte === FREE || byte === ((distance >> (8 * i)) & 0xff));
}

/** Highest bytes of distances to look for room at: 1.1 GiB above first, where libraries and programs have it. */
const HIGH = [0x48, 0xb8, 0x60, 0xa0, 0x30, 0xd0];

/** The lowest distances of the stretches where trampolines of `form` may be. */
export function* distances(form: SiteForm): Generator<number> {
  const [, second, third, highest] = form.distance as [number, number, number, number];
  for (const high of highest === FREE ? HIGH : [highest]) {
    // That of most sites, so that they share a page.
    const first = third === FREE ? NO_INSTRUCTION : third;
    const low = second === FREE ? 0 : second << 8;
    yield (high << 24) | (first << 16) | low;
    if (third !== FREE) continue;
    for (let n = 0; n < 256; n++) if (n !== first) yield (high << 24) | (n << 16) | low;
  }
}

/** `jmp` over `distance`, counted from behind it. */
export function jump(distance: number): Uint8Array {
  const bytes = new Uint8Array(JUMP_BYTES);
  bytes[0] = 0xe9;
  new DataView(bytes.buffer).setInt32(1, distance, true);
  return bytes;
}

/**
 * The site's `own` instructions; lea back(%rip),%rcx; movabs $entry,%r11; jmp *%r11. `back` is counted
 * from the start of the trampoline, so it can be anywhere together with its site.
 */
export function trampoline(own: Uint8Array, back: number, entry: number): Uint8Array {
  const bytes = new Uint8Array(TRAMPOLINE_BYTES).fill(0xcc);
  const view = new DataView(bytes.buffer);
  bytes.set(own);
  const at = own.length;
  bytes.set([0x48, 0x8d, 0x0d], at);
  view.setInt32(at + 3, back - (at + 7), true);
  bytes.set([0x49, 0xbb], at + 7);
  view.setUint32(at + 9, entry % TWO_32, true);
  view.setUint32(at + 13, Math.floor(entry / TWO_32), true);
  bytes.set([0x41, 0xff, 0xe3], at + 17);
  return bytes;
}
