/**
 * Pipes (pipe(7)): a ring of bytes between writers and readers. A pure state machine: operations that
 * cannot go on answer -EAGAIN.
 *
 *     ring:  |......=========......|      head = next byte to read, used = bytes there
 *                   ^head   ^head + used
 */
import { EAGAIN, EBUSY, EPIPE } from '../../../spec/linux/errno.ts';
import {
  POLLERR,
  POLLHUP,
  POLLIN,
  POLLOUT,
  POLLRDNORM,
  POLLWRNORM,
} from '../../../spec/linux/poll.ts';
import { WaitQueue } from '../../base/wait_queue.ts';
import { type PipeLimits, roundPipeSize } from '../../kernel/pipe_limits.ts';
import type { IoBuffer } from '../../mm/io_buffer.ts';
import type { Credentials } from '../../vfs/credentials.ts';

/** Writes up to this many bytes are atomic. */
export const PIPE_BUF = 4096;
const PAGE = 4096;

const READABLE = POLLIN | POLLRDNORM;
const WRITABLE = POLLOUT | POLLWRNORM;
const NO_BYTES = new Uint8Array(0);

/** A stretch of the ring while packets (O_DIRECT) are or were in it. */
interface Stretch {
  length: number;
  /** One read ends behind it and loses what it does not take. */
  readonly packet: boolean;
}

export class Pipe {
  /** Notified with POLLIN for readers and POLLOUT for writers. */
  readonly queue = new WaitQueue();
  readers = 0;
  writers = 0;
  /** Counts of ends ever opened: a fifo's open(2) waits for the other one to change. */
  readerOpens = 0;
  writerOpens = 0;
  /** Bytes; none while nobody has it open. */
  capacity = 0;
  private readonly limits: PipeLimits;
  /** Whose pages it takes. */
  private uid = -1;
  /** Made at the first write and grown up to the capacity, dropped at the last close. */
  private ring: Uint8Array = NO_BYTES;
  private head = 0;
  private used = 0;
  /** How the bytes in the ring are divided; null for one stream. */
  private stretches: Stretch[] | null = null;

  constructor(limits: PipeLimits) {
    this.limits = limits;
  }

  /** Before an end is opened: if it is the first, the pipe gets its capacity. 0 or -ENFILE. */
  prepare(creds: Credentials): number {
    if (this.capacity > 0) return 0;
    const pages = this.limits.open(creds);
    if (pages < 0) return pages;
    this.uid = creds.uid;
    this.capacity = pages * PAGE;
    return 0;
  }

  /** Bytes waiting (FIONREAD). */
  get length(): number {
    return this.used;
  }

  /** POLL* for a reader; `writersSeen` says whether a writer ever was there since it opened. */
  pollRead(writersSeen: boolean): number {
    const events = this.used > 0 ? READABLE : 0;
    return this.writers === 0 && writersSeen ? events | POLLHUP : events;
  }

  pollWrite(): number {
    const events = this.capacity - this.used >= PIPE_BUF ? WRITABLE : 0;
    return this.readers === 0 ? events | POLLERR : events;
  }

  /** 0 at the end of the stream, -EAGAIN when writers may bring more. */
  read(dst: IoBuffer): number {
    if (dst.remaining === 0) return 0;
    if (this.used === 0) return this.writers === 0 ? 0 : -EAGAIN;
    const wasFull = this.capacity - this.used < PIPE_BUF;
    const total =
      this.stretches === null ? this.readBytes(dst, this.used) : this.readStretches(dst);
    if (total > 0 && wasFull && this.capacity - this.used >= PIPE_BUF) this.queue.notify(WRITABLE);
    return total;
  }

  private readBytes(dst: IoBuffer, max: number): number {
    let total = 0;
    while (total < max && dst.remaining > 0) {
      const run = Math.min(max - total, this.ring.length - this.head);
      const n = dst.write(this.ring, this.head, this.head + Math.min(run, dst.remaining));
      if (n === 0) break;
      this.consume(n);
      total += n;
    }
    return total;
  }

  /** Up to the end of the first packet. */
  private readStretches(dst: IoBuffer): number {
    let total = 0;
    const stretches = this.stretches as Stretch[];
    while (dst.remaining > 0) {
      const first = stretches[0];
      if (first === undefined) break;
      const n = this.readBytes(dst, first.length);
      total += n;
      first.length -= n;
      if (dst.faulted) break;
      if (first.packet) this.consume(first.length);
      else if (first.length > 0) break;
      stretches.shift();
      if (first.packet) break;
    }
    if (stretches.length === 0) this.stretches = null;
    return total;
  }

  private consume(n: number): void {
    this.used -= n;
    this.head = this.used === 0 ? 0 : (this.head + n) % this.ring.length;
  }

  /**
   * -EPIPE without readers; -EAGAIN when nothing (or not all of an atomic write) fits. With `packet`
   * every PIPE_BUF bytes are one packet.
   */
  write(src: IoBuffer, packet = false): number {
    if (this.readers === 0) return -EPIPE;
    if (src.remaining === 0) return 0;
    const room = this.capacity - this.used;
    if (room === 0 || (src.remaining <= PIPE_BUF && room < src.remaining)) return -EAGAIN;
    this.growRing(this.used + Math.min(room, src.remaining));
    const total = packet ? this.writePackets(src) : this.writeBytes(src, room);
    if (!packet && total > 0 && this.stretches !== null) this.divide(total, false);
    if (total > 0) this.queue.notify(READABLE);
    return total;
  }

  private writeBytes(src: IoBuffer, max: number): number {
    let total = 0;
    while (total < max && src.remaining > 0) {
      const tail = (this.head + this.used) % this.ring.length;
      const run = Math.min(max - total, this.ring.length - tail);
      const n = src.read(this.ring, tail, tail + Math.min(run, src.remaining));
      if (n === 0) break;
      this.used += n;
      total += n;
    }
    return total;
  }

  private writePackets(src: IoBuffer): number {
    let total = 0;
    while (src.remaining > 0) {
      const room = this.capacity - this.used;
      if (room < Math.min(src.remaining, PIPE_BUF)) break;
      const before = this.used;
      const n = this.writeBytes(src, PIPE_BUF);
      if (n === 0) break;
      this.stretches ??= before > 0 ? [{ length: before, packet: false }] : [];
      this.divide(n, true);
      total += n;
    }
    return total;
  }

  /** The last `length` bytes of the ring are a packet, or bytes of the stream. */
  private divide(length: number, packet: boolean): void {
    const stretches = this.stretches as Stretch[];
    const last = stretches.at(-1);
    if (packet || last === undefined || last.packet) stretches.push({ length, packet });
    else last.length += length;
  }

  /** Copies up to `max` waiting bytes without consuming them (tee(2)). */
  peek(max: number): Uint8Array {
    const n = Math.min(max, this.used);
    const out = new Uint8Array(n);
    const first = Math.min(n, this.ring.length - this.head);
    out.set(this.ring.subarray(this.head, this.head + first));
    out.set(this.ring.subarray(0, n - first), first);
    return out;
  }

  /** The ring is only as large as was needed so far: most pipes never fill. */
  private growRing(bytes: number): void {
    if (bytes <= this.ring.length) return;
    let size = PAGE;
    while (size < bytes) size *= 2;
    this.resizeRing(size);
  }

  private resizeRing(size: number): void {
    const bytes = this.peek(this.used);
    this.ring = new Uint8Array(size);
    this.ring.set(bytes);
    this.head = 0;
  }

  /** F_SETPIPE_SZ: the new capacity, or -errno. */
  setCapacity(wanted: number, creds: Credentials): number {
    const size = roundPipeSize(wanted);
    if (size < 0) return size;
    const pages = this.capacity / PAGE;
    const allowed = this.limits.resize(creds, this.uid, pages, size / PAGE);
    if (allowed < 0) return allowed;
    if (size < this.used) {
      this.limits.resize(creds, this.uid, size / PAGE, pages);
      return -EBUSY;
    }
    this.capacity = size;
    if (this.ring.length > size) this.resizeRing(size);
    this.queue.notify(WRITABLE);
    return size;
  }

  addReader(): void {
    this.readers++;
    this.readerOpens++;
    this.queue.notify(WRITABLE);
  }

  addWriter(): void {
    this.writers++;
    this.writerOpens++;
    this.queue.notify(READABLE);
  }

  dropReader(): void {
    this.readers--;
    if (this.readers === 0) this.queue.notify(WRITABLE | POLLERR);
    this.dropRing();
  }

  dropWriter(): void {
    this.writers--;
    if (this.writers === 0) this.queue.notify(READABLE | POLLHUP);
    this.dropRing();
  }

  private dropRing(): void {
    if (this.readers > 0 || this.writers > 0) return;
    this.limits.close(this.uid, this.capacity / PAGE);
    this.capacity = 0;
    this.ring = NO_BYTES;
    this.head = 0;
    this.used = 0;
    this.stretches = null;
  }
}
