/**
 * Strings and 64-bit numbers at the host's edge.
 *
 * Host names are bytes, not text. Everywhere in the Sentry and the Gofer a file name is a *byte
 * string*: a JavaScript string with one char (0..255) per byte, i.e. latin1-decoded. That is
 * lossless, compares and splits like any string, and costs one byte per char in V8. To show one to
 * a person, decode it with `textOf`; to make one out of text, use `byteString`.
 */

import { addressOf, type SyscallArgument, whenLoaded } from './index.ts';

/** What a path argument may be: a byte string, or raw bytes without the final NUL. */
export type Path = string | Uint8Array;

/** An address no process maps: the host answers EFAULT to a path that cannot be one. */
const BAD_ADDRESS = 1;
const SLOT_BYTES = 8192;
const SLOT_COUNT = 4;

const slots = new Uint8Array(SLOT_BYTES * SLOT_COUNT);
let slotsAddress = 0;

/**
 * Writes `path` NUL-terminated into scratch slot `slot` (0..3) and returns what to pass for it.
 * Good until the slot is next used. A NUL or a char above 255 inside becomes EFAULT.
 */
export function cString(path: Path, slot = 0): SyscallArgument {
  const length = path.length;
  const large = length >= SLOT_BYTES;
  const into = large ? new Uint8Array(length + 1) : slots;
  const start = large ? 0 : slot * SLOT_BYTES;
  for (let i = 0; i < length; i++) {
    const byte = typeof path === 'string' ? path.charCodeAt(i) : (path[i] as number);
    if (byte === 0 || byte > 255) return BAD_ADDRESS;
    into[start + i] = byte;
  }
  into[start + length] = 0;
  return large ? into : slotsAddress + start;
}

/** Decodes bytes [start, end) into a byte string. */
export function decodeBytes(bytes: Uint8Array, start: number, end: number): string {
  const length = end - start;
  if (length <= 64) {
    let text = '';
    for (let i = start; i < end; i++) text += String.fromCharCode(bytes[i] as number);
    return text;
  }
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, length).toString('latin1');
}

/** The byte string of some text: its UTF-8 bytes, one char each. */
export function byteString(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}

/** A byte string as text, for messages to people; bytes that are no UTF-8 become U+FFFD. */
export function textOf(bytes: string): string {
  return Buffer.from(bytes, 'latin1').toString('utf8');
}

const resultBytes = new Uint8Array(65536);

/** Scratch memory for results of host calls: valid until the next host call that uses it. */
export const result = {
  bytes: resultBytes,
  u16: new Uint16Array(resultBytes.buffer),
  u32: new Uint32Array(resultBytes.buffer),
  i32: new Int32Array(resultBytes.buffer),
  address: 0,
};

whenLoaded(() => {
  slotsAddress = addressOf(slots);
  result.address = addressOf(resultBytes);
});

/** The unsigned 64-bit number at byte `offset` of `result`; exact below 2^53. */
export function resultU64(offset: number): number {
  const word = offset >> 2;
  return (result.u32[word] as number) + (result.u32[word + 1] as number) * 2 ** 32;
}

/** The signed 64-bit number at byte `offset` of `result`. */
export function resultI64(offset: number): number {
  const word = offset >> 2;
  return (result.u32[word] as number) + (result.i32[word + 1] as number) * 2 ** 32;
}

/** Stores a signed 64-bit number at byte `offset` of `result`. */
export function setResult64(offset: number, value: number): void {
  const word = offset >> 2;
  result.u32[word] = value % 2 ** 32;
  result.i32[word + 1] = Math.floor(value / 2 ** 32);
}
