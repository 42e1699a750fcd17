/**
 * D-Bus messages (D-Bus Specification, "Message Protocol"): values to bytes and back, by signature.
 * Written little-endian; both orders are read. What comes from the bus is not trusted: a reader
 * that runs out of bounds stays failed, and a message that is wrong anywhere is none.
 */

import { nextType, validSignature } from './signature.ts';

export const METHOD_CALL = 1;
export const METHOD_RETURN = 2;
export const ERROR = 3;
export const SIGNAL = 4;

/** A basic value; an array, struct or dict entry as a list; `ay` as bytes; or a variant. */
export type Value = number | bigint | boolean | string | Uint8Array | Variant | readonly Value[];

export interface Variant {
  readonly signature: string;
  readonly value: Value;
}

export interface Message {
  readonly type: number;
  readonly serial: number;
  readonly path?: string;
  readonly interface?: string;
  readonly member?: string;
  readonly errorName?: string;
  readonly replySerial?: number;
  readonly destination?: string;
  readonly sender?: string;
  readonly signature: string;
  readonly body: readonly Value[];
}

/** Header fields by their code, with the type each must have. */
const FIELDS = [
  ['path', 1, 'o'],
  ['interface', 2, 's'],
  ['member', 3, 's'],
  ['errorName', 4, 's'],
  ['replySerial', 5, 'u'],
  ['destination', 6, 's'],
  ['sender', 7, 's'],
  ['signature', 8, 'g'],
] as const;

const LITTLE = 0x6c;
const BIG = 0x42;
const PROTOCOL = 1;
/** Up to the length of the header fields, which it includes. */
const FIXED_LENGTH = 16;
/** The specification allows 128 MiB; nothing that systemd tells us comes near this. */
export const MOST_MESSAGE_LENGTH = 1 << 20;
const FIRST_ROOM = 512;
/** Of variants in variants; signatures are bounded by themselves. */
const MOST_DEPTH = 16;

const ALIGNMENT: Readonly<Record<string, number>> = {
  ...{ y: 1, g: 1, v: 1, n: 2, q: 2, b: 4, i: 4, u: 4, h: 4, s: 4, o: 4, a: 4 },
  ...{ x: 8, t: 8, d: 8, '(': 8, '{': 8 },
};

/** The bytes of a message of ours. */
export function encodeMessage(message: Message): Uint8Array {
  const body = new Writer();
  body.putAll(message.signature, message.body);
  const header = new Writer();
  for (const byte of [LITTLE, message.type, 0, PROTOCOL]) header.put('y', byte);
  header.put('u', body.length);
  header.put('u', message.serial);
  const fields: Value[] = [];
  for (const [name, code, signature] of FIELDS) {
    const value = message[name];
    if (value !== undefined && value !== '') fields.push([code, { signature, value }]);
  }
  header.put('a(yv)', fields);
  header.align(8);
  return Buffer.concat([header.bytes(), body.bytes()]);
}

/** How long the message is that begins here; 0: more is needed to tell; -1: it is none. */
export function messageLength(bytes: Uint8Array): number {
  if (bytes.length < FIXED_LENGTH) return 0;
  const reader = new Reader(bytes);
  if (bytes[3] !== PROTOCOL || !reader.ok) return -1;
  reader.skip(4);
  const bodyLength = reader.take('u') as number;
  reader.skip(4);
  const fieldsLength = reader.take('u') as number;
  const length = FIXED_LENGTH + roundUp(fieldsLength, 8) + bodyLength;
  return length > MOST_MESSAGE_LENGTH ? -1 : length;
}

/** The message that `bytes` is, exactly; null when it is not one. */
export function decodeMessage(bytes: Uint8Array): Message | null {
  const length = messageLength(bytes);
  if (length <= 0 || length !== bytes.length) return null;
  const reader = new Reader(bytes);
  reader.skip(1);
  const type = reader.take('y') as number;
  reader.skip(6);
  const serial = reader.take('u') as number;
  const fields: Record<string, Value> = { signature: '' };
  for (const field of reader.take('a(yv)') as readonly [number, Variant][]) {
    if (!reader.ok) return null;
    const known = FIELDS.find(([, code]) => code === field[0]);
    if (known === undefined) continue;
    if (field[1].signature !== known[2]) return null;
    fields[known[0]] = field[1].value;
  }
  reader.align(8);
  const signature = fields['signature'] as string;
  if (!reader.ok || serial === 0 || !validSignature(signature)) return null;
  // Values in the body are aligned as in the message: it begins at a multiple of 8.
  const body = reader.takeAll(signature);
  if (!reader.ok || !reader.atEnd) return null;
  return { ...fields, type, serial, signature, body } as Message;
}

function roundUp(at: number, to: number): number {
  return Math.ceil(at / to) * to;
}

/** Puts values behind each other, each aligned. The values are ours: a wrong one is a bug. */
class Writer {
  length = 0;
  private buffer = Buffer.alloc(FIRST_ROOM);

  bytes(): Uint8Array {
    return this.buffer.subarray(0, this.length);
  }

  align(to: number): void {
    this.room(roundUp(this.length, to) - this.length);
  }

  /** Where `count` zero bytes now are. */
  private room(count: number): number {
    const at = this.length;
    this.length += count;
    if (this.length > this.buffer.length) {
      this.buffer = Buffer.concat([this.buffer, Buffer.alloc(this.length)]);
    }
    return at;
  }

  putAll(signature: string, values: readonly Value[]): void {
    let at = 0;
    for (const value of values) {
      const end = nextType(signature, at);
      if (end < 0) throw new Error(`no type for a value in "${signature}"`);
      this.put(signature.slice(at, end), value);
      at = end;
    }
    if (at !== signature.length) throw new Error(`values are missing for "${signature}"`);
  }

  put(type: string, value: Value): void {
    this.align(ALIGNMENT[type[0] ?? ''] ?? 1);
    switch (type[0]) {
      case 'y':
        this.room(1);
        this.buffer[this.length - 1] = value as number;
        return;
      case 'b':
      case 'u': {
        const at = this.room(4);
        this.buffer.writeUInt32LE(Number(value), at);
        return;
      }
      case 't': {
        const at = this.room(8);
        this.buffer.writeBigUInt64LE(BigInt(value as number), at);
        return;
      }
      case 's':
      case 'o':
      case 'g':
        return this.putText(type, value as string);
      case 'v': {
        const { signature, value: inner } = value as Variant;
        this.putText('g', signature);
        return this.put(signature, inner);
      }
      case '(':
        return this.putAll(type.slice(1, -1), value as readonly Value[]);
      case 'a':
        return this.putArray(type.slice(1), value as Iterable<Value>);
      default:
        throw new Error(`nothing of ours has the type ${type}`);
    }
  }

  private putText(type: string, text: string): void {
    const encoded = Buffer.from(text);
    this.put(type === 'g' ? 'y' : 'u', encoded.length);
    const at = this.room(encoded.length + 1);
    encoded.copy(this.buffer, at);
  }

  private putArray(element: string, values: Iterable<Value>): void {
    const at = this.room(4);
    this.align(ALIGNMENT[element[0] ?? ''] ?? 1);
    const begin = this.length;
    for (const value of values) this.put(element, value);
    this.buffer.writeUInt32LE(this.length - begin, at);
  }
}

/** Takes values one after the other; once `ok` is false it stays so and they mean nothing. */
class Reader {
  ok: boolean;
  private at = 0;
  private depth = 0;
  private readonly view: DataView;
  private readonly little: boolean;

  constructor(bytes: Uint8Array) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.little = bytes[0] === LITTLE;
    this.ok = this.little || bytes[0] === BIG;
  }

  get atEnd(): boolean {
    return this.at === this.view.byteLength;
  }

  /** Where the `count` bytes are that are skipped; 0 when there are not so many. */
  skip(count: number): number {
    const at = this.at;
    if (count > this.view.byteLength - at) this.ok = false;
    if (!this.ok) return 0;
    this.at += count;
    return at;
  }

  align(to: number): void {
    this.skip(roundUp(this.at, to) - this.at);
  }

  takeAll(signature: string): Value[] {
    const values: Value[] = [];
    for (let at = 0; at < signature.length && this.ok; ) {
      const end = nextType(signature, at);
      values.push(this.take(signature.slice(at, end)));
      at = end;
    }
    return values;
  }

  /** Of a type that is known to be valid. */
  take(type: string): Value {
    this.align(ALIGNMENT[type[0] ?? ''] ?? 1);
    switch (type[0]) {
      case 's':
      case 'o':
        return this.takeText(this.take('u') as number);
      case 'g':
        return this.takeText(this.take('y') as number);
      case 'v':
        return this.takeVariant();
      case '(':
      case '{':
        return this.takeAll(type.slice(1, -1));
      case 'a':
        return this.takeArray(type.slice(1));
      default:
        return this.takeNumber(type);
    }
  }

  private takeNumber(type: string): number | boolean {
    const at = this.skip(ALIGNMENT[type] ?? 1);
    if (!this.ok) return 0;
    const { view, little } = this;
    if (type === 'y') return view.getUint8(at);
    if (type === 'n') return view.getInt16(at, little);
    if (type === 'q') return view.getUint16(at, little);
    if (type === 'b') return view.getUint32(at, little) !== 0;
    if (type === 'i') return view.getInt32(at, little);
    if (type === 'd') return view.getFloat64(at, little);
    if (type === 'x') return Number(view.getBigInt64(at, little));
    if (type === 't') return Number(view.getBigUint64(at, little));
    return view.getUint32(at, little);
  }

  private takeText(length: number): string {
    const at = this.skip(length + 1);
    if (!this.ok) return '';
    if (this.view.getUint8(at + length) !== 0) this.ok = false;
    return Buffer.from(this.view.buffer, this.view.byteOffset + at, length).toString();
  }

  private takeVariant(): Variant {
    const signature = this.takeText(this.take('y') as number);
    if (!validSignature(signature) || nextType(signature, 0) !== signature.length) this.ok = false;
    if (++this.depth > MOST_DEPTH) this.ok = false;
    const value = this.ok ? this.take(signature) : 0;
    this.depth--;
    return { signature, value };
  }

  private takeArray(element: string): Value {
    const length = this.take('u') as number;
    this.align(ALIGNMENT[element[0] ?? ''] ?? 1);
    if (element === 'y') {
      const at = this.skip(length);
      return new Uint8Array(this.view.buffer, this.view.byteOffset + at, this.ok ? length : 0);
    }
    const end = this.at + length;
    if (end > this.view.byteLength) this.ok = false;
    const values: Value[] = [];
    while (this.ok && this.at < end) values.push(this.take(element));
    if (this.at !== end) this.ok = false;
    return values;
  }
}
