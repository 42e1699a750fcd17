/**
 * IoBuffer: where the bytes of one read or write go or come from. A cursor over kernel memory or over
 * the application's (one range or an iovec), so that file systems need not know which.
 *
 * Application memory is looked up at the moment it is touched, never remembered across a change of
 * the address space: a buffer may be kept while its task sleeps, though another thread may unmap
 * the memory meanwhile. What has become invalid ends the buffer early, as copy_to_user does: transfers
 * return fewer bytes, and `faulted` is set (a caller that moved nothing then returns -EFAULT).
 */
import { pageCeil } from './page.ts';

/** A contiguous piece of memory the kernel can touch. Valid until the next kernel operation. */
export interface Span {
  bytes: Uint8Array;
  start: number;
  length: number;
}

/** Where application memory is: either a Span of the MemoryFile or bytes of a host file. */
export interface Location extends Span {
  /** Host descriptor when the memory is a mapped host file (then `bytes` says nothing), else -1. */
  fd: number;
  /** Byte offset there. */
  offset: number;
}

/** The part of a MemoryManager that buffers need. */
export interface UserMemoryAccess {
  /** Changes whenever a Location found before may be wrong. */
  readonly epoch: number;
  /** Finds application memory at `addr`, at most `length` bytes. 0 or -EFAULT. */
  locate(addr: number, length: number, write: boolean, into: Location): number;
  /** Bytes of a mapped host file. Count, or -errno. */
  readHost(fd: number, bytes: Uint8Array, offset: number): number;
  writeHost(fd: number, bytes: Uint8Array, offset: number): number;
}

/** Mapped host files pass through a scratch buffer of this size. */
const SCRATCH = 128 * 1024;
const NOTHING = new Uint8Array(0);

export class IoBuffer {
  /** Bytes not yet transferred. */
  remaining: number;
  /** Bytes transferred. */
  done = 0;
  /** Application memory turned out to be inaccessible. */
  faulted = false;

  private memory: UserMemoryAccess | null;
  private writing: boolean;
  /** Pairs of address and length; kernel buffers have none. */
  private ranges: number[];
  private index = 0;
  /** Bytes used of the current pair. */
  private used = 0;
  private epoch = -1;
  private scratch: Uint8Array | null = null;
  private readonly here: Location = { bytes: NOTHING, start: 0, length: 0, fd: -1, offset: 0 };

  private constructor(
    memory: UserMemoryAccess | null,
    ranges: number[],
    length: number,
    writing: boolean,
  ) {
    this.memory = memory;
    this.ranges = ranges;
    this.remaining = length;
    this.writing = writing;
  }

  /** Over kernel memory. */
  static over(bytes: Uint8Array, start = 0, end = bytes.length): IoBuffer {
    const buffer = new IoBuffer(null, [], end - start, true);
    buffer.here.bytes = bytes;
    buffer.here.start = start;
    buffer.here.length = end - start;
    return buffer;
  }

  /**
   * Over application memory: `ranges` holds pairs of address and length, `length` is at most their
   * sum. `writing`: the kernel will write there.
   */
  static user(
    memory: UserMemoryAccess,
    ranges: number[],
    length: number,
    writing: boolean,
  ): IoBuffer {
    return new IoBuffer(memory, ranges, length, writing);
  }

  /** The same over one range: made of a buffer that was freed, if there is one. */
  static single(
    memory: UserMemoryAccess,
    addr: number,
    length: number,
    writing: boolean,
  ): IoBuffer {
    const buffer = spare;
    if (buffer === null) return new IoBuffer(memory, [addr, length], length, writing);
    spare = null;
    buffer.memory = memory;
    buffer.writing = writing;
    buffer.ranges[0] = addr;
    buffer.ranges[1] = length;
    buffer.remaining = length;
    buffer.done = 0;
    buffer.faulted = false;
    buffer.index = 0;
    buffer.used = 0;
    buffer.epoch = -1;
    buffer.here.length = 0;
    buffer.here.fd = -1;
    return buffer;
  }

  /**
   * For whoever has it from `single` and knows that nobody keeps it: reading a byte then allocates
   * nothing.
   */
  free(): void {
    if (this.ranges.length !== 2 || this.scratch !== null) return;
    this.memory = null;
    spare = this;
  }

  /** The next contiguous piece, or null at the end or at a fault. Use it at once, then `advance`. */
  peek(): Span | null {
    if (this.remaining === 0 || this.faulted) return null;
    const here = this.here;
    const memory = this.memory;
    if (memory === null) return here;
    if (this.epoch === memory.epoch && here.length > 0) return here;
    while (this.used === this.ranges[this.index * 2 + 1]) {
      this.index++;
      this.used = 0;
    }
    const addr = this.ranges[this.index * 2]! + this.used;
    const left = Math.min(this.ranges[this.index * 2 + 1]! - this.used, this.remaining);
    if (memory.locate(addr, left, this.writing, here) < 0) return this.fault();
    this.epoch = memory.epoch;
    return here.fd < 0 ? here : this.loadHost(memory);
  }

  /** Marks `length` bytes of the piece from `peek` as transferred. */
  advance(length: number): void {
    const here = this.here;
    if (length > here.length) throw new Error('IoBuffer: advance past the piece');
    if (this.memory !== null && here.fd >= 0) this.finishHost(this.memory, length);
    here.start += length;
    here.length -= length;
    this.used += length;
    this.remaining -= length;
    this.done += length;
  }

  /** Copies src[start, end) into the buffer. Returns the bytes that fitted. */
  write(src: Uint8Array, start = 0, end = src.length): number {
    let at = start;
    while (at < end) {
      const span = this.peek();
      if (span === null) break;
      const n = Math.min(end - at, span.length);
      copyBytes(src, at, span.bytes, span.start, n);
      this.advance(n);
      at += n;
    }
    return at - start;
  }

  /** Copies out of the buffer into dst[start, end). Returns the bytes there were. */
  read(dst: Uint8Array, start = 0, end = dst.length): number {
    let at = start;
    while (at < end) {
      const span = this.peek();
      if (span === null) break;
      const n = Math.min(end - at, span.length);
      copyBytes(span.bytes, span.start, dst, at, n);
      this.advance(n);
      at += n;
    }
    return at - start;
  }

  /** Writes `count` bytes of `value`. */
  fill(value: number, count: number): number {
    let left = count;
    while (left > 0) {
      const span = this.peek();
      if (span === null) break;
      const n = Math.min(left, span.length);
      fillBytes(span.bytes, span.start, n, value);
      this.advance(n);
      left -= n;
    }
    return count - left;
  }

  /** Moves up to `max` bytes from this buffer into `to`. */
  transfer(to: IoBuffer, max = this.remaining): number {
    let moved = 0;
    while (moved < max) {
      const span = this.peek();
      if (span === null) break;
      const n = to.write(span.bytes, span.start, span.start + Math.min(span.length, max - moved));
      if (n === 0) break;
      this.advance(n);
      moved += n;
    }
    return moved;
  }

  /** Passes over `length` bytes without touching them; at most what remains. */
  skip(length: number): void {
    let left = Math.min(length, this.remaining);
    while (left > 0) {
      if (this.memory === null) {
        this.advance(left);
        return;
      }
      while (this.used === this.ranges[this.index * 2 + 1]) {
        this.index++;
        this.used = 0;
      }
      const n = Math.min(left, this.ranges[this.index * 2 + 1]! - this.used);
      this.used += n;
      this.remaining -= n;
      this.done += n;
      left -= n;
      this.here.length = 0;
    }
  }

  /** A cursor of its own over what remains, for looking ahead; this one stays. */
  copy(): IoBuffer {
    const other = new IoBuffer(this.memory, this.ranges, this.remaining, this.writing);
    if (this.memory === null) {
      other.here.bytes = this.here.bytes;
      other.here.start = this.here.start;
      other.here.length = this.remaining;
    } else {
      other.index = this.index;
      other.used = this.used;
      other.faulted = this.faulted;
    }
    return other;
  }

  /** A buffer of its own over the next `length` bytes (at most); this one moves past them. */
  take(length: number): IoBuffer {
    const n = Math.min(length, this.remaining);
    const part = new IoBuffer(this.memory, this.ranges, n, this.writing);
    if (this.memory === null) {
      part.here.bytes = this.here.bytes;
      part.here.start = this.here.start;
      part.here.length = n;
    } else {
      part.index = this.index;
      part.used = this.used;
      part.faulted = this.faulted;
    }
    this.skip(n);
    return part;
  }

  /**
   * The next pieces, for a host preadv or pwritev, at most `count` of them, without moving: `skip`
   * what the host transferred. Empty when the next piece is not plain memory: go by `peek` then.
   */
  spans(count: number): Span[] {
    const list: Span[] = [];
    const first = this.peek();
    if (first === null || this.here.fd >= 0) return list;
    list.push({ bytes: first.bytes, start: first.start, length: first.length });
    if (this.memory === null || first.length === this.remaining) return list;
    const probe = this.take(0);
    probe.remaining = this.remaining;
    probe.skip(first.length);
    while (list.length < count) {
      const span = probe.peek();
      if (span === null || probe.here.fd >= 0) break;
      list.push({ bytes: span.bytes, start: span.start, length: span.length });
      probe.skip(span.length);
    }
    return list;
  }

  private fault(): null {
    this.faulted = true;
    this.here.length = 0;
    return null;
  }

  /** Turns a piece of a mapped host file into scratch memory: its contents, or room for them. */
  private loadHost(memory: UserMemoryAccess): Span | null {
    const here = this.here;
    here.length = Math.min(here.length, SCRATCH);
    if (this.scratch === null || this.scratch.length < here.length) {
      this.scratch = new Uint8Array(here.length);
    }
    here.bytes = this.scratch;
    here.start = 0;
    if (this.writing) return here;
    const n = memory.readHost(here.fd, this.scratch.subarray(0, here.length), here.offset);
    if (n <= 0) return this.fault();
    // A page that holds the end of the file reads as zero behind it; the next page is a fault.
    here.length = Math.min(here.length, n + pageCeil(here.offset + n) - (here.offset + n));
    if (here.length > n) this.scratch.fill(0, n, here.length);
    return here;
  }

  private finishHost(memory: UserMemoryAccess, length: number): void {
    const { bytes, start, fd, offset } = this.here;
    if (this.writing && memory.writeHost(fd, bytes.subarray(start, start + length), offset) < 0) {
      this.faulted = true;
    }
    this.here.offset += length;
  }
}

/** The buffer that was freed last. */
let spare: IoBuffer | null = null;

/** Below this many bytes a loop beats making two views. */
const LOOP_LIMIT = 24;

function fillBytes(bytes: Uint8Array, start: number, length: number, value: number): void {
  if (length >= LOOP_LIMIT) bytes.fill(value, start, start + length);
  else for (let i = start; i < start + length; i++) bytes[i] = value;
}

/** memmove between byte arrays. */
export function copyBytes(
  from: Uint8Array,
  fromStart: number,
  to: Uint8Array,
  toStart: number,
  length: number,
): void {
  if (length < LOOP_LIMIT && (from !== to || toStart <= fromStart)) {
    for (let i = 0; i < length; i++) to[toStart + i] = from[fromStart + i]!;
  } else if (from === to) {
    to.copyWithin(toStart, fromStart, fromStart + length);
  } else {
    to.set(from.subarray(fromStart, fromStart + length), toStart);
  }
}
