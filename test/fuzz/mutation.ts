/** Random changes of an input: those that have found bugs in every decoder there ever was. */
import type { Random } from '../oci/real/random.ts';

const MAX_INPUT = 4096;
const MAX_CHANGES = 8;
const INTERESTING = [
  0,
  1,
  2,
  7,
  8,
  16,
  64,
  127,
  128,
  255,
  256,
  4096,
  32767,
  65535,
  2 ** 31,
  2 ** 32,
];

type Change = (bytes: number[], random: Random, others: readonly Uint8Array[]) => void;

function at(bytes: number[], random: Random): number {
  return bytes.length === 0 ? 0 : random.below(bytes.length);
}

/** Writes a number of 2, 4 or 8 bytes, little-endian, over what is there. */
function writeNumber(bytes: number[], random: Random): void {
  const width = random.pick([2, 4, 8]);
  const value = random.pick(INTERESTING) - random.below(2);
  const start = at(bytes, random);
  for (let i = 0; i < width && start + i < bytes.length; i++) {
    bytes[start + i] = i < 6 ? Math.floor(value / 256 ** i) & 0xff : value < 0 ? 255 : 0;
  }
}

const CHANGES: readonly Change[] = [
  (b, r) => {
    if (b.length > 0) b[at(b, r)]! ^= 1 << r.below(8);
  },
  (b, r) => {
    if (b.length > 0) b[at(b, r)] = r.pick([0, 1, 0x7f, 0x80, 0xff, 0x2f, 0x2e, r.below(256)]);
  },
  writeNumber,
  (b, r) => b.splice(at(b, r), 1 + r.below(16)),
  (b, r) => b.splice(at(b, r), 0, ...Array.from({ length: 1 + r.below(8) }, () => r.below(256))),
  (b, r) => {
    const from = at(b, r);
    b.splice(at(b, r), 0, ...b.slice(from, from + 1 + r.below(64)));
  },
  (b, r, others) => {
    const other = r.pick(others);
    const from = other.length === 0 ? 0 : r.below(other.length);
    b.splice(at(b, r), 0, ...other.subarray(from, from + 1 + r.below(128)));
  },
  (b, r) => b.splice(at(b, r), b.length),
];

/** A changed copy of `input`. `others` lend pieces. */
export function mutate(
  input: Uint8Array,
  random: Random,
  others: readonly Uint8Array[],
  tokens: readonly string[],
): Uint8Array {
  const bytes = [...input];
  for (let n = 1 + random.below(MAX_CHANGES); n > 0; n--) {
    if (tokens.length > 0 && random.below(6) === 0) {
      const token = [...random.pick(tokens)].map((c) => c.charCodeAt(0));
      bytes.splice(at(bytes, random), random.below(2) * token.length, ...token);
    } else random.pick(CHANGES)(bytes, random, others);
  }
  return Uint8Array.from(bytes.slice(0, MAX_INPUT));
}
