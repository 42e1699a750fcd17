/**
 * The records inside Rreaddir and Rreaddirplus data.
 */
import { MAX_NAME_LENGTH } from './constants.ts';
import { Decoder } from './decoder.ts';
import { ATTR_SIZE, type Encoder, QID_SIZE } from './encoder.ts';
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

export function direntSize(name: string): number {
  return QID_SIZE + 8 + 1 + 2 + name.length;
}

export function direntPlusSize(name: string): number {
  return ATTR_SIZE + 1 + 2 + name.length;
}

/** The most that one record of either kind takes. */
export const MAX_DIRENT_SIZE = ATTR_SIZE + 1 + 2 + MAX_NAME_LENGTH;

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

function decodeRecords<T>(data: Uint8Array, record: (d: Decoder) => T): T[] | null {
  const d = new Decoder(data);
  const records: T[] = [];
  while (d.ok && d.remaining > 0) records.push(record(d));
  return d.ok ? records : null;
}

/** The entries of an Rreaddir, or null when they are malformed. */
export function decodeDirents(data: Uint8Array): Dirent[] | null {
  return decodeRecords(data, (d) => ({
    qid: d.qid(),
    offset: d.u64(),
    type: d.u8(),
    name: d.name(),
  }));
}

/** The entries of an Rreaddirplus, or null when they are malformed. */
export function decodeDirentsPlus(data: Uint8Array): DirentPlus[] | null {
  return decodeRecords(data, (d) => ({ attr: d.attr(), type: d.u8(), name: d.name() }));
}
