/**
 * Writes 9P values into a buffer of fixed size. Overflow is sticky: writing past the end writes
 * nothing more and leaves `ok` false, so callers check once, at the end.
 */
import { MAX_NAME_LENGTH, MAX_TEXT_LENGTH, MAX_WALK_ELEMENTS } from './constants.ts';
import type { P9Attr, Qid } from './messages.ts';

export const QID_SIZE = 13;
/** valid[8] qid[13] mode[4] uid[4] gid[4] and fifteen u64. */
export const ATTR_SIZE = 8 + QID_SIZE + 4 + 4 + 4 + 15 * 8;

function put64(view: DataView, at: number, v: number): void {
  view.setUint32(at, v >= 0 && v < 2 ** 32 ? v : v % 2 ** 32, true);
  view.setUint32(at + 4, v >= 0 && v < 2 ** 32 ? 0 : Math.floor(v / 2 ** 32), true);
}

export class Encoder {
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

  /** Starts again at `pos`; nothing may be written at or beyond `limit`. */
  reset(pos = 0, limit = this.bytes.byteLength): void {
    this.pos = pos;
    this.limit = Math.min(limit, this.bytes.byteLength);
    this.ok = pos <= this.limit;
  }

  /** Bytes left before the limit. */
  get room(): number {
    return this.limit - this.pos;
  }

  /** Reserves `n` bytes: their position, or -1 after an overflow. */
  private take(n: number): number {
    const at = this.pos;
    if (!this.ok || n > this.limit - at) {
      this.ok = false;
      return -1;
    }
    this.pos = at + n;
    return at;
  }

  u8(v: number): void {
    const at = this.take(1);
    if (at >= 0) this.bytes[at] = v;
  }

  u16(v: number): void {
    const at = this.take(2);
    if (at >= 0) this.view.setUint16(at, v, true);
  }

  u32(v: number): void {
    const at = this.take(4);
    if (at >= 0) this.view.setUint32(at, v, true);
  }

  /** Takes safe integers; negative ones are stored in two's complement (i64 is the same). */
  u64(v: number): void {
    const at = this.take(8);
    if (at >= 0) put64(this.view, at, v);
  }

  /** Overwrites a u32 written earlier. */
  patchU32(at: number, v: number): void {
    if (this.ok) this.view.setUint32(at, v, true);
  }

  /** A byte string: length[2] and its bytes. */
  string(s: string, max: number): void {
    if (s.length > max) this.ok = false;
    const at = this.take(2 + s.length);
    if (at < 0) return;
    this.view.setUint16(at, s.length, true);
    for (let i = 0; i < s.length; i++) this.bytes[at + 2 + i] = s.charCodeAt(i);
  }

  text(s: string): void {
    this.string(s, MAX_TEXT_LENGTH);
  }

  name(s: string): void {
    this.string(s, MAX_NAME_LENGTH);
  }

  xattrName(s: string): void {
    this.string(s, MAX_NAME_LENGTH);
  }

  qid(q: Qid): void {
    this.u8(q.type);
    this.u32(q.version);
    this.u64(q.path);
  }

  names(list: readonly string[]): void {
    if (list.length > MAX_WALK_ELEMENTS) this.ok = false;
    this.u16(list.length);
    for (const s of list) this.name(s);
  }

  qids(list: readonly Qid[]): void {
    this.u16(list.length);
    for (const q of list) this.qid(q);
  }

  /** Written field by field at fixed offsets: listings consist of little else. */
  attr(a: P9Attr): void {
    const at = this.take(ATTR_SIZE);
    if (at < 0) return;
    const { view } = this;
    put64(view, at, a.valid);
    view.setUint8(at + 8, a.qid.type);
    view.setUint32(at + 9, a.qid.version, true);
    put64(view, at + 13, a.qid.path);
    view.setUint32(at + 21, a.mode, true);
    view.setUint32(at + 25, a.uid, true);
    view.setUint32(at + 29, a.gid, true);
    put64(view, at + 33, a.nlink);
    put64(view, at + 41, a.rdev);
    put64(view, at + 49, a.size);
    put64(view, at + 57, a.blksize);
    put64(view, at + 65, a.blocks);
    put64(view, at + 73, a.atimeSec);
    put64(view, at + 81, a.atimeNsec);
    put64(view, at + 89, a.mtimeSec);
    put64(view, at + 97, a.mtimeNsec);
    put64(view, at + 105, a.ctimeSec);
    put64(view, at + 113, a.ctimeNsec);
    put64(view, at + 121, a.btimeSec);
    put64(view, at + 129, a.btimeNsec);
    put64(view, at + 137, a.gen);
    put64(view, at + 145, a.dataVersion);
  }

  data(src: Uint8Array): void {
    this.u32(src.length);
    const at = this.take(src.length);
    if (at >= 0) this.bytes.set(src, at);
  }
}
