/**
 * The MemoryFile: all application memory and all tmpfs contents of a sandbox, in one sparse memfd
 * mapped whole into the Sentry. This is its allocator.
 *
 * Ranges are page-aligned, come zeroed, and are reference counted page by page. Reserving is free:
 * the host gives pages only where somebody writes, so callers reserve generously to keep what will
 * grow contiguous (see Reservation). Freed ranges are collected and punched out of the file in
 * batches; until then they are not handed out again, because they do not read as zero. Small ones are
 * kept apart and handed out first, zeroed by hand: see warm_ranges.ts.
 */
import { ENOMEM } from '../../spec/linux/errno.ts';
import { PAGE_SIZE } from '../../spec/linux/mman.ts';
import { type Range, RangeMap } from '../base/range_map.ts';
import { isPageAligned, pageCeil } from './page.ts';
import { WarmRanges } from './warm_ranges.ts';

/** What the allocator needs of the host. Offsets and lengths in bytes; -errno on failure. */
export interface MemoryFileHost {
  /** fallocate(2) PUNCH_HOLE | KEEP_SIZE. */
  punch(offset: number, length: number): number;
  /** lseek(2) SEEK_DATA and SEEK_HOLE; -ENXIO when there is no data up to the end. */
  nextData(offset: number): number;
  nextHole(offset: number): number;
}

/** Free ranges have the same form, without references: lookups see few shapes, which keeps them fast. */
interface Segment extends Range {
  refs: number;
}

/** Freed bytes that may wait for the next punch, and how many ranges of them. */
const DIRTY_BYTES = 16 * 1024 * 1024;
const DIRTY_RANGES = 256;
/** Free ranges looked at before fresh space is taken from the top. */
const SCAN_LIMIT = 64;

function splitSegment(item: Segment, at: number): Segment {
  const upper = { start: at, end: item.end, refs: item.refs };
  item.end = at;
  return upper;
}

function joinAlways(): boolean {
  return true;
}

function joinSameRefs(left: Segment, right: Segment): boolean {
  return left.refs === right.refs;
}

export class MemoryFile {
  /** The host descriptor that platforms map. */
  readonly fd: number;
  readonly size: number;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** For atomic operations on futex words. */
  readonly words: Int32Array;
  /** Bytes reserved by someone; far more than what the host really holds. */
  reservedBytes = 0;

  private readonly host: MemoryFileHost;
  private readonly segments = new RangeMap<Segment>(splitSegment);
  /** Below `top`, zeroed. */
  private readonly free = new RangeMap<Segment>(splitSegment);
  /** Below `top`, freed and not yet punched. */
  private readonly dirty = new RangeMap<Segment>(splitSegment);
  private dirtyBytes = 0;
  private readonly warm = new WarmRanges();
  private top = 0;

  constructor(fd: number, buffer: ArrayBuffer, host: MemoryFileHost) {
    this.fd = fd;
    this.size = buffer.byteLength;
    this.bytes = new Uint8Array(buffer);
    this.view = new DataView(buffer);
    this.words = new Int32Array(buffer);
    this.host = host;
  }

  /**
   * Reserves `length` zeroed bytes with one reference. Takes them at `hint` when that is free, so
   * that neighbours in an address space become neighbours here. -ENOMEM when the file is full.
   * `mayBeWarm` false: the host shall hold no pages of it yet, for what may never be touched.
   */
  allocate(length: number, hint = -1, mayBeWarm = true): number {
    if (length <= 0 || !isPageAligned(length)) throw new Error('MemoryFile: bad length');
    let offset = hint >= 0 ? this.takeAt(hint, length) : -1;
    if (offset < 0 && mayBeWarm) offset = this.takeWarm(length);
    if (offset < 0) offset = this.takeFree(length, SCAN_LIMIT);
    if (offset < 0) offset = this.takeTop(length);
    if (offset < 0) {
      this.reclaim();
      offset = this.takeFree(length, Number.MAX_SAFE_INTEGER);
      if (offset < 0) return -ENOMEM;
    }
    this.reservedBytes += length;
    const index = this.segments.insert({ start: offset, end: offset + length, refs: 1 });
    this.segments.merge(index, index + 1, joinSameRefs);
    return offset;
  }

  retain(offset: number, length: number): void {
    this.adjust(offset, length, 1);
  }

  /** Drops one reference of every page; pages without any are freed. */
  release(offset: number, length: number): void {
    this.adjust(offset, length, -1);
    if (this.dirtyBytes > DIRTY_BYTES || this.dirty.items.length > DIRTY_RANGES) this.punchDirty();
  }

  /** Gives back a range with one reference that nobody has touched: it need not be punched. */
  unreserve(offset: number, length: number): void {
    const segments = this.segments;
    const first = segments.splitAt(offset);
    const last = segments.splitAt(offset + length);
    const segment = segments.items[first];
    if (last !== first + 1 || segment === undefined || segment.refs !== 1) {
      throw new Error('MemoryFile: unreserving what is in use');
    }
    segments.removeAt(first);
    this.reservedBytes -= length;
    this.freeClean(offset, offset + length);
  }

  /** Where the pages around `offset` with exactly one reference begin and end, or null. */
  uniqueAround(offset: number): Readonly<Range> | null {
    const segment = this.segments.find(offset);
    return segment !== null && segment.refs === 1 ? segment : null;
  }

  /** Gives the pages of a live range back to the host at once: they read as zero. */
  decommit(offset: number, length: number): number {
    return this.host.punch(offset, length);
  }

  /** Punches what was freed. Worth calling when the sandbox goes idle. */
  reclaim(): void {
    this.warm.drain((start, end) => this.addDirty(start, end));
    this.punchDirty();
  }

  private punchDirty(): void {
    for (const range of this.dirty.items) {
      const length = range.end - range.start;
      // A host that cannot punch still owes zeroes to the next owner.
      if (this.host.punch(range.start, length) < 0) this.bytes.fill(0, range.start, range.end);
      this.freeClean(range.start, range.end);
    }
    this.dirty.clear();
    this.dirtyBytes = 0;
  }

  /** Bytes of [offset, offset + length) that the host holds pages for. */
  committedBytes(offset: number, length: number): number {
    const end = offset + length;
    let total = 0;
    for (let at = offset; at < end; ) {
      const data = this.host.nextData(at);
      if (data < 0 || data >= end) break;
      const hole = this.host.nextHole(data);
      const stop = hole < 0 || hole > end ? end : hole;
      total += stop - data;
      at = stop;
    }
    return pageCeil(total);
  }

  private adjust(offset: number, length: number, delta: number): void {
    const end = offset + length;
    const segments = this.segments;
    const first = segments.splitAt(offset);
    const last = segments.splitAt(end);
    let at = offset;
    let dead = 0;
    for (let i = first; i < last; i++) {
      const segment = segments.items[i]!;
      if (segment.start !== at) break;
      at = segment.end;
      segment.refs += delta;
      if (segment.refs === 0) dead++;
    }
    if (at !== end) throw new Error('MemoryFile: reference to a free range');
    if (dead > 0) this.dropDead(first, last);
    segments.merge(first, last - dead, joinSameRefs);
  }

  private dropDead(first: number, last: number): void {
    for (let i = last - 1; i >= first; i--) {
      const { start, end, refs } = this.segments.items[i]!;
      if (refs > 0) continue;
      this.segments.removeAt(i);
      this.reservedBytes -= end - start;
      if (!this.keepWarm(start, end)) this.addDirty(start, end);
    }
  }

  private addDirty(start: number, end: number): void {
    this.dirtyBytes += end - start;
    const index = this.dirty.insert({ start, end, refs: 0 });
    this.dirty.merge(index, index + 1, joinAlways);
  }

  private keepWarm(start: number, end: number): boolean {
    if (!WarmRanges.keeps(end - start)) return false;
    // Full of what nobody asks for: it begins anew.
    if (this.warm.full) this.warm.drain((from, to) => this.addDirty(from, to));
    this.warm.add(start, end - start);
    return true;
  }

  private takeWarm(length: number): number {
    const offset = this.warm.take(length);
    if (offset >= 0) this.bytes.fill(0, offset, offset + length);
    return offset;
  }

  /** Zeroed space becomes free again. */
  private freeClean(start: number, end: number): void {
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

  private takeAt(offset: number, length: number): number {
    if (offset === this.top) return this.takeTop(length);
    const range = this.free.find(offset);
    if (range === null || range.end < offset + length) return -1;
    this.free.splitAt(offset);
    const after = this.free.splitAt(offset + length);
    this.free.removeAt(after - 1);
    return offset;
  }

  private takeFree(length: number, limit: number): number {
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

  private takeTop(length: number): number {
    const offset = this.top;
    if (offset + length > this.size) return -1;
    this.top += length;
    return offset;
  }
}

/**
 * Space kept aside for something that grows (the heap, a file being written), so that its pieces lie
 * in a row and merge into one mapping. Each refill doubles, up to a bound.
 */
export class Reservation {
  private static readonly MAX = 256 * 1024 * 1024;
  private readonly first: number;
  private next: number;
  private at = 0;
  private end = 0;

  constructor(firstLength = 16 * PAGE_SIZE) {
    this.first = firstLength;
    this.next = firstLength;
  }

  /**
   * `length` bytes with one reference, right after the previous ones where possible, or -ENOMEM.
   * `near`: where they ought to begin instead, if the caller knows better.
   */
  take(memory: MemoryFile, length: number, near = -1): number {
    if (near >= 0 && near !== this.at) this.drop(memory);
    if (this.end - this.at < length) {
      const refilled = this.refill(memory, length, near);
      if (refilled < 0) return refilled;
    }
    const offset = this.at;
    this.at += length;
    return offset;
  }

  private refill(memory: MemoryFile, length: number, near: number): number {
    const hint = this.end > 0 ? this.end : near;
    let taken = Math.max(length, this.next);
    let offset = memory.allocate(taken, hint, false);
    if (offset < 0) {
      taken = length;
      offset = memory.allocate(taken, hint, false);
      if (offset < 0) return offset;
    }
    const continues = offset === this.end;
    if (!continues) {
      this.giveBack(memory);
      this.at = offset;
    }
    this.end = offset + taken;
    this.next = Math.min(this.next * 2, Reservation.MAX);
    return 0;
  }

  /** Gives back what was not taken, and begins anew. */
  drop(memory: MemoryFile): void {
    this.giveBack(memory);
    this.at = 0;
    this.end = 0;
    this.next = this.first;
  }

  private giveBack(memory: MemoryFile): void {
    if (this.end > this.at) memory.unreserve(this.at, this.end - this.at);
  }
}
