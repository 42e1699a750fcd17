/**
 * What a terminal's reader has not taken yet: Linux's read_buf and read_flags of n_tty in one ring.
 *
 *     |......===========++++++....|   canonical mode: whole lines can be read, up to canonHead,
 *            ^tail      ^canonHead    and the line being typed reaches from there to head
 *                             ^head
 *
 * One entry is a byte, perhaps with a flag: that a line ends behind it, or that it stands for an end of
 * file and is no byte at all. Positions count up without end.
 */
import type { IoBuffer } from '../../mm/io_buffer.ts';

export const INPUT_SIZE = 4096;
/** A line ends behind this byte. */
const LINE_END = 0x100;
/** Not a byte: what VEOF leaves. Ends a line too. */
const END_OF_FILE = 0x200;
const CHUNK = 512;

export class InputBuffer {
  private ring: Uint16Array | null = null;
  tail = 0;
  canonHead = 0;
  head = 0;
  private readonly chunk = new Uint8Array(CHUNK);

  get used(): number {
    return this.head - this.tail;
  }
  get room(): number {
    return INPUT_SIZE - this.used;
  }
  /** Whether a whole line waits. */
  get hasLine(): boolean {
    return this.canonHead !== this.tail;
  }

  at(position: number): number {
    return (this.ring?.[position % INPUT_SIZE] ?? 0) & 0xff;
  }

  put(byte: number): void {
    this.ring ??= new Uint16Array(INPUT_SIZE);
    this.ring[this.head++ % INPUT_SIZE] = byte;
  }

  putLineEnd(byte: number): void {
    this.put(byte | LINE_END);
    this.canonHead = this.head;
  }

  putEndOfFile(): void {
    this.put(END_OF_FILE | LINE_END);
    this.canonHead = this.head;
  }

  /** Makes everything there a whole line, as when canonical mode begins or ends. */
  completeLine(): void {
    if (this.head !== this.canonHead && this.ring !== null) {
      const last = (this.head - 1) % INPUT_SIZE;
      this.ring[last] = (this.ring[last] as number) | LINE_END;
    }
    this.canonHead = this.head;
  }

  clear(): void {
    this.tail = 0;
    this.canonHead = 0;
    this.head = 0;
  }

  /** Bytes up to `end`, ends of file not counted (FIONREAD). */
  count(end: number): number {
    let n = 0;
    for (let i = this.tail; i < end; i++) {
      if (((this.ring?.[i % INPUT_SIZE] ?? 0) & END_OF_FILE) === 0) n++;
    }
    return n;
  }

  /** Takes at most one line; the bytes that reached `dst`. */
  takeLine(dst: IoBuffer): number {
    return this.take(dst, this.canonHead, true);
  }

  /** Takes all that fits. */
  takeAll(dst: IoBuffer): number {
    const n = this.take(dst, this.head, false);
    this.canonHead = Math.max(this.canonHead, this.tail);
    return n;
  }

  private take(dst: IoBuffer, end: number, oneLine: boolean): number {
    const { ring, chunk } = this;
    if (ring === null) return 0;
    let total = 0;
    for (let more = true; more && this.tail < end; ) {
      const limit = Math.min(CHUNK, dst.remaining);
      let n = 0;
      let at = this.tail;
      while (at < end) {
        const entry = ring[at % INPUT_SIZE] as number;
        const isEnd = (entry & END_OF_FILE) !== 0;
        // An end of file right behind the last byte that fits goes with it: no empty read later.
        if (!isEnd && n === limit) break;
        at++;
        if (!isEnd) chunk[n++] = entry & 0xff;
        if (oneLine && (entry & LINE_END) !== 0) {
          more = false;
          break;
        }
      }
      const taken = dst.write(chunk, 0, n);
      total += taken;
      this.tail = taken < n ? this.tail + taken : at;
      if (taken < n || dst.remaining === 0) break;
    }
    return total;
  }
}
