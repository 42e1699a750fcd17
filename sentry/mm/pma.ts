/**
 * Pma: which pages back a range of addresses (gVisor's name; Linux has page tables for it). Pages lie
 * in the MemoryFile or in a host file. A Pma holds one reference on its MemoryFile pages.
 *
 * Copy-on-write: `cow` pages belong to somebody else too, and are mapped without PROT_WRITE. The
 * first write reserves a shadow, a MemoryFile range as long as the Pma; page n is copied to page n of
 * the shadow, so that neighbouring copies lie in a row and merge into one host mapping.
 */
import { type Range, RangeMap } from '../base/range_map.ts';
import { IN_MEMORY_FILE } from './mappable.ts';
import type { MemoryFile } from './memory_file.ts';

export interface Pma extends Range {
  /** IN_MEMORY_FILE or a host descriptor. */
  fd: number;
  /** Byte offset of `start` there. */
  offset: number;
  /** Private pages that must be copied before they are written. */
  cow: boolean;
  /** The pages belong to a mapped file (not to a private copy of it). */
  fromFile: boolean;
  /** MemoryFile offset reserved for the copy of `start`, or -1. The Pma owns this reference too. */
  shadow: number;
}

export type PmaMap = RangeMap<Pma>;

export function newPmaMap(): PmaMap {
  return new RangeMap<Pma>((pma, at) => {
    const below = at - pma.start;
    const upper: Pma = {
      start: at,
      end: pma.end,
      fd: pma.fd,
      offset: pma.offset + below,
      cow: pma.cow,
      fromFile: pma.fromFile,
      shadow: pma.shadow < 0 ? -1 : pma.shadow + below,
    };
    pma.end = at;
    return upper;
  });
}

export function joinPmas(left: Pma, right: Pma): boolean {
  const length = left.end - left.start;
  if (left.fd !== right.fd || left.cow !== right.cow || left.fromFile !== right.fromFile) {
    return false;
  }
  if (left.offset + length !== right.offset) return false;
  return left.shadow < 0 ? right.shadow < 0 : left.shadow + length === right.shadow;
}

/**
 * MemoryFile references to give up once the host has no mapping of them any more: while another thread
 * of the application still sees the pages they must not reach a new owner.
 */
export class DroppedPages {
  private readonly ranges: number[] = [];

  add(offset: number, length: number): void {
    this.ranges.push(offset, length);
  }

  addPma(pma: Pma): void {
    const length = pma.end - pma.start;
    if (pma.fd === IN_MEMORY_FILE) this.add(pma.offset, length);
    if (pma.shadow >= 0) this.add(pma.shadow, length);
  }

  get empty(): boolean {
    return this.ranges.length === 0;
  }

  /** Passes everything on to `other`. */
  moveTo(other: DroppedPages): void {
    for (const value of this.ranges) other.ranges.push(value);
    this.ranges.length = 0;
  }

  release(memory: MemoryFile): void {
    const ranges = this.ranges;
    for (let i = 0; i < ranges.length; i += 2) memory.release(ranges[i]!, ranges[i + 1]!);
    ranges.length = 0;
  }
}
