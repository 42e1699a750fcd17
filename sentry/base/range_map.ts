/**
 * Ordered, non-overlapping ranges [start, end): the one structure behind Vmas, Pmas, the MemoryFile's
 * reference counts and sparse file contents. Finding is a binary search; inserting moves the tail of
 * an array, which for the tens of thousands of entries Linux allows a process costs microseconds.
 */

export interface Range {
  start: number;
  end: number;
}

/** Array.splice allocates an array for what it removes: it pays for long tails only. */
const LOOP_LIMIT = 128;

export class RangeMap<T extends Range> {
  /** In ascending order. Callers may shrink an item or change its payload in place. */
  readonly items: T[] = [];
  /** The index that `find` found last; most look twice for what they are about to touch. */
  private lately = 0;
  private readonly splitter: (item: T, at: number) => T;

  /**
   * `splitter` gets an item that straddles `at`: it must shrink it to [start, at) and return a new
   * item for [at, end).
   */
  constructor(splitter: (item: T, at: number) => T) {
    this.splitter = splitter;
  }

  /** Index of the first item that ends after `at` (the one that holds it, or the next). */
  lowerBound(at: number): number {
    const items = this.items;
    let low = 0;
    let high = items.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (items[middle]!.end > at) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  find(at: number): T | null {
    const { items, lately } = this;
    if (lately < items.length) {
      const item = items[lately]!;
      if (item.start <= at && at < item.end) return item;
    }
    const index = this.lowerBound(at);
    const item = items[index];
    if (item === undefined || item.start > at) return null;
    this.lately = index;
    return item;
  }

  /** The first item that overlaps [start, end), or null. */
  firstIn(start: number, end: number): T | null {
    const item = this.items[this.lowerBound(start)];
    return item !== undefined && item.start < end ? item : null;
  }

  /** Inserts at its place and returns the index. */
  insert(item: T): number {
    const items = this.items;
    const last = items[items.length - 1];
    if (last === undefined || last.end <= item.start) return items.push(item) - 1;
    const index = this.lowerBound(item.start);
    if (items[index]!.start < item.end) throw new Error('RangeMap: inserted range overlaps');
    this.open(index, item);
    return index;
  }

  removeAt(index: number, count = 1): void {
    const { items } = this;
    const kept = items.length - count;
    if (kept - index > LOOP_LIMIT || count > LOOP_LIMIT) {
      items.splice(index, count);
      return;
    }
    for (let i = index; i < kept; i++) items[i] = items[i + count]!;
    // Setting the length leaves V8's compiled code: ten times what this costs.
    for (let i = 0; i < count; i++) items.pop();
  }

  private open(index: number, item: T): void {
    const { items } = this;
    if (items.length - index > LOOP_LIMIT) {
      items.splice(index, 0, item);
      return;
    }
    for (let i = items.length; i > index; i--) items[i] = items[i - 1]!;
    items[index] = item;
  }

  /** Makes `at` a boundary. Returns the index of the first item that starts at or after `at`. */
  splitAt(at: number): number {
    const index = this.lowerBound(at);
    const item = this.items[index];
    if (item === undefined || item.start >= at) return index;
    this.open(index + 1, this.splitter(item, at));
    return index + 1;
  }

  /**
   * Joins neighbours among the items from index `first` - 1 to `last` (inclusive) wherever `join`
   * extends `left` over `right` and returns true.
   */
  merge(first: number, last: number, join: (left: T, right: T) => boolean): void {
    const items = this.items;
    let index = Math.max(first, 1);
    let end = Math.min(last, items.length - 1);
    while (index <= end) {
      const left = items[index - 1]!;
      const right = items[index]!;
      if (left.end === right.start && join(left, right)) {
        left.end = right.end;
        this.removeAt(index);
        end--;
      } else {
        index++;
      }
    }
  }

  /** The same among all items that touch [start, end], and who touches those. */
  mergeIn(start: number, end: number, join: (left: T, right: T) => boolean): void {
    const items = this.items;
    let index = Math.max(this.lowerBound(start), 1);
    while (index < items.length && items[index]!.start <= end) {
      const left = items[index - 1]!;
      const right = items[index]!;
      if (left.end === right.start && join(left, right)) {
        left.end = right.end;
        this.removeAt(index);
      } else {
        index++;
      }
    }
  }

  clear(): void {
    this.items.length = 0;
  }
}
