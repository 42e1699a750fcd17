/**
 * Checks JSON against the OCI runtime specification: first the schema, then what a schema cannot say.
 *
 * Each function returns null, or one line that names the source, the field, what is wrong and what to
 * do:
 *
 *   config.json: process.args: must be an array of at least 1 string (got nothing): give the program to run
 *
 * Deviation: a property whose value is null counts as absent, because Go programs write nulls for
 * what was not given; it is removed from the value.
 */

import type { Config, Process } from './config.ts';
import {
  config as configValidator,
  process as processValidator,
  resources as resourcesValidator,
  type Validator,
} from './generated/validators.js';
import { SCHEMAS } from './schema.ts';
import type { JsonSchema } from './schema_terms.ts';
import { checkConfig, checkProcess } from './semantics.ts';

/** Deeper than any configuration; bounds our recursion over hostile input. */
const MAX_DEPTH = 64;
/** Characters of a value shown in a message. */
const MAX_SHOWN = 60;

/** config.json of a bundle. Afterwards `value` is a Config. */
export function validateConfig(value: unknown, source = 'config.json'): string | null {
  return (
    validate('config', configValidator, value, source) ??
    located(source, '', checkConfig(value as Config))
  );
}

/** The file of `runsc exec --process`. Afterwards `value` is a Process. */
export function validateProcess(value: unknown, source = 'process.json'): string | null {
  return (
    validate('process', processValidator, value, source) ??
    located(source, '', checkProcess(value as Process))
  );
}

/** What `runsc update --resources` reads. Afterwards `value` is LinuxResources. */
export function validateResources(value: unknown, source = 'resources'): string | null {
  return validate('resources', resourcesValidator, value, source);
}

function validate(
  id: 'config' | 'process' | 'resources',
  validator: Validator,
  value: unknown,
  source: string,
): string | null {
  if (!dropNulls(value, 0)) {
    return `${source}: is nested deeper than ${MAX_DEPTH} levels: correct it`;
  }
  if (validator(value)) return null;
  const error = validator.errors?.[0];
  if (!error) return `${source}: is not valid: see "runsc spec" for an example`;
  const path = error.instancePath
    .split('/')
    .slice(1)
    .map((token) => token.replaceAll('~1', '/').replaceAll('~0', '~'));
  if (error.params.missingProperty !== undefined) path.push(error.params.missingProperty);
  const got = valueAt(value, path);
  const schema = schemaAt(SCHEMAS[id] as JsonSchema, path);
  const must = schema.must ?? describe(schema);
  const fix = schema.fix ?? (got === undefined ? 'add it' : 'correct it');
  return located(source, pathText(path), `must be ${must} (got ${show(got)}): ${fix}`);
}

/** `source: field: message`; semantic checks name the field themselves. */
function located(source: string, field: string, message: string | null): string | null {
  if (message === null) return null;
  return field === '' ? `${source}: ${message}` : `${source}: ${field}: ${message}`;
}

/** Removes properties that are null; false when the value is nested too deep. */
function dropNulls(value: unknown, depth: number): boolean {
  if (typeof value !== 'object' || value === null) return true;
  if (depth >= MAX_DEPTH) return false;
  if (Array.isArray(value)) return value.every((item) => dropNulls(item, depth + 1));
  const object = value as Record<string, unknown>;
  for (const key of Object.keys(object)) {
    if (object[key] === null) delete object[key];
    else if (!dropNulls(object[key], depth + 1)) return false;
  }
  return true;
}

function valueAt(value: unknown, path: readonly string[]): unknown {
  let at = value;
  for (const token of path) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, token)) return undefined;
    at = (at as Record<string, unknown>)[token];
  }
  return at;
}

/** The schema of the value at `path`. Wording beside a reference goes before that of its target. */
function schemaAt(root: JsonSchema, path: readonly string[]): JsonSchema {
  let schema = root;
  for (const token of path) {
    const next: JsonSchema | undefined =
      (Object.hasOwn(schema.properties ?? {}, token) ? schema.properties?.[token] : undefined) ??
      schema.items ??
      schema.additionalProperties;
    if (next === undefined) return schema;
    schema = next.$ref === undefined ? next : { ...SCHEMAS[next.$ref], ...next };
  }
  return schema;
}

/** What a schema without wording of its own asks for. */
function describe(schema: JsonSchema): string {
  if (schema.enum) return `one of ${schema.enum.filter((word) => word !== '').join(', ')}`;
  switch (schema.type) {
    case 'integer':
      return `an integer from ${schema.minimum} to ${schema.maximum}`;
    case 'boolean':
      return 'true or false';
    case 'array':
      return schema.maxItems === undefined
        ? 'an array'
        : `an array of at most ${schema.maxItems} entries`;
    case 'string':
      return 'a string';
    default:
      return 'an object';
  }
}

/** `mounts[2].destination`, `linux.sysctl["net.core.somaxconn"]`. */
function pathText(path: readonly string[]): string {
  let text = '';
  for (const token of path) {
    if (/^\d+$/.test(token)) text += `[${token}]`;
    else if (/^\w+$/.test(token)) text += text === '' ? token : `.${token}`;
    else text += `[${JSON.stringify(token).slice(0, MAX_SHOWN)}]`;
  }
  return text;
}

function show(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (value === null) return 'null';
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (typeof value === 'object') return 'an object';
  const text = JSON.stringify(value);
  return text.length <= MAX_SHOWN ? text : `${text.slice(0, MAX_SHOWN)}...`;
}
