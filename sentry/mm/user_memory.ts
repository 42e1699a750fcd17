/**
 * Access to application memory from the kernel (Linux's uaccess): never throws; an address that is
 * not there, or not allowed, gives -EFAULT.
 *
 * The fast path is a small table of pages looked up lately, as a TLB is; it is emptied whenever the
 * address space changes. Pages of mapped host files never enter it: they are read with pread and
 * written with pwrite, because touching a mapping of a file that somebody truncates raises SIGBUS.
 */
import { EFAULT, EINVAL, ENAMETOOLONG } from '../../spec/linux/errno.ts';
import { PAGE_SIZE } from '../../spec/linux/mman.ts';
import { decodeByteString } from '../base/byte_string.ts';
import type { StringList } from '../base/string_list.ts';
import { copyBytes, IoBuffer, type Location, type UserMemoryAccess } from './io_buffer.ts';
import type { MemoryFile } from './memory_file.ts';
import { offsetInPage } from './page.ts';

/** Host files that are mapped. */
export interface HostFileAccess {
  /** Positional I/O: count, or -errno. */
  pread(fd: number, bytes: Uint8Array, offset: number): number;
  pwrite(fd: number, bytes: Uint8Array, offset: number): number;
  /** Names the contents: another after each change. '' when that cannot be told. */
  stamp(fd: number): string;
}

/** A power of two. */
const TLB_SIZE = 64;
/** Where in the table the numbers of writable pages and the offsets begin. */
const WRITABLE = TLB_SIZE;
const OFFSETS = 2 * TLB_SIZE;
const PER_PAGE = 1 / PAGE_SIZE;
const IOV_MAX = 1024;
/** Linux's MAX_RW_COUNT: one call moves no more. */
export const MAX_RW_COUNT = 0x7ffff000;
const TWO_32 = 2 ** 32;
/** Strings in mapped host files are fetched in pieces of this size: most are short. */
const STRING_PIECE = 256;
const stringPiece = new Uint8Array(STRING_PIECE);
/** A value on its way. */
const small = new Uint8Array(8);
const smallView = new DataView(small.buffer);

export abstract class UserMemory implements UserMemoryAccess {
  readonly memory: MemoryFile;
  readonly hostFiles: HostFileAccess;
  epoch = 0;

  /**
   * Numbers of pages that may be read, and of those that may be written, then the MemoryFile offsets of
   * either. One array: each costs as much as many lookups, and each process has its own.
   */
  private readonly tlb = new Float64Array(4 * TLB_SIZE).fill(-1);
  private tlbUsed = false;
  private readonly location: Location;

  constructor(memory: MemoryFile, hostFiles: HostFileAccess) {
    this.memory = memory;
    this.hostFiles = hostFiles;
    this.location = { bytes: memory.bytes, start: 0, length: 0, fd: -1, offset: 0 };
  }

  abstract locate(addr: number, length: number, write: boolean, into: Location): number;
  /** Bytes from `addr` (at most `length`) that the Vmas allow to be read or written. */
  protected abstract accessible(addr: number, length: number, write: boolean): number;

  readHost(fd: number, bytes: Uint8Array, offset: number): number {
    return this.hostFiles.pread(fd, bytes, offset);
  }

  writeHost(fd: number, bytes: Uint8Array, offset: number): number {
    return this.hostFiles.pwrite(fd, bytes, offset);
  }

  /** To be called after every change of Vmas or Pmas. */
  protected flushTlb(): void {
    this.epoch++;
    if (!this.tlbUsed) return;
    this.tlbUsed = false;
    this.tlb.fill(-1, 0, OFFSETS);
  }

  // Small values -----------------------------------------------------------------------------

  /** The value, or -EFAULT. */
  readU8(addr: number): number {
    const at = this.readable(addr, 1);
    if (at >= 0) return this.memory.bytes[at]!;
    return this.copyIn(addr, small, 0, 1) < 0 ? -EFAULT : small[0]!;
  }

  readU16(addr: number): number {
    const at = this.readable(addr, 2);
    if (at >= 0) return this.memory.view.getUint16(at, true);
    return this.copyIn(addr, small, 0, 2) < 0 ? -EFAULT : smallView.getUint16(0, true);
  }

  readU32(addr: number): number {
    const at = this.readable(addr, 4);
    if (at >= 0) return this.memory.view.getUint32(at, true);
    return this.copyIn(addr, small, 0, 4) < 0 ? -EFAULT : smallView.getUint32(0, true);
  }

  /** As an unsigned Number: exact below 2^53. */
  readU64(addr: number): number {
    const at = this.readable(addr, 8);
    if (at >= 0) {
      const { view } = this.memory;
      return view.getUint32(at, true) + view.getUint32(at + 4, true) * TWO_32;
    }
    if (this.copyIn(addr, small, 0, 8) < 0) return -EFAULT;
    return smallView.getUint32(0, true) + smallView.getUint32(4, true) * TWO_32;
  }

  /** 0 or -EFAULT, here and below. */
  writeU8(addr: number, value: number): number {
    small[0] = value;
    return this.copyOut(addr, small, 0, 1);
  }

  writeU16(addr: number, value: number): number {
    smallView.setUint16(0, value, true);
    return this.copyOut(addr, small, 0, 2);
  }

  writeU32(addr: number, value: number): number {
    const at = this.writable(addr, 4);
    if (at >= 0) {
      this.memory.view.setUint32(at, value, true);
      return 0;
    }
    smallView.setUint32(0, value, true);
    return this.copyOut(addr, small, 0, 4);
  }

  /** Takes a safe integer; negative values are stored in two's complement. */
  writeU64(addr: number, value: number): number {
    smallView.setUint32(0, value, true);
    smallView.setUint32(4, Math.floor(value / TWO_32), true);
    return this.copyOut(addr, small, 0, 8);
  }

  // Byte ranges ------------------------------------------------------------------------------

  /** Fills dst[start, start + length) from `addr`. */
  copyIn(addr: number, dst: Uint8Array, start = 0, length = dst.length - start): number {
    const at = this.readable(addr, length);
    if (at >= 0) {
      copyBytes(this.memory.bytes, at, dst, start, length);
      return 0;
    }
    if (length === 0) return 0;
    const buffer = this.transient(addr, length, false);
    return buffer.read(dst, start, start + length) < length ? -EFAULT : 0;
  }

  /** Copies src[start, start + length) to `addr`. Stops at the first page it cannot write. */
  copyOut(addr: number, src: Uint8Array, start = 0, length = src.length - start): number {
    const at = this.writable(addr, length);
    if (at >= 0) {
      copyBytes(src, start, this.memory.bytes, at, length);
      return 0;
    }
    if (length === 0) return 0;
    const buffer = this.transient(addr, length, true);
    return buffer.write(src, start, start + length) < length ? -EFAULT : 0;
  }

  /** Sets `length` bytes to zero (clear_user). */
  zero(addr: number, length: number): number {
    if (length === 0) return 0;
    return this.transient(addr, length, true).fill(0, length) < length ? -EFAULT : 0;
  }

  /**
   * A NUL-terminated byte string of fewer than `max` bytes, without the NUL. -EFAULT, or
   * -ENAMETOOLONG when there is no NUL among the first `max` bytes.
   */
  copyInString(addr: number, max: number): string | number {
    let text = '';
    for (let got = 0; got < max; ) {
      const at = addr + got;
      const length = Math.min(PAGE_SIZE - offsetInPage(at), max - got);
      const from = this.readable(at, 1);
      if (from >= 0) {
        // Most strings are short: a loop costs less than the views that a search would need.
        const { bytes } = this.memory;
        const stop = from + length;
        let end = from;
        while (end < stop && bytes[end] !== 0) end++;
        text += decodeByteString(bytes, from, end);
        if (end < stop) return text;
        got += length;
        continue;
      }
      const piece = this.hostPiece(at, length);
      if (piece === null) return -EFAULT;
      const nul = piece.indexOf(0);
      if (nul >= 0) return text + decodeByteString(piece, 0, nul);
      text += decodeByteString(piece);
      got += piece.length;
    }
    return -ENAMETOOLONG;
  }

  /** The same, added to `list` with its NUL: 0, -EFAULT or -ENAMETOOLONG, after which it has a part. */
  addString(addr: number, max: number, list: StringList): number {
    for (let got = 0; got < max; ) {
      const at = addr + got;
      const length = Math.min(PAGE_SIZE - offsetInPage(at), max - got);
      const from = this.readable(at, 1);
      const inMemory = from < 0 ? null : this.memory.bytes.subarray(from, from + length);
      const piece = inMemory ?? this.hostPiece(at, length);
      if (piece === null) return -EFAULT;
      const nul = piece.indexOf(0);
      list.addPart(nul < 0 ? piece : piece.subarray(0, nul + 1));
      if (nul >= 0) {
        list.endString();
        return 0;
      }
      got += piece.length;
    }
    return -ENAMETOOLONG;
  }

  /**
   * Some bytes of a page of a mapped host file, valid until the next ones are read; null at a fault. Constant
   * strings of programs and libraries are such: each start reads a dozen.
   */
  private hostPiece(at: number, length: number): Uint8Array | null {
    const { location } = this;
    if (this.locate(at, Math.min(length, STRING_PIECE), false, location) < 0) return null;
    const { fd, start, offset } = location;
    if (fd < 0) return location.bytes.subarray(start, start + location.length);
    const piece = stringPiece.subarray(0, location.length);
    const n = this.readHost(fd, piece, offset);
    // Behind the end of the file its last page reads as zero.
    return n <= 0 ? null : piece.fill(0, n);
  }

  // Buffers ----------------------------------------------------------------------------------

  /**
   * A buffer over [addr, addr + length). `write`: the kernel will write there. A range that is valid
   * only up to a point gives the shorter buffer; one that is not valid at all gives null (EFAULT).
   */
  userBuffer(addr: number, length: number, write: boolean): IoBuffer | null {
    const wanted = Math.min(length, MAX_RW_COUNT);
    const n = wanted === 0 ? 0 : this.accessible(addr, wanted, write);
    if (n === 0 && length > 0) return null;
    return IoBuffer.single(this, addr, n, write);
  }

  /**
   * A buffer over an iovec array. -EINVAL for too many or too long elements, -EFAULT when the array
   * or its first bytes cannot be reached.
   */
  userVector(iov: number, count: number, write: boolean): IoBuffer | number {
    if (count < 0 || count > IOV_MAX) return -EINVAL;
    const ranges: number[] = [];
    let wanted = 0;
    for (let i = 0; i < count; i++) {
      const base = this.readU64(iov + i * 16);
      const length = this.readU64(iov + i * 16 + 8);
      if (base < 0 || length < 0) return -EFAULT;
      if (length >= 2 ** 63) return -EINVAL;
      const n = Math.min(length, MAX_RW_COUNT - wanted);
      ranges.push(base, n);
      wanted += n;
    }
    let valid = 0;
    for (let i = 0; i < ranges.length; i += 2) {
      const length = ranges[i + 1]!;
      const n = length === 0 ? 0 : this.accessible(ranges[i]!, length, write);
      valid += n;
      if (n < length) break;
    }
    if (valid === 0 && wanted > 0) return -EFAULT;
    return IoBuffer.user(this, ranges, valid, write);
  }

  // Futex words ------------------------------------------------------------------------------

  /** The word at a 4-byte aligned `addr`, read atomically, or -EFAULT. */
  atomicLoadU32(addr: number): number {
    const at = this.readable(addr, 4);
    return at < 0 ? this.readU32(addr) : Atomics.load(this.memory.words, at / 4) >>> 0;
  }

  /** Stores `replacement` if the word is `expected`. Returns what was there, or -EFAULT. */
  compareExchangeU32(addr: number, expected: number, replacement: number): number {
    const at = this.writable(addr, 4);
    if (at >= 0) {
      const { words } = this.memory;
      return Atomics.compareExchange(words, at / 4, expected | 0, replacement | 0) >>> 0;
    }
    // A shared host file: nothing better than read and write.
    const old = this.readU32(addr);
    if (old !== expected) return old;
    const result = this.writeU32(addr, replacement);
    return result < 0 ? result : old;
  }

  // The table --------------------------------------------------------------------------------

  /**
   * MemoryFile offset of [addr, addr + length) when that may be read and lies in one page there, else -1:
   * then `copyIn` tells. For structures that are read field by field, each once.
   */
  readable(addr: number, length: number): number {
    const inPage = offsetInPage(addr);
    if (inPage + length > PAGE_SIZE || length === 0) return -1;
    const page = (addr - inPage) * PER_PAGE;
    const { tlb, location } = this;
    const slot = page & (TLB_SIZE - 1);
    if (tlb[slot] === page) return tlb[OFFSETS + slot]! + inPage;
    if (this.locate(addr - inPage, PAGE_SIZE, false, location) < 0 || location.fd >= 0) return -1;
    tlb[slot] = page;
    tlb[OFFSETS + slot] = location.start;
    this.tlbUsed = true;
    return location.start + inPage;
  }

  /** The same for what may be written: `copyOut` tells. */
  writable(addr: number, length: number): number {
    const inPage = offsetInPage(addr);
    if (inPage + length > PAGE_SIZE || length === 0) return -1;
    const page = (addr - inPage) * PER_PAGE;
    const { tlb, location } = this;
    const slot = WRITABLE + (page & (TLB_SIZE - 1));
    if (tlb[slot] === page) return tlb[OFFSETS + slot]! + inPage;
    if (this.locate(addr - inPage, PAGE_SIZE, true, location) < 0 || location.fd >= 0) return -1;
    tlb[slot] = page;
    tlb[OFFSETS + slot] = location.start;
    this.tlbUsed = true;
    return location.start + inPage;
  }

  private transient(addr: number, length: number, write: boolean): IoBuffer {
    return IoBuffer.single(this, addr, length, write);
  }
}
