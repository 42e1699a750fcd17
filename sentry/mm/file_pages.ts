/**
 * FilePages: the contents of a file that lives in memory (tmpfs, memfd, shared anonymous memory), as
 * a sparse map from file pages to MemoryFile pages. read(2) and write(2) copy from and to the pages
 * that mmap(2) maps, so both always agree.
 *
 * Deviation: mapping a hole allocates it as a whole, since first touches do not come to us; st_blocks
 * then counts it though the host holds no page yet.
 */
import { EFBIG, ENOSPC, ENXIO } from '../../spec/linux/errno.ts';
import { PAGE_SIZE } from '../../spec/linux/mman.ts';
import { type Range, RangeMap } from '../base/range_map.ts';
import type { IoBuffer } from './io_buffer.ts';
import { type Extent, IN_MEMORY_FILE, type Mappable, type Mapper, MappingSet } from './mappable.ts';
import { type MemoryFile, Reservation } from './memory_file.ts';
import { pageCeil, pageFloor } from './page.ts';

/** Names a file for /proc/PID/maps. */
export interface FileIdentity {
  readonly devMajor: number;
  readonly devMinor: number;
  readonly ino: number;
  mapName(): string;
}

/** A limit on the pages of a file system (the size= of tmpfs). */
export interface PageQuota {
  /** Takes `bytes` if they are left. */
  charge(bytes: number): boolean;
  uncharge(bytes: number): void;
}

interface PageRun extends Range {
  /** MemoryFile offset of `start`. */
  offset: number;
}

/** When the quota does not allow a whole hole, this much is tried before a single page. */
const SMALL_STEP = 256 * 1024;

function splitRun(run: PageRun, at: number): PageRun {
  const upper = { start: at, end: run.end, offset: run.offset + (at - run.start) };
  run.end = at;
  return upper;
}

function joinRuns(left: PageRun, right: PageRun): boolean {
  return left.offset + (left.end - left.start) === right.offset;
}

let nextAnonymousIno = 1;

export class FilePages implements Mappable {
  /** Bytes; changed by write and truncate. */
  size = 0;
  /** Bytes of pages allocated: st_blocks is this / 512. */
  allocatedBytes = 0;

  private readonly memory: MemoryFile;
  private readonly file: FileIdentity;
  private readonly quota: PageQuota | null;
  /** By file offset. */
  private readonly runs = new RangeMap<PageRun>(splitRun);
  private readonly mappings = new MappingSet();
  private reserve: Reservation | null = null;
  /** Nobody but mappings needs the contents any more. */
  private orphaned = false;

  constructor(memory: MemoryFile, file: FileIdentity, quota: PageQuota | null = null) {
    this.memory = memory;
    this.file = file;
    this.quota = quota;
  }

  /** What backs mmap(MAP_SHARED | MAP_ANONYMOUS): lives as long as it is mapped. */
  static anonymous(memory: MemoryFile, size: number): FilePages {
    const ino = nextAnonymousIno++;
    const name = '/dev/zero (deleted)';
    const pages = new FilePages(memory, { devMajor: 0, devMinor: 1, ino, mapName: () => name });
    pages.size = size;
    pages.orphaned = true;
    return pages;
  }

  /** Somebody maps it, in whatever way. */
  get isMapped(): boolean {
    return !this.mappings.empty;
  }

  // Contents ---------------------------------------------------------------------------------

  /** Fills `dst` from file offset `offset`. Bytes read; 0 at the end of the file. */
  read(dst: IoBuffer, offset: number): number {
    const before = dst.done;
    const end = Math.min(offset + dst.remaining, this.size);
    let index = this.runs.lowerBound(offset);
    for (let at = offset; at < end; ) {
      const run = this.runs.items[index];
      let n: number;
      let wanted: number;
      if (run !== undefined && run.start <= at) {
        wanted = Math.min(run.end, end) - at;
        const from = run.offset + (at - run.start);
        n = dst.write(this.memory.bytes, from, from + wanted);
        index++;
      } else {
        wanted = Math.min(run === undefined ? end : run.start, end) - at;
        n = dst.fill(0, wanted);
      }
      at += n;
      if (n < wanted) break;
    }
    return dst.done - before;
  }

  /**
   * Writes what `src` holds at `offset`, extending the file. Bytes written, -ENOSPC or -EFBIG when
   * none could be.
   */
  write(src: IoBuffer, offset: number): number {
    const length = src.remaining;
    if (length === 0) return 0;
    if (offset + length > Number.MAX_SAFE_INTEGER) return -EFBIG;
    const room = this.ensure(offset, offset + length);
    if (room < 0) return room;
    const end = Math.min(offset + length, room);
    const before = src.done;
    let at = offset;
    while (at < end) {
      const run = this.runs.find(at)!;
      const wanted = Math.min(run.end, end) - at;
      const to = run.offset + (at - run.start);
      const n = src.read(this.memory.bytes, to, to + wanted);
      at += n;
      if (n < wanted) break;
    }
    if (at > this.size) this.size = at;
    if (!this.mappings.empty) this.mappings.written(this);
    return src.done - before;
  }

  /** truncate(2). */
  truncate(size: number): void {
    const old = this.size;
    this.size = size;
    if (size >= old) return;
    const keep = pageCeil(size);
    if (!this.mappings.empty) this.mappings.invalidate(this, keep, Infinity, true);
    this.reserve?.drop(this.memory);
    this.freeRuns(keep, Infinity);
    this.zeroPart(size, Math.min(keep, old));
  }

  /** fallocate(2) PUNCH_HOLE, within the file. */
  punchHole(offset: number, length: number): void {
    const end = Math.min(offset + length, pageCeil(this.size));
    const first = pageCeil(offset);
    const last = pageFloor(end);
    if (first > last) {
      this.zeroPart(offset, end);
      return;
    }
    this.zeroPart(offset, first);
    this.zeroPart(last, end);
    if (first === last) return;
    if (!this.mappings.empty) this.mappings.invalidate(this, first, last, false);
    this.freeRuns(first, last);
  }

  /** fallocate(2) without flags: backs the range; does not change the size. 0 or -ENOSPC. */
  allocate(offset: number, length: number): number {
    const room = this.ensure(offset, offset + length);
    if (room < 0) return room;
    return room < offset + length ? -ENOSPC : 0;
  }

  /** lseek(2) SEEK_DATA: the next offset with data, or -ENXIO. */
  nextData(offset: number): number {
    if (offset >= this.size) return -ENXIO;
    const run = this.runs.items[this.runs.lowerBound(offset)];
    if (run === undefined || run.start >= this.size) return -ENXIO;
    return Math.max(run.start, offset);
  }

  /** lseek(2) SEEK_HOLE: the next hole; the end of the file is one. */
  nextHole(offset: number): number {
    if (offset >= this.size) return -ENXIO;
    let at = offset;
    for (let i = this.runs.lowerBound(offset); ; i++) {
      const run = this.runs.items[i];
      if (run === undefined || run.start > at) break;
      at = run.end;
    }
    return Math.min(at, this.size);
  }

  /** The file is gone: frees the pages now, or when the last mapping goes. */
  release(): void {
    this.orphaned = true;
    if (this.mappings.empty) this.freeAll();
  }

  // Mappable ---------------------------------------------------------------------------------

  get identity(): object {
    return this;
  }
  get devMajor(): number {
    return this.file.devMajor;
  }
  get devMinor(): number {
    return this.file.devMinor;
  }
  get ino(): number {
    return this.file.ino;
  }
  mapName(): string {
    return this.file.mapName();
  }

  translate(offset: number, length: number, _write: boolean, into: Extent): number {
    const end = Math.min(offset + length, pageCeil(this.size));
    if (offset >= end) return -ENXIO;
    let run = this.runs.find(offset);
    if (run === null) {
      const next = this.runs.items[this.runs.lowerBound(offset)];
      const filled = this.fillHole(offset, next === undefined ? end : Math.min(next.start, end));
      if (filled < 0) return filled;
      run = this.runs.find(offset)!;
    }
    into.fd = IN_MEMORY_FILE;
    into.offset = run.offset + (offset - run.start);
    into.length = Math.min(run.end, end) - offset;
    return 0;
  }

  addMapping(mapper: Mapper): void {
    this.mappings.add(mapper);
  }

  removeMapping(mapper: Mapper): void {
    if (this.mappings.remove(mapper) && this.orphaned) this.freeAll();
  }

  syncRange(): number {
    return 0;
  }

  removeRange(offset: number, length: number): number {
    this.punchHole(offset, length);
    return 0;
  }

  // Pages ------------------------------------------------------------------------------------

  /** Backs [start, end) as far as possible. Returns up to where (at least past start), or -errno. */
  private ensure(start: number, end: number): number {
    const last = pageCeil(end);
    for (let at = pageFloor(start); at < last; ) {
      const index = this.runs.lowerBound(at);
      const run = this.runs.items[index];
      if (run !== undefined && run.start <= at) {
        at = run.end;
        continue;
      }
      const stop = run === undefined ? last : Math.min(run.start, last);
      const filled = this.fillHole(at, stop);
      if (filled < 0) return at > start ? at : filled;
      at += filled;
    }
    return end;
  }

  /** Allocates a hole from `start`, up to `end` if it can. Returns the bytes, or -errno. */
  private fillHole(start: number, end: number): number {
    let length = end - start;
    if (this.quota !== null && !this.quota.charge(length)) {
      length = Math.min(length, SMALL_STEP);
      if (!this.quota.charge(length)) {
        length = PAGE_SIZE;
        if (!this.quota.charge(length)) return -ENOSPC;
      }
    }
    const before = this.runs.items[this.runs.lowerBound(start) - 1];
    let offset: number;
    if (before !== undefined && before.end === start) {
      // A file that grows: keep its pages in a row.
      this.reserve ??= new Reservation();
      offset = this.reserve.take(this.memory, length, before.offset + (before.end - before.start));
    } else {
      offset = this.memory.allocate(length);
    }
    if (offset < 0) {
      this.quota?.uncharge(length);
      return -ENOSPC;
    }
    this.allocatedBytes += length;
    const index = this.runs.insert({ start, end: start + length, offset });
    this.runs.merge(index, index + 1, joinRuns);
    return length;
  }

  private freeRuns(start: number, end: number): void {
    const first = this.runs.splitAt(start);
    const last = this.runs.splitAt(end);
    let freed = 0;
    for (let i = first; i < last; i++) {
      const run = this.runs.items[i]!;
      this.memory.release(run.offset, run.end - run.start);
      freed += run.end - run.start;
    }
    this.runs.removeAt(first, last - first);
    this.allocatedBytes -= freed;
    if (freed > 0) this.quota?.uncharge(freed);
  }

  private freeAll(): void {
    this.freeRuns(0, Infinity);
    this.reserve?.drop(this.memory);
    this.size = 0;
  }

  /** Zeroes [start, end) where there are pages. */
  private zeroPart(start: number, end: number): void {
    for (let at = start; at < end; ) {
      const run = this.runs.firstIn(at, end);
      if (run === null) return;
      const from = Math.max(run.start, at);
      const stop = Math.min(run.end, end);
      const offset = run.offset + (from - run.start);
      this.memory.bytes.fill(0, offset, offset + (stop - from));
      at = stop;
    }
  }
}
