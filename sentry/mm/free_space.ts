/**
 * A part of the MemoryFile's offsets, one host file behind it, and what of it is free: zeroed, or freed and
 * still with its old contents. Offsets in the host file are those of the MemoryFile.
 */
import { type Range, RangeMap } from '../base/range_map.ts';

/** What the allocator needs of the host. Offsets and lengths in bytes; -errno on failure. */
export interface MemoryFileHost {
  /** fallocate(2) PUNCH_HOLE | KEEP_SIZE. */
  punch(fd: number, offset: number, length: number): number;
  /** lseek(2) SEEK_DATA and SEEK_HOLE; -ENXIO when there is no data up to the end. */
  nextData(fd: number, offset: number): number;
  nextHole(fd: number, offset: number): number;
  /** pwrite(2). */
  write(fd: number, offset: number, from: Uint8Array): number;
}

/** Free ranges have the form of the MemoryFile's segments: lookups see few shapes, which keeps them fast. */
interface FreeRange extends Range {
  refs: number;
}

/** Freed bytes that may wait for the next punch, and how many ranges of them. */
const DIRTY_BYTES = 16 * 1024 * 1024;
const DIRTY_RANGES = 256;

function split(item: FreeRange, at: number): FreeRange {
  const upper = { start: at, end: item.end, refs: 0 };
  item.end = at;
  return upper;
}

function joinAlways(): boolean {
  return true;
}

export class FreeSpace {
  readonly fd: number;
  private readonly end: number;
  private readonly host: MemoryFileHost;
  private readonly bytes: Uint8Array;
  /** Below `top`, zeroed. */
  private readonly free = new RangeMap<FreeRange>(split);
  /** Below `top`, freed and not yet punched. */
  private readonly dirty = new RangeMap<FreeRange>(split);
  private dirtyBytes = 0;
  /** From here to the end nothing has been taken. */
  private top: number;

  /** [start, end) of `bytes`, which is the whole MemoryFile. */
  constructor(fd: number, start: number, end: number, host: MemoryFileHost, bytes: Uint8Array) {
    this.fd = fd;
    this.top = start;
    this.end = end;
    this.host = host;
    this.bytes = bytes;
  }

  /** [offset, offset + length), or -1. */
  takeAt(offset: number, length: number): number {
    if (offset === this.top) return this.takeTop(length);
    const range = this.free.find(offset);
    if (range === null || range.end < offset + length) return -1;
    this.free.splitAt(offset);
    const after = this.free.splitAt(offset + length);
    this.free.removeAt(after - 1);
    return offset;
  }

  /** The first that fits of the first `limit` free ranges, or -1. */
  takeFree(length: number, limit: number): number {
    const items = this.free.items;
    const count = Math.min(items.length, limit);
    for (let i = 0; i < count; i++) {
      const range = items[i]!;
      if (range.end - range.start < length) continue;
      const offset = range.start;
      range.start += length;
      if (range.start === range.end) this.free.removeAt(i);
      return offset;
    }
    return -1;
  }

  /** What nobody has had so far, or -1. */
  takeTop(length: number): number {
    const offset = this.top;
    if (offset + length > this.end) return -1;
    this.top += length;
    return offset;
  }

  /** A range that begins at a multiple of `unit`, as `length` and the start of this space are; or -1. */
  takeAligned(length: number, unit: number): number {
    for (const range of this.free.items) {
      const offset = Math.ceil(range.start / unit) * unit;
      if (offset + length <= range.end) return this.takeAt(offset, length);
    }
    const offset = Math.ceil(this.top / unit) * unit;
    if (offset + length > this.end) return -1;
    const skipped = this.top;
    this.top = offset + length;
    if (offset > skipped) this.addFree(skipped, offset);
    return offset;
  }

  /** Freed, with its contents. */
  addDirty(start: number, end: number): void {
    this.dirtyBytes += end - start;
    const index = this.dirty.insert({ start, end, refs: 0 });
    this.dirty.merge(index, index + 1, joinAlways);
  }

  get hasMuchDirty(): boolean {
    return this.dirtyBytes > DIRTY_BYTES || this.dirty.items.length > DIRTY_RANGES;
  }

  /** Freed, and it reads as zero. */
  addFree(start: number, end: number): void {
    if (end === this.top) {
      this.top = start;
      this.trimTop();
      return;
    }
    const index = this.free.insert({ start, end, refs: 0 });
    this.free.merge(index, index + 1, joinAlways);
  }

  private trimTop(): void {
    const last = this.free.items[this.free.items.length - 1];
    if (last === undefined || last.end !== this.top) return;
    this.top = last.start;
    this.free.items.pop();
  }

  punchDirty(): void {
    for (const range of this.dirty.items) {
      const length = range.end - range.start;
      // A host that cannot punch still owes zeroes to the next owner.
      if (this.host.punch(this.fd, range.start, length) < 0) {
        this.bytes.fill(0, range.start, range.end);
      }
      this.addFree(range.start, range.end);
    }
    this.dirty.clear();
    this.dirtyBytes = 0;
  }
}
