/** Tests of the lifecycle on a host that records: order of steps, bad input, nothing left behind. */

import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Config } from '../../spec/oci/config.ts';
import { Context } from '../cli/context.ts';
import { parseLeadingFlags } from '../cli/flags.ts';
import { GLOBAL_SYNTAX, runtimeConfig } from '../cli/global_flags.ts';
import { Log } from '../cli/log.ts';
import { FakeHost } from '../host/fake_host.ts';
import { loadBundle } from './bundle.ts';
import { defaultSpec } from './default_spec.ts';
import {
  createContainer,
  currentStatus,
  deleteContainer,
  signalContainer,
  startContainer,
} from './lifecycle.ts';

let top = '';
let host: FakeHost;
let context: Context;

const root = () => `${top}/root`;
const bundle = () => `${top}/bundle`;

beforeEach(() => {
  top = fs.mkdtempSync(path.join(os.tmpdir(), 'runsc-test-'));
  fs.mkdirSync(`${bundle()}/rootfs`, { recursive: true });
  host = new FakeHost();
  const { flags } = parseLeadingFlags(GLOBAL_SYNTAX, ['--root', root(), '--ignore-cgroups']);
  const config = runtimeConfig(flags, { uid: 0, runtimeDirectory: '' });
  context = new Context(config, new Log(config, 'test', ''), host);
});

afterEach(() => fs.rmSync(top, { recursive: true }));

function writeConfig(change: Partial<Config> = {}): void {
  const spec = defaultSpec({ args: ['true'], cwd: '/', netns: '' });
  fs.writeFileSync(`${bundle()}/config.json`, JSON.stringify({ ...spec, ...change }));
}

async function create(more: { consoleSocket?: string; pidFile?: string } = {}) {
  return createContainer(context, {
    id: 'c1',
    bundle: loadBundle(bundle()),
    consoleSocket: '',
    pidFile: '',
    temporaryBundle: false,
    foreground: false,
    ...more,
  });
}

function expectNothingLeft(): void {
  expect(context.store.list()).toEqual([]);
  expect([...host.alive]).toEqual([]);
  expect([...host.openFds]).toEqual([]);
}

const HOOKS = {
  prestart: [{ path: '/prestart' }],
  createRuntime: [{ path: '/createRuntime' }],
  createContainer: [{ path: '/createContainer' }],
  poststart: [{ path: '/poststart' }],
  poststop: [{ path: '/poststop' }],
};

describe('a container', () => {
  it('goes through its life in the order of the specification', async () => {
    writeConfig({ hooks: HOOKS, annotations: { a: 'b' } });
    const state = await create({ pidFile: `${top}/pid` });
    expect(fs.readFileSync(`${top}/pid`, 'utf8')).toBe(String(state.sentry?.pid));
    expect(currentStatus(context, state)).toBe('created');
    startContainer(context, state);
    expect(currentStatus(context, context.store.load('c1'))).toBe('running');
    signalContainer(context, state, { signo: 15, all: false, pid: 0 });
    host.alive.clear();
    expect(currentStatus(context, context.store.load('c1'))).toBe('stopped');
    deleteContainer(context, 'c1', false);
    expect(host.calls.filter((call) => call !== 'state')).toEqual([
      'fork runsc-sandbox',
      'fork runsc-gofer',
      'hook /prestart creating',
      'hook /createRuntime creating',
      'create +4',
      'hook /createContainer creating inside',
      'start',
      'hook /poststart running',
      'signal',
      'hook /poststop stopped',
    ]);
    expect(host.hookStates[0]).toMatchObject({
      id: 'c1',
      pid: state.sentry?.pid,
      bundle: fs.realpathSync(bundle()),
      annotations: { a: 'b' },
    });
    expectNothingLeft();
  });

  it('has each bind mount served by the gofer, read-only where it says so', async () => {
    fs.writeFileSync(`${top}/file`, '');
    const mounts = [
      { destination: '/proc', type: 'proc' },
      { destination: '/a', type: 'bind', source: top, options: ['rbind', 'ro'] },
      { destination: '/b', source: '../file', options: ['bind', 'rw'] },
    ];
    writeConfig({ mounts });
    const params: unknown[] = [];
    host.answer = (method, given) => {
      if (method === 'create') params.push(given.goferMounts);
      return { result: {} };
    };
    await create();
    const real = fs.realpathSync(top);
    expect(host.goferConfig?.mounts.map(({ source, readonly }) => [source, readonly])).toEqual([
      [`${real}/bundle/rootfs`, true],
      [real, true],
      [`${real}/file`, false],
    ]);
    expect(params).toEqual([[1, 2]]);
    expect(host.calls).toContain('create +6');
  });

  it('sends a terminal to the console socket and controls it', async () => {
    writeConfig();
    await create({ consoleSocket: '/sock' });
    expect(host.calls[0]).toBe('terminal to /sock');
    expect(host.sentryPlan?.controllingTerminalFd).toBeGreaterThan(2);
  });

  it('joins or makes the namespaces that hold something of the Sentry', async () => {
    const namespaces = [
      { type: 'network', path: '/ns/net' },
      { type: 'pid' },
      { type: 'ipc' },
      { type: 'mount' },
      { type: 'uts' },
    ] as const;
    writeConfig({ linux: { namespaces } });
    await create();
    expect(host.sentryPlan?.namespaces).toEqual([
      { type: 'network', path: '/ns/net' },
      { type: 'ipc' },
      { type: 'uts' },
    ]);
  });
});

describe('what fails leaves nothing behind:', () => {
  it.each(['prestart', 'createRuntime', 'createContainer'])('a %s hook', async (point) => {
    writeConfig({ hooks: HOOKS });
    host.failingHooks.add(`/${point}`);
    await expect(create()).rejects.toThrow(`hooks.${point}[0]: /${point}: exit status 1`);
    expect(host.calls.at(-1)).toBe('hook /poststop stopped');
    expectNothingLeft();
  });

  it('a Sentry that dies while it boots', async () => {
    writeConfig();
    host.sentryDies = true;
    await expect(create()).rejects.toThrow('the sandbox ended while it started');
    expectNothingLeft();
  });

  it('a program that is not there', async () => {
    writeConfig();
    const message = 'exec: "nope": executable file not found in $PATH';
    host.answer = () => ({ error: { message, exitCode: 127 } });
    await expect(create()).rejects.toMatchObject({ message, exitCode: 127 });
    expectNothingLeft();
  });

  it('a pid file that cannot be written', async () => {
    writeConfig();
    await expect(create({ pidFile: `${top}/no/pid` })).rejects.toThrow('--pid-file: cannot write');
    expectNothingLeft();
  });

  it('a console socket that is not there', async () => {
    writeConfig();
    await expect(create({ consoleSocket: '/x.missing' })).rejects.toThrow('--console-socket');
    expectNothingLeft();
  });

  it.each([
    ['root.path', { root: { path: 'nowhere' } }, 'does not exist'],
    ['root.path', { root: { path: 'config.json' } }, 'not a directory'],
    [
      'mounts[0].source',
      { mounts: [{ destination: '/x', type: 'bind', source: '/no/where' }] },
      'does not exist',
    ],
    ['mounts[0].source', { mounts: [{ destination: '/x', type: 'bind' }] }, 'must be a path'],
  ])('a wrong %s', async (field, change, problem) => {
    writeConfig(change);
    await expect(create()).rejects.toThrow(
      new RegExp(`${field.replace(/\W/g, '\\$&')}.*${problem}`),
    );
    expect(host.calls).toEqual([]);
    expect(fs.existsSync(root())).toBe(false);
  });

  it('config.json missing, no JSON, or no configuration', async () => {
    expect(() => loadBundle(`${top}/none`)).toThrow('--bundle');
    expect(() => loadBundle(bundle())).toThrow('config.json does not exist: runsc spec makes one');
    fs.writeFileSync(`${bundle()}/config.json`, '{');
    expect(() => loadBundle(bundle())).toThrow('is not JSON');
    fs.writeFileSync(`${bundle()}/config.json`, '{"ociVersion": "1.0.2"}');
    expect(() => loadBundle(bundle())).toThrow(/^config\.json: \w+/);
  });
});

describe('the state directory', () => {
  it('refuses an id in use and an id with a slash', async () => {
    writeConfig();
    await create();
    await expect(create()).rejects.toThrow('exists already');
    expect(host.alive.size).toBe(2);
    expect(() => context.store.claim('a/b')).toThrow('invalid container id "a/b"');
    expect(() => context.store.claim('..')).toThrow('invalid container id');
  });

  it('that is stale can only be deleted by force', async () => {
    writeConfig();
    fs.mkdirSync(`${root()}/c1`, { recursive: true });
    fs.writeFileSync(`${root()}/c1/state.json`, '{"id":');
    await expect(create()).rejects.toThrow('exists already');
    expect(() => deleteContainer(context, 'c1', false)).toThrow('delete --force');
    deleteContainer(context, 'c1', true);
    expectNothingLeft();
  });

  it('of a running container goes by force, with its processes', async () => {
    writeConfig();
    startContainer(context, await create());
    expect(() => deleteContainer(context, 'c1', false)).toThrow('it is running');
    host.calls.length = 0;
    deleteContainer(context, 'c1', true);
    // A Sentry that waits for its Gofer would not answer.
    expect(host.calls).toEqual(['kill runsc-sandbox 9', 'kill runsc-gofer 9']);
    expectNothingLeft();
  });
});

describe('a container that has ended', () => {
  it('says so in the words Docker looks for', async () => {
    writeConfig();
    const state = await create();
    host.alive.clear();
    const signal = () => signalContainer(context, state, { signo: 9, all: false, pid: 0 });
    expect(signal).toThrow('container not running');
    expect(() => startContainer(context, state)).toThrow('container not running');
    expect(() => context.store.load('other')).toThrow('does not exist');
  });

  it('whose Sentry does not answer is killed from outside', async () => {
    writeConfig();
    const state = await create();
    host.answer = () => ({ error: { message: 'stuck' } });
    host.calls.length = 0;
    signalContainer(context, state, { signo: 9, all: false, pid: 0 });
    // Nothing else is asked, and waited for, before.
    expect(host.calls).toEqual(['signal', 'kill runsc-sandbox 9', 'kill runsc-gofer 9']);
  });
});
