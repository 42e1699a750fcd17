/** The words that the schemas are written with. */

/** The part of JSON schema in use; `must` and `fix` are explained in schema.ts. */
export interface JsonSchema {
  readonly $id?: string;
  readonly $ref?: string;
  readonly type?: 'object' | 'array' | 'string' | 'integer' | 'boolean';
  readonly enum?: readonly string[];
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly additionalProperties?: JsonSchema;
  readonly items?: JsonSchema;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly pattern?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly must?: string;
  readonly fix?: string;
}

/**
 * Each term is a schema of its own that others refer to: in the compiled validators, one small
 * function instead of a copy of the checks at every use.
 */
export const TERMS: Readonly<Record<string, JsonSchema>> = {
  boolean: { type: 'boolean' },
  string: { type: 'string' },
  text: { type: 'string', pattern: '^[^\\u0000]*$', must: 'a string without NUL' },
  path: {
    type: 'string',
    maxLength: 4095,
    pattern: '^[^\\u0000]*$',
    must: 'a path of at most 4095 bytes',
  },
  'absolute-path': {
    type: 'string',
    maxLength: 4095,
    pattern: '^/[^\\u0000]*$',
    must: 'an absolute path',
    fix: 'start it with "/"',
  },
  // MAX_ARG_STRLEN less the NUL that ends it.
  argument: {
    type: 'string',
    maxLength: 131071,
    pattern: '^[^\\u0000]*$',
    must: 'a string of at most 131071 bytes without NUL',
  },
  u16: { type: 'integer', minimum: 0, maximum: 0xffff },
  u32: { type: 'integer', minimum: 0, maximum: 0xffffffff },
  // 2^64 - 1 parses to the Number 2^64.
  u64: {
    type: 'integer',
    minimum: 0,
    maximum: 2 ** 64,
    must: 'an integer from 0 to 18446744073709551615',
  },
  s64: { type: 'integer', minimum: -(2 ** 63), maximum: 2 ** 63, must: 'a 64-bit integer' },
};

export const BOOLEAN: JsonSchema = { $ref: 'boolean' };
export const STRING: JsonSchema = { $ref: 'string' };
/** A string that reaches the kernel or a C program. */
export const TEXT: JsonSchema = { $ref: 'text' };
export const PATH: JsonSchema = { $ref: 'path' };
export const ABSOLUTE_PATH: JsonSchema = { $ref: 'absolute-path' };
/** A program's argument or environment variable. */
export const ARGUMENT: JsonSchema = { $ref: 'argument' };
export const U16: JsonSchema = { $ref: 'u16' };
export const U32: JsonSchema = { $ref: 'u32' };
export const U64: JsonSchema = { $ref: 'u64' };
export const S64: JsonSchema = { $ref: 's64' };

export function list(items: JsonSchema, more: JsonSchema = {}): JsonSchema {
  return { type: 'array', items, ...more };
}

/** An object with any keys and these values. */
export function record(values: JsonSchema, more: JsonSchema = {}): JsonSchema {
  return { type: 'object', additionalProperties: values, ...more };
}
