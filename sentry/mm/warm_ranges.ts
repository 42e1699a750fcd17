/**
 * Freed ranges of the MemoryFile that still have their pages, by length: the next owner of as many pages
 * gets the same ones back, zeroed by hand. Having the host free a page and make another costs ten times as
 * much (docs/decisions/systrap_processes.md). What a program maps at each start then circulates by itself:
 * no search, and few pieces too short for anybody.
 */
import { PAGE_SIZE } from '../../spec/linux/mman.ts';

/** Longer ranges are not kept. */
const MOST_PAGES = 16;
/** Bytes and ranges kept. */
const MOST_BYTES = 4 * 1024 * 1024;
const MOST_RANGES = 256;

export class WarmRanges {
  /** Offsets of ranges of n pages, the last freed at the end. */
  private readonly byPages: number[][] = Array.from({ length: MOST_PAGES + 1 }, () => []);
  private bytes = 0;
  private count = 0;

  /** Whether a range of `length` bytes is of a kind that is kept at all. */
  static keeps(length: number): boolean {
    return length <= MOST_PAGES * PAGE_SIZE;
  }

  get full(): boolean {
    return this.bytes >= MOST_BYTES || this.count >= MOST_RANGES;
  }

  add(offset: number, length: number): void {
    this.byPages[length / PAGE_SIZE]!.push(offset);
    this.bytes += length;
    this.count++;
  }

  /** The offset of a range, not zeroed, of `length` bytes; of a longer one the rest stays. Or -1. */
  take(length: number): number {
    if (length > MOST_PAGES * PAGE_SIZE) return -1;
    for (let pages = length / PAGE_SIZE; pages <= MOST_PAGES; pages++) {
      const offset = this.byPages[pages]!.pop();
      if (offset === undefined) continue;
      const found = pages * PAGE_SIZE;
      this.bytes -= found;
      this.count--;
      if (found > length) this.add(offset + length, found - length);
      return offset;
    }
    return -1;
  }

  /** Gives all of them up. */
  drain(each: (start: number, end: number) => void): void {
    this.byPages.forEach((offsets, pages) => {
      for (const offset of offsets) each(offset, offset + pages * PAGE_SIZE);
      offsets.length = 0;
    });
    this.bytes = 0;
    this.count = 0;
  }
}
