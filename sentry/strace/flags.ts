/**
 * Names of flag words for strace lines, by the format name that the syscall table uses.
 */
import * as fcntl from '../../spec/linux/fcntl.ts';
import * as mman from '../../spec/linux/mman.ts';
import * as sched from '../../spec/linux/sched.ts';

/** Which constants of a module belong to a word: those with the prefix, single bits only. */
function bits(module: Readonly<Record<string, unknown>>, prefix: string): Word {
  const found: [string, number][] = [];
  for (const [name, value] of Object.entries(module)) {
    if (!name.startsWith(prefix) || typeof value !== 'number' || value <= 0) continue;
    if (value > 0x80000000 || (value & (value - 1)) !== 0) continue;
    if (!found.some(([, v]) => v === value)) found.push([name, value >>> 0]);
  }
  return found;
}

const ACCESS_MODES = ['O_RDONLY', 'O_WRONLY', 'O_RDWR', 'O_ACCMODE'];

type Word = readonly (readonly [string, number])[];

/** Made when the first line is written: a start without --strace does not pay for it. */
let words: Readonly<Record<string, Word>> | null = null;

function flagWords(): Readonly<Record<string, Word>> {
  words ??= {
    oflags: bits(fcntl, 'O_').filter(([, v]) => v > 3),
    prot: bits(mman, 'PROT_'),
    mapflags: bits(mman, 'MAP_').filter(([n]) => !n.includes('SHIFT')),
    cloneflags: bits(sched, 'CLONE_'),
  };
  return words;
}

/** `value` in names joined by '|', what has no name in hex; null when `format` is not a flag word. */
export function flagText(format: string, value: number): string | null {
  const names = flagWords()[format];
  if (names === undefined) return null;
  const parts: string[] = [];
  let rest = value >>> 0;
  if (format === 'oflags') {
    parts.push(ACCESS_MODES[rest & 3] as string);
    rest = (rest & ~3) >>> 0;
  }
  for (const [name, bit] of names) {
    if ((rest & bit) === 0) continue;
    parts.push(name);
    rest = (rest & ~bit) >>> 0;
  }
  if (rest !== 0 || parts.length === 0) parts.push(`0x${rest.toString(16)}`);
  return parts.join('|');
}
