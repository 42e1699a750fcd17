/**
 * Page arithmetic on Numbers. Addresses exceed 32 bits, so of the bit operators only those that look at
 * the low bits are right; they are also many times faster than the remainder of doubles.
 */
import { PAGE_SIZE } from '../../spec/linux/mman.ts';

/** What one entry of a page directory maps. */
export const HUGE_PAGE_BYTES = 2 * 1024 * 1024;

const IN_PAGE = PAGE_SIZE - 1;
const IN_HUGE_PAGE = HUGE_PAGE_BYTES - 1;

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

export function hugePageFloor(at: number): number {
  return at - (at & IN_HUGE_PAGE);
}

export function hugePageCeil(at: number): number {
  return hugePageFloor(at + IN_HUGE_PAGE);
}
