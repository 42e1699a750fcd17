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

interface IntegerKind {
  readonly size: number;
  readonly get: (bytes: Uint8Array, at: number) => number;
  readonly put: (into: Uint8Array, at: number, value: number) => void;
}

const INTEGERS: Readonly<Record<Integer, IntegerKind>> = {
  u8: { size: 1, get: getU8, put: putU8 },
  s8: { size: 1, get: getS8, put: putU8 },
  u16: { size: 2, get: getU16, put: putU16 },
  s16: { size: 2, get: getS16, put: putU16 },
  u32: { size: 4, get: getU32, put: putU32 },
  s32: { size: 4, get: getS32, put: putU32 },
  u64: { size: 8, get: getU64, put: putU64 },
  s64: { size: 8, get: getS64, put: putU64 },
};

/** A field as it is read and written: what its kind means is settled when the layout is declared. */
interface Entry {
  readonly name: string;
  readonly offset: number;
  readonly get: (bytes: Uint8Array, at: number) => unknown;
  readonly put: (into: Uint8Array, at: number, value: never) => void;
}

export class Layout<const F extends Fields> {
  /** The C name without `struct`. */
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  readonly fields: F;
  /** Byte offset of each field, for hot paths that read or write one of them. */
  readonly offsets: { readonly [K in keyof F]: number };
  private readonly entries: readonly Entry[];

  constructor(name: string, size: number, fields: F) {
    this.name = name;
    this.size = size;
    this.fields = fields;
    const offsets: Record<string, number> = {};
    let end = 0;
    for (const [key, field] of Object.entries(fields)) {
      const offset = field[1];
      if (offset < end) throw new Error(`layout ${name}: ${key} overlaps the field before it`);
      end = offset + fieldSize(field);
      offsets[key] = offset;
    }
    if (end > size) throw new Error(`layout ${name}: fields need ${end} of ${size} bytes`);
    this.offsets = offsets as { readonly [K in keyof F]: number };
    this.entries = Object.entries(fields).map(([key, field]) => newEntry(key, field));
  }

  /** A view of `size` bytes holding the values, zero elsewhere; written into `into` when given. */
  encode(
    values: PartialValues<F>,
    into: Uint8Array = new Uint8Array(this.size),
    at = 0,
  ): Uint8Array {
    into.fill(0, at, at + this.size);
    const { entries } = this;
    for (let i = 0; i < entries.length; i++) {
      const entry = entries[i]!;
      const value = values[entry.name];
      if (value !== undefined) entry.put(into, at + entry.offset, value as never);
    }
    return at === 0 && into.length === this.size ? into : into.subarray(at, at + this.size);
  }

  /** All fields of the struct at byte `at`. */
  decode(bytes: Uint8Array, at = 0): Values<F> {
    const values: Record<string, unknown> = {};
    const { entries } = this;
    for (let i = 0; i < entries.length; i++) {
      const entry = entries[i]!;
      values[entry.name] = entry.get(bytes, at + entry.offset);
    }
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
  return INTEGERS[kind].size * (field[2] ?? 1);
}

function newEntry(name: string, field: Field): Entry {
  const [kind, offset] = field;
  const count = field[2];
  if (typeof kind === 'object') {
    return {
      name,
      offset,
      get: (bytes, at) => kind.decode(bytes, at),
      put: (into, at, value) => kind.encode(value, into, at),
    };
  }
  if (kind === 'bytes') {
    return {
      name,
      offset,
      get: (bytes, at) => bytes.subarray(at, at + (count ?? 0)),
      put: (into, at, value: Uint8Array) => into.set(value.subarray(0, count), at),
    };
  }
  if (kind === 'text') {
    return {
      name,
      offset,
      get: (bytes, at) => getText(bytes, at, count ?? 0),
      put: (into, at, value: string) => putText(into, at, count ?? 0, value),
    };
  }
  const integer = INTEGERS[kind];
  if (count === undefined) return { name, offset, get: integer.get, put: integer.put };
  return {
    name,
    offset,
    get: (bytes, at) => getIntegers(integer, bytes, at, count),
    put: (into, at, value: readonly number[]) => putIntegers(integer, into, at, count, value),
  };
}

function getIntegers(kind: IntegerKind, bytes: Uint8Array, at: number, count: number): number[] {
  const list: number[] = [];
  for (let i = 0; i < count; i++) list.push(kind.get(bytes, at + i * kind.size));
  return list;
}

/** What `list` does not have stays zero. */
function putIntegers(
  kind: IntegerKind,
  into: Uint8Array,
  at: number,
  count: number,
  list: readonly number[],
): void {
  const given = Math.min(count, list.length);
  for (let i = 0; i < given; i++) kind.put(into, at + i * kind.size, list[i]!);
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
