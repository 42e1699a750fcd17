/**
 * Command-line flags as tables, and the parser over them: -flag, --flag, --flag=value,
 * --flag value, -f. yargs takes tens of milliseconds to load, more than a whole container start
 * may cost, so it only renders help (help.ts); this parser is what runs.
 */

import { Failure } from './failure.ts';

export type FlagKind = 'boolean' | 'string' | 'strings' | 'int';

export interface Flag {
  readonly kind: FlagKind;
  readonly help: string;
  readonly alias?: string;
  readonly choices?: readonly string[];
  readonly default?: string | boolean | number;
}

export type Flags = Readonly<Record<string, Flag>>;

interface KindTypes {
  boolean: boolean;
  string: string;
  strings: readonly string[];
  int: number;
}

/** Parsed values: booleans default to false, strings to '', lists to [], ints to 0. */
export type FlagValues<F extends Flags> = {
  readonly [K in keyof F]: KindTypes[F[K]['kind']];
};

/** What a command line consists of. */
export interface Syntax<F extends Flags = Flags> {
  readonly name: string;
  readonly summary: string;
  readonly flags: F;
  /** Names of the positionals that must be there. */
  readonly positionals: readonly string[];
  /** Name of the arguments after them, if any may follow: flags there are the program's own. */
  readonly rest?: string;
  /** The least number of arguments in `rest`. */
  readonly restLeast?: number;
}

export interface ParsedArgs<F extends Flags = Flags> {
  readonly flags: FlagValues<F>;
  readonly positionals: readonly string[];
  readonly rest: readonly string[];
  /** --help or -h was among them. */
  readonly help: boolean;
}

/** Parses the arguments that follow the command's name. */
export function parseArgs<F extends Flags>(
  syntax: Syntax<F>,
  argv: readonly string[],
): ParsedArgs<F> {
  const values = defaults(syntax.flags);
  const positionals: string[] = [];
  let rest: readonly string[] = [];
  let help = false;
  let at = 0;
  while (at < argv.length) {
    const arg = argv[at] ?? '';
    if (positionals.length === syntax.positionals.length && syntax.rest !== undefined) {
      if (arg === '--' || !isFlag(arg)) {
        rest = argv.slice(arg === '--' ? at + 1 : at);
        break;
      }
    } else if (arg === '--' || !isFlag(arg)) {
      if (arg === '--') {
        positionals.push(...argv.slice(at + 1));
        break;
      }
      positionals.push(arg);
      at++;
      continue;
    }
    if (arg === '--help' || arg === '-h' || arg === '-help') {
      help = true;
      at++;
      continue;
    }
    at = parseFlag(syntax, argv, at, values);
  }
  if (!help) checkCount(syntax, positionals, rest);
  return { flags: values as FlagValues<F>, positionals, rest, help };
}

/** Parses leading flags only: returns the index of the first argument that is none. */
export function parseLeadingFlags<F extends Flags>(
  syntax: Syntax<F>,
  argv: readonly string[],
): { readonly flags: FlagValues<F>; readonly next: number } {
  const values = defaults(syntax.flags);
  let at = 0;
  while (at < argv.length && isFlag(argv[at] ?? '')) {
    if (argv[at] === '--') break;
    at = parseFlag(syntax, argv, at, values);
  }
  return { flags: values as FlagValues<F>, next: at };
}

type Values = Record<string, string | boolean | number | string[]>;

function defaults(flags: Flags): Values {
  const values: Values = {};
  for (const [name, flag] of Object.entries(flags)) {
    const empty = { boolean: false, string: '', strings: [], int: 0 }[flag.kind];
    values[name] = flag.default ?? empty;
  }
  return values;
}

function isFlag(arg: string): boolean {
  return arg.length > 1 && arg.startsWith('-');
}

/** Parses the flag at `at`; returns the index after it and its value. */
function parseFlag(syntax: Syntax, argv: readonly string[], at: number, into: Values): number {
  const arg = argv[at] ?? '';
  const equals = arg.indexOf('=');
  const written = equals < 0 ? arg : arg.slice(0, equals);
  const name = findFlag(syntax, written.replace(/^--?/, ''));
  if (name === '') throw new Failure(unknownFlag(syntax, written));
  const flag = syntax.flags[name] as Flag;
  if (flag.kind === 'boolean') {
    into[name] = equals < 0 || booleanValue(written, arg.slice(equals + 1));
    return at + 1;
  }
  let value = arg.slice(equals + 1);
  let next = at + 1;
  if (equals < 0) {
    if (next >= argv.length) throw new Failure(`flag ${written} needs a value: ${flag.help}`);
    value = argv[next++] ?? '';
  }
  if (flag.choices !== undefined && !flag.choices.includes(value)) {
    throw new Failure(`${written}: unknown value "${value}": known are ${flag.choices.join(', ')}`);
  }
  if (flag.kind === 'strings') {
    into[name] = [...(into[name] as string[]), value];
  } else if (flag.kind === 'int') {
    if (!/^-?\d{1,15}$/.test(value)) {
      throw new Failure(`${written}: "${value}" is not a whole number`);
    }
    into[name] = Number(value);
  } else {
    into[name] = value;
  }
  return next;
}

function findFlag(syntax: Syntax, name: string): string {
  if (Object.hasOwn(syntax.flags, name)) return name;
  for (const [known, flag] of Object.entries(syntax.flags)) if (flag.alias === name) return known;
  return '';
}

function booleanValue(written: string, value: string): boolean {
  if (/^(true|t|1)$/i.test(value)) return true;
  if (/^(false|f|0)$/i.test(value)) return false;
  throw new Failure(`${written}: "${value}" is neither true nor false`);
}

function unknownFlag(syntax: Syntax, written: string): string {
  const known = Object.keys(syntax.flags).map((name) => `--${name}`);
  const where = syntax.name === '' ? 'runsc' : `runsc ${syntax.name}`;
  return `unknown flag ${written} for ${where}: known are ${[...new Set([...known, '--help'])].join(', ')}`;
}

function checkCount(syntax: Syntax, positionals: readonly string[], rest: readonly string[]): void {
  const wanted = syntax.positionals;
  if (positionals.length < wanted.length) {
    const missing = wanted.slice(positionals.length).join(', ');
    throw new Failure(`runsc ${syntax.name}: missing argument: ${missing}: ${usage(syntax)}`);
  }
  if (positionals.length > wanted.length) {
    const extra = positionals[wanted.length] ?? '';
    throw new Failure(`runsc ${syntax.name}: unexpected argument "${extra}": ${usage(syntax)}`);
  }
  if (rest.length < (syntax.restLeast ?? 0)) {
    throw new Failure(`runsc ${syntax.name}: missing argument: ${syntax.rest}: ${usage(syntax)}`);
  }
}

/** The one-line usage of a command. */
export function usage(syntax: Syntax): string {
  const parts = ['runsc', syntax.name];
  if (Object.keys(syntax.flags).length > 0) parts.push('[flags]');
  for (const name of syntax.positionals) parts.push(`<${name}>`);
  if (syntax.rest !== undefined) {
    parts.push((syntax.restLeast ?? 0) > 0 ? `<${syntax.rest}...>` : `[${syntax.rest}...]`);
  }
  return `usage: ${parts.join(' ')}`;
}
