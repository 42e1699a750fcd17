/**
 * Compiles schema.ts with ajv to plain functions: spec/oci/generated/validators.js and its types.
 * Run by `make`; rewrites the files only when they change.
 *
 * The validators are part of every start of a container, so they are kept small: compiled from
 * schemas at run time they would cost hundreds of milliseconds, compiled whole some seven, this way
 * about two.
 */

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import ajvModule from 'ajv';
import standaloneModule from 'ajv/dist/standalone/index.js';
import { transformSync } from 'esbuild';
import { SCHEMAS } from './schema.ts';

const FOLDER = join(import.meta.dirname, 'generated');
const EXPORTS = ['config', 'process', 'resources', 'hook'];

const schemas = [];
const idByText = new Map();

/**
 * Registers a schema without its wording, which the compiled code would carry along. Each object in it
 * becomes a schema of its own, equal ones the same: V8 compiles a function when it is first called,
 * and most configurations use few of them.
 */
function register(schema, id) {
  const text = JSON.stringify(schema);
  const known = id === undefined ? idByText.get(text) : undefined;
  if (known !== undefined) return known;
  const newId = id ?? `part-${idByText.size}`;
  idByText.set(text, newId);
  const { must, fix, ...rest } = schema;
  schemas.push({ ...rest, ...parts(rest), $id: newId });
  return newId;
}

function parts(schema) {
  const found = {};
  if (schema.items) found.items = part(schema.items);
  if (schema.additionalProperties) found.additionalProperties = part(schema.additionalProperties);
  if (schema.properties) {
    const entries = Object.entries(schema.properties);
    found.properties = Object.fromEntries(entries.map(([key, value]) => [key, part(value)]));
  }
  return found;
}

function part(schema) {
  return { $ref: schema.$ref ?? register(schema) };
}

for (const [id, schema] of Object.entries(SCHEMAS)) register(schema, id);

const ajv = new ajvModule.default({
  schemas,
  // Lengths are bounds, not characters: without surrogate counting the code needs no library.
  unicode: false,
  logger: false,
  // validate.ts words the messages, and finds the schema by the value's path.
  messages: false,
  inlineRefs: false,
  code: { source: true, esm: true, optimize: 2 },
  strict: true,
});

const exports = Object.fromEntries(EXPORTS.map((id) => [id, id]));
// Drops what is left over of the schemas.
const { code } = transformSync(standaloneModule.default(ajv, exports), {
  format: 'esm',
  minify: true,
  treeShaking: true,
});
// No keyword of ours looks at these.
const short = code.replace(
  /,parentData:\w+,parentDataProperty:(?:"[^"]*"|\w+),rootData(?::\w+)?\}/g,
  '}',
);
if (/\brequire\(|\bimport\b/.test(short)) {
  throw new Error('the validators would need ajv at run time');
}

const types = `export interface SchemaError {
  /** JSON pointer to the value: /process/args/0 */
  readonly instancePath: string;
  readonly keyword: string;
  readonly params: { readonly missingProperty?: string };
}

export interface Validator {
  (value: unknown): boolean;
  errors?: readonly SchemaError[] | null;
}
${EXPORTS.map((id) => `\nexport const ${id}: Validator;`).join('')}
`;

function update(name, text) {
  const path = join(FOLDER, name);
  let old = '';
  try {
    old = readFileSync(path, 'utf8');
  } catch {
    mkdirSync(FOLDER, { recursive: true });
  }
  if (old !== text) writeFileSync(path, text);
}

update('validators.js', `// Made by generate.mjs from schema.ts.\n${short}`);
update('validators.d.ts', `// Made by generate.mjs.\n${types}`);
