/**
 * Struct layouts as data: fields with their kinds and byte offsets, read and written through one
 * small typed accessor. Sizes and offsets are the x86-64 ABI's; layout.test.ts compares every one of
 * them with a compiled C program.
 *
 * A field is one of
 *   ['u32', 8]          an integer at byte 8: u8 s8 u16 s16 u32 s32 u64 s64, a Number
 *   ['u32', 8, 2]       an array of two: number[] (also how opaque 64-bit words travel: [lo, hi])
 *   ['bytes', 8, 20]    20 bytes: a Uint8Array; decoding gives a view, not a copy
 *   ['text', 8, 65]     a NUL-terminated Latin-1 string in 65 bytes
 *   [TIMESPEC, 16]      another layout
 *
 * Deviation: flexible array members (d_name, inotify names, control data) are not fields.
 */

import {
  getS8,
  getS16,
  getS32,
  getS64,
  getU8,
  getU16,
  getU32,
  getU64,
  putU8,
  putU16,
  putU32,
  putU64,
} from '../little_endian.ts';

type Integer = 'u8' | 's8' | 'u16' | 's16' | 'u32' | 's32' | 'u64' | 's64';

export type Field =
  | readonly [kind: Integer, offset: number]
  | readonly [kind: Integer, offset: number, count: number]
  | readonly [kind: 'bytes' | 'text', offset: number, length: number]
  | readonly [kind: AnyLayout, offset: number];

export type Fields = Readonly<Record<string, Field>>;

type Value<F extends Field> = F[0] extends 'bytes'
  ? Uint8Array
  : F[0] extends 'text'
    ? string
    : F[0] extends { readonly fields: infer G extends Fields }
      ? Values<G>
      : F extends readonly [Integer, number, number]
        ? readonly number[]
        : number;

/** What decoding gives. */
export type Values<F extends Fields> = { -readonly [K in keyof F]: Value<F[K]> };

/** What encoding takes: fields left out are zero. */
export type PartialValues<F extends Fields> = {
  readonly [K in keyof F]?: F[K][0] extends { readonly fields: infer G extends Fields }
    ? PartialValues<G>
    : Value<F[K]>;
};

interface AnyLayout {
  readonly name: string;
  readonly size: number;
  readonly fields: Fields;
  encode(values: Readonly<Record<string, unknown>>, into: Uint8Array, at: number): Uint8Array;
  decode(bytes: Uint8Array, at: number): Record<string, unknown>;
}

const INTEGER_SIZE: Readonly<Record<Integer, number>> = {
  u8: 1,
  s8: 1,
  u16: 2,
  s16: 2,
  u32: 4,
  s32: 4,
  u64: 8,
  s64: 8,
};

export class Layout<const F extends Fields> {
  /** The C name without `struct`. */
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  readonly fields: F;
  /** Byte offset of each field, for hot paths that read or write one of them. */
  readonly offsets: { readonly [K in keyof F]: number };
  readonly #entries: readonly (readonly [name: string, field: Field])[];

  constructor(name: string, size: number, fields: F) {
    this.name = name;
    this.size = size;
    this.fields = fields;
    this.#entries = Object.entries(fields);
    const offsets: Record<string, number> = {};
    let end = 0;
    for (const [key, field] of this.#entries) {
      const offset = field[1];
      if (offset < end) throw new Error(`layout ${name}: ${key} overlaps the field before it`);
      end = offset + fieldSize(field);
      offsets[key] = offset;
    }
    if (end > size) throw new Error(`layout ${name}: fields need ${end} of ${size} bytes`);
    this.offsets = offsets as { readonly [K in keyof F]: number };
  }

  /** A view of `size` bytes holding the values, zero elsewhere; written into `into` when given. */
  encode(
    values: PartialValues<F>,
    into: Uint8Array = new Uint8Array(this.size),
    at = 0,
  ): Uint8Array {
    into.fill(0, at, at + this.size);
    for (const [key, field] of this.#entries) {
      const value = values[key];
      if (value !== undefined) putField(field, into, at + field[1], value);
    }
    return at === 0 && into.length === this.size ? into : into.subarray(at, at + this.size);
  }

  /** All fields of the struct at byte `at`. */
  decode(bytes: Uint8Array, at = 0): Values<F> {
    const values: Record<string, unknown> = {};
    for (const [key, field] of this.#entries) values[key] = getField(field, bytes, at + field[1]);
    return values as Values<F>;
  }
}

/** Declares a layout; throws at load when its fields overlap or do not fit. */
export function layout<const F extends Fields>(name: string, size: number, fields: F): Layout<F> {
  return new Layout(name, size, fields);
}

function fieldSize(field: Field): number {
  const kind = field[0];
  if (typeof kind === 'object') return kind.size;
  if (kind === 'bytes' || kind === 'text') return field[2] ?? 0;
  return INTEGER_SIZE[kind] * (field[2] ?? 1);
}

function putField(field: Field, into: Uint8Array, at: number, value: unknown): void {
  const kind = field[0];
  if (typeof kind === 'object') {
    kind.encode(value as Readonly<Record<string, unknown>>, into, at);
  } else if (kind === 'bytes') {
    into.set((value as Uint8Array).subarray(0, field[2]), at);
  } else if (kind === 'text') {
    putText(into, at, field[2] ?? 0, value as string);
  } else if (typeof value === 'number') {
    putInteger(kind, into, at, value);
  } else {
    const list = value as readonly number[];
    const count = Math.min(field[2] ?? 1, list.length);
    for (let i = 0; i < count; i++)
      putInteger(kind, into, at + i * INTEGER_SIZE[kind], list[i] ?? 0);
  }
}

function getField(field: Field, bytes: Uint8Array, at: number): unknown {
  const kind = field[0];
  if (typeof kind === 'object') return kind.decode(bytes, at);
  const count = field[2];
  if (kind === 'bytes') return bytes.subarray(at, at + (count ?? 0));
  if (kind === 'text') return getText(bytes, at, count ?? 0);
  if (count === undefined) return getInteger(kind, bytes, at);
  const list: number[] = [];
  for (let i = 0; i < count; i++) list.push(getInteger(kind, bytes, at + i * INTEGER_SIZE[kind]));
  return list;
}

function putInteger(kind: Integer, into: Uint8Array, at: number, value: number): void {
  const size = INTEGER_SIZE[kind];
  if (size === 1) putU8(into, at, value);
  else if (size === 2) putU16(into, at, value);
  else if (size === 4) putU32(into, at, value);
  else putU64(into, at, value);
}

function getInteger(kind: Integer, bytes: Uint8Array, at: number): number {
  switch (kind) {
    case 'u8':
      return getU8(bytes, at);
    case 's8':
      return getS8(bytes, at);
    case 'u16':
      return getU16(bytes, at);
    case 's16':
      return getS16(bytes, at);
    case 'u32':
      return getU32(bytes, at);
    case 's32':
      return getS32(bytes, at);
    case 'u64':
      return getU64(bytes, at);
    case 's64':
      return getS64(bytes, at);
  }
}

/** Leaves room for the NUL that ends it. */
function putText(into: Uint8Array, at: number, length: number, text: string): void {
  const count = Math.min(text.length, length - 1);
  for (let i = 0; i < count; i++) into[at + i] = text.charCodeAt(i);
}

function getText(bytes: Uint8Array, at: number, length: number): string {
  let text = '';
  for (let i = at; i < at + length; i++) {
    const byte = bytes[i] ?? 0;
    if (byte === 0) break;
    text += String.fromCharCode(byte);
  }
  return text;
}
