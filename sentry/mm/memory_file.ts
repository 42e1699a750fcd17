/**
 * The MemoryFile: all application memory and all tmpfs contents of a sandbox, in one sparse memfd
 * mapped whole into the Sentry. This is its allocator. The last offsets may be those of a second file, in
 * which the host uses huge pages: for large anonymous mappings, and what is left of it is the bound for
 * what huge pages may waste (docs/decisions/systrap_processes.md).
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
import { FreeSpace, type MemoryFileHost } from './free_space.ts';
import { HUGE_PAGE_BYTES, hugePageFloor, isPageAligned, pageCeil } from './page.ts';
import { WarmRanges } from './warm_ranges.ts';

/** The file with huge pages: what it is of the MemoryFile, up to the end. */
export interface HugeFile {
  readonly fd: number;
  /** A multiple of HUGE_PAGE_BYTES. */
  readonly start: number;
}

/** Pages of the MemoryFile as one reference counts them. */
interface Segment extends Range {
  refs: number;
}

/** Free ranges looked at before fresh space is taken from the top. */
const SCAN_LIMIT = 64;

function splitSegment(item: Segment, at: number): Segment {
  const upper = { start: at, end: item.end, refs: item.refs };
  item.end = at;
  return upper;
}

function joinSameRefs(left: Segment, right: Segment): boolean {
  return left.refs === right.refs;
}

function checkLength(length: number): void {
  if (length <= 0 || !isPageAligned(length)) throw new Error('MemoryFile: bad length');
}

export class MemoryFile {
  readonly size: number;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** For atomic operations on futex words. */
  readonly words: Int32Array;
  /** Bytes reserved by someone; far more than what the host really holds. */
  reservedBytes = 0;

  private readonly host: MemoryFileHost;
  private readonly segments = new RangeMap<Segment>(splitSegment);
  private readonly common: FreeSpace;
  private readonly huge: FreeSpace | null;
  /** The first offset of `huge`. */
  private readonly hugeStart: number;
  private readonly warm = new WarmRanges();

  constructor(fd: number, buffer: ArrayBuffer, host: MemoryFileHost, huge: HugeFile | null = null) {
    this.size = buffer.byteLength;
    this.bytes = new Uint8Array(buffer);
    this.view = new DataView(buffer);
    this.words = new Int32Array(buffer);
    this.host = host;
    this.hugeStart = huge?.start ?? this.size;
    // A page between the two belongs to nobody: no range is of both files.
    const commonEnd = huge === null ? this.size : huge.start - PAGE_SIZE;
    this.common = new FreeSpace(fd, 0, commonEnd, host, this.bytes);
    this.huge = huge && new FreeSpace(huge.fd, huge.start, this.size, host, this.bytes);
  }

  /** The host descriptor that platforms map for what lies at `offset`. */
  fdAt(offset: number): number {
    return this.spaceAt(offset).fd;
  }

  /** The host descriptors of all of it. */
  get fds(): readonly number[] {
    return this.huge === null ? [this.common.fd] : [this.common.fd, this.huge.fd];
  }

  /** The most there can be in huge pages, 0 where the host has none for us. */
  get hugeBytes(): number {
    return this.size - this.hugeStart;
  }

  /** Whether the host uses huge pages there. */
  isHuge(offset: number): boolean {
    return offset >= this.hugeStart;
  }

  private spaceAt(offset: number): FreeSpace {
    return this.huge !== null && offset >= this.hugeStart ? this.huge : this.common;
  }

  /**
   * Reserves `length` zeroed bytes with one reference. Takes them at `hint` when that is free, so
   * that neighbours in an address space become neighbours here. -ENOMEM when the file is full.
   * `mayBeWarm` false: the host shall hold no pages of it yet, for what may never be touched.
   */
  allocate(length: number, hint = -1, mayBeWarm = true): number {
    checkLength(length);
    const { common } = this;
    const near = hint >= 0 ? common.takeAt(hint, length) : -1;
    if (near >= 0) return this.taken(near, length);
    const warm = mayBeWarm ? this.warm.take(length) : -1;
    if (warm < 0) return this.allocateCold(length);
    this.bytes.fill(0, warm, warm + length);
    return this.taken(warm, length);
  }

  /** The same for who writes all of it at once: it holds anything. */
  allocateToFill(length: number): number {
    checkLength(length);
    const warm = this.warm.take(length);
    return warm < 0 ? this.allocateCold(length) : this.taken(warm, length);
  }

  private allocateCold(length: number): number {
    const { common } = this;
    let offset = common.takeFree(length, SCAN_LIMIT);
    if (offset < 0) offset = common.takeTop(length);
    if (offset < 0) {
      this.reclaim();
      offset = common.takeFree(length, Number.MAX_SAFE_INTEGER);
      if (offset < 0) return -ENOMEM;
    }
    return this.taken(offset, length);
  }

  /**
   * The same, of whole huge pages: both `length` and what is returned are multiples of HUGE_PAGE_BYTES.
   * -ENOMEM where there are none, or no more: the caller then takes others.
   */
  allocateHuge(length: number, hint = -1): number {
    const { huge } = this;
    if (huge === null) return -ENOMEM;
    const fits = hint >= this.hugeStart && hint === hugePageFloor(hint);
    let offset = fits ? huge.takeAt(hint, length) : -1;
    if (offset < 0) offset = huge.takeAligned(length, HUGE_PAGE_BYTES);
    if (offset < 0) {
      huge.punchDirty();
      offset = huge.takeAligned(length, HUGE_PAGE_BYTES);
      if (offset < 0) return -ENOMEM;
    }
    return this.taken(offset, length);
  }

  private taken(offset: number, length: number): number {
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
    const space = this.spaceAt(offset);
    if (space.hasMuchDirty) space.punchDirty();
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
    this.spaceAt(offset).addFree(offset, offset + length);
  }

  /** Where the pages around `offset` with exactly one reference begin and end, or null. */
  uniqueAround(offset: number): Readonly<Range> | null {
    const segment = this.segments.find(offset);
    return segment !== null && segment.refs === 1 ? segment : null;
  }

  /** Gives the pages of a live range back to the host at once: they read as zero. */
  decommit(offset: number, length: number): number {
    return this.host.punch(this.fdAt(offset), offset, length);
  }

  /**
   * Copies to pages that nobody has touched. write(2) makes and fills a page in one go, where storing into
   * the view would be a fault for each. Bytes copied, 0 when there is nothing but zeroes, or -errno.
   */
  copyToFresh(target: number, source: number, length: number): number {
    const data = this.host.nextData(this.fdAt(source), source);
    if (data < 0 || data >= source + length) return 0;
    for (let done = 0; done < length; ) {
      const from = this.bytes.subarray(source + done, source + length);
      const n = this.host.write(this.fdAt(target), target + done, from);
      if (n < 0) return n;
      done += n;
    }
    return length;
  }

  /** Punches what was freed. Worth calling when the sandbox goes idle. */
  reclaim(): void {
    this.warm.drain((start, end) => this.common.addDirty(start, end));
    this.common.punchDirty();
    this.huge?.punchDirty();
  }

  /** Bytes of [offset, offset + length) that the host holds pages for. */
  committedBytes(offset: number, length: number): number {
    const fd = this.fdAt(offset);
    const end = offset + length;
    let total = 0;
    for (let at = offset; at < end; ) {
      const data = this.host.nextData(fd, at);
      if (data < 0 || data >= end) break;
      const hole = this.host.nextHole(fd, data);
      const stop = hole < 0 || hole > end ? end : hole;
      total += stop - data;
      at = stop;
    }
    return pageCeil(total);
  }

  private adjust(offset: number, length: number, delta: number): void {
    const end = offset + length;
    const segments = this.segments;
    let first = segments.lowerBound(offset);
    let last = first + 1;
    const exact = segments.items[first];
    if (exact === undefined || exact.start !== offset || exact.end !== end) {
      first = segments.splitAt(offset);
      last = segments.splitAt(end);
    }
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
      if (!this.keepWarm(start, end)) this.spaceAt(start).addDirty(start, end);
    }
  }

  private keepWarm(start: number, end: number): boolean {
    if (!WarmRanges.keeps(end - start) || this.isHuge(start)) return false;
    // Full of what nobody asks for: it begins anew.
    if (this.warm.full) this.warm.drain((from, to) => this.common.addDirty(from, to));
    this.warm.add(start, end - start);
    return true;
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
