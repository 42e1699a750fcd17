/**
 * `--host-fifo=open`: a fifo between a process of the host and one in a sandbox is what it is between two
 * processes of the host. Without the flag the sandbox has one of its own in its place.
 */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { must } from '../../harness/command.ts';
import { bind, bothSides } from './both_sides.ts';
import type { Check } from './check.ts';
import { type Change, check, same, type World } from './world.ts';

const { onHost, inside } = bothSides('bin/host_fifo');
/** How the reader and the writer are opened. */
const ORDERS = [
  ['early', 'late'],
  ['late', 'early'],
] as const;

/** A volume with fifo `f`, which everybody may use. */
async function volume(w: World, name: string): Promise<string> {
  const directory = w.file(name);
  fs.mkdirSync(directory);
  await must(['mkfifo', '-m', '666', path.join(directory, 'f')]);
  fs.chmodSync(directory, 0o777);
  return directory;
}

/** Both directions, both orders of opening, two writers one after the other, and the end of the reader. */
async function talks(w: World): Promise<void> {
  w.flags = ['--host-fifo=open'];
  for (const [reads, writes] of ORDERS) {
    const v = await volume(w, `v-${reads}`);
    const file = path.join(v, 'f');
    const pair = async (reader: Promise<string>, writer: Promise<string>) => {
      const said = await Promise.all([reader, writer]);
      fs.rmSync(`${file}.early`);
      return said;
    };
    const host = ['read', 'write'].map((end, i) => () => onHost(w, end, [reads, writes][i]!, file));
    const guest = ['read', 'write'].map(
      (end, i) => () => inside(w, bind(v), end, [reads, writes][i]!, '/data/v/f'),
    );
    const expected = await pair(host[0]!(), host[1]!());
    check(/got 1048576, 0 wrong/.test(expected[0]), `the host itself: ${expected}`);
    check(/^waited 1/m.test(expected.join('')), `nobody waited: ${expected}`);
    same(await pair(guest[0]!(), host[1]!()), expected);
    same(await pair(host[0]!(), guest[1]!()), expected);
    same(await pair(guest[0]!(), guest[1]!()), expected);
  }
}

/** All ends in one process: not blocking, poll, signals while opening, a full pipe. */
async function alone(w: World): Promise<void> {
  const v = await volume(w, 'v');
  const expected = await onHost(w, 'alone', path.join(v, 'f'));
  check(/a silent writer: 1, read 5, end 0\n$/.test(expected), `the host itself: ${expected}`);
  const seen = async (change: Change, at: string) => await inside(w, change, 'alone', at);
  const own = await ownFifo(w);
  same(await seen(() => undefined, '/data/own-fifo'), expected);
  fs.rmSync(own);
  w.flags = ['--host-fifo=open'];
  same(await seen(bind(v), '/data/v/f'), expected);
  same(await seen(bind(path.join(v, 'f')), '/data/v'), expected);
}

/** A fifo in the root file system: its path on the host. */
async function ownFifo(w: World): Promise<string> {
  const file = path.join(w.rootfs, 'data/own-fifo');
  fs.rmSync(file, { force: true });
  await must(['mkfifo', '-m', '666', file]);
  return file;
}

/** Who may open what, by flag, mount and user: one byte of the host is in the pipe. */
async function modes(w: World): Promise<void> {
  const v = await volume(w, 'v');
  const file = path.join(v, 'f');
  const host = fs.openSync(file, fs.constants.O_RDWR | fs.constants.O_NONBLOCK);
  const tried = async (access: number, change: Change = bind(v), at = '/data/v/f') => {
    fs.writeSync(host, 'x');
    const said = (await inside(w, change, 'try', `${access}`, at)).trim();
    const left = Buffer.alloc(100);
    return `${said}, left ${left.toString('latin1', 0, fs.readSync(host, left))}`;
  };
  const [read, write, both] = [0, 1, 2];
  same(await tried(read), 'read 0, left x');
  same(await tried(write), 'open: No such device or address, left x');
  same(await tried(both), 'read -1, left x');
  w.flags = ['--host-fifo=open'];
  fs.writeSync(host, 'z');
  same(await tried(read), 'read 1, left x');
  same(await tried(write), 'write 1, left xy');
  fs.writeSync(host, 'z');
  same(await tried(both), 'read 1, left x');
  const readonly = bind(v, 'ro');
  fs.writeSync(host, 'z');
  same(await tried(read, readonly), 'read 1, left x');
  same(await tried(write, readonly), 'open: Read-only file system, left x');
  const asUser: Change = (c) => {
    bind(v)(c);
    c.process.user = { uid: 7, gid: 8 };
  };
  same(await tried(write, asUser), 'write 1, left xy');
  fs.chmodSync(file, 0o600);
  same(await tried(write, asUser), 'open: Permission denied, left x');
  w.flags = ['--host-fifo=open', '--overlay2=all:memory'];
  fs.writeSync(host, 'z');
  same(await tried(read), 'read 1, left x');
  same(await tried(write), 'open: Read-only file system, left x');
  const made = 'mkfifo /data/v/g && (echo mine > /data/v/g & cat /data/v/g)';
  same((await w.script(made, bind(v))).stdout, 'mine\n');
  check(!fs.existsSync(path.join(v, 'g')), 'the fifo of the overlay is on the host');
  fs.closeSync(host);
}

export const HOST_FIFOS: readonly Check[] = [
  { name: '--host-fifo: a fifo between host and sandbox', body: talks },
  { name: '--host-fifo: all ends in one process', body: alone },
  { name: '--host-fifo: none, open', body: modes },
];
