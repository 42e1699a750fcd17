/**
 * The records inside Rreaddir and Rreaddirplus data.
 */
import { Decoder, getAttr, getMode, getPath } from './decoder.ts';
import { type Encoder, QID_SIZE } from './encoder.ts';
import type { P9Attr, Qid } from './messages.ts';

export interface Dirent {
  readonly qid: Qid;
  /** What Treaddir takes to continue behind this entry. */
  readonly offset: number;
  /** DT_*. */
  readonly type: number;
  readonly name: string;
}

export interface DirentPlus {
  readonly attr: P9Attr;
  readonly type: number;
  readonly name: string;
}

/**
 * An entry of an Rreaddirplus. Most of a tree's files are listed and never looked at: their attributes
 * stay bytes until somebody asks.
 */
export class ListedEntry implements DirentPlus {
  readonly name: string;
  readonly type: number;
  private readonly view: DataView;
  private readonly at: number;

  /** The record's attributes begin at `at`; `view` must not change any more. */
  constructor(view: DataView, at: number, type: number, name: string) {
    this.view = view;
    this.at = at;
    this.type = type;
    this.name = name;
  }

  /** qid.path and mode, of `attr`. */
  get ino(): number {
    return getPath(this.view, this.at + 8);
  }
  get mode(): number {
    return getMode(this.view, this.at);
  }
  get attr(): P9Attr {
    return getAttr(this.view, this.at);
  }
}

export function direntSize(name: string): number {
  return QID_SIZE + 8 + 1 + 2 + name.length;
}

export function encodeDirent(e: Encoder, d: Dirent): void {
  e.qid(d.qid);
  e.u64(d.offset);
  e.u8(d.type);
  e.name(d.name);
}

export function encodeDirentPlus(e: Encoder, d: DirentPlus): void {
  e.attr(d.attr);
  e.u8(d.type);
  e.name(d.name);
}

/** The entries of an Rreaddir, or null when they are malformed. */
export function decodeDirents(data: Uint8Array): Dirent[] | null {
  const d = new Decoder(data);
  const records: Dirent[] = [];
  while (d.ok && d.remaining > 0) {
    records.push({ qid: d.qid(), offset: d.u64(), type: d.u8(), name: d.name() });
  }
  return d.ok ? records : null;
}

/** The entries of an Rreaddirplus, or null when they are malformed. They keep a copy of `data`. */
export function decodeDirentsPlus(data: Uint8Array): ListedEntry[] | null {
  const bytes = new Uint8Array(data);
  const view = new DataView(bytes.buffer);
  const d = new Decoder(bytes);
  const records: ListedEntry[] = [];
  while (d.ok && d.remaining > 0) {
    const at = d.attrAt();
    records.push(new ListedEntry(view, at, d.u8(), d.name()));
  }
  return d.ok ? records : null;
}
