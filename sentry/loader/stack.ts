/**
 * The initial stack (System V ABI for AMD64, 3.4.1; getauxval(3)): strings at the top, below them the
 * auxiliary vector, the environment, the arguments and their count, which rsp points to.
 *
 *   high   00000000  filename  envp strings  argv strings  platform  random bytes
 *          (aligned) auxv ... AT_NULL   envp[] NULL   argv[] NULL   argc         low
 */
import { AT_EXECFN, AT_NULL, AT_PLATFORM, AT_RANDOM } from '../../spec/linux/elf.ts';
import { E2BIG } from '../../spec/linux/errno.ts';
import {
  MAP_ANONYMOUS,
  MAP_FIXED_NOREPLACE,
  MAP_GROWSDOWN,
  MAP_PRIVATE,
  PAGE_SIZE,
  PROT_EXEC,
  PROT_READ,
  PROT_WRITE,
} from '../../spec/linux/mman.ts';
import { encodeByteString } from '../base/byte_string.ts';
import type { MemoryManager } from '../mm/memory_manager.ts';
import { pageCeil } from '../mm/page.ts';
import { VM_STACK } from '../mm/vma.ts';

/** One string, with its NUL. */
const MAX_ARG_STRLEN = 32 * PAGE_SIZE;
/** All strings and pointers: a quarter of the stack limit, within these bounds. */
const ARG_MAX = 32 * PAGE_SIZE;
const MOST_ARGUMENTS = 6 * 1024 * 1024;
/** Stack mapped below what is put there: what every program writes, and what many never reach. */
const USED_ROOM = 16 * 1024;
const SPARE_ROOM = 112 * 1024;
const PLATFORM = 'x86_64';
const TWO_32 = 2 ** 32;

export interface StackContents {
  readonly filename: string;
  readonly argv: readonly string[];
  readonly envp: readonly string[];
  /** Pairs of AT_* and value; AT_RANDOM, AT_EXECFN, AT_PLATFORM and AT_NULL are added here. */
  readonly auxv: readonly (readonly [number, number])[];
  readonly randomBytes: Uint8Array;
}

/** 0, or -E2BIG. */
export function checkArguments(
  filename: string,
  argv: readonly string[],
  envp: readonly string[],
  stackLimit: number,
): number {
  const limit = Math.max(Math.min(MOST_ARGUMENTS, stackLimit / 4), ARG_MAX);
  let total = filename.length + 1 + (argv.length + envp.length) * 8;
  for (const list of [argv, envp]) {
    for (const text of list) {
      if (text.length >= MAX_ARG_STRLEN) return -E2BIG;
      total += text.length + 1;
    }
  }
  return total > limit ? -E2BIG : 0;
}

/** Maps the stack below `top` and fills it. The stack pointer, or -errno. Sets mm's bounds. */
export function buildStack(
  mm: MemoryManager,
  top: number,
  executable: boolean,
  contents: StackContents,
): number {
  const { filename, argv, envp } = contents;
  const strings = [...argv, ...envp, filename];
  let stringBytes = 8 + PLATFORM.length + 1 + 16;
  for (const text of strings) stringBytes += text.length + 1;
  const auxPairs = contents.auxv.length + 4;
  const words = 1 + argv.length + 1 + envp.length + 1 + 2 * auxPairs;
  const pointer = alignDown(top - stringBytes - 8 * words);
  const image = new Uint8Array(top - pointer);
  const view = new DataView(image.buffer);
  const putWord = (at: number, value: number) => {
    view.setUint32(at, value % TWO_32, true);
    view.setUint32(at + 4, Math.floor(value / TWO_32), true);
  };

  let text = image.length - stringBytes;
  image.set(contents.randomBytes.subarray(0, 16), text);
  const randomAt = pointer + text;
  text += 16;
  const platformAt = pointer + text;
  text += encodeByteString(PLATFORM, image, text) + 1;
  const addresses: number[] = [];
  for (const string of strings) {
    addresses.push(pointer + text);
    text += encodeByteString(string, image, text) + 1;
  }

  const filenameAt = addresses[addresses.length - 1]!;
  let at = 0;
  const next = (value: number) => {
    putWord(at, value);
    at += 8;
  };
  next(argv.length);
  for (let i = 0; i < argv.length; i++) next(addresses[i]!);
  next(0);
  for (let i = 0; i < envp.length; i++) next(addresses[argv.length + i]!);
  next(0);
  const auxvAt = at;
  const auxv = [
    ...contents.auxv,
    [AT_RANDOM, randomAt],
    [AT_EXECFN, filenameAt],
    [AT_PLATFORM, platformAt],
    [AT_NULL, 0],
  ] as const;
  for (const [type, value] of auxv) {
    next(type);
    next(value);
  }

  // Apart, so that the upper part is small enough to get pages that are there already.
  const used = pageCeil(image.length) + USED_ROOM;
  const upper = mapStack(mm, top, used, executable);
  if (upper < 0) return upper;
  const lower = mapStack(mm, top - used, SPARE_ROOM, executable);
  if (lower < 0) return lower;
  const written = mm.copyOut(pointer, image);
  if (written < 0) return written;
  mm.stackStart = pointer;
  mm.argStart = addresses[0] ?? filenameAt;
  mm.argEnd = addresses[argv.length]!;
  mm.envStart = mm.argEnd;
  mm.envEnd = filenameAt;
  mm.auxv = image.slice(auxvAt, at);
  return pointer;
}

function mapStack(mm: MemoryManager, top: number, length: number, executable: boolean): number {
  return mm.mmap({
    addr: top - length,
    length,
    prot: PROT_READ | PROT_WRITE | (executable ? PROT_EXEC : 0),
    flags: MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN | MAP_FIXED_NOREPLACE,
    file: null,
    offset: 0,
    name: '[stack]',
    vmFlags: VM_STACK,
  });
}

function alignDown(address: number): number {
  return address - (address % 16);
}
