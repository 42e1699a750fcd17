/**
 * `--host-uds`: a unix socket between a process of the host and one in a sandbox is what it is between two
 * processes of the host, and without the flag it is nothing.
 */
import * as fs from 'node:fs';
import * as net from 'node:net';
import * as path from 'node:path';
import { bind, bothSides } from './both_sides.ts';
import type { Check } from './check.ts';
import { type Change, check, same, type World } from './world.ts';

const TYPES = ['stream', 'seqpacket', 'dgram'];
const { onHost, inside } = bothSides('bin/host_socket');

/** What both ends print. */
interface Talk {
  readonly server: string;
  readonly client: string;
}

function volume(w: World, name: string): string {
  const directory = w.file(name);
  fs.mkdirSync(directory);
  return directory;
}

async function both(server: Promise<string>, client: Promise<string>): Promise<Talk> {
  const [a, b] = await Promise.all([server, client]);
  return { server: a, client: b };
}

async function native(w: World, type: string): Promise<Talk> {
  const at = path.join(volume(w, `native-${type}`), 's');
  return await both(onHost(w, 'serve', type, at), onHost(w, 'ask', type, at));
}

async function talks(w: World, type: string): Promise<void> {
  const expected = await native(w, type);
  check(/^(echoed|message)/.test(expected.server), `the host itself: ${expected.server}`);
  const v = volume(w, 'v');
  w.flags = ['--host-uds=open'];
  const host = onHost(w, 'serve', type, path.join(v, 's'));
  same(await both(host, inside(w, bind(v), 'ask', type, '/data/v/s')), expected);
  w.flags = ['--host-uds=create'];
  const guest = inside(w, bind(v), 'serve', type, '/data/v/t');
  const client = onHost(w, 'ask', type, path.join(v, 't'));
  const seen = await both(guest, client);
  same(seen, { ...expected, client: expected.client.replace('/s', '/t') });
  w.flags = ['--host-uds=all'];
  const pair = `host_socket serve ${type} /data/v/u > /data/out & host_socket ask ${type} /data/v/u; wait; cat /data/out`;
  const within = await w.script(pair, bind(v));
  same(within.stdout, `${expected.client.replace('/s', '/u')}${expected.server}`);
}

/** A listener of the host at `at`, for as long as `body` takes: how many came. */
async function withListener(at: string, body: () => Promise<void>): Promise<number> {
  let count = 0;
  const server = net.createServer((socket) => {
    count++;
    socket.on('error', () => undefined);
    socket.end();
  });
  await new Promise<void>((listening) => server.listen(at, listening));
  fs.chmodSync(at, 0o777);
  try {
    await body();
  } finally {
    await new Promise((closed) => server.close(closed));
  }
  return count;
}

/** Who may connect and make what, by flag. */
async function modes(w: World): Promise<void> {
  const v = volume(w, 'v');
  const at = path.join(v, 's');
  const tried = async (change: Change = bind(v), file = '/data/v/s') =>
    (await inside(w, change, 'try', 'stream', file)).trim();
  const made = async () => {
    const server = inside(w, bind(v), 'serve', 'stream', '/data/v/made');
    for (let i = 0; i < 500 && !fs.existsSync(path.join(v, 'made')); i++) await pause();
    const answer = await onHost(w, 'try', 'stream', path.join(v, 'made'));
    if (answer !== 'connected\n') await w.leftovers();
    await server;
    fs.rmSync(path.join(v, 'made'));
    return answer.trim();
  };
  const came = await withListener(at, async () => {
    for (const [mode, open, create] of [
      ['none', false, false],
      ['open', true, false],
      ['create', false, true],
      ['all', true, true],
    ] as const) {
      w.flags = [`--host-uds=${mode}`];
      const answers = [mode, await tried(), await made()];
      const word = (works: boolean) => (works ? 'connected' : 'Connection refused');
      same(answers, [mode, word(open), word(create)]);
    }
    w.flags = ['--host-uds=open'];
    same(await tried(bind(at), '/data/v'), 'connected');
    same(await tried(bind(v, 'ro')), 'connected');
    same((await inside(w, bind(v), 'rights', '/data/v/s')).trim(), 'Operation not supported');
    w.flags = ['--host-uds=open', '--overlay2=all:memory'];
    same(await tried(), 'connected');
    const asUser: Change = (c) => {
      bind(v)(c);
      c.process.user = { uid: 7, gid: 8 };
    };
    same(await tried(asUser), 'connected');
    fs.chmodSync(at, 0o700);
    same(await tried(asUser), 'Permission denied');
    w.flags = ['--host-uds=all'];
    const refused = await inside(w, bind(v, 'ro'), 'serve', 'stream', '/data/v/x');
    same(refused, 'bind: Read-only file system\n');
    same(
      await inside(w, bind(v), 'serve', 'stream', '/data/v/s'),
      'bind: Address already in use\n',
    );
  });
  same(came, 7);
}

const pause = () => new Promise<void>((resolve) => setTimeout(resolve, 10));

export const HOST_SOCKETS: readonly Check[] = [
  ...TYPES.map((type) => ({
    name: `--host-uds: a ${type} socket between host and sandbox`,
    body: (w: World) => talks(w, type),
  })),
  { name: '--host-uds: none, open, create, all', body: modes },
];
