/**
 * The initial stack (System V ABI for AMD64, 3.4.1; getauxval(3)): strings at the top, below them the
 * auxiliary vector, the environment, the arguments and their count, which rsp points to.
 *
 *   high   00000000  filename  envp strings  argv strings  platform  random bytes
 *          (aligned) auxv ... AT_NULL   envp[] NULL   argv[] NULL   argc         low
 */
import { AT_EXECFN, AT_PLATFORM, AT_RANDOM } from '../../spec/linux/elf.ts';
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
import type { StringList } from '../base/string_list.ts';
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
const RANDOM_BYTES = 16;
const TWO_32 = 2 ** 32;

export interface StackContents {
  readonly filename: string;
  readonly argv: StringList;
  readonly envp: StringList;
  /** AT_* and value by turns; AT_RANDOM, AT_EXECFN, AT_PLATFORM and AT_NULL are added here. */
  readonly auxv: readonly number[];
  readonly randomBytes: Uint8Array;
}

/** 0, or -E2BIG. */
export function checkArguments(
  filename: string,
  argv: StringList,
  envp: StringList,
  stackLimit: number,
): number {
  const limit = Math.max(Math.min(MOST_ARGUMENTS, stackLimit / 4), ARG_MAX);
  const strings = argv.byteLength + envp.byteLength;
  if (filename.length + 1 + (argv.count + envp.count) * 8 + strings > limit) return -E2BIG;
  if (strings <= MAX_ARG_STRLEN) return 0;
  return argv.longest > MAX_ARG_STRLEN || envp.longest > MAX_ARG_STRLEN ? -E2BIG : 0;
}

/** Puts `value` at 64-bit word `at`. */
function putWord(words: Uint32Array, at: number, value: number): void {
  // What does not fit such an element is cut off.
  words[2 * at] = value;
  words[2 * at + 1] = value / TWO_32;
}

/** Puts the addresses of `list`, which begins at `address`, and NULL behind. The word after that. */
function putPointers(words: Uint32Array, at: number, list: StringList, address: number): number {
  const { ends } = list;
  for (let i = 0; i < ends.length; i++) {
    putWord(words, at + i, i === 0 ? address : address + ends[i - 1]!);
  }
  return at + ends.length + 1;
}

/** Maps the stack below `top` and fills it. The stack pointer, or -errno. Sets mm's bounds. */
export function buildStack(
  mm: MemoryManager,
  top: number,
  executable: boolean,
  contents: StackContents,
): number {
  const { filename, argv, envp, auxv } = contents;
  const fixed = RANDOM_BYTES + PLATFORM.length + 1 + filename.length + 1 + 8;
  const stringBytes = fixed + argv.byteLength + envp.byteLength;
  const words = 1 + argv.count + 1 + envp.count + 1 + auxv.length + 2 * 4;
  const pointer = alignDown(top - stringBytes - 8 * words);
  const image = new Uint8Array(top - pointer);
  const randomAt = top - stringBytes;
  const platformAt = randomAt + RANDOM_BYTES;
  const argvAt = platformAt + PLATFORM.length + 1;
  const envpAt = argvAt + argv.byteLength;
  const filenameAt = envpAt + envp.byteLength;
  image.set(contents.randomBytes, randomAt - pointer);
  encodeByteString(PLATFORM, image, platformAt - pointer);
  image.set(argv.bytes, argvAt - pointer);
  image.set(envp.bytes, envpAt - pointer);
  encodeByteString(filename, image, filenameAt - pointer);

  const view = new Uint32Array(image.buffer);
  putWord(view, 0, argv.count);
  const afterArgv = putPointers(view, 1, argv, argvAt);
  const auxvAt = putPointers(view, afterArgv, envp, envpAt);
  const all = [...auxv, AT_RANDOM, randomAt, AT_EXECFN, filenameAt, AT_PLATFORM, platformAt];
  for (let i = 0; i < all.length; i++) putWord(view, auxvAt + i, all[i]!);

  // Apart, so that the upper part is small enough to get pages that are there already.
  const used = pageCeil(image.length) + USED_ROOM;
  const upper = mapStack(mm, top, used, executable);
  if (upper < 0) return upper;
  const lower = mapStack(mm, top - used, SPARE_ROOM, executable);
  if (lower < 0) return lower;
  const written = mm.copyOut(pointer, image);
  if (written < 0) return written;
  mm.stackStart = pointer;
  mm.argStart = argvAt;
  mm.argEnd = envpAt;
  mm.envStart = envpAt;
  mm.envEnd = filenameAt;
  mm.auxv = image.slice(8 * auxvAt, 8 * (auxvAt + all.length + 2));
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
