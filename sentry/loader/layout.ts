/**
 * Where a new program's parts go (Linux's arch/x86/mm/mmap.c): stack at the top, mappings downwards
 * below the room it may grow into, all at random places.
 */
import { PAGE_SIZE } from '../../spec/linux/mman.ts';
import { pageCeil, pageFloor } from '../mm/page.ts';

/** Random bits of the mmap base and of a movable program, in pages (Linux's mmap_rnd_bits). */
const MMAP_RANDOM_PAGES = 2 ** 28;
/** Of the stack: 16 GiB. */
const STACK_RANDOM_PAGES = 2 ** 22;
/** Of the heap's distance from the program: 32 MiB. */
const BRK_RANDOM_PAGES = 2 ** 13;
/** Room kept for the stack whatever its limit says. */
const MIN_STACK_GAP = 128 * 1024 * 1024;
const MIN_ADDRESS = 65536;

export interface ProgramLayout {
  /** One past the last byte of the stack. */
  readonly stackTop: number;
  readonly mmapBase: number;
  readonly minAddress: number;
  /** Where a movable program with an interpreter goes. */
  readonly programBase: number;
  /** Distance from the end of the program to the heap. */
  readonly brkGap: number;
}

/** `random` fills with random bytes; `stackLimit` is RLIMIT_STACK. */
export function chooseLayout(
  taskSize: number,
  stackLimit: number,
  random: (into: Uint8Array) => void,
): ProgramLayout {
  const bytes = new Uint8Array(16);
  random(bytes);
  const view = new DataView(bytes.buffer);
  const pages = (index: number, count: number) =>
    (view.getUint32(index * 4, true) % count) * PAGE_SIZE;
  const stackTop = pageFloor(taskSize) - pages(0, STACK_RANDOM_PAGES);
  const mostGap = pageFloor((taskSize / 6) * 5);
  const gap = Math.min(Math.max(pageCeil(Math.min(stackLimit, mostGap)), MIN_STACK_GAP), mostGap);
  const below = gap + STACK_RANDOM_PAGES * PAGE_SIZE + 256 * PAGE_SIZE;
  const base = pageFloor(taskSize) - below - pages(1, MMAP_RANDOM_PAGES);
  return {
    stackTop,
    mmapBase: Math.max(base, pageFloor(taskSize / 6)),
    minAddress: MIN_ADDRESS,
    programBase: pageFloor((taskSize / 3) * 2) + pages(2, MMAP_RANDOM_PAGES),
    brkGap: pages(3, BRK_RANDOM_PAGES),
  };
}
