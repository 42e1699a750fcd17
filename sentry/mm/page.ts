/** Page arithmetic on Numbers: addresses exceed 32 bits, so no bit operators here. */
import { PAGE_SIZE } from '../../spec/linux/mman.ts';

export function pageFloor(at: number): number {
  return at - (at % PAGE_SIZE);
}

export function pageCeil(at: number): number {
  const over = at % PAGE_SIZE;
  return over === 0 ? at : at + (PAGE_SIZE - over);
}

export function isPageAligned(at: number): boolean {
  return at % PAGE_SIZE === 0;
}
