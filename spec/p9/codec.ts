/**
 * Whole messages: header, fields, size. Made from the table in messages.ts; the steps of each
 * message are resolved once, at load.
 */
import { Decoder } from './decoder.ts';
import { Encoder } from './encoder.ts';
import {
  type Fields,
  type FieldType,
  MESSAGES,
  type MessageName,
  type ReplyName,
} from './messages.ts';

type Put = (e: Encoder, value: never) => void;
type Get = (d: Decoder) => unknown;

const PUT: Record<FieldType, Put> = {
  u8: (e, v: number) => e.u8(v),
  u16: (e, v: number) => e.u16(v),
  u32: (e, v: number) => e.u32(v),
  u64: (e, v: number) => e.u64(v),
  i64: (e, v: number) => e.u64(v),
  text: (e, v: string) => e.text(v),
  name: (e, v: string) => e.name(v),
  xattrName: (e, v: string) => e.xattrName(v),
  qid: (e, v) => e.qid(v),
  names: (e, v) => e.names(v),
  qids: (e, v) => e.qids(v),
  attr: (e, v) => e.attr(v),
  data: (e, v) => e.data(v),
};

const GET: Record<FieldType, Get> = {
  u8: (d) => d.u8(),
  u16: (d) => d.u16(),
  u32: (d) => d.u32(),
  u64: (d) => d.u64(),
  i64: (d) => d.i64(),
  text: (d) => d.text(),
  name: (d) => d.name(),
  xattrName: (d) => d.xattrName(),
  qid: (d) => d.qid(),
  names: (d) => d.names(),
  qids: (d) => d.qids(),
  attr: (d) => d.attr(),
  data: (d) => d.data(),
};

interface MessageCodec {
  readonly name: MessageName;
  readonly number: number;
  readonly fields: readonly string[];
  readonly put: readonly Put[];
  readonly get: readonly Get[];
}

const BY_NAME = new Map<MessageName, MessageCodec>();
const BY_NUMBER: (MessageCodec | undefined)[] = new Array(256).fill(undefined);

for (const [key, [number, fields]] of Object.entries(MESSAGES)) {
  const name = key as MessageName;
  const types: FieldType[] = Object.values(fields);
  const codec: MessageCodec = {
    name,
    number,
    fields: Object.keys(fields),
    put: types.map((t) => PUT[t]),
    get: types.map((t) => GET[t]),
  };
  if (BY_NUMBER[number] !== undefined) throw new Error(`two messages are number ${number}`);
  BY_NUMBER[number] = codec;
  BY_NAME.set(name, codec);
}

/** The message with this number, or null when there is none. */
export function messageName(number: number): MessageName | null {
  return BY_NUMBER[number]?.name ?? null;
}

/** What answers `request` when it does not fail: its number is the next. */
export function replyTo(request: MessageName): ReplyName {
  return BY_NUMBER[BY_NAME.get(request)!.number + 1]!.name as ReplyName;
}

/** How many bytes the `data` of a message takes, if it has any. */
export function dataLength(fields: object): number {
  return (fields as { readonly data?: Uint8Array }).data?.length ?? 0;
}

export function messageNumber(name: MessageName): number {
  return MESSAGES[name][0];
}

/**
 * Appends one message at the encoder's position. False when it does not fit (or a string or list is
 * too long): then nothing was appended.
 */
export function encodeMessage<N extends MessageName>(
  e: Encoder,
  name: N,
  tag: number,
  fields: Fields<N>,
): boolean {
  const codec = BY_NAME.get(name)!;
  const start = e.pos;
  e.u32(0);
  e.u8(codec.number);
  e.u16(tag);
  for (let i = 0; i < codec.fields.length; i++) {
    codec.put[i]!(e, (fields as Record<string, unknown>)[codec.fields[i]!] as never);
  }
  if (!e.ok) {
    e.pos = start;
    e.ok = true;
    return false;
  }
  e.patchU32(start, e.pos - start);
  return true;
}

/** Writes a message whose body is appended by the caller between `begin` and `end`. */
export function beginMessage(e: Encoder, name: MessageName, tag: number): number {
  const start = e.pos;
  e.u32(0);
  e.u8(messageNumber(name));
  e.u16(tag);
  return start;
}

export function endMessage(e: Encoder, start: number): void {
  e.patchU32(start, e.pos - start);
}

/**
 * Reads the fields of message `name` (the decoder stands behind the header and is limited to this
 * message). Null when the body is malformed or has bytes left over.
 */
export function decodeFields<N extends MessageName>(d: Decoder, name: N): Fields<N> | null {
  const codec = BY_NAME.get(name)!;
  const fields: Record<string, unknown> = {};
  for (let i = 0; i < codec.fields.length; i++) fields[codec.fields[i]!] = codec.get[i]!(d);
  return d.complete ? (fields as Fields<N>) : null;
}

/** Any message, told apart by `name`. */
export type Message = {
  [N in MessageName]: { readonly name: N; readonly tag: number; readonly fields: Fields<N> };
}[MessageName];

/** Decodes one complete message that fills `bytes` exactly, or null. */
export function decodeMessage(bytes: Uint8Array): Message | null {
  const d = new Decoder(bytes);
  const size = d.u32();
  const name = messageName(d.u8());
  const tag = d.u16();
  if (!d.ok || size !== bytes.length || name === null) return null;
  const fields = decodeFields(d, name);
  return fields === null ? null : ({ name, tag, fields } as Message);
}

/** One message in a buffer of its own size (tests and other cold paths), or null if too large. */
export function encodeToBytes<N extends MessageName>(
  name: N,
  tag: number,
  fields: Fields<N>,
  limit: number,
): Uint8Array | null {
  const e = new Encoder(new Uint8Array(limit));
  return encodeMessage(e, name, tag, fields) ? e.bytes.slice(0, e.pos) : null;
}
