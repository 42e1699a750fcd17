/**
 * Black-box tests of the command line: real processes, a real gofer, and the double in place of the
 * Sentry. Each test has its own --root, and nothing may be left when it ends.
 */

import { spawn, spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Config } from '../../spec/oci/config.ts';

const NODE = path.join(import.meta.dirname, '../../node_modules/.bin/node');
const FLAGS = ['--single-threaded', '--v8-pool-size=0', '--disable-sigusr1'];
const PROGRAM = path.join(import.meta.dirname, 'runsc_double.ts');

let top = '';

beforeEach(() => {
  top = fs.mkdtempSync(path.join(os.tmpdir(), 'runsc-oci-'));
  fs.mkdirSync(`${top}/b/rootfs`, { recursive: true });
});

afterEach(() => {
  for (const id of ls(`${top}/root`)) runsc('delete', '--force', id);
  expect(ls(`${top}/root`)).toEqual([]);
  expect(sandboxProcesses()).toEqual([]);
  fs.rmSync(top, { recursive: true });
});

function argvOf(args: readonly string[]): string[] {
  return [...FLAGS, PROGRAM, '--root', `${top}/root`, ...args];
}

/** Output goes to files: a pipe would stay open as long as the container that inherits it. */
function runsc(...args: string[]) {
  const out = fs.openSync(`${top}/out`, 'w');
  const err = fs.openSync(`${top}/err`, 'w');
  const { status } = spawnSync(NODE, argvOf(args), {
    cwd: `${top}/b`,
    stdio: ['ignore', out, err],
    timeout: 20_000,
  });
  fs.closeSync(out);
  fs.closeSync(err);
  const text = (name: string) => fs.readFileSync(`${top}/${name}`, 'utf8');
  return { status, stdout: text('out'), stderr: text('err') };
}

function ok(...args: string[]): string {
  const { status, stdout, stderr } = runsc(...args);
  expect({ args, status, stderr }).toEqual({ args, status: 0, stderr: '' });
  return stdout;
}

function ls(directory: string): string[] {
  return fs.existsSync(directory) ? fs.readdirSync(directory) : [];
}

/** Processes of this test's root: name and pid, zombies apart. */
function sandboxProcesses(): string[] {
  return fs.readdirSync('/proc').filter((pid) => {
    try {
      if (!/^\d+$/.test(pid)) return false;
      const zombie = fs.readFileSync(`/proc/${pid}/stat`, 'latin1').includes(') Z ');
      const ours = fs.readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes(`${top}/root`);
      return ours && !zombie;
    } catch {
      return false;
    }
  });
}

function bundle(args: readonly string[], change: Partial<Config> = {}): void {
  fs.rmSync(`${top}/b/config.json`, { force: true });
  ok('spec', '--', ...args);
  const file = `${top}/b/config.json`;
  const spec = JSON.parse(fs.readFileSync(file, 'utf8')) as Config;
  const process = { ...spec.process, terminal: false };
  fs.writeFileSync(file, JSON.stringify({ ...spec, process, ...change }));
}

async function until(condition: () => boolean): Promise<void> {
  for (let i = 0; i < 500 && !condition(); i++) await new Promise((r) => setTimeout(r, 10));
  expect(condition()).toBe(true);
}

const readPid = (file: string) => Number(fs.readFileSync(`${top}/${file}`, 'utf8'));
const isGone = (pid: number) => {
  try {
    return fs.readFileSync(`/proc/${pid}/stat`, 'latin1').includes(') Z ');
  } catch {
    return true;
  }
};

describe('run', () => {
  it('exits with the status of the container and leaves nothing', () => {
    bundle(['exit', '7']);
    expect(runsc('run', 'a').status).toBe(7);
  });

  it('forwards signals', async () => {
    bundle(['sleep']);
    const child = spawn(NODE, argvOf(['run', 'a']), { cwd: `${top}/b` });
    await until(() => runsc('state', 'a').stdout.includes('"running"'));
    child.kill('SIGTERM');
    const status = await new Promise((resolve) => child.on('exit', resolve));
    expect(status).toBe(143);
  });

  it('that is killed takes its sandbox with it', async () => {
    bundle(['sleep']);
    const child = spawn(NODE, argvOf(['run', 'a']), { cwd: `${top}/b` });
    await until(() => runsc('state', 'a').stdout.includes('"running"'));
    child.kill('SIGKILL');
    await until(() => sandboxProcesses().length === 0);
    expect(JSON.parse(ok('state', 'a')).status).toBe('stopped');
  });

  it('says what it cannot run, with status 127', () => {
    bundle(['missing']);
    const { status, stderr } = runsc('run', 'a');
    expect(stderr).toBe('runsc: exec: "missing": executable file not found in $PATH\n');
    expect(status).toBe(127);
  });
});

describe('create, start, exec, kill, delete', () => {
  it('live as the specification says', async () => {
    bundle(['sleep']);
    ok('create', '--pid-file', `${top}/pid`, 'a');
    const pid = readPid('pid');
    expect(JSON.parse(ok('state', 'a'))).toMatchObject({ id: 'a', status: 'created', pid });
    expect(fs.readFileSync(`/proc/${pid}/comm`, 'utf8')).toBe('runsc-sandbox\n');
    ok('start', 'a');
    expect(ok('list', '--format', 'json')).toContain('"status":"running"');
    expect(runsc('exec', 'a', 'exit', '3').status).toBe(3);
    expect(ok('ps', 'a')).toContain('sleep');
    ok('pause', 'a');
    expect(JSON.parse(ok('state', 'a')).status).toBe('paused');
    ok('resume', 'a');
    const refused = runsc('delete', 'a');
    expect(refused.stderr).toContain('it is running');
    ok('kill', 'a', 'KILL');
    await until(() => isGone(pid));
    expect(runsc('kill', 'a').stderr).toContain('container not running');
    ok('delete', 'a');
    expect(runsc('state', 'a').stderr).toContain('does not exist');
  });

  it('exec --detach leaves a process that ends with the status and takes signals', async () => {
    bundle(['sleep']);
    ok('run', '--detach', 'a');
    ok('exec', '--detach', '--pid-file', `${top}/pid`, 'a', 'sleep');
    const pid = readPid('pid');
    expect(fs.readFileSync(`/proc/${pid}/comm`, 'utf8')).toBe('runsc-exec\n');
    process.kill(pid, 'SIGTERM');
    await until(() => isGone(pid));
    const failed = runsc('exec', '--detach', 'a', 'missing');
    expect(failed.stderr).toContain('executable file not found in $PATH');
    ok('delete', '--force', 'a');
  });

  it('wait prints the status', async () => {
    bundle(['sleep']);
    ok('run', '--detach', 'a');
    const child = spawn(NODE, argvOf(['wait', 'a']));
    let printed = '';
    child.stdout.on('data', (data) => {
      printed += data;
    });
    await new Promise((resolve) => setTimeout(resolve, 300));
    ok('kill', 'a', '9');
    await new Promise((resolve) => child.on('exit', resolve));
    expect(JSON.parse(printed)).toEqual({ id: 'a', exitStatus: 137 });
  });
});

describe('hooks', () => {
  it('get the state, see the network namespace and can fail the container', () => {
    const script = `cat > ${top}/$0; readlink /proc/self/ns/net > ${top}/$0.ns`;
    const hook = (name: string) => [{ path: '/bin/sh', args: ['sh', '-c', script, name] }];
    const types = ['pid', 'ipc', 'mount', 'network'] as const;
    const linux = { namespaces: types.map((type) => ({ type })) };
    const hooks = { createRuntime: hook('runtime'), createContainer: hook('container') };
    bundle(['sleep'], { hooks, linux });
    ok('create', '--pid-file', `${top}/pid`, 'a');
    const state = JSON.parse(fs.readFileSync(`${top}/runtime`, 'utf8'));
    expect(state).toMatchObject({ id: 'a', status: 'creating', pid: readPid('pid') });
    const netns = fs.readlinkSync(`/proc/${state.pid}/ns/net`);
    expect(fs.readFileSync(`${top}/container.ns`, 'utf8')).toBe(`${netns}\n`);
    expect(fs.readFileSync(`${top}/runtime.ns`, 'utf8')).not.toBe(`${netns}\n`);
    ok('delete', '--force', 'a');
    const failing = { prestart: [{ path: '/bin/sh', args: ['sh', '-c', 'echo no >&2; exit 3'] }] };
    bundle(['sleep'], { hooks: failing });
    expect(runsc('create', 'a').stderr).toContain('hooks.prestart[0]: /bin/sh: exit status 3: no');
    const slow = { prestart: [{ path: '/bin/sleep', args: ['sleep', '9'], timeout: 1 }] };
    bundle(['sleep'], { hooks: slow });
    expect(runsc('create', 'a').stderr).toContain('did not end within its timeout of 1 s');
  });
});

describe('messages', () => {
  it('go to --log, appended, one JSON object a line', () => {
    const log = ['--log', `${top}/log.json`, '--log-format', 'json'];
    fs.writeFileSync(`${top}/log.json`, '{"level":"info","msg":"before"}\n');
    expect(runsc(...log, 'state', 'a').status).toBe(128);
    expect(runsc(...log, '--what').status).toBe(128);
    const lines = fs.readFileSync(`${top}/log.json`, 'utf8').trim().split('\n');
    expect(lines.map((line) => JSON.parse(line).level)).toEqual(['info', 'error', 'error']);
    expect(JSON.parse(lines[1] ?? '').msg).toBe('container "a" does not exist');
  });

  it('name what is known when a flag or a command is not', () => {
    expect(runsc('frobnicate').stderr).toMatch(/unknown command "frobnicate": known are create/);
    expect(runsc('run', '--frob', 'a').stderr).toMatch(/unknown flag --frob .* --bundle/);
    expect(runsc('--platform', 'vax', 'list').stderr).toContain('unknown platform "vax"');
    expect(ok('--version')).toMatch(/^runsc version \S+\nspec: \S+\n$/);
    expect(ok('help', 'exec')).toContain('--pid-file');
    expect(ok('--help')).toContain('runsc create');
  });
});

describe('a sandbox that is killed', () => {
  it.each(['sandbox', 'gofer'])('(its %s) is stopped or can be deleted', async (which) => {
    bundle(['sleep']);
    ok('run', '--detach', '--pid-file', `${top}/pid`, 'a');
    const state = JSON.parse(fs.readFileSync(`${top}/root/a/state.json`, 'utf8'));
    process.kill(which === 'sandbox' ? state.sentry.pid : state.gofer.pid, 'SIGKILL');
    if (which === 'sandbox') {
      await until(() => JSON.parse(ok('state', 'a')).status === 'stopped');
      ok('delete', 'a');
    } else {
      ok('delete', '--force', 'a');
    }
  });
});

describe.runIf(process.getuid?.() === 0)('as root', () => {
  it('a full disk below --root is one line, and nothing is left', () => {
    bundle(['sleep']);
    fs.mkdirSync(`${top}/root`);
    spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=4k,mode=700', 'tmpfs', `${top}/root`]);
    try {
      fs.writeFileSync(`${top}/root/.fill`, Buffer.alloc(4096));
      const { status, stderr } = runsc('run', 'a');
      expect(status).toBe(128);
      expect(stderr).toMatch(/^runsc: --root: cannot write .*ENOSPC.*\n$/);
      expect(ls(`${top}/root`)).toEqual(['.fill']);
    } finally {
      spawnSync('umount', [`${top}/root`]);
    }
  });

  it('the sandbox sits in its cgroup, with its limits', () => {
    const cgroupsPath = `/runsc-test-${process.pid}`;
    const linux = { cgroupsPath, resources: { pids: { limit: 100 } } };
    bundle(['sleep'], { linux });
    const { status, stderr } = runsc('create', '--pid-file', `${top}/pid`, 'a');
    // A machine without cgroups, or with read-only ones, cannot show this.
    if (status !== 0 && /cannot make cgroup/.test(stderr)) return;
    expect(stderr).toBe('');
    const groups = fs.readFileSync(`/proc/${readPid('pid')}/cgroup`, 'utf8');
    const { cgroupPaths } = JSON.parse(fs.readFileSync(`${top}/root/a/state.json`, 'utf8'));
    if (cgroupPaths.length > 0) expect(groups).toContain(cgroupsPath);
    ok('delete', '--force', 'a');
    for (const directory of cgroupPaths) expect(fs.existsSync(directory)).toBe(false);
  });
});
