/**
 * Vma: a range of addresses as the application asked for it (Linux's vm_area_struct): protection,
 * sharing, the file behind it. What backs it is told by Pmas (pma.ts).
 */
import { PAGE_SIZE, PROT_EXEC, PROT_READ, PROT_WRITE } from '../../spec/linux/mman.ts';
import { type Range, RangeMap } from '../base/range_map.ts';
import type { Mappable } from './mappable.ts';

export const VM_SHARED = 0x1;
export const VM_GROWSDOWN = 0x2;
export const VM_LOCKED = 0x4;
export const VM_DONTFORK = 0x8;
export const VM_WIPEONFORK = 0x10;
export const VM_NORESERVE = 0x20;
export const VM_DONTDUMP = 0x40;
/** The initial stack, which may grow to RLIMIT_STACK. */
export const VM_STACK = 0x80;
/** Made by the kernel ([vdso], [vvar]): not to be remapped piecewise or advised away. */
export const VM_SPECIAL = 0x100;
/** A program or library (MAP_DENYWRITE): nobody changes the file while it is mapped. */
export const VM_DENYWRITE = 0x200;

/** MAP_STACK (as since Linux 6.7) and MADV_NOHUGEPAGE. */
export const VM_NOHUGEPAGE = 0x400;

/** Linux's stack_guard_gap: what must stay free below a VM_GROWSDOWN Vma. */
export const STACK_GUARD = 256 * PAGE_SIZE;

export interface Vma extends Range {
  /** PROT_READ | PROT_WRITE | PROT_EXEC. */
  prot: number;
  /** What mprotect(2) may set: less than everything for shared mappings of files opened read-only. */
  readonly maxProt: number;
  /** VM_*. */
  flags: number;
  readonly file: Mappable | null;
  /** File offset of `start`; 0 without a file. */
  offset: number;
  /** Shown in /proc/PID/maps when there is no file: '[heap]', '[stack]', '[vdso]' or ''. */
  readonly name: string;
}

export const PROT_ALL = PROT_READ | PROT_WRITE | PROT_EXEC;

export function isShared(vma: Vma): boolean {
  return (vma.flags & VM_SHARED) !== 0;
}

/** With other VM_* flags. */
export function copyOf(vma: Vma, flags: number): Vma {
  const { start, end, prot, maxProt, file, offset, name } = vma;
  return { start, end, prot, maxProt, flags, file, offset, name };
}

/** The lowest address that nothing else may reach into. */
export function guardedStart(vma: Vma): number {
  return vma.flags & VM_GROWSDOWN ? Math.max(vma.start - STACK_GUARD, 0) : vma.start;
}

export function canJoin(left: Vma, right: Vma): boolean {
  return (
    left.end === right.start &&
    left.prot === right.prot &&
    left.maxProt === right.maxProt &&
    left.flags === right.flags &&
    left.file === right.file &&
    left.name === right.name &&
    (left.file === null || left.offset + (left.end - left.start) === right.offset)
  );
}

/** The Vmas of one address space. Its owner is told when pieces come to refer to a file. */
export type VmaMap = RangeMap<Vma>;

export function newVmaMap(onSplit: (vma: Vma) => void): VmaMap {
  return new RangeMap<Vma>((vma, at) => {
    const offset = vma.file === null ? 0 : vma.offset + (at - vma.start);
    const upper: Vma = { ...vma, start: at, offset };
    vma.end = at;
    onSplit(upper);
    return upper;
  });
}
