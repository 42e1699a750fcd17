/**
 * The Sentry's end of one 9P connection: requests out, replies in, synchronously, on a blocking
 * stream socket.
 *
 * Requests may be queued: they leave with the next call in one write, and replies nobody waits for
 * (of Tclunk and Tsetowner) are dropped as they pass by. The server is not trusted: whatever breaks
 * the protocol, and its death, makes the channel dead, and from then on every call answers -EIO.
 */
import * as fs from '../../../native/fs.ts';
import { stayOnCpu } from '../../../native/process.ts';
import * as socket from '../../../native/socket.ts';
import { EAGAIN, EINTR, EIO, ENFILE } from '../../../spec/linux/errno.ts';
import { MSG_CTRUNC, MSG_NOSIGNAL } from '../../../spec/linux/socket.ts';
import {
  dataLength,
  decodeFields,
  encodeMessage,
  messageName,
  replyTo,
} from '../../../spec/p9/codec.ts';
import { HEADER_SIZE, IOUNIT_FD_DONATED, MIN_MSIZE } from '../../../spec/p9/constants.ts';
import { Decoder } from '../../../spec/p9/decoder.ts';
import { Encoder } from '../../../spec/p9/encoder.ts';
import type { Fields, MessageName, ReplyTo, RequestName } from '../../../spec/p9/messages.ts';

const BUFFER_SIZE = 32 * 1024;
const MAX_ERRNO = 4095;
const MAX_TAG = 0xfffe;
/** Replies that may be outstanding without anybody waiting. */
export const MAX_POSTED = 128;
/** Descriptors a server may have sent ahead of the replies they belong to. */
const MAX_DONATED = 64;
/** In the place of a descriptor that came while we had no number left for it. */
const NO_ROOM = -1;

type AnyFields = Fields<MessageName>;

/** A reply expected: dropped when it comes (`wanted` false), or kept for `receive`. */
interface Pending {
  readonly reply: MessageName;
  readonly wanted: boolean;
  result: AnyFields | number | null;
  hostFd: number;
}

/** What a call is known by until its reply is taken. */
export type Ticket<N extends RequestName> = number & { readonly request?: N };

export class Channel {
  private readonly fd: number;
  private dead = false;
  /** Called once when the server is gone or breaks the protocol. */
  lost: (() => void) | null = null;
  /** Called when the socket's limit has passed without an answer to `request`; null: it has come. */
  slow: ((request: string | null) => void) | null = null;
  private toldSlow = false;
  msize = MIN_MSIZE;
  /** The server knows Tsetcpu. */
  tellsCpu = false;
  private cpu = -1;
  private out = new Encoder(new Uint8Array(BUFFER_SIZE));
  private input = new Decoder(new Uint8Array(BUFFER_SIZE));
  /** Bytes received and not yet handled lie in [start, end). */
  private start = 0;
  private end = 0;
  private readonly pending = new Map<number, Pending>();
  private posted = 0;
  private nextTag = 0;
  private readonly donated: number[] = [];
  /** The descriptor that came with the reply last taken, or -1: the caller owns it. */
  hostFd = -1;

  /** Takes over `fd`. */
  constructor(fd: number) {
    this.fd = fd;
  }

  get isDead(): boolean {
    return this.dead;
  }

  /** One request and its reply's fields, or -errno. A `data` field is valid until the next call. */
  call<N extends RequestName>(
    name: N,
    fields: Fields<N>,
    tag?: number,
  ): Fields<ReplyTo<N>> | number {
    return this.receive(this.queue(name, fields, tag));
  }

  /** Queues a request whose reply will be asked for with `receive`, or -errno. */
  queue<N extends RequestName>(name: N, fields: Fields<N>, tag?: number): Ticket<N> {
    return this.add(name, fields, true, tag);
  }

  /** Queues a request whose outcome does not matter. */
  post<N extends RequestName>(name: N, fields: Fields<N>): void {
    if (this.posted >= MAX_POSTED) this.drain();
    if (this.add(name, fields, false) >= 0) this.posted++;
  }

  private add<N extends RequestName>(
    name: N,
    fields: Fields<N>,
    wanted: boolean,
    fixedTag?: number,
  ): number {
    if (this.dead) return -EIO;
    const tag = fixedTag ?? this.freeTag();
    const need = BUFFER_SIZE / 2 + dataLength(fields);
    if (this.out.room < need) this.makeRoom(need);
    const at = this.out.pos;
    // A field out of its bounds (a name too long) cannot be said in 9P.
    if (!encodeMessage(this.out, name, tag, fields) || this.out.pos - at > this.msize) {
      this.out.reset(at);
      return -EIO;
    }
    this.pending.set(tag, { reply: replyTo(name), wanted, result: null, hostFd: -1 });
    return tag;
  }

  private freeTag(): number {
    do {
      this.nextTag = this.nextTag >= MAX_TAG ? 0 : this.nextTag + 1;
    } while (this.pending.has(this.nextTag));
    return this.nextTag;
  }

  /** Makes the output hold `need` bytes more, by sending or by growing. */
  private makeRoom(need: number): void {
    this.flush();
    if (this.out.bytes.length >= need) return;
    this.out = new Encoder(new Uint8Array(need));
  }

  /** Sends what is queued. */
  flush(): void {
    if (this.tellsCpu) this.tellCpu();
    let at = 0;
    while (at < this.out.pos && !this.dead) {
      const n = socket.send(this.fd, this.out.bytes.subarray(at, this.out.pos), MSG_NOSIGNAL);
      if (n > 0) at += n;
      else if (n === -EAGAIN) this.waitedLong();
      else if (n !== -EINTR) this.die();
    }
    this.out.reset();
  }

  /** Lets the server follow this thread to its processor. */
  private tellCpu(): void {
    const cpu = stayOnCpu();
    if (cpu === this.cpu || cpu < 0) return;
    this.cpu = cpu;
    this.post('Tsetcpu', { cpu });
  }

  /** Waits for the reply of a queued request. */
  receive<N extends RequestName>(ticket: Ticket<N>): Fields<ReplyTo<N>> | number {
    this.hostFd = -1;
    if (ticket < 0) return ticket;
    const pending = this.pending.get(ticket);
    if (pending === undefined) return -EIO;
    while (pending.result === null && !this.dead) this.next();
    this.pending.delete(ticket);
    this.hostFd = pending.hostFd;
    return (pending.result as Fields<ReplyTo<N>> | null) ?? -EIO;
  }

  /** Waits for the replies nobody wants, when there are many of them. */
  private drain(): void {
    while (this.posted > 0 && !this.dead) this.next();
  }

  /** Takes in one reply. */
  private next(): void {
    if (this.out.pos > 0) this.flush();
    while (!this.dead) {
      const have = this.end - this.start;
      this.input.reset(this.start, this.end);
      const size = have >= HEADER_SIZE ? this.input.u32() : 0;
      if (have >= HEADER_SIZE && (size < HEADER_SIZE || size > this.msize)) {
        this.die();
      } else if (size > 0 && have >= size) {
        this.input.reset(this.start + 4, this.start + size);
        this.start += size;
        if (!this.accept()) this.die();
        return;
      } else {
        this.fill(size);
      }
    }
  }

  /** Receives more, with room for a message of `size` bytes. */
  private fill(size: number): void {
    if (this.start === this.end || this.start + size > this.input.bytes.length) {
      this.input.bytes.copyWithin(0, this.start, this.end);
      this.end -= this.start;
      this.start = 0;
    }
    if (size > this.input.bytes.length) {
      const bytes = new Uint8Array(
        Math.min(this.msize, Math.max(size, this.input.bytes.length * 2)),
      );
      bytes.set(this.input.bytes.subarray(0, this.end));
      this.input = new Decoder(bytes);
    }
    const { donated } = this;
    const before = donated.length;
    const got = socket.recvAddingFds(this.fd, this.input.bytes.subarray(this.end), donated);
    if (got < 0) {
      if (got === -EAGAIN) this.waitedLong();
      else if (got !== -EINTR) this.die();
      return;
    }
    if (this.toldSlow) this.tellSlow(null);
    const cut = (socket.receivedFlags() & MSG_CTRUNC) !== 0;
    if (cut && donated.length === before) donated.push(NO_ROOM);
    this.end += got;
    if (got === 0 || donated.length > MAX_DONATED) this.die();
  }

  /**
   * We wait on all the same: nobody else could say what became of the file, and SIGKILL ends us at any
   * time.
   */
  private waitedLong(): void {
    if (this.toldSlow) return;
    for (const { reply, result } of this.pending.values()) {
      if (result === null) return this.tellSlow(`T${reply.slice(1)}`);
    }
  }

  private tellSlow(request: string | null): void {
    this.toldSlow = request !== null;
    this.slow?.(request);
  }

  /** Handles the reply that the input stands at; false when it breaks the protocol. */
  private accept(): boolean {
    const name = messageName(this.input.u8());
    const tag = this.input.u16();
    const pending = this.pending.get(tag);
    if (pending === undefined || pending.result !== null) return false;
    if (name !== pending.reply && name !== 'Rlerror') return false;
    const fields = decodeFields(this.input, name);
    if (fields === null) return false;
    if (name === 'Rlerror') {
      const { ecode } = fields as Fields<'Rlerror'>;
      pending.result = ecode > 0 && ecode <= MAX_ERRNO ? -ecode : -EIO;
    } else {
      const { iounit = 0 } = fields as { iounit?: number };
      if ((iounit & IOUNIT_FD_DONATED) !== 0 && !this.takeDonation(pending)) return false;
      pending.result ??= fields;
    }
    if (pending.wanted) return true;
    this.pending.delete(tag);
    this.posted--;
    if (pending.hostFd >= 0) fs.close(pending.hostFd);
    return true;
  }

  /** Pairs a reply that says so with its descriptor; false when there is none. */
  private takeDonation(pending: Pending): boolean {
    const fd = this.donated.shift();
    if (fd === undefined) return false;
    if (fd === NO_ROOM) pending.result = -ENFILE;
    else pending.hostFd = fd;
    return true;
  }

  /** Ends the connection. Everything outstanding and every later call answers -EIO. */
  die(): void {
    if (this.dead) return;
    this.dead = true;
    fs.close(this.fd);
    for (const fd of this.donated) if (fd !== NO_ROOM) fs.close(fd);
    this.donated.length = 0;
    for (const p of this.pending.values()) {
      if (p.hostFd >= 0) fs.close(p.hostFd);
      p.hostFd = -1;
    }
    this.out.reset();
    this.lost?.();
  }
}
