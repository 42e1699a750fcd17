/**
 * What a stream socket has received: segments of bytes, divided where descriptors came along or the
 * sender changed.
 *
 *     segment:  |....=======------|     start..end hold bytes, the rest is free
 */
import type { IoBuffer } from '../../mm/io_buffer.ts';
import type { UserCredentials } from '../socket.ts';
import type { Rights } from './unix_rights.ts';

const SMALLEST_SEGMENT = 2048;
const LARGEST_SEGMENT = 65536;
/** Pieces that cannot be joined: what Linux's overhead per message lets into the default buffer. */
export const MAX_SEGMENTS = 278;

class Segment {
  bytes: Uint8Array;
  start = 0;
  end = 0;
  readonly credentials: UserCredentials | null;
  /** Delivered with the first byte. */
  rights: Rights | null;
  /** Came with descriptors: nothing is added, and a receive ends behind it. */
  readonly sealed: boolean;

  constructor(bytes: Uint8Array, credentials: UserCredentials | null, rights: Rights | null) {
    this.bytes = bytes;
    this.credentials = credentials;
    this.rights = rights;
    this.sealed = rights !== null;
  }
}

export function sameCredentials(a: UserCredentials | null, b: UserCredentials | null): boolean {
  if (a === null || b === null) return a === b;
  return a.pid === b.pid && a.uid === b.uid && a.gid === b.gid;
}

/** What a read of a ByteQueue found besides bytes. */
export interface ByteRead {
  length: number;
  credentials: UserCredentials | null;
  rights: Rights | null;
}

export class ByteQueue {
  private readonly segments: Segment[] = [];
  /** Kept for the next segment, so that a busy connection makes no garbage. */
  private spare: Uint8Array | null = null;
  /** Bytes waiting. */
  length = 0;

  /** How many pieces wait: however small, each takes memory. */
  get segmentCount(): number {
    return this.segments.length;
  }

  /** Takes up to `max` bytes, and `rights` with them: how many were taken; 0 at a fault. */
  append(
    src: IoBuffer,
    max: number,
    credentials: UserCredentials | null,
    rights: Rights | null,
  ): number {
    let total = 0;
    let left = Math.min(max, src.remaining);
    let pending = rights;
    while (left > 0) {
      const tail = this.tailFor(credentials, pending, left);
      const n = src.read(tail.bytes, tail.end, Math.min(tail.bytes.length, tail.end + left));
      if (n === 0) {
        if (tail.end === tail.start) this.segments.pop();
        break;
      }
      pending = null;
      tail.end += n;
      total += n;
      left -= n;
    }
    this.length += total;
    return total;
  }

  private tailFor(
    credentials: UserCredentials | null,
    rights: Rights | null,
    wanted: number,
  ): Segment {
    const tail = this.segments.at(-1);
    const fits =
      tail !== undefined &&
      !tail.sealed &&
      rights === null &&
      tail.end < tail.bytes.length &&
      sameCredentials(tail.credentials, credentials);
    if (fits) return tail;
    const segment = new Segment(this.newBytes(wanted), credentials, rights);
    this.segments.push(segment);
    return segment;
  }

  private newBytes(wanted: number): Uint8Array {
    const { spare } = this;
    if (spare !== null && spare.length >= Math.min(wanted, LARGEST_SEGMENT)) {
      this.spare = null;
      return spare;
    }
    let size = SMALLEST_SEGMENT;
    while (size < wanted && size < LARGEST_SEGMENT) size *= 2;
    return new Uint8Array(size);
  }

  /**
   * Moves bytes into `dst`, or copies them (`peek`), up to the end of a segment that came with
   * descriptors, and with `divide` up to a change of credentials.
   */
  read(dst: IoBuffer, peek: boolean, divide: boolean): ByteRead {
    const result: ByteRead = { length: 0, credentials: null, rights: null };
    let i = 0;
    for (;;) {
      const segment = this.segments[i];
      if (segment === undefined || dst.remaining === 0) break;
      if (result.length > 0 && divide) {
        if (!sameCredentials(segment.credentials, result.credentials)) break;
      }
      const n = dst.write(segment.bytes, segment.start, segment.end);
      if (n === 0) break;
      if (result.length === 0) result.credentials = segment.credentials;
      result.length += n;
      result.rights = segment.rights;
      if (peek) {
        i++;
      } else {
        segment.rights = null;
        this.consume(segment, n);
      }
      if (segment.sealed) break;
    }
    return result;
  }

  private consume(segment: Segment, n: number): void {
    segment.start += n;
    this.length -= n;
    if (segment.start < segment.end) return;
    this.segments.shift();
    this.spare = segment.bytes;
  }

  /** Drops everything; descriptors under way are closed. */
  clear(): void {
    const dropped = this.segments.splice(0);
    this.length = 0;
    this.spare = null;
    for (const segment of dropped) segment.rights?.discard();
  }
}
