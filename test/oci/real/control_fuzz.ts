/** The control socket as a hostile program would use it. The sandbox must go on as if nothing were. */
import * as net from 'node:net';
import * as path from 'node:path';
import { METHODS } from '../../../spec/control/protocol.ts';
import { run } from '../../harness/command.ts';
import type { Check } from './check.ts';
import { EFFORT, Random, SEED } from './random.ts';
import { check, same, sleep, until, type World } from './world.ts';

const FUZZ_MS = 5000 * EFFORT;
const CONNECTIONS = 10_000;
const SLEEP = ['/bin/sleep', '1000'];

function frame(text: string): Buffer {
  const body = Buffer.from(text, 'latin1');
  const header = Buffer.alloc(4);
  header.writeUInt32LE(body.length);
  return Buffer.concat([header, body]);
}

const VALUES = [
  0,
  1,
  -1,
  2 ** 31,
  2 ** 53,
  1.5,
  '',
  'a',
  'x',
  '../..',
  null,
  true,
  false,
  [],
  [0],
  [1e9],
  {},
  { args: [] },
  { args: ['/bin/true'], cwd: '/' },
  'a'.repeat(5000),
  { process: {} },
];
// Those that end the container by right are left out.
const METHOD_NAMES = [
  ...Object.keys(METHODS).filter((m) => m !== 'destroy'),
  'nothing',
  '__proto__',
  'toString',
];

function randomRequest(random: Random): string {
  const method = random.pick(METHOD_NAMES);
  const fields = Object.keys((METHODS as Record<string, object>)[method] ?? { cid: '' });
  const params: Record<string, unknown> = {};
  for (const field of fields) {
    if (random.below(10) === 0) continue;
    if (field === 'cid' && random.below(3) > 0) params[field] = 'a';
    else if (field === 'signo') params[field] = random.pick([0, 0, 65, -1, 'x', 1e9]);
    else params[field] = random.pick(VALUES);
  }
  if (random.below(8) === 0) params['more'] = random.pick(VALUES);
  const id = random.below(10) > 0 ? random.below(1000) : random.pick(VALUES);
  return JSON.stringify({
    id,
    method,
    params: random.below(20) > 0 ? params : random.pick(VALUES),
  });
}

function randomBytes(random: Random): Buffer {
  switch (random.below(8)) {
    case 0:
      return Buffer.from(Array.from({ length: random.below(300) }, () => random.below(256)));
    case 1: {
      const whole = frame(randomRequest(random));
      whole[random.below(whole.length)] = random.below(256);
      return whole;
    }
    case 2: {
      const whole = frame(randomRequest(random));
      return whole.subarray(0, random.below(whole.length + 1));
    }
    case 3:
      return frame(
        random.pick([
          '',
          '{}',
          '[]',
          'null',
          '1',
          '"x"',
          '['.repeat(100_000),
          '{"id":1e999}',
          '{"id":1,"method":"state","params":{"cid":"a"}'.repeat(3),
        ]),
      );
    case 4: {
      const huge = Buffer.alloc(4 + random.below(70_000), '{');
      huge.writeUInt32LE(random.pick([0xffffffff, 0x7fffffff, 4 * 2 ** 20, 4 * 2 ** 20 + 1]));
      return huge;
    }
    default:
      return frame(randomRequest(random));
  }
}

/** Writes `bytes` to the socket and waits a moment for the answers. */
function throwAt(socket: string, bytes: readonly Buffer[], ms: number): Promise<void> {
  return new Promise((resolve) => {
    const c = net.connect(socket);
    const done = () => {
      c.destroy();
      resolve();
    };
    c.on('error', done);
    c.on('close', done);
    c.on('data', () => {});
    for (const chunk of bytes) c.write(chunk);
    setTimeout(done, ms);
  });
}

async function garbage(w: World): Promise<void> {
  await w.running('a', SLEEP);
  const socket = path.join(w.state, 'a/control.sock');
  const random = new Random(SEED);
  const end = Date.now() + FUZZ_MS;
  let round = 0;
  while (Date.now() < end) {
    const batch = Array.from({ length: 8 }, () =>
      throwAt(
        socket,
        Array.from({ length: 1 + random.below(4) }, () => randomBytes(random)),
        20,
      ),
    );
    await Promise.all(batch);
    if (++round % 20 === 0)
      same([round, await w.status('a').catch(String)], [round, await eventually(w)]);
  }
  await w.runsc(['resume', 'a']);
  same(await w.status('a'), 'running');
  same(await w.ok('exec', 'a', '/bin/echo', 'well'), 'well\n');
}

/** Random requests may pause it, which is their right. */
async function eventually(w: World): Promise<string> {
  const status = await w.status('a');
  return status === 'paused' ? status : 'running';
}

async function manyConnections(w: World): Promise<void> {
  await w.running('a', SLEEP);
  const script = `
import socket, sys, time
held = []
for i in range(int(sys.argv[2])):
  s = socket.socket(socket.AF_UNIX)
  s.connect(sys.argv[1])
  if i % 20 == 0 and len(held) < 500: held.append(s)
  else: s.close()
`;
  const socket = path.join(w.state, 'a/control.sock');
  const before = await w.ok('exec', 'a', '/bin/echo', 'well');
  const ended = await run(['python3', '-c', script, socket, String(CONNECTIONS)], {
    timeoutMs: 60_000,
  });
  same([ended.status, ended.stderr], [0, '']);
  same(await w.ok('exec', 'a', '/bin/echo', 'well'), before);
  same(await w.status('a'), 'running');
}

/** As many connections at once as one process may have: others must still get through. */
async function heldConnections(w: World): Promise<void> {
  await w.running('a', SLEEP);
  const script = `
import resource, socket, sys, time
most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
held = []
try:
  while len(held) < 30000:
    s = socket.socket(socket.AF_UNIX); s.settimeout(2); s.connect(sys.argv[1]); held.append(s)
except OSError as e: print(e)
print(len(held), flush=True)
sys.stdin.read()
`;
  const holder = run([
    'sh',
    '-c',
    `sleep 4 | python3 -c '${script}' "$0"`,
    path.join(w.state, 'a/control.sock'),
  ]);
  await sleep(2500);
  same(await w.status('a'), 'running');
  same(await w.ok('exec', 'a', '/bin/echo', 'well'), 'well\n');
  await holder;
}

/** A client that asks and asks and never reads must not hold up the sandbox for long. */
async function slowClient(w: World): Promise<void> {
  const count = 'i=0; while :; do i=$((i+1)); echo $i > /tmp/count; sleep 0.01; done';
  await w.running('a', ['/bin/sh', '-c', count]);
  const asked = frame(JSON.stringify({ id: 1, method: 'processes', params: { cid: 'a' } }));
  const c = net.connect(path.join(w.state, 'a/control.sock'));
  c.on('error', () => {});
  c.pause();
  for (let i = 0; i < 20_000; i++) c.write(asked);
  await sleep(300);
  const started = Date.now();
  const answer = await w.runsc(['exec', 'a', '/bin/cat', '/tmp/count']);
  const took = Date.now() - started;
  c.destroy();
  check(answer.status === 0 && took < 2000, `${answer.status} after ${took} ms: ${answer.stderr}`);
}

/** Requests with descriptors that are too many, too few, or of the wrong kind. */
async function descriptors(w: World): Promise<void> {
  await w.running('a', SLEEP);
  const script = `
import array, json, os, socket, struct, sys
def ask(method, params, fds, copies=1):
  s = socket.socket(socket.AF_UNIX); s.settimeout(5); s.connect(sys.argv[1])
  text = json.dumps({'id': 7, 'method': method, 'params': params}).encode()
  s.sendmsg([struct.pack('<I', len(text)) + text], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', fds))] * (1 if fds else 0))
  data = b''
  try:
    while len(data) < 4: data += s.recv(4096) or 1 / 0
    print(data[4:].decode())
  except (ZeroDivisionError, OSError) as e: print('closed')
null = os.open('/dev/null', os.O_RDWR)
epoll = __import__('select').epoll().fileno()
directory = os.open('/', os.O_RDONLY)
execute = {'cid': 'a', 'process': {'args': ['/bin/true'], 'cwd': '/'}, 'killOnClose': False}
for n in (0, 1, 2, 4, 100, 253): ask('exec', execute, [null] * n)
for n in (1, 3, 253): ask('state', {'cid': 'a'}, [null] * n)
ask('exec', execute, [epoll] * 3)
ask('exec', execute, [directory] * 3)
bad = [{}, {'args': []}, {'args': 5}, {'args': [None], 'cwd': '/'}, {'args': ['/bin/true']}, {'args': ['/bin/true'], 'cwd': 5},
  {'args': ['/bin/true'], 'cwd': '/', 'env': 5}, {'args': ['/bin/true'], 'cwd': '/', 'env': [5]}, {'args': ['/bin/true'], 'cwd': '/', 'user': 5},
  {'args': ['/bin/true'], 'cwd': '/', 'user': {'uid': 'x', 'gid': -1}}, {'args': ['/bin/true'], 'cwd': '/', 'rlimits': [5]},
  {'args': ['/bin/true'], 'cwd': '/', 'rlimits': [{'type': 'RLIMIT_NOFILE', 'soft': 'x', 'hard': None}]}, {'args': ['/bin/true'], 'cwd': '/', 'capabilities': {'effective': 5}},
  {'args': ['/bin/true'], 'cwd': '/', 'user': {'uid': 0, 'gid': 0, 'additionalGids': 'abc', 'umask': 'x'}}]
for process in bad: ask('exec', {'cid': 'a', 'process': process, 'killOnClose': False}, [null] * 3)
for spec in ({}, {'process': {}}, {'root': 5, 'process': {'args': ['x'], 'cwd': '/'}}, {'mounts': 5, 'root': {'path': '/'}, 'process': {'args': ['/x'], 'cwd': '/'}}):
  ask('create', {'cid': 'b', 'spec': spec, 'bundle': '/', 'goferMounts': [], 'consoleIsControlling': False}, [null] * 4)
`;
  const socket = path.join(w.state, 'a/control.sock');
  const asked = await run(['python3', '-c', script, socket]);
  same([asked.status, asked.stderr], [0, '']);
  check(/exec: 4 descriptors, want 3 to 3/.test(asked.stdout), asked.stdout);
  check(!/internal|TypeError|undefined/.test(asked.stdout), asked.stdout);
  await until('running', async () => (await w.status('a')) === 'running');
  same(await w.ok('exec', 'a', '/bin/echo', 'well'), 'well\n');
}

export const CONTROL: readonly Check[] = [
  { name: 'garbage on the control socket', body: garbage },
  { name: 'descriptors on the control socket', body: descriptors },
  { name: '10,000 fast connections', body: manyConnections },
  { name: 'connections held open', body: heldConnections },
  { name: 'a client that never reads', body: slowClient },
];
