/**
 * Reads 9P values out of a message from a peer that is not trusted. Never throws: reading past the
 * end, or a value out of its bounds, is sticky and leaves `ok` false; from then on every read gives
 * zero or nothing.
 */
import { MAX_NAME_LENGTH, MAX_TEXT_LENGTH, MAX_WALK_ELEMENTS } from './constants.ts';
import { ATTR_SIZE, QID_SIZE } from './encoder.ts';
import type { P9Attr, Qid } from './messages.ts';

const NO_BYTES = new Uint8Array(0);
const NO_QID: Qid = { type: 0, version: 0, path: 0 };
const NO_ATTR = new DataView(new ArrayBuffer(ATTR_SIZE));

function getU64(view: DataView, at: number): number {
  return view.getUint32(at, true) + view.getUint32(at + 4, true) * 2 ** 32;
}

function getI64(view: DataView, at: number): number {
  return view.getUint32(at, true) + view.getInt32(at + 4, true) * 2 ** 32;
}

/**
 * The path of the qid at `at`. One above 2^53 is folded, not rounded: rounding would give the files of a
 * server that counts in its upper bits one and the same identity.
 */
export function getPath(view: DataView, at: number): number {
  const high = view.getUint32(at + 9, true);
  const folded = (high & 0x1fffff) ^ (Math.imul(high >>> 21, 0x9e3b) & 0x1fffff);
  return view.getUint32(at + 5, true) + folded * 2 ** 32;
}

export function getQid(view: DataView, at: number): Qid {
  return {
    type: view.getUint8(at),
    version: view.getUint32(at + 1, true),
    path: getPath(view, at),
  };
}

/** `mode` of the body of an Rgetattr that begins at `at`. */
export function getMode(view: DataView, at: number): number {
  return view.getUint32(at + 21, true);
}

/** The attributes in an Rwalkgetattr, or null when they are malformed. */
export function decodeAttrs(data: Uint8Array): P9Attr[] | null {
  const count = data.length / ATTR_SIZE;
  if (!Number.isInteger(count) || count > MAX_WALK_ELEMENTS) return null;
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  const attrs: P9Attr[] = [];
  for (let at = 0; at < data.length; at += ATTR_SIZE) attrs.push(getAttr(view, at));
  return attrs;
}

/** The body of Rgetattr, at the offsets that Encoder.attr writes. */
export function getAttr(view: DataView, at: number): P9Attr {
  return {
    valid: getU64(view, at),
    qid: getQid(view, at + 8),
    mode: getMode(view, at),
    uid: view.getUint32(at + 25, true),
    gid: view.getUint32(at + 29, true),
    nlink: getU64(view, at + 33),
    rdev: getU64(view, at + 41),
    size: getU64(view, at + 49),
    blksize: getU64(view, at + 57),
    blocks: getU64(view, at + 65),
    atimeSec: getI64(view, at + 73),
    atimeNsec: getU64(view, at + 81),
    mtimeSec: getI64(view, at + 89),
    mtimeNsec: getU64(view, at + 97),
    ctimeSec: getI64(view, at + 105),
    ctimeNsec: getU64(view, at + 113),
    btimeSec: getI64(view, at + 121),
    btimeNsec: getU64(view, at + 129),
    gen: getU64(view, at + 137),
    dataVersion: getU64(view, at + 145),
  };
}

export class Decoder {
  readonly bytes: Uint8Array;
  private readonly view: DataView;
  private limit: number;
  pos = 0;
  ok = true;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.limit = bytes.byteLength;
  }

  /** Reads on from `pos` up to `limit`. */
  reset(pos: number, limit: number): void {
    this.pos = pos;
    this.limit = Math.min(limit, this.bytes.byteLength);
    this.ok = pos <= this.limit;
  }

  get remaining(): number {
    return this.limit - this.pos;
  }

  /** Whether everything was read, without a fault and without anything left over. */
  get complete(): boolean {
    return this.ok && this.pos === this.limit;
  }

  private take(n: number): number {
    const at = this.pos;
    if (!this.ok || n > this.limit - at) {
      this.ok = false;
      return -1;
    }
    this.pos = at + n;
    return at;
  }

  u8(): number {
    const at = this.take(1);
    return at < 0 ? 0 : this.view.getUint8(at);
  }

  u16(): number {
    const at = this.take(2);
    return at < 0 ? 0 : this.view.getUint16(at, true);
  }

  u32(): number {
    const at = this.take(4);
    return at < 0 ? 0 : this.view.getUint32(at, true);
  }

  u64(): number {
    const at = this.take(8);
    return at < 0 ? 0 : getU64(this.view, at);
  }

  i64(): number {
    const at = this.take(8);
    return at < 0 ? 0 : getI64(this.view, at);
  }

  /** A byte string of at most `max` bytes without NUL and, where `slash` is false, without '/'. */
  private string(max: number, slash: boolean): string {
    const length = this.u16();
    if (length > max) this.ok = false;
    const at = this.take(length);
    if (at < 0) return '';
    // All of it at once: put together char by char it would be flattened again for every Map.
    const chars = this.bytes.subarray(at, at + length) as unknown as number[];
    const s = String.fromCharCode.apply(null, chars);
    if (s.includes('\0') || (!slash && s.includes('/'))) this.ok = false;
    return this.ok ? s : '';
  }

  text(): string {
    return this.string(MAX_TEXT_LENGTH, true);
  }

  name(): string {
    const s = this.string(MAX_NAME_LENGTH, false);
    if (s === '') this.ok = false;
    return s;
  }

  xattrName(): string {
    return this.string(MAX_NAME_LENGTH, true);
  }

  qid(): Qid {
    const at = this.take(QID_SIZE);
    return at < 0 ? NO_QID : getQid(this.view, at);
  }

  names(): string[] {
    return this.list(3, () => this.name());
  }

  qids(): Qid[] {
    return this.list(QID_SIZE, () => this.qid());
  }

  /** count[2] and that many items of at least `size` bytes each. */
  private list<T>(size: number, item: () => T): T[] {
    const count = this.u16();
    if (count > MAX_WALK_ELEMENTS || count * size > this.remaining) this.ok = false;
    const items: T[] = [];
    for (let i = 0; i < count && this.ok; i++) items.push(item());
    return this.ok ? items : [];
  }

  /** Where an attribute record begins in `bytes`, or -1; passes over it. */
  attrAt(): number {
    return this.take(ATTR_SIZE);
  }

  attr(): P9Attr {
    const at = this.take(ATTR_SIZE);
    return getAttr(at < 0 ? NO_ATTR : this.view, Math.max(at, 0));
  }

  /** A view of the message: copy it before the buffer is reused. */
  data(): Uint8Array {
    const length = this.u32();
    const at = this.take(length);
    return at < 0 ? NO_BYTES : this.bytes.subarray(at, at + length);
  }
}
