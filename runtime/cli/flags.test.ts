/** Tests of the flag parser and of the global flags. */

import { describe, expect, it } from 'vitest';
import { parseArgs, parseLeadingFlags, type Syntax } from './flags.ts';
import { GLOBAL_SYNTAX, runtimeConfig } from './global_flags.ts';

const SYNTAX = {
  name: 'exec',
  summary: '',
  positionals: ['id'],
  rest: 'program',
  flags: {
    detach: { kind: 'boolean', alias: 'd', help: '' },
    env: { kind: 'strings', alias: 'e', help: '' },
    cwd: { kind: 'string', help: '' },
    pid: { kind: 'int', help: '' },
    format: { kind: 'string', choices: ['table', 'json'], default: 'table', help: '' },
  },
} as const satisfies Syntax;

it.each(['--host-uds=some', '--host-fifo=all'])('%s is refused: there is no such mode', (flag) => {
  expect(() => parseLeadingFlags(GLOBAL_SYNTAX, [flag, 'list'])).toThrow('known are none');
});

describe('parseArgs', () => {
  it('takes every way to write a flag, and leaves the program its own', () => {
    const argv = ['-d', '--env', 'A=1', '-e=B=2', '-cwd=/x', '--pid', '7', 'c1', 'ls', '-l', '--'];
    expect(parseArgs(SYNTAX, argv)).toEqual({
      flags: { detach: true, env: ['A=1', 'B=2'], cwd: '/x', pid: 7, format: 'table' },
      positionals: ['c1'],
      rest: ['ls', '-l', '--'],
      help: false,
    });
    expect(parseArgs(SYNTAX, ['c1', '--', '-x']).rest).toEqual(['-x']);
    expect(parseArgs(SYNTAX, ['c1', '--detach=false', 'ls']).flags.detach).toBe(false);
  });

  it.each([
    [['--wrong', 'c1'], 'unknown flag --wrong for runsc exec: known are --detach, --env'],
    [[], 'missing argument: id: usage: runsc exec [flags] <id> [program...]'],
    [['--cwd'], 'flag --cwd needs a value'],
    [['--pid=x', 'c1'], '"x" is not a whole number'],
    [['--format=xml', 'c1'], 'unknown value "xml": known are table, json'],
    [['--detach=maybe', 'c1'], 'neither true nor false'],
  ])('refuses %j', (argv, message) => {
    expect(() => parseArgs(SYNTAX, argv)).toThrow(message);
  });

  it('refuses more arguments than there are', () => {
    const { rest: _, ...plain } = SYNTAX;
    expect(() => parseArgs(plain, ['a', 'b'])).toThrow('unexpected argument "b"');
    expect(parseArgs(plain, ['a', '-d']).flags.detach).toBe(true);
  });
});

describe('global flags', () => {
  const around = { uid: 0, runtimeDirectory: '' };
  const configOf = (...argv: string[]) =>
    runtimeConfig(parseLeadingFlags(GLOBAL_SYNTAX, argv).flags, around);

  it('end at the command', () => {
    const argv = ['--root', '/r', '-strace', 'run', '--bundle', 'b'];
    const { flags, next } = parseLeadingFlags(GLOBAL_SYNTAX, argv);
    expect(next).toBe(3);
    expect(flags).toMatchObject({ root: '/r', strace: true });
  });

  it('have defaults by who runs it', () => {
    expect(configOf().rootDirectory).toBe('/var/run/runsc');
    const { flags } = parseLeadingFlags(GLOBAL_SYNTAX, []);
    expect(runtimeConfig(flags, { uid: 7, runtimeDirectory: '/run/user/7' })).toMatchObject({
      rootless: true,
      rootDirectory: '/run/user/7/runsc',
    });
  });

  it.each([
    ['--platform=nope', 'unknown platform "nope": known are auto'],
    ['--network=host', '"host" is not there yet: use --network=none'],
    ['--overlay2=x', 'known are none, root:memory, all:memory'],
    ['--log-format=xml', 'known are text, json'],
  ])('refuse %s', (flag, message) => {
    expect(() => configOf(flag)).toThrow(message);
  });
});
