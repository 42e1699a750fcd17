/**
 * Page arithmetic on Numbers. Addresses exceed 32 bits, so of the bit operators only those that look at
 * the low bits are right; they are also many times faster than the remainder of doubles.
 */
import { PAGE_SIZE } from '../../spec/linux/mman.ts';

const IN_PAGE = PAGE_SIZE - 1;

/** Distance from the start of the page. */
export function offsetInPage(at: number): number {
  return at & IN_PAGE;
}

export function pageFloor(at: number): number {
  return at - (at & IN_PAGE);
}

export function pageCeil(at: number): number {
  const over = at & IN_PAGE;
  return over === 0 ? at : at + (PAGE_SIZE - over);
}

export function isPageAligned(at: number): boolean {
  return (at & IN_PAGE) === 0;
}
