/**
 * config.json: what the CLI does with a bundle's configuration before anything runs. An input is either the
 * text itself, or a list of changes to a configuration that is right: which node, and what becomes of it.
 */

import { Failure } from '../../../runtime/cli/failure.ts';
import { resolveGoferMounts } from '../../../runtime/sandbox/gofer_mounts.ts';
import { parseMountOptions } from '../../../sentry/control/mount_options.ts';
import type { Config } from '../../../spec/oci/config.ts';
import { validateConfig, validateProcess, validateResources } from '../../../spec/oci/validate.ts';
import { ociConfig } from '../../harness/runtime.ts';
import { Choices, must, type Target } from '../target.ts';

const TEXT = 1;
const WRITABLE = { writable: true, enumerable: true, configurable: true };
const VALUES: readonly unknown[] = [
  ...[
    null,
    true,
    false,
    0,
    -1,
    1.5,
    1e308,
    2 ** 53,
    2 ** 63,
    '',
    'a',
    '/',
    '../..',
    '\0',
    '__proto__',
  ],
  ...[
    [],
    {},
    [[]],
    [null],
    [''],
    { __proto__: null },
    'a'.repeat(5000),
    'CAP_KILL',
    'RLIMIT_NOFILE',
  ],
];
const NAMES = [
  'uidMappings',
  'devices',
  'seccomp',
  'resources',
  'cgroupsPath',
  'sysctl',
  'hooks',
  'annotations',
  '__proto__',
  'constructor',
  'maskedPaths',
  'rootfsPropagation',
  'apparmorProfile',
  'scheduler',
];

type Node = Record<string, unknown>;

/** Every place in `value` where something stands. */
function places(value: unknown, into: [Node, string][]): [Node, string][] {
  if (typeof value !== 'object' || value === null) return into;
  for (const key of Object.keys(value)) {
    into.push([value as Node, key]);
    places((value as Node)[key], into);
  }
  return into;
}

function nested(depth: number): unknown {
  let value: unknown = {};
  for (let i = 0; i < depth; i++) value = i % 2 === 0 ? [value] : { a: value };
  return value;
}

/** As JSON.parse does: `__proto__` is a name like others. */
function setOwn(node: Node, key: string, value: unknown): void {
  Object.defineProperty(node, key, { value, ...WRITABLE });
}

function change(config: unknown, choices: Choices): void {
  const all = places(config, []);
  if (all.length === 0) return;
  const [node, key] = all[choices.u16() % all.length]!;
  switch (choices.u8() % 6) {
    case 0:
      delete node[key];
      return;
    case 1:
      node[key] = structuredClone(choices.pick(VALUES));
      return;
    case 2: {
      const [from, other] = all[choices.u16() % all.length]!;
      node[key] = structuredClone(from[other]);
      return;
    }
    case 3:
      setOwn(node, choices.pick(NAMES), structuredClone(choices.pick(VALUES)));
      return;
    case 4:
      node[key] = nested(choices.u8());
      return;
    default:
      if (Array.isArray(node)) setOwn(node, `${node.length}`, structuredClone(node[Number(key)]));
      else node[`${key}x`] = node[key];
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

function lineOrNull(message: string | null, what: string): void {
  must(message === null || typeof message === 'string', `${what} answers ${typeof message}`);
  must(message === null || !message.includes('\n'), `${what}: more than one line: ${message}`);
  must(message === null || message.length < 4096, `${what}: a message of ${message?.length}`);
}

export class ConfigJson implements Target {
  readonly name = 'config';
  readonly tokens = [
    '"mounts":[',
    '"process":{',
    '"args":[',
    '{"',
    '":',
    ',"',
    'null',
    '1e999',
    '\\u0000',
    '[[[[[[[[',
  ];
  private readonly text = JSON.stringify(ociConfig('/', { args: ['/bin/true'] }));

  seeds(): Uint8Array[] {
    const text = Uint8Array.from(Buffer.from(`${String.fromCharCode(TEXT)}${this.text}`, 'latin1'));
    const changes = Array.from({ length: 12 }, (_, i) =>
      Uint8Array.from({ length: 12 }, (_, k) => (k === 0 ? 0 : (i * 37 + k * 11) & 0xff)),
    );
    return [text, ...changes];
  }

  private valueOf(input: Uint8Array): unknown {
    if (input[0] === TEXT) return parsed(Buffer.from(input.subarray(1)).toString('utf8'));
    const config = parsed(this.text);
    const choices = new Choices(input.subarray(1));
    for (let n = 0; n < 16 && !choices.ended; n++) change(config, choices);
    return parsed(JSON.stringify(config));
  }

  run(input: Uint8Array): void {
    const value = this.valueOf(input);
    if (value === undefined) return;
    const parts = value as { process?: unknown; linux?: { resources?: unknown } } | null;
    lineOrNull(validateProcess(structuredClone(parts?.process)), 'process');
    lineOrNull(validateResources(structuredClone(parts?.linux?.resources)), 'resources');
    const problem = validateConfig(value);
    lineOrNull(problem, 'config');
    if (problem !== null) return;
    const config = value as Config;
    for (const mount of config.mounts ?? []) {
      const { flags, data } = parseMountOptions(mount.options);
      must(Number.isSafeInteger(flags) && typeof data === 'string', 'mount options');
    }
    try {
      resolveGoferMounts(config, '/');
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
    }
  }

  check(): void {
    must(({} as { polluted?: unknown }).polluted === undefined, 'Object.prototype was changed');
    must(Object.keys(Object.prototype).length === 0, 'Object.prototype has new keys');
  }

  close(): void {}
}
