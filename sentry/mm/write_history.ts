/**
 * What a program writes around its forks. A shell that forks a thousand times writes the same pages of
 * stack, data and heap each time, in the parent and in the child, and each of them is a fault. Pages
 * seen to be written after earlier forks are given to the child as a copy in the fork itself and stay
 * writable in the parent: the copy would be made anyway, the faults are saved.
 *
 * Shared by all that were forked from one program; execve(2) begins anew.
 */
import { PAGE_SIZE } from '../../spec/linux/mman.ts';
import type { Range } from '../base/range_map.ts';

/** Writes are noted by windows of this size. */
export const HISTORY_WINDOW = 4 * PAGE_SIZE;
const MOST_WINDOWS = 96;
/** Forks after which it is learnt anew what is written: what is copied faults no more, so it cannot tell. */
const LIFETIME_FORKS = 64;

export class WriteHistory {
  private readonly windows = new Set<number>();
  /** Made from `windows` when next asked for. */
  private ranges: Range[] | null = null;
  private forks = 0;

  /** The window of `addr` was written for the first time since a fork. */
  note(addr: number): void {
    if (this.windows.size >= MOST_WINDOWS) return;
    const window = addr - (addr % HISTORY_WINDOW);
    if (this.windows.has(window)) return;
    this.windows.add(window);
    this.ranges = null;
  }

  /** To be called at each fork: what is likely to be written after it, in ascending order. */
  expected(): readonly Range[] {
    if (++this.forks % LIFETIME_FORKS === 0) {
      this.windows.clear();
      this.ranges = null;
    }
    this.ranges ??= this.join();
    return this.ranges;
  }

  private join(): Range[] {
    const ranges: Range[] = [];
    for (const start of [...this.windows].sort((a, b) => a - b)) {
      const last = ranges[ranges.length - 1];
      // To copy a window costs less than two mappings more.
      if (last !== undefined && start - last.end <= HISTORY_WINDOW)
        last.end = start + HISTORY_WINDOW;
      else ranges.push({ start, end: start + HISTORY_WINDOW });
    }
    return ranges;
  }
}
