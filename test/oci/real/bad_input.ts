/** The bad input: each a line that names the field or path, the exit status, nothing left. */
import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';
import type { Check } from './check.ts';
import { type Change, check, STUB, same, until, type World } from './world.ts';

const SLEEP = ['/bin/sleep', '1000'];

async function badConfigurations(w: World): Promise<void> {
  const empty = w.file('empty');
  fs.mkdirSync(empty);
  await w.fails(
    128,
    /config.json does not exist: runsc spec makes one/,
    'run',
    '--bundle',
    empty,
    'a',
  );
  await w.fails(128, /--bundle: .*\/nowhere does not exist/, 'run', '--bundle', '/nowhere', 'a');
  for (const [text, message] of [
    ['', /config.json is not JSON/],
    ['{"ociVersion": "1.0.2", ', /config.json is not JSON/],
    ['[]', /config.json/],
    ['null', /config.json/],
    ['{}', /config.json: .*(ociVersion|process|root)/],
    ['x'.repeat(5 * 2 ** 20), /longer than/],
    [
      '{"ociVersion": "1.0.2", "process": {"args": "sh", "cwd": "/"}, "root": {"path": "/"}}',
      /process\.args/,
    ],
  ] as const) {
    fs.writeFileSync(path.join(empty, 'config.json'), text);
    await w.fails(128, message, 'run', '--bundle', empty, 'a');
  }
  const changes: readonly (readonly [RegExp, Change])[] = [
    [
      /root.path: the root file system .*\/nowhere does not exist/,
      (c) => {
        c.root.path = '/nowhere';
      },
    ],
    [
      /root.path: .* is not a directory/,
      (c) => {
        c.root.path = '/etc/passwd';
      },
    ],
    [
      /mounts\[6\].source: the mount source \/nowhere does not exist/,
      (c) => {
        c.mounts.push({ destination: '/x', type: 'bind', source: '/nowhere' });
      },
    ],
    [
      /mounts\[6\].type: unknown type vaxfs/,
      (c) => {
        c.mounts.push({ destination: '/x', type: 'vaxfs', source: 'x' });
      },
    ],
    [
      /mounts\[6\].options/,
      (c) => {
        c.mounts.push({ destination: '/x', type: 'tmpfs', source: 'x', options: ['size=vast'] });
      },
    ],
    [
      /mounts\[6\].destination/,
      (c) => {
        c.mounts.push({ destination: '/etc/passwd/x', type: 'tmpfs', source: 'x' });
      },
    ],
    [
      /process.args/,
      (c) => {
        c.process.args = [];
      },
    ],
    [
      /process.cwd/,
      (c) => {
        c.process.cwd = 'relative';
      },
    ],
    [
      /process.user/,
      (c) => {
        c.process.user = { uid: -1, gid: 0 };
      },
    ],
    [
      /process\.(rlimits|capabilities)/,
      (c) => {
        c.process.rlimits = [{ type: 'RLIMIT_VAX', soft: 1, hard: 1 }];
      },
    ],
    [
      /CAP_VAX/,
      (c) => {
        c.process.capabilities = { effective: ['CAP_VAX'] };
      },
    ],
    [
      /linux.namespaces/,
      (c) => {
        c.linux.namespaces = [{ type: 'network', path: '/nowhere/net' }];
      },
    ],
  ];
  for (const [message, change] of changes) {
    await w.fails(128, message, 'run', '--bundle', w.bundle(SLEEP, change), 'a');
    same(fs.existsSync(path.join(w.state, 'a')), false);
  }
}

async function badCommandLines(w: World): Promise<void> {
  await w.fails(128, /unknown platform "vax": known are auto/, '--platform=vax', 'list');
  await w.fails(128, /"host" is not there yet: use --network=none/, '--network=host', 'list');
  await w.fails(128, /unknown command "frob": known are create/, 'frob');
  await w.fails(128, /unknown flag --frob for runsc run: known are --bundle/, 'run', '--frob', 'a');
  await w.fails(128, /missing argument: id/, 'run');
  for (const id of ['a/b', '..', '', '.', 'a b', 'x'.repeat(256)]) {
    await w.fails(
      128,
      /invalid container id .* \(no slash\)/,
      'run',
      '--bundle',
      w.bundle(SLEEP),
      id,
    );
    await w.fails(128, /invalid container id/, 'delete', '--force', id);
  }
  await w.fails(128, /container "nobody" does not exist/, 'start', 'nobody');
  await w.fails(128, /container "nobody" does not exist/, 'kill', 'nobody', 'KILL');
  await w.fails(128, /container "nobody" does not exist/, 'exec', 'nobody', 'true');
  await w.fails(128, /--debug-log: cannot open/, '--debug-log=/proc/nowhere/x', 'list');
  const pidFile = w.bundle(SLEEP);
  await w.fails(
    128,
    /--pid-file: cannot write \/nowhere\/pid/,
    'create',
    '--bundle',
    pidFile,
    '--pid-file',
    '/nowhere/pid',
    'a',
  );
}

async function idInUse(w: World): Promise<void> {
  await w.running('a', SLEEP);
  const { pid } = w.stateOf('a').sentry;
  await w.fails(
    128,
    /id "a" exists already: choose another id or delete it first/,
    'run',
    '--bundle',
    w.bundle(SLEEP),
    'a',
  );
  same([await w.status('a'), w.stateOf('a').sentry.pid], ['running', pid]);
}

/** A state directory whose processes are long gone, their numbers perhaps somebody else's. */
async function staleState(w: World): Promise<void> {
  await w.running('a', SLEEP);
  const file = path.join(w.state, 'a/state.json');
  const state = JSON.parse(fs.readFileSync(file, 'utf8'));
  await w.ok('delete', '--force', 'a');
  const own = { pid: process.pid, startTime: 1 };
  for (const [sentry, gofer] of [
    [state.sentry, state.gofer],
    [own, own],
    [null, null],
  ]) {
    fs.mkdirSync(path.dirname(file));
    fs.writeFileSync(file, JSON.stringify({ ...state, sentry, gofer }));
    fs.writeFileSync(path.join(w.state, 'a/control.sock'), 'no socket');
    same(await w.status('a'), 'stopped');
    await w.fails(128, /exists already/, 'run', '--bundle', w.bundle(SLEEP), 'a');
    await w.fails(128, /container not running/, 'exec', 'a', 'true');
    await w.ok('list');
    await w.ok('delete', 'a');
  }
  for (const text of [
    '',
    '{}',
    '[]',
    'null',
    '{"id":1}',
    JSON.stringify({ ...state, sentry: 7 }),
    JSON.stringify({ ...state, spec: null }),
    JSON.stringify({ ...state, cgroupPaths: [5] }),
    JSON.stringify({ ...state, id: '../x' }),
  ]) {
    fs.mkdirSync(path.dirname(file));
    fs.writeFileSync(file, text);
    await w.fails(
      128,
      /half-made or its state.json is damaged: run: runsc delete --force a/,
      'state',
      'a',
    );
    await w.ok('list');
    await w.ok('delete', '--force', 'a');
  }
}

async function unwritableRoot(w: World): Promise<void> {
  const bundle = w.bundle(SLEEP);
  const list = w.argv('--root', '/proc/nowhere', 'run', '--bundle', bundle, 'a').slice(3);
  await w.fails(128, /--root: cannot make \/proc\/nowhere/, ...list);
  fs.writeFileSync(w.file('plain'), '');
  await w.fails(
    128,
    /--root: .*plain is not a directory/,
    '--root',
    w.file('plain'),
    'run',
    '--bundle',
    bundle,
    'a',
  );
  same((await w.runsc(['--root', '/proc/nowhere', 'list'])).status, 0);
}

/** Runs at every size of a small file system: whatever write fails, it is said and nothing stays. */
async function fullDisk(w: World): Promise<void> {
  fs.mkdirSync(w.state);
  spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64k,nr_inodes=20,mode=700', 'tmpfs', w.state]);
  try {
    for (const free of [0, 1, 2]) {
      const size = 65536 - free * 4096;
      fs.writeFileSync(path.join(w.state, '.fill'), Buffer.alloc(size));
      const ended = await w.runsc(['run', '--bundle', w.bundle(['/bin/true']), 'a']);
      if (ended.status !== 0) {
        check(
          /^runsc: --root: cannot .*ENOSPC.*\n$/.test(ended.stderr),
          `${ended.status} ${ended.stderr}`,
        );
      }
      same(fs.readdirSync(w.state), ['.fill']);
      fs.rmSync(path.join(w.state, '.fill'));
    }
    for (let i = 0; i < 30; i++) {
      try {
        fs.writeFileSync(path.join(w.state, `.inode${i}`), '');
      } catch {
        break;
      }
    }
    for (let free = 0; free < 5; free++) {
      const ended = await w.runsc(['run', '--bundle', w.bundle(['/bin/true']), 'a']);
      if (ended.status !== 0) {
        check(
          /^runsc: .*(ENOSPC|errno 28).*\n$/.test(ended.stderr),
          `${ended.status} ${ended.stderr}`,
        );
      }
      check(!fs.existsSync(path.join(w.state, 'a')), `left with ${free} free inodes`);
      fs.rmSync(path.join(w.state, `.inode${free}`), { force: true });
    }
  } finally {
    spawnSync('umount', [w.state]);
  }
}

async function killedSentry(w: World): Promise<void> {
  const running = w.start(['run', '--bundle', w.bundle(SLEEP), 'a']);
  await until('running', async () => (await w.runsc(['state', 'a'])).stdout.includes('running'));
  process.kill(w.stateOf('a').sentry.pid, 'SIGKILL');
  const ended = await running.ended;
  same(ended.status, 137);
  same(fs.readdirSync(w.state), []);
  await w.running('b', SLEEP);
  process.kill(w.stateOf('b').sentry.pid, 'SIGKILL');
  await until('stopped', async () => (await w.status('b')) === 'stopped');
  await w.fails(
    128,
    /container "b": container not running|cannot exec in container "b": container not running/,
    'exec',
    'b',
    'true',
  );
  await w.fails(128, /container not running/, 'wait', 'b');
  await w.ok('delete', 'b');
}

async function killedGofer(w: World): Promise<void> {
  const log = w.file('debug');
  w.flags = ['--debug', `--debug-log=${log}`, '--file-access=shared'];
  const script =
    'while [ ! -e /tmp/go ]; do sleep 0.02; done; cat /data/file; cat /data/not-yet; echo alive; sleep 1000';
  await w.ok('create', '--bundle', w.bundle(['/bin/sh', '-c', `(${script}) > /tmp/out 2>&1`]), 'a');
  await w.ok('start', 'a');
  // A program whose libraries are still to be loaded would end at once.
  await until('the loop runs', async () => (await w.ok('ps', 'a')).includes('sleep'));
  process.kill(w.stateOf('a').gofer.pid, 'SIGKILL');
  w.flags = [];
  const touched = await w.runsc(['exec', 'a', '/bin/touch', '/tmp/go']);
  // Its own program may be read through the gofer: then this says so.
  if (touched.status !== 0)
    check(/gofer|input\/output error|I\/O error/i.test(touched.stderr), touched.stderr);
  await until('the sandbox says so', () =>
    /gofer/i.test(
      fs
        .readFileSync(log, 'utf8')
        .split('\n')
        .filter((l) => /gone|ended|died|lost/.test(l))
        .join(),
    ),
  );
  const state = JSON.parse(await w.ok('state', 'a'));
  check(['running', 'stopped'].includes(state.status), state.status);
  await w.ok('delete', '--force', 'a');
}

/** A guest that uses its files while the gofer dies: EIO, and no hang. */
async function killedGoferInUse(w: World): Promise<void> {
  const host = w.file('host');
  fs.mkdirSync(host);
  fs.writeFileSync(path.join(host, 'f'), 'f\n');
  // Looking at a name alone needs no Gofer.
  const script =
    'while touch /data/v/f 2>/dev/null; do :; done; ls /data/v/; touch /data/v/x; echo "it was $?"; exit 9';
  const bundle = w.bundle(['/bin/busybox', 'sh', '-c', script], (c) => {
    c.mounts.push({ destination: '/data/v', type: 'bind', source: host, options: ['rbind'] });
  });
  const running = w.start(['run', '--bundle', bundle, 'a']);
  await until('running', async () => (await w.runsc(['state', 'a'])).stdout.includes('running'));
  process.kill(w.stateOf('a').gofer.pid, 'SIGKILL');
  const ended = await running.ended;
  check(
    ended.status === 9 || /Input\/output error|I\/O error/.test(ended.stderr),
    `${ended.status} ${ended.stdout}${ended.stderr}`,
  );
}

/** A process that never got its terminal is not left among the container's. */
async function execWithoutTerminal(w: World): Promise<void> {
  await w.running('a', SLEEP);
  // The table's times go on, the processes' numbers do not.
  const processes = () => w.ok('ps', '--format', 'json', 'a');
  const before = await processes();
  await w.fails(128, /terminal: /, 'exec', '--tty', 'a', '/bin/true');
  await until('it is gone', async () => (await processes()) === before);
}

/** A killed stub is a process of the guest that dies by SIGKILL; the others live on. */
async function killedStub(w: World): Promise<void> {
  await w.running('a', ['/bin/sh', '-c', 'sleep 500 & wait $!; echo $? > /tmp/status; sleep 1000']);
  await until('both run', async () => (await w.ok('ps', 'a')).split('\n').length === 4);
  const stubs = w.processes().filter((p) => p.name === STUB);
  const youngest = stubs.sort((x, y) => x.pid - y.pid).at(-1);
  check(youngest !== undefined, 'no stub found');
  process.kill(youngest.pid, 'SIGKILL');
  await until(
    'the shell sees it',
    async () => (await w.runsc(['exec', 'a', 'cat', '/tmp/status'])).stdout === '137\n',
  );
  same(await w.status('a'), 'running');
  for (const stub of w.processes().filter((p) => p.name === STUB)) {
    process.kill(stub.pid, 'SIGKILL');
  }
  await until('its init is gone', async () => (await w.status('a')) === 'stopped');
}

export const BAD_INPUT: readonly Check[] = [
  { name: 'configurations', body: badConfigurations },
  { name: 'command lines', body: badCommandLines },
  { name: 'an id in use', body: idInUse },
  { name: 'a stale state directory', body: staleState },
  { name: 'a root that cannot be written', body: unwritableRoot },
  { name: 'a full disk below --root', body: fullDisk },
  { name: 'exec with a terminal that is none', body: execWithoutTerminal },
  { name: 'a killed Sentry', body: killedSentry },
  { name: 'a killed Gofer', body: killedGofer },
  { name: 'a Gofer killed while the guest uses its files', body: killedGoferInUse },
  { name: 'a killed stub', body: killedStub },
];
