/**
 * Little-endian integers in byte arrays: x86-64's order, 9P's order.
 *
 * 64-bit values are Numbers, `lo + hi * 2**32`: exact below 2^53, rounded above. Writing takes
 * negative numbers as two's complement and everything from 2^64 up (RLIM_INFINITY) as all ones, so
 * that what was all ones when read is all ones when written back.
 *
 * Callers check bounds; a write outside the array is dropped, a read outside gives 0.
 */

const TWO_32 = 2 ** 32;

export function getU8(bytes: Uint8Array, at: number): number {
  return bytes[at] ?? 0;
}

export function getS8(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 24) >> 24;
}

export function getU16(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8);
}

export function getS16(bytes: Uint8Array, at: number): number {
  return (getU16(bytes, at) << 16) >> 16;
}

export function getS32(bytes: Uint8Array, at: number): number {
  // What is not there counts as 0 for these operators.
  return bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
}

export function getU32(bytes: Uint8Array, at: number): number {
  return getS32(bytes, at) >>> 0;
}

export function getU64(bytes: Uint8Array, at: number): number {
  return getU32(bytes, at) + getU32(bytes, at + 4) * TWO_32;
}

export function getS64(bytes: Uint8Array, at: number): number {
  return getU32(bytes, at) + getS32(bytes, at + 4) * TWO_32;
}

export function putU8(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value;
}

export function putU16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
}

/** Takes signed and unsigned values alike. */
export function putU32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
  bytes[at + 2] = value >>> 16;
  bytes[at + 3] = value >>> 24;
}

/** Takes signed and unsigned values alike; see the file header for the edges. */
export function putU64(bytes: Uint8Array, at: number, value: number): void {
  if (value >= TWO_32 * TWO_32) {
    bytes.fill(0xff, at, at + 8);
    return;
  }
  const hi = Math.floor(value / TWO_32);
  putU32(bytes, at, value - hi * TWO_32);
  putU32(bytes, at + 4, hi);
}
