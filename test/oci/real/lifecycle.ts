/** The OCI lifecycle: spec, create, start, state, exec, ps, pause, kill, delete, list, hooks. */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { run } from '../../harness/command.ts';
import type { Check } from './check.ts';
import { check, same, sleep, trySignal, until, type World } from './world.ts';

const SLEEP = ['/bin/sleep', '1000'];
const HOOKS = [
  'prestart',
  'createRuntime',
  'createContainer',
  'startContainer',
  'poststart',
  'poststop',
];

async function lifecycle(w: World): Promise<void> {
  const pidFile = w.file('pid');
  await w.ok('create', '--bundle', w.bundle(SLEEP), '--pid-file', pidFile, 'a');
  const pid = Number(w.read('pid'));
  const state = JSON.parse(await w.ok('state', 'a'));
  same([state.id, state.status, state.pid], ['a', 'created', pid]);
  await w.fails(128, /cannot start|cannot delete|paus|not running/, 'pause', 'a');
  await w.ok('start', 'a');
  same(await w.status('a'), 'running');
  await w.fails(128, /cannot start container "a": it is running/, 'start', 'a');
  check(/sleep/.test(await w.ok('ps', 'a')), 'ps shows no sleep');
  same(JSON.parse(await w.ok('ps', '--format', 'json', 'a')), [pid]);
  same(JSON.parse(await w.ok('list', '--format', 'json'))[0].id, 'a');
  same(await w.ok('list', '--quiet'), 'a\n');
  await w.ok('pause', 'a');
  same(await w.status('a'), 'paused');
  await w.fails(128, /paused/, 'exec', 'a', '/bin/true');
  await w.ok('resume', 'a');
  same(await w.status('a'), 'running');
  await w.fails(128, /it is running: stop it first or use --force/, 'delete', 'a');
  const waiting = w.runsc(['wait', 'a']);
  await sleep(200);
  // As in Linux, an init dies of no other signal that it has no handler for.
  await w.ok('kill', 'a', 'TERM');
  await sleep(100);
  same(await w.status('a'), 'running');
  await w.ok('kill', 'a', 'KILL');
  same(JSON.parse((await waiting).stdout), { id: 'a', exitStatus: 137 });
  await until('stopped', async () => (await w.status('a')) === 'stopped');
  await w.fails(128, /container not running/, 'kill', 'a', 'TERM');
  await w.fails(128, /container not running/, 'exec', 'a', '/bin/true');
  await w.fails(128, /container not running/, 'start', 'a');
  await w.ok('delete', 'a');
  await w.fails(128, /container "a" does not exist/, 'state', 'a');
  await w.fails(128, /container "a" does not exist/, 'delete', 'a');
  await w.ok('delete', '--force', 'a');
}

async function specRuns(w: World): Promise<void> {
  const bundle = w.file('spec');
  fs.mkdirSync(bundle);
  const made = await w.runsc(['spec', '--', '/bin/echo', 'hello'], { cwd: bundle });
  same([made.status, made.stderr], [0, '']);
  const file = path.join(bundle, 'config.json');
  const config = JSON.parse(fs.readFileSync(file, 'utf8'));
  same(config.root.path, 'rootfs');
  config.root.path = w.rootfs;
  config.process.terminal = false;
  fs.writeFileSync(file, JSON.stringify(config));
  same((await w.runsc(['run', 'a'], { cwd: bundle })).stdout, 'hello\n');
  const again = await w.runsc(['spec'], { cwd: bundle });
  check(again.status === 128 && /exists/.test(again.stderr), `spec twice: ${again.stderr}`);
}

async function exitStatuses(w: World): Promise<void> {
  same((await w.script('exit 0')).status, 0);
  same((await w.script('exit 3')).status, 3);
  same((await w.script('exit 255')).status, 255);
  same((await w.script('sh -c "kill -9 \\$\\$"; exit $?')).status, 128 + 9);
  const segv = await w.runsc(['run', '--bundle', w.bundle(['/bin/hog', 'segv']), 'segv']);
  same(segv.status, 128 + 11);
}

async function exec(w: World): Promise<void> {
  await w.running('a', SLEEP);
  same((await w.runsc(['exec', 'a', '/bin/sh', '-c', 'exit 3'])).status, 3);
  same((await w.runsc(['exec', 'a', '/bin/sh', '-c', 'kill -9 $$'])).status, 137);
  same((await w.runsc(['exec', 'a', 'cat'], { input: 'abc' })).stdout, 'abc');
  same(
    await w.ok('exec', '--cwd', '/tmp', '--env', 'A=b c', 'a', 'sh', '-c', 'pwd; echo $A'),
    '/tmp\nb c\n',
  );
  same(
    await w.ok('exec', '--user', '7:8', 'a', 'sh', '-c', 'id -u; id -g; echo $HOME'),
    '7\n8\n/root\n',
  );
  await w.fails(127, /executable file not found in \$PATH/, 'exec', 'a', 'nothing');
  await w.fails(127, /no such file or directory/, 'exec', 'a', '/bin/nothing');
  await w.fails(126, /permission denied/, 'exec', 'a', '/bin/not-executable');
  await w.fails(126, /permission denied/, 'exec', 'a', '/bin');
  await w.fails(126, /exec format error/, 'exec', 'a', '/bin/bad-elf');
  await w.fails(128, /process.cwd: \/nowhere/, 'exec', '--cwd', '/nowhere', 'a', 'true');
}

async function execDetached(w: World): Promise<void> {
  await w.running('a', SLEEP);
  const processFile = w.file('process.json');
  const args = ['/bin/sh', '-c', 'trap "exit 9" TERM; while :; do sleep 0.05; done'];
  fs.writeFileSync(processFile, JSON.stringify({ args, cwd: '/', env: ['PATH=/bin'] }));
  // A subreaper of our own learns the waiter's status, as containerd-shim does.
  const script = `
import ctypes, os, subprocess, sys, signal, time
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)
subprocess.check_call(sys.argv[1:])
pid = int(open(sys.argv[sys.argv.index('--pid-file') + 1]).read())
time.sleep(0.3)
os.kill(pid, signal.SIGTERM)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
`;
  const argv = w.argv(
    'exec',
    '--process',
    processFile,
    '--detach',
    '--pid-file',
    w.file('pid'),
    'a',
  );
  const reaped = await run(['python3', '-c', script, ...argv], {
    env: { PATH: process.env['PATH'] ?? '' },
  });
  same([reaped.stdout, reaped.stderr], ['9\n', '']);
}

async function waiterKilled(w: World): Promise<void> {
  await w.running('a', SLEEP);
  await w.ok('exec', '--detach', '--pid-file', w.file('pid'), 'a', '/bin/sleep', '777');
  check((await w.ok('ps', 'a')).split('\n').length === 4, 'exec runs');
  trySignal(Number(w.read('pid')), 'SIGKILL');
  await until('its process dies too', async () => (await w.ok('ps', 'a')).split('\n').length === 3);
}

async function kill(w: World): Promise<void> {
  const counting = [
    '/bin/sh',
    '-c',
    'trap "exit 10" USR1; trap "exit 12" USR2; while :; do sleep 0.02; done',
  ];
  for (const [written, status] of [
    ['SIGUSR1', 10],
    ['usr2', 12],
    ['12', 12],
    ['KILL', 137],
    ['9', 137],
  ] as const) {
    const running = w.start(['run', '--bundle', w.bundle(counting), 'a']);
    await until('running', async () => (await w.runsc(['state', 'a'])).stdout.includes('running'));
    await sleep(150);
    await w.ok('kill', 'a', written);
    same((await running.ended).status, status);
  }
  await w.running('all', [
    '/bin/sh',
    '-c',
    'sleep 100 & sleep 100 & trap "" TERM; while :; do sleep 0.1; done',
  ]);
  await sleep(200);
  await w.ok('kill', '--all', 'all', 'KILL');
  await until('all stopped', async () => (await w.status('all')) === 'stopped');
  await w.ok('kill', '--all', 'all', 'KILL');
  await w.running('b', SLEEP);
  await w.fails(128, /unknown signal|signal/, 'kill', 'b', 'NONSENSE');
  await w.fails(128, /signal/, 'kill', 'b', '65');
  await w.fails(128, /no such process/, 'kill', '--pid', '4711', 'b', 'TERM');
}

async function deleteForce(w: World): Promise<void> {
  await w.ok('create', '--bundle', w.bundle(SLEEP), 'created');
  await w.running('running', SLEEP);
  await w.running('paused', SLEEP);
  await w.ok('pause', 'paused');
  await w.running('stopped', ['/bin/true']);
  await until('stopped', async () => (await w.status('stopped')) === 'stopped');
  fs.mkdirSync(path.join(w.state, 'halfmade'));
  await w.fails(128, /half-made .* runsc delete --force halfmade/, 'state', 'halfmade');
  fs.mkdirSync(path.join(w.state, 'damaged'));
  fs.writeFileSync(path.join(w.state, 'damaged/state.json'), '{"id": "dam');
  await w.fails(128, /damaged: run: runsc delete --force damaged/, 'start', 'damaged');
  await w.ok('list');
  await w.ok(
    'delete',
    '--force',
    'created',
    'running',
    'paused',
    'stopped',
    'halfmade',
    'damaged',
    'never',
  );
  same(fs.readdirSync(w.state), []);
}

async function hooks(w: World): Promise<void> {
  const log = w.file('hooks');
  const bundle = w.bundle(['/bin/sh', '-c', 'cat /tmp/*; sleep 1000'], (c) => {
    c.hooks = {};
    for (const point of HOOKS) {
      // The state comes on stdin; a hook inside writes into the container.
      const file = point === 'startContainer' ? '/tmp/hook' : log;
      const script = `read s; case "$s" in *'"id":"a"'*) echo "$0 $A" >> ${file}; esac`;
      c.hooks[point] = [{ path: '/bin/sh', args: ['sh', '-c', script, point], env: ['A=x'] }];
    }
    c.root.readonly = false;
  });
  const started = await w.runsc(['create', '--bundle', bundle, 'a']);
  same([started.status, started.stderr], [0, '']);
  same(w.read('hooks'), 'prestart x\ncreateRuntime x\ncreateContainer x\n');
  await w.ok('start', 'a');
  same(w.read('hooks').split('\n').at(-2), 'poststart x');
  same(await w.ok('exec', 'a', 'cat', '/tmp/hook'), 'startContainer x\n');
  await w.ok('delete', '--force', 'a');
  same(w.read('hooks').split('\n').at(-2), 'poststop x');
}

async function failingHooks(w: World): Promise<void> {
  for (const point of HOOKS) {
    const bundle = w.bundle(SLEEP, (c) => {
      c.hooks = { [point]: [{ path: '/bin/sh', args: ['sh', '-c', 'echo broken >&2; exit 5'] }] };
    });
    const { status, stderr } = await w.runsc(['run', '--detach', '--bundle', bundle, 'a']);
    const isWarning = point.startsWith('post');
    same([point, status], [point, isWarning ? 0 : 128]);
    if (isWarning) await w.ok('delete', '--force', 'a');
    else
      check(
        new RegExp(
          `^(broken\n)?runsc: config.json: hooks.${point}\\[0\\]: /bin/sh: exit status 5.*\n$`,
        ).test(stderr),
        stderr,
      );
    await w.fails(128, /does not exist/, 'state', 'a');
  }
  const missing = w.bundle(SLEEP, (c) => {
    c.hooks = { prestart: [{ path: '/nowhere/hook' }] };
  });
  await w.fails(
    128,
    /hooks.prestart\[0\]: \/nowhere\/hook: .*ENOENT/,
    'create',
    '--bundle',
    missing,
    'a',
  );
}

/** Takes the terminal that runsc sends to --console-socket; its bytes go to a file. */
const CONSOLE_SCRIPT = `
import array, os, socket, sys
s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(); print('ready', flush=True)
c, _ = s.accept()
data, anc, _, _ = c.recvmsg(64, socket.CMSG_SPACE(4))
fd = array.array('i', anc[0][2])[0]
os.write(fd, b'typed\\n')
out = b''
try:
  while b'done' not in out: out += os.read(fd, 4096)
except OSError: pass
print(out.decode())
`;

async function consoleSocket(w: World): Promise<void> {
  const socket = w.file('console.sock');
  const receiver = run(['python3', '-c', CONSOLE_SCRIPT, socket]);
  await until('the console socket', () => fs.existsSync(socket));
  const bundle = w.bundle(
    ['/bin/sh', '-c', 'test -t 0 && read x; echo got $x; echo done; sleep 1'],
    (c) => {
      c.process.terminal = true;
    },
  );
  await w.ok('run', '--detach', '--bundle', bundle, '--console-socket', socket, 'a');
  check(/got typed\r\ndone/.test((await receiver).stdout), (await receiver).stdout);
  const missing = w.file('nobody.sock');
  await w.fails(
    128,
    /--console-socket: .*nobody.sock/,
    'create',
    '--bundle',
    bundle,
    '--console-socket',
    missing,
    'b',
  );
}

async function twoAtOnce(w: World): Promise<void> {
  const both = await Promise.all(
    ['one', 'two'].map((name) =>
      w.script(`echo ${name} > /tmp/x; sleep 0.5; cat /tmp/x; hostname; ps | wc -l`, (c) => {
        c.hostname = `host-${name}`;
      }),
    ),
  );
  same(both[0]?.stdout.split('\n').slice(0, 2), ['one', 'host-one']);
  same(both[1]?.stdout.split('\n').slice(0, 2), ['two', 'host-two']);
  const clash = await Promise.all(
    ['x', 'x', 'x'].map((id) => w.runsc(['create', '--bundle', w.bundle(SLEEP), id])),
  );
  same(clash.filter((ended) => ended.status === 0).length, 1);
  for (const ended of clash) {
    if (ended.status !== 0)
      check(/container with id "x" exists already/.test(ended.stderr), ended.stderr);
  }
}

async function runDo(w: World): Promise<void> {
  const done = await w.runsc([
    'do',
    '/bin/sh',
    '-c',
    'echo hi; echo x > /etc/runsc-was-here; exit 4',
  ]);
  same([done.status, done.stdout], [4, 'hi\n']);
  check(!fs.existsSync('/etc/runsc-was-here'), 'a write got through to the host');
  same((await w.runsc(['do', '/nothing'])).status, 127);
}

export const LIFECYCLE: readonly Check[] = [
  { name: 'create, start, state, ps, list, pause, resume, wait, kill, delete', body: lifecycle },
  { name: 'spec makes a bundle that runs', body: specRuns },
  { name: 'exit statuses', body: exitStatuses },
  { name: 'exec', body: exec },
  { name: 'exec --detach: the waiter ends with the status', body: execDetached },
  { name: 'exec --detach: a killed waiter takes the process along', body: waiterKilled },
  { name: 'kill by name and number, --all, --pid', body: kill },
  { name: 'delete --force in every state', body: deleteForce },
  { name: 'hooks of all kinds', body: hooks },
  { name: 'hooks that fail', body: failingHooks },
  { name: '--console-socket', body: consoleSocket },
  { name: 'two at once', body: twoAtOnce },
  { name: 'do', body: runDo },
];
