/** The real gofer process: what it can still see and do after it shut itself in. */
import * as nodeFs from 'node:fs';
import * as path from 'node:path';
import { expect, test } from 'vitest';
import * as fs from '../native/fs.ts';
import { recv, sendWithFds } from '../native/socket.ts';
import { Client } from '../sentry/fsimpl/gofer/client.ts';
import { encodeToBytes } from '../spec/p9/codec.ts';
import { P9_RDWR } from '../spec/p9/constants.ts';
import { startGofer, treeOfTest } from '../test/harness/gofer.ts';

const asRoot = process.getuid?.() === 0;

test.runIf(asRoot)('serves, confined, until its clients are gone', async () => {
  const trees = [treeOfTest(), treeOfTest()];
  nodeFs.writeFileSync(path.join(trees[0]!, 'f'), 'rootfs');
  nodeFs.writeFileSync(path.join(trees[1]!, 'single'), 'bound');
  const sources = [trees[0]!, path.join(trees[1]!, 'single')];
  const gofer = startGofer('main', sources);
  const clients = gofer.fds.map((fd) => Client.connect(fd) as Client);
  const roots = clients.map((c) => c.attach() as Exclude<ReturnType<Client['attach']>, number>);

  const walked = clients[0]!.walkGetattr(roots[0]!.fid, ['f']);
  if (typeof walked === 'number') throw new Error(`errno ${-walked}`);
  const opened = clients[0]!.open(walked.fid, P9_RDWR);
  if (typeof opened === 'number') throw new Error(`errno ${-opened}`);
  const bytes = new Uint8Array(16);
  expect(fs.pread(opened.hostFd, bytes, 0)).toBe(6);
  const how = { mode: 0o600, uid: 7, gid: 8 };
  expect(clients[0]!.mkdir(roots[0]!.fid, 'd', how)).toMatchObject({ attr: { uid: 7, gid: 8 } });
  expect(clients[0]!.link(roots[0]!.fid, 'g', walked.fid)).toBe(0);
  const single = clients[1]!.open(roots[1]!.fid, P9_RDWR);
  if (typeof single === 'number') throw new Error(`errno ${-single}`);
  expect(fs.pread(single.hostFd, bytes, 0)).toBe(5);

  const proc = `/proc/${gofer.pid()}`;
  expect(nodeFs.readdirSync(`${proc}/root`).sort()).toEqual(['mounts', 'proc', 'root']);
  expect(nodeFs.readdirSync(`${proc}/root/proc/self`)).toEqual(['fd']);
  const mounts = nodeFs.readFileSync(`${proc}/mounts`, 'utf8').trim().split('\n');
  expect(mounts.map((m) => m.split(' ')[1]).sort()).toEqual([
    '/',
    '/mounts/1',
    '/proc/self/fd',
    '/root',
  ]);
  const status = nodeFs.readFileSync(`${proc}/status`, 'utf8');
  expect(/CapEff:\t(\w+)/.exec(status)![1]).toBe('000000000000001f');
  expect(/CapPrm:\t(\w+)/.exec(status)![1]).toBe('000000000000001f');
  expect(/CapBnd:\t(\w+)/.exec(status)![1]).toBe('000000000000001f');
  expect(/NoNewPrivs:\t(\d)/.exec(status)![1]).toBe('1');
  // A donated descriptor is closed after its reply was sent: the next reply comes after that.
  expect(clients[1]!.getattr(roots[1]!.fid)).toMatchObject({ size: 5 });
  const kinds = nodeFs
    .readdirSync(`${proc}/fd`)
    .map((fd) => nodeFs.readlinkSync(`${proc}/fd/${fd}`));
  // Sockets, the served roots, standard streams, and what Node's own event loop cannot do without.
  const anonymous = kinds.filter((k) => k.startsWith('anon_inode')).sort();
  expect(new Set(anonymous).size).toBe(anonymous.length);
  // One of them may be the standard error that the test runner gave us.
  expect(kinds.filter((k) => k.startsWith('socket:')).length).toBeLessThanOrEqual(3);
  expect(kinds.length).toBeLessThan(16);

  clients[0]!.close();
  expect(clients[1]!.getattr(roots[1]!.fid)).toMatchObject({ size: 5 });
  clients[1]!.close();
  expect(await gofer.ended).toBe(0);
});

test.runIf(asRoot)('read-only mounts are read-only to the host too', async () => {
  const tree = treeOfTest();
  nodeFs.writeFileSync(path.join(tree, 'f'), '');
  const gofer = startGofer('main-ro', [tree]);
  const client = Client.connect(gofer.fds[0]!) as Client;
  expect(client.attach()).toBeTypeOf('object');
  const mounts = nodeFs.readFileSync(`/proc/${gofer.pid()}/mounts`, 'utf8');
  expect(/ \/root \S+ (\S+)/.exec(mounts)![1]).toMatch(/^ro,nosuid,nodev/);
  client.close();
  expect(await gofer.ended).toBe(0);
});

test('descriptors that a client sends are not kept', async () => {
  const gofer = startGofer('main', [treeOfTest()]);
  const client = Client.connect(gofer.fds[0]!) as Client;
  const root = client.attach();
  if (typeof root === 'number') throw new Error(`errno ${-root}`);
  const held = (): number => nodeFs.readdirSync(`/proc/${gofer.pid()}/fd`).length;
  expect(client.getattr(root.fid)).toBeTypeOf('object');
  const before = held();
  const message = encodeToBytes('Tgetattr', 1, { fid: 99, mask: 0 }, 64)!;
  const mine = nodeFs.openSync(import.meta.filename, 'r');
  for (let i = 0; i < 50; i++) {
    expect(sendWithFds(gofer.fds[0]!, message, Array(10).fill(mine))).toBe(message.length);
    expect(recv(gofer.fds[0]!, new Uint8Array(64))).toBe(11);
  }
  nodeFs.closeSync(mine);
  // The last of them are closed by the time the next message is answered.
  expect(client.getattr(root.fid)).toBeTypeOf('object');
  expect(held()).toBe(before);
  client.close();
  expect(await gofer.ended).toBe(0);
});

test('a source that is not there fails only its own mount', async () => {
  const gofer = startGofer('main', [treeOfTest(), '/does/not/exist']);
  const client = Client.connect(gofer.fds[0]!) as Client;
  expect(client.attach()).toBeTypeOf('object');
  expect(Client.connect(gofer.fds[1]!)).toBeTypeOf('number');
  client.close();
  expect(await gofer.ended).toBe(0);
});
