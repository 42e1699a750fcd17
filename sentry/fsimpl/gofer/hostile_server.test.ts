/** Servers that lie: whatever they send, calls end in -EIO, and no descriptor is left behind. */
import * as nodeFs from 'node:fs';
import { describe, expect, test } from 'vitest';
import * as fs from '../../../native/fs.ts';
import { limitWaits, sendWithFds, shutdown, socketpair } from '../../../native/socket.ts';
import * as errno from '../../../spec/linux/errno.ts';
import { SHUT_WR, SOCK_CLOEXEC, SOCK_STREAM } from '../../../spec/linux/socket.ts';
import { encodeToBytes } from '../../../spec/p9/codec.ts';
import * as p9 from '../../../spec/p9/constants.ts';
import { Encoder } from '../../../spec/p9/encoder.ts';
import type { P9Attr } from '../../../spec/p9/messages.ts';
import { Client } from './client.ts';

const ATTR: P9Attr = {
  valid: p9.GETATTR_ALL,
  qid: { type: 0, version: 0, path: 5 },
  mode: 0o100644,
  uid: 0,
  gid: 0,
  nlink: 1,
  rdev: 0,
  size: 2 ** 60,
  blksize: 0,
  blocks: 0,
  atimeSec: 0,
  atimeNsec: 0,
  mtimeSec: 0,
  mtimeNsec: 0,
  ctimeSec: 0,
  ctimeNsec: 0,
  btimeSec: 0,
  btimeNsec: 0,
  gen: 0,
  dataVersion: 0,
};
/** The data of an Rwalkgetattr: `count` attributes, and `more` bytes. */
function attrs(count: number, more = 0): Uint8Array {
  const e = new Encoder(new Uint8Array(500));
  for (let i = 0; i < count; i++) e.attr(ATTR);
  return e.bytes.subarray(0, e.pos + more);
}

const HOW = { mode: 0o640, uid: 1234, gid: 4321 };

function ok<T>(value: T | number): T {
  if (typeof value === 'number' && value < 0) throw new Error(`errno ${-value}`);
  return value as T;
}

describe('a hostile server', () => {
  const reply = (...messages: (Uint8Array | null)[]): Client | number => {
    const pair = socketpair(SOCK_STREAM | SOCK_CLOEXEC);
    if (typeof pair === 'number') throw new Error('socketpair');
    for (const m of messages) fs.write(pair[1], m!);
    shutdown(pair[1], SHUT_WR);
    return Client.connect(pair[0]);
  };
  const version = { msize: 65536, version: p9.VERSION_RUNSC };
  const hello = encodeToBytes('Rversion', p9.NOTAG, version, 100);

  test('that does not answer is waited for, and named', () => {
    const pair = socketpair(SOCK_STREAM | SOCK_CLOEXEC);
    if (typeof pair === 'number') throw new Error('socketpair');
    expect(limitWaits(pair[0], 1)).toBe(0);
    fs.write(pair[1], hello!);
    const client = ok(Client.connect(pair[0]));
    const told: (string | null)[] = [];
    client.slow = (request) => {
      told.push(request);
      if (request !== null) fs.write(pair[1], encodeToBytes('Rlerror', 1, { ecode: 2 }, 100)!);
    };
    expect(client.readlink(1)).toBe(-errno.ENOENT);
    expect(told).toEqual(['Treadlink', null]);
    fs.close(pair[1]);
  });

  test('cannot be connected to when it talks nonsense', () => {
    const huge = encodeToBytes('Rversion', p9.NOTAG, { ...version, msize: 2 ** 31 }, 100);
    expect(reply(huge)).toBe(-errno.EPROTO);
    expect(reply(Uint8Array.of(255, 255, 255, 255, 1, 2, 3))).toBe(-errno.EPROTO);
    expect(reply(encodeToBytes('Rversion', 5, version, 100))).toBe(-errno.EPROTO);
    expect(reply(Uint8Array.of())).toBe(-errno.EPROTO);
  });

  test('sending mutated replies and strange descriptors does no harm', () => {
    let seed = 977;
    const random = (n: number): number => {
      seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
      return Math.floor((seed / 2 ** 32) * n);
    };
    const strange = [
      nodeFs.openSync('/dev/null', 'r+'),
      nodeFs.openSync('/', nodeFs.constants.O_DIRECTORY),
      nodeFs.openSync(import.meta.filename, 'r'),
      fs.memfdCreate('x', 0),
    ];
    const before = nodeFs.readdirSync('/proc/self/fd').length;
    const qid = { type: 0, version: 0, path: 5 };
    const replies = (tag: number): (Uint8Array | null)[] => [
      encodeToBytes('Rlopen', tag, { qid, iounit: random(2) * p9.IOUNIT_FD_DONATED }, 500),
      encodeToBytes('Rwalk', tag, { qids: random(2) ? [] : [qid] }, 500),
      encodeToBytes('Rgetattr', tag, { attr: ATTR }, 500),
      encodeToBytes(
        'Rwalkgetattr',
        tag,
        { ecode: random(3), data: attrs(random(3), random(2)), target: random(2) ? '' : 'x' },
        500,
      ),
      encodeToBytes(
        'Rreaddirplus',
        tag,
        { next: random(3), data: new Uint8Array(random(200)) },
        500,
      ),
      encodeToBytes('Rread', tag, { data: new Uint8Array(random(99)) }, 500),
      encodeToBytes('Rlerror', tag, { ecode: random(5000) }, 500),
      encodeToBytes('Rclunk', tag, {}, 500),
      encodeToBytes('Rattach', tag, { qid }, 500),
    ];
    const deadline = Date.now() + 3000;
    let rounds = 0;
    while (Date.now() < deadline) {
      rounds++;
      const pair = socketpair(SOCK_STREAM | SOCK_CLOEXEC);
      if (typeof pair === 'number') throw new Error('socketpair');
      fs.write(pair[1], hello!);
      for (let tag = 1; tag < 40; tag++) {
        const choice = replies(tag);
        const bytes = choice[random(choice.length)]!;
        if (random(3) === 0) bytes[4 + random(bytes.length - 4)] = random(256);
        const fds = random(3) === 0 ? [strange[random(strange.length)]!] : [];
        sendWithFds(pair[1], bytes, fds);
      }
      shutdown(pair[1], SHUT_WR);
      const client = Client.connect(pair[0]);
      if (typeof client === 'number') throw new Error('hello');
      const calls = [
        () => client.attach(),
        () => client.open(1, p9.P9_RDWR),
        () => client.open(1, 0),
        () => client.walkGetattr(1, ['a']),
        () => client.readdirPlus(1),
        () => client.read(1, new Uint8Array(50), 0),
        () => client.getXattr(1, 'user.a'),
        () => client.create(1, 'x', p9.P9_RDWR, HOW),
        () => client.setXattr(1, 'user.a', new Uint8Array(3), 0),
        () => client.readlink(1),
        () => client.clunk(1),
        () => client.statfs(1),
      ];
      while (!client.isDead) {
        const r: unknown = calls[random(calls.length)]!();
        const { hostFd } = (typeof r === 'object' ? r : {}) as { hostFd?: number };
        if (hostFd !== undefined && hostFd >= 0) fs.close(hostFd);
      }
      fs.close(pair[1]);
    }
    expect(rounds).toBeGreaterThan(50);
    expect(nodeFs.readdirSync('/proc/self/fd').length).toBe(before);
    for (const fd of strange) fs.close(fd);
  });

  test('that contradicts itself is cut off', () => {
    const qid = { type: 0, version: 0, path: 0 };
    const hostile = [
      encodeToBytes('Rclunk', 1, {}, 100),
      encodeToBytes('Rattach', 999, { qid }, 100),
      encodeToBytes('Rlopen', 1, { qid, iounit: p9.IOUNIT_FD_DONATED }, 100),
      Uint8Array.of(3, 0, 0, 0, 105, 1, 0),
    ];
    for (const message of hostile) {
      const client = ok(reply(hello, message)) as Client;
      expect(client.attach()).toBe(-errno.EIO);
      expect(client.isDead).toBe(true);
    }
    const zero = encodeToBytes('Rlerror', 1, { ecode: 0 }, 100);
    expect((ok(reply(hello, zero)) as Client).attach()).toBe(-errno.EIO);
  });
});
