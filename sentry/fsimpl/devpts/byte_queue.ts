/**
 * ByteQueue: a bounded ring of bytes, the buffers of a terminal.
 *
 *     ring:  |......=========......|      head = next byte to take, length = bytes there
 *                   ^head   ^head + length
 */
import type { IoBuffer } from '../../mm/io_buffer.ts';

const NO_BYTES = new Uint8Array(0);

export class ByteQueue {
  readonly capacity: number;
  length = 0;
  private head = 0;
  /** Made at the first byte. */
  private ring: Uint8Array = NO_BYTES;

  constructor(capacity: number) {
    this.capacity = capacity;
  }

  get room(): number {
    return this.capacity - this.length;
  }

  /** False when there is no room. */
  push(byte: number): boolean {
    if (this.length === this.capacity) return false;
    if (this.ring.length === 0) this.ring = new Uint8Array(this.capacity);
    this.ring[(this.head + this.length) % this.capacity] = byte;
    this.length++;
    return true;
  }

  /** Takes in bytes[start, end) as far as there is room; how many. */
  pushAll(bytes: Uint8Array, start: number, end: number): number {
    const total = Math.min(end - start, this.room);
    if (total > 0 && this.ring.length === 0) this.ring = new Uint8Array(this.capacity);
    for (let done = 0; done < total; ) {
      const tail = (this.head + this.length) % this.capacity;
      const run = Math.min(total - done, this.capacity - tail);
      this.ring.set(bytes.subarray(start + done, start + done + run), tail);
      this.length += run;
      done += run;
    }
    return total;
  }

  /** Takes in what `src` has, as far as there is room; how many bytes. */
  fill(src: IoBuffer): number {
    let total = 0;
    for (;;) {
      const span = this.room > 0 ? src.peek() : null;
      if (span === null) return total;
      const n = this.pushAll(span.bytes, span.start, span.start + span.length);
      src.advance(n);
      total += n;
    }
  }

  /** The next contiguous bytes, for `drop`. */
  peek(): Uint8Array {
    return this.ring.subarray(this.head, Math.min(this.head + this.length, this.ring.length));
  }

  drop(count: number): void {
    this.length -= count;
    this.head = this.length === 0 ? 0 : (this.head + count) % this.capacity;
  }

  /** Moves bytes to `dst`; how many. */
  drain(dst: IoBuffer): number {
    let total = 0;
    while (this.length > 0) {
      const n = dst.write(this.peek());
      if (n === 0) break;
      this.drop(n);
      total += n;
    }
    return total;
  }

  /** Forgets all but the first `count` bytes. */
  truncate(count: number): void {
    this.length = Math.min(this.length, count);
  }

  clear(): void {
    this.length = 0;
    this.head = 0;
  }
}
