/**
 * One client's 9P session, without its socket: bytes in, bytes (and descriptors) out. Requests are
 * answered in order and to completion, so Tflush has nothing to do.
 *
 * Whoever owns the socket calls `space` and `received` for input, and `output` and `sent` for
 * output. No input is handled while a reply of full size would not fit behind the unsent output;
 * so a client that does not read its replies stops being read, and memory stays bounded.
 */
import type { HostFifo, HostUds } from '../../spec/control/boot.ts';
import { EINVAL, EIO, EOPNOTSUPP } from '../../spec/linux/errno.ts';
import {
  dataLength,
  decodeFields,
  encodeMessage,
  messageName,
  replyTo,
} from '../../spec/p9/codec.ts';
import {
  HEADER_SIZE,
  MAX_MSIZE,
  MIN_MSIZE,
  NOTAG,
  VERSION_9P2000_L,
  VERSION_RUNSC,
  VERSION_UNKNOWN,
} from '../../spec/p9/constants.ts';
import { Decoder } from '../../spec/p9/decoder.ts';
import { Encoder } from '../../spec/p9/encoder.ts';
import type { Fields, MessageName, ReplyName, RequestName } from '../../spec/p9/messages.ts';
import type { Backend, Watches } from './backend.ts';
import { isExtension, isRequest, type Reply, serve } from './dispatch.ts';
import { FidTable } from './fid.ts';

const INITIAL_BUFFER_SIZE = 32 * 1024;
/** Descriptors that may wait in the output; more would take from the share of fids. */
const MAX_QUEUED_DONATIONS = 32;
/** Before Tversion: nothing larger than the smallest msize is read or sent. */
const MSIZE_BEFORE_VERSION = MIN_MSIZE;

export interface ConnectionOptions {
  readonly backend: Backend;
  /** Refuses everything that changes the tree with EROFS. */
  readonly readonly: boolean;
  readonly maxFids: number;
  /** What the client may do with sockets of the host. */
  readonly hostUds?: HostUds;
  /** And with fifos. */
  readonly hostFifo?: HostFifo;
  /** The client runs on this processor now. */
  readonly place?: (cpu: number) => void;
  /** Duplicates a descriptor for donation, or -errno. */
  readonly dup: (fd: number) => number;
}

/**
 * A stretch of output that goes out in one call; `fd` (or -1) goes with its first byte. The client pairs
 * descriptors with replies by their order, so one may come with a reply before its own: a call less,
 * and the client is not woken twice.
 */
export interface Output {
  readonly bytes: Uint8Array;
  readonly fd: number;
}

export class Connection {
  readonly fids: FidTable;
  readonly backend: Backend;
  readonly readonly: boolean;
  readonly hostUds: HostUds;
  readonly hostFifo: HostFifo;
  private readonly dup: (fd: number) => number;
  readonly place: (cpu: number) => void;
  msize = MSIZE_BEFORE_VERSION;
  /** The version both sides agreed on, or null before Tversion. */
  version: string | null = null;
  /** The uid that Tsetowner gave, or -1: that of the attach. */
  ownerUid = -1;
  /** What the client has watched; made when it first asks. */
  watches: Watches | null = null;
  /** Framing was violated: the owner of the socket closes it. */
  broken = false;

  private input = new Decoder(new Uint8Array(INITIAL_BUFFER_SIZE));
  private inputEnd = 0;
  private out = new Encoder(new Uint8Array(INITIAL_BUFFER_SIZE));
  private outStart = 0;
  /** Descriptors in the output, by the position of the reply they belong to. */
  private donations: { readonly at: number; readonly fd: number }[] = [];
  /** What the reply in the making donates, or -1. */
  private pendingDonation = -1;
  private scratch = new Uint8Array(0);

  constructor(options: ConnectionOptions) {
    this.backend = options.backend;
    this.readonly = options.readonly;
    this.hostUds = options.hostUds ?? 'none';
    this.hostFifo = options.hostFifo ?? 'none';
    this.dup = options.dup;
    this.place = options.place ?? (() => undefined);
    this.fids = new FidTable(options.maxFids);
  }

  /** Whether input is taken now: not when the output must drain first. */
  get takesInput(): boolean {
    return !this.broken && this.hasReplyRoom() && this.inputEnd < this.input.bytes.length;
  }

  /** Where input may be put now. */
  get space(): Uint8Array {
    return this.input.bytes.subarray(this.takesInput ? this.inputEnd : this.input.bytes.length);
  }

  get hasOutput(): boolean {
    return this.outStart !== this.out.pos;
  }

  /** `count` bytes were put into `space`: handles every request that is complete. */
  received(count: number): void {
    this.inputEnd += count;
    this.process();
  }

  private process(): void {
    let start = 0;
    while (!this.broken && this.inputEnd - start >= HEADER_SIZE) {
      this.input.reset(start, this.inputEnd);
      const size = this.input.u32();
      if (size < HEADER_SIZE || size > this.msize) {
        this.broken = true;
        break;
      }
      if (size > this.input.bytes.length) {
        this.growInput(size);
        continue;
      }
      if (this.inputEnd - start < size || !this.hasReplyRoom()) break;
      this.input.reset(start + 4, start + size);
      start += size;
      this.handle();
    }
    if (start > 0) {
      if (start < this.inputEnd) this.input.bytes.copyWithin(0, start, this.inputEnd);
      this.inputEnd -= start;
    }
  }

  private growInput(size: number): void {
    const bytes = new Uint8Array(Math.min(this.msize, Math.max(size, this.input.bytes.length * 2)));
    bytes.set(this.input.bytes.subarray(0, this.inputEnd));
    this.input = new Decoder(bytes);
  }

  /** Makes room for one more reply of any size; false when unsent output stands in the way. */
  private hasReplyRoom(): boolean {
    if (this.outStart === this.out.pos) {
      this.outStart = 0;
      this.out.reset();
    }
    return this.out.pos <= this.msize && this.donations.length < MAX_QUEUED_DONATIONS;
  }

  /** Grows the output to hold a reply of `size` bytes more: at most twice msize altogether. */
  private reserve(size: number): void {
    const need = this.out.pos + Math.min(size, this.msize);
    if (need <= this.out.bytes.length) return;
    const bytes = new Uint8Array(
      Math.min(2 * this.msize, Math.max(need, this.out.bytes.length * 2)),
    );
    bytes.set(this.out.bytes.subarray(0, this.out.pos));
    const { pos } = this.out;
    this.out = new Encoder(bytes);
    this.out.reset(pos);
  }

  /** Answers the request that the input stands at. */
  private handle(): void {
    const number = this.input.u8();
    const tag = this.input.u16();
    const name = messageName(number);
    const result = name === null ? -EOPNOTSUPP : this.answer(name, number, tag);
    if (typeof result === 'number') this.put('Rlerror', tag, { ecode: -result });
    else this.put(replyTo(name!), tag, result as Fields<ReplyName>);
  }

  private answer(name: MessageName, number: number, tag: number): Reply | number {
    if (!isRequest(number)) return -EOPNOTSUPP;
    if (name === 'Tversion') {
      const fields = decodeFields(this.input, name);
      return fields === null ? -EINVAL : this.negotiate(tag, fields);
    }
    if (this.version === null) return -EINVAL;
    if (isExtension(number) && !this.extended) return -EOPNOTSUPP;
    const request = name as RequestName;
    const fields = decodeFields(this.input, request);
    return fields === null ? -EINVAL : serve(this, request, fields);
  }

  get extended(): boolean {
    return this.version === VERSION_RUNSC;
  }

  private negotiate(tag: number, f: Fields<'Tversion'>): Fields<'Rversion'> | number {
    this.forget();
    this.ownerUid = -1;
    this.version = null;
    this.msize = MSIZE_BEFORE_VERSION;
    if (tag !== NOTAG || f.msize < MIN_MSIZE) return -EINVAL;
    const msize = Math.min(f.msize, MAX_MSIZE);
    if (f.version !== VERSION_RUNSC && f.version !== VERSION_9P2000_L) {
      return { msize, version: VERSION_UNKNOWN };
    }
    this.msize = msize;
    this.version = f.version;
    return { msize, version: f.version };
  }

  /** Lets go of what the client has named. */
  private forget(): void {
    this.fids.clear();
    this.watches?.close();
    this.watches = null;
  }

  /** A buffer of `size` bytes for the data of one reply. */
  scratchBytes(size: number): Uint8Array {
    if (this.scratch.length < size) this.scratch = new Uint8Array(size);
    return this.scratch.subarray(0, size);
  }

  /** Sends a copy of `fd` with the reply in the making. False when there is none to be had. */
  donate(fd: number): boolean {
    const copy = this.dup(fd);
    if (copy < 0) return false;
    this.pendingDonation = copy;
    return true;
  }

  /** Sends `fd` itself with the reply in the making. */
  handOver(fd: number): void {
    this.pendingDonation = fd;
  }

  private put<N extends MessageName>(name: N, tag: number, fields: Fields<N>): void {
    this.reserve(INITIAL_BUFFER_SIZE / 2 + dataLength(fields));
    const at = this.out.pos;
    this.out.reset(at, Math.min(at + this.msize, this.out.bytes.length));
    const donation = this.pendingDonation;
    this.pendingDonation = -1;
    if (donation >= 0) this.donations.push({ at, fd: donation });
    if (!encodeMessage(this.out, name, tag, fields)) {
      // Handlers size their replies by msize, so this is an attribute name or link target beyond it.
      encodeMessage(this.out, 'Rlerror', tag, { ecode: EIO });
    }
    this.out.reset(this.out.pos);
  }

  /** What to send next, or null when there is nothing. */
  get output(): Output | null {
    if (!this.hasOutput) return null;
    const fd = this.donations[0]?.fd ?? -1;
    const end = this.donations[1]?.at ?? this.out.pos;
    return { bytes: this.out.bytes.subarray(this.outStart, end), fd };
  }

  /** The first `count` bytes of `output` are on their way; returns the descriptor to close, or -1. */
  sent(count: number): number {
    let fd = -1;
    if (count > 0 && this.donations.length > 0) fd = this.donations.shift()!.fd;
    this.outStart += count;
    if (this.outStart === this.out.pos) this.compact();
    return fd;
  }

  /** All output was sent: go on with requests that were waiting for room. */
  private compact(): void {
    this.outStart = 0;
    this.out.reset();
    this.process();
  }

  /** Releases everything; returns the descriptors that were never sent, to be closed. */
  close(): number[] {
    this.forget();
    const unsent = this.donations.map((d) => d.fd);
    this.donations = [];
    this.broken = true;
    return unsent;
  }
}
