/** Unix sockets as state machines: connections, messages, descriptors under way, readiness. */
import { expect, test } from 'vitest';
import {
  EADDRINUSE,
  EAGAIN,
  ECONNREFUSED,
  ECONNRESET,
  EINVAL,
  EISCONN,
  EMSGSIZE,
  ENOTCONN,
  EPERM,
  EPIPE,
  EPROTOTYPE,
  ETOOMANYREFS,
} from '../../../spec/linux/errno.ts';
import { POLLERR, POLLHUP, POLLIN, POLLOUT, POLLRDHUP } from '../../../spec/linux/poll.ts';
import {
  MSG_DONTWAIT,
  MSG_PEEK,
  MSG_TRUNC,
  SHUT_RD,
  SHUT_WR,
  SO_PASSCRED,
  SO_SNDBUF,
  SOCK_DGRAM,
  SOCK_SEQPACKET,
  SOCK_STREAM,
} from '../../../spec/linux/socket.ts';
import { Waiter } from '../../base/wait_queue.ts';
import { parseOptions } from '../../fsimpl/tmpfs/options.ts';
import { Tmpfs } from '../../fsimpl/tmpfs/tmpfs.ts';
import type { Task } from '../../kernel/task.ts';
import { IoBuffer } from '../../mm/io_buffer.ts';
import type { OpenFile } from '../../vfs/open_file.ts';
import { FakeFiles, fakeClock, fakeMemory, USER } from '../../vfs/operations/fake_files.ts';
import { Incoming, PLAIN_SEND, type Socket } from '../socket.ts';
import { encodeUnixAddress } from './unix_address.ts';
import { unixFamily } from './unix_family.ts';

/** A process in a container of its own. */
class FakeProcess {
  readonly task: Task;
  private readonly files: FakeFiles;

  constructor(descriptorLimit = 1024) {
    const options = parseOptions('mode=777', 2 ** 20);
    if (typeof options === 'number') throw new Error('options');
    const clock = fakeClock();
    const parts = { memory: fakeMemory(2 ** 20), clock, devMajor: 0, devMinor: 40 };
    this.files = new FakeFiles(new Tmpfs(parts, options));
    const kernel = { clock, vfs: this.files.vfs };
    this.task = {
      ...this.files.caller,
      kernel,
      container: { kernel, unixNames: new Map() },
      pid: 7,
      group: { limits: { soft: () => descriptorLimit } },
    } as unknown as Task;
  }

  socket(type: number): Socket {
    const made = unixFamily.create(this.task, type, 0);
    if (typeof made === 'number') throw new Error(`socket: ${made}`);
    return made;
  }

  pair(type: number): readonly [Socket, Socket] {
    const made = unixFamily.createPair(this.task, type, 0);
    if (typeof made === 'number') throw new Error(`socketpair: ${made}`);
    return made;
  }

  bind(s: Socket, name: string): number {
    return s.bind(this.task, encodeUnixAddress(name));
  }

  connect(s: Socket, name: string): number {
    return s.connect(this.task, encodeUnixAddress(name));
  }

  listener(type: number, name: string, backlog = 5): Socket {
    const s = this.socket(type);
    expect(this.bind(s, name)).toBe(0);
    expect(s.listen(this.task, backlog)).toBe(0);
    return s;
  }

  accept(s: Socket): Socket {
    const made = s.accept(this.task);
    if (typeof made === 'number') throw new Error(`accept: ${made}`);
    return made;
  }

  send(
    s: Socket,
    text: string | number,
    to: string | null = null,
    rights: OpenFile[] = [],
  ): number {
    const bytes = typeof text === 'number' ? new Uint8Array(text) : Buffer.from(text);
    const address = to === null ? null : encodeUnixAddress(to);
    const how = { ...PLAIN_SEND, address, rights: rights.length > 0 ? rights : null };
    const n = s.send(this.task, IoBuffer.over(bytes), how);
    for (const file of how.rights ?? []) file.close();
    return n;
  }

  receive(s: Socket, length = 1000, flags = 0, into = new Incoming()): string | number {
    const bytes = new Uint8Array(length);
    const n = s.receive(this.task, IoBuffer.over(bytes), flags, into);
    return n < 0 ? n : Buffer.from(bytes.subarray(0, Math.min(n, length))).toString();
  }

  as(creds: typeof USER): Task {
    return { ...this.task, creds } as unknown as Task;
  }
}

/** Counts the notifications of a file. */
function counter(file: OpenFile, mask: number): { count: number } {
  const seen = { count: 0 };
  file.waitQueue?.add(
    new Waiter(mask, () => {
      seen.count++;
    }),
  );
  return seen;
}

const ON = new Uint8Array([1, 0, 0, 0]);

test.each([SOCK_STREAM, SOCK_SEQPACKET])('type %i: connect, accept, both ends', (type) => {
  for (const name of ['/server', '\0server']) {
    const p = new FakeProcess();
    const c = p.socket(type);
    expect(c.poll() & (POLLHUP | POLLIN)).toBe(POLLHUP);
    expect(p.connect(c, name)).not.toBe(0);
    const s = p.listener(type, name, 0);
    expect(p.bind(p.socket(type), name)).toBe(-EADDRINUSE);
    expect(s.accept(p.task)).toBe(-EAGAIN);
    const wakes = counter(s, POLLIN);
    expect(p.connect(c, name)).toBe(0);
    expect(p.connect(c, name)).toBe(-EISCONN);
    expect(wakes.count).toBe(1);
    expect(s.poll() & (POLLIN | POLLOUT)).toBe(POLLIN);
    // Sent before anybody accepts.
    expect(p.send(c, 'early')).toBe(5);
    const late = p.socket(type);
    expect(p.connect(late, name)).toBe(-EAGAIN);
    const woken = counter(late, POLLOUT);
    const k = p.accept(s);
    expect(woken.count).toBe(1);
    expect(p.connect(late, name)).toBe(0);
    expect(p.receive(k)).toBe('early');
    expect(p.receive(k)).toBe(-EAGAIN);
    expect(k.localAddress()).toEqual(encodeUnixAddress(name));
    expect(c.peerAddress()).toEqual(encodeUnixAddress(name));
    expect(k.peerCredentials()).toEqual({ pid: 7, uid: 0, gid: 0 });
    s.close();
    // Never accepted: reset.
    expect(late.poll() & (POLLERR | POLLHUP | POLLRDHUP)).toBe(POLLERR | POLLHUP | POLLRDHUP);
    expect(p.receive(late)).toBe(-ECONNRESET);
    expect(p.receive(late)).toBe('');
    expect(p.connect(p.socket(type), name)).toBe(-ECONNREFUSED);
    expect(p.send(k, 'bye')).toBe(3);
    k.close();
    expect(p.receive(c)).toBe('bye');
    expect(p.receive(c)).toBe('');
    expect(p.send(c, 'x')).toBe(-EPIPE);
  }
});

test('names are checked: permissions, types, what is no socket', () => {
  const p = new FakeProcess();
  const s = p.listener(SOCK_STREAM, '/s');
  expect(p.connect(p.socket(SOCK_SEQPACKET), '/s')).toBe(-EPROTOTYPE);
  expect(p.connect(p.socket(SOCK_STREAM), '/')).toBe(-ECONNREFUSED);
  expect(p.bind(s, '/other')).toBe(-EINVAL);
  expect(s.bind(p.task, new Uint8Array([2, 0, 65]))).toBe(-EINVAL);
  expect(s.bind(p.task, new Uint8Array(1))).toBe(-EINVAL);
  const unnamed = p.socket(SOCK_STREAM);
  expect(unnamed.listen(p.task, 1)).toBe(-EINVAL);
  expect(unnamed.bind(p.task, new Uint8Array([1, 0]))).toBe(0);
  expect(unnamed.localAddress()).toHaveLength(8);
  expect(p.receive(p.socket(SOCK_STREAM))).toBe(-EINVAL);
  expect(p.receive(p.socket(SOCK_SEQPACKET))).toBe(-ENOTCONN);
  expect(p.send(p.socket(SOCK_STREAM), 'x')).toBe(-ENOTCONN);
});

test('a stream takes what fits and wakes its writer when a quarter is left', () => {
  const p = new FakeProcess();
  const [a, b] = p.pair(SOCK_STREAM);
  expect(a.options.set(p.task, SO_SNDBUF, new Uint8Array([0, 64, 0, 0]))).toBe(0);
  expect(p.send(a, 100000)).toBe(32768);
  expect(p.send(a, 1)).toBe(-EAGAIN);
  expect(a.poll() & POLLOUT).toBe(0);
  const wakes = counter(a, POLLOUT);
  expect(p.receive(b, 10000)).toHaveLength(10000);
  expect(wakes.count).toBe(0);
  expect(p.receive(b, 20000)).toHaveLength(20000);
  expect(wakes.count).toBe(1);
  expect(a.poll() & POLLOUT).toBe(POLLOUT);
  expect(p.receive(b, 10000, MSG_PEEK)).toHaveLength(2768);
  expect(p.receive(b, 10000)).toHaveLength(2768);
});

test('shutdown goes one way', () => {
  const p = new FakeProcess();
  const [a, b] = p.pair(SOCK_STREAM);
  p.send(a, 'last');
  expect(a.shutdown(SHUT_WR)).toBe(0);
  expect(p.send(a, 'x')).toBe(-EPIPE);
  expect(b.poll() & (POLLIN | POLLRDHUP | POLLHUP)).toBe(POLLIN | POLLRDHUP);
  expect(p.receive(b)).toBe('last');
  expect(p.receive(b)).toBe('');
  expect(p.send(b, 'back')).toBe(4);
  expect(p.receive(a)).toBe('back');
  expect(a.shutdown(SHUT_RD)).toBe(0);
  expect(p.send(b, 'x')).toBe(-EPIPE);
  expect(a.shutdown(3)).toBe(-EINVAL);
});

test('unread bytes at the end are a reset', () => {
  const p = new FakeProcess();
  const [a, b] = p.pair(SOCK_STREAM);
  p.send(a, 'unread');
  b.close();
  expect(p.receive(a)).toBe(-ECONNRESET);
  expect(a.takeError()).toBe(0);
});

test('datagrams: bounds, truncation, peers that come and go', () => {
  const p = new FakeProcess();
  const s = p.socket(SOCK_DGRAM);
  p.bind(s, '/d');
  const c = p.socket(SOCK_DGRAM);
  expect(p.send(c, 'x')).toBe(-ENOTCONN);
  for (let i = 0; i < 11; i++) expect(p.send(c, `m${i}`, '/d')).toBe(i < 10 ? 2 : 3);
  expect(p.send(c, 'full', '/d')).toBe(-EAGAIN);
  expect(p.connect(c, '/d')).toBe(0);
  expect(c.poll() & POLLOUT).toBe(0);
  const wakes = counter(c, POLLOUT);
  expect(p.receive(s, 1, MSG_TRUNC)).toBe('m');
  expect(wakes.count).toBeGreaterThan(0);
  expect(c.poll() & POLLOUT).toBe(POLLOUT);
  const into = new Incoming();
  expect(p.receive(s, 1, 0, into)).toBe('m');
  expect(into.flags).toBe(MSG_TRUNC);
  expect(into.address).toBe(null);
  expect(p.send(c, 400000)).toBe(-EMSGSIZE);
  const other = p.socket(SOCK_DGRAM);
  p.bind(other, '/o');
  // A connected socket hears only its peer.
  p.connect(s, '/o');
  expect(p.send(c, 'x')).toBe(-EPERM);
  s.close();
  expect(p.send(c, 'x')).toBe(-ECONNREFUSED);
  expect(p.send(c, 'x')).toBe(-ENOTCONN);
  expect(p.receive(c, 9, MSG_DONTWAIT)).toBe(-EAGAIN);
});

test('writers to several full sockets hear of each', () => {
  const p = new FakeProcess();
  const c = p.socket(SOCK_DGRAM);
  const full = ['/a', '/b'].map((name) => {
    const s = p.socket(SOCK_DGRAM);
    p.bind(s, name);
    while (p.send(c, 'x', name) > 0);
    return s;
  });
  const wakes = counter(c, POLLOUT);
  for (const s of full) {
    const before = wakes.count;
    p.receive(s);
    expect(wakes.count).toBe(before + 2);
  }
  while (p.send(c, 'x', '/b') > 0);
  const before = wakes.count;
  full[1]?.close();
  expect(wakes.count).toBeGreaterThan(before);
});

test('descriptors divide a stream and arrive with their bytes', () => {
  const p = new FakeProcess();
  const [a, b] = p.pair(SOCK_STREAM);
  const [x] = p.pair(SOCK_STREAM);
  p.send(a, 'one');
  expect(p.send(a, 'two', null, [x.acquire()])).toBe(3);
  p.send(a, 'three');
  const peeked = new Incoming();
  expect(p.receive(b, 4, MSG_PEEK, peeked)).toBe('onet');
  expect(peeked.rights).toEqual([x]);
  for (const file of peeked.rights) file.close();
  const into = new Incoming();
  expect(p.receive(b, 100, 0, into)).toBe('onetwo');
  expect(into.rights).toEqual([x]);
  expect(p.receive(b)).toBe('three');
  expect(x.references).toBe(2);
});

test('credentials divide a stream for those who ask', () => {
  const p = new FakeProcess();
  const [a, b] = p.pair(SOCK_STREAM);
  expect(b.options.set(p.task, SO_PASSCRED, ON)).toBe(0);
  p.send(a, 'root');
  a.send(p.as(USER), IoBuffer.over(Buffer.from('user')), PLAIN_SEND);
  const into = new Incoming();
  expect(p.receive(b, 100, 0, into)).toBe('root');
  expect(into.credentials).toEqual({ pid: 7, uid: 0, gid: 0 });
  expect(p.receive(b, 100, 0, into)).toBe('user');
  expect(into.credentials).toEqual({ pid: 7, uid: 1000, gid: 1000 });
});

test('descriptors under way are bounded per user', () => {
  const p = new FakeProcess(3);
  const [a] = p.pair(SOCK_STREAM);
  const [x] = p.pair(SOCK_STREAM);
  const send = (): number => {
    const how = { ...PLAIN_SEND, rights: [x.acquire()] };
    return a.send(p.as(USER), IoBuffer.over(Buffer.from('x')), how);
  };
  expect([send(), send(), send(), send(), send()]).toEqual([1, 1, 1, 1, -ETOOMANYREFS]);
});

test('circles of sockets under way are closed when another socket ends', () => {
  const p = new FakeProcess();
  const [a, b] = p.pair(SOCK_STREAM);
  const [watched, witness] = p.pair(SOCK_STREAM);
  p.send(a, 'x', null, [b.acquire(), watched.acquire()]);
  p.send(b, 'x', null, [a.acquire()]);
  watched.close();
  // Of these one end stays open.
  const [kept, sent] = p.pair(SOCK_STREAM);
  p.send(sent, 'x', null, [sent.acquire()]);
  sent.close();
  a.close();
  b.close();
  expect(witness.poll() & POLLHUP).toBe(0);
  p.socket(SOCK_STREAM).close();
  expect(witness.poll() & POLLHUP).toBe(POLLHUP);
  const into = new Incoming();
  expect(p.receive(kept, 9, 0, into)).toBe('x');
  expect(into.rights).toEqual([sent]);
});

test('a long chain of sockets in messages of sockets ends without recursion', () => {
  const p = new FakeProcess(10 ** 6);
  let [inner] = p.pair(SOCK_STREAM);
  for (let i = 0; i < 20000; i++) {
    const [a, b] = p.pair(SOCK_STREAM);
    p.send(a, 'x', null, [inner]);
    a.close();
    inner = b;
  }
  inner.close();
  expect(inner.references).toBe(0);
});

/** A generator of small numbers that repeats itself from run to run. */
function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    return (state >> 8) % below;
  };
}

test('after random operations nothing stays once everybody has closed', () => {
  const next = numbers(3);
  const p = new FakeProcess(10 ** 6);
  const types = [SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET];
  const sockets: Socket[] = types.flatMap((type) => [0, 1, 2, 3].flatMap(() => p.pair(type)));
  for (let i = 0; i < 20000; i++) {
    const at = next(sockets.length);
    const s = sockets[at] as Socket;
    const what = next(100);
    if (what < 45) {
      const other = sockets[next(sockets.length)] as Socket;
      p.send(s, next(2000), null, next(10) === 0 ? [other.acquire()] : []);
    } else if (what < 95) {
      const into = new Incoming();
      p.receive(s, next(3000), next(4) === 0 ? MSG_PEEK : 0, into);
      for (const file of into.rights) file.close();
    } else if (what < 97) {
      s.shutdown(next(3));
    } else {
      s.poll();
      s.close();
      const partner = sockets[at ^ 1] as Socket;
      partner.close();
      const [a, b] = p.pair(s.type);
      sockets[at] = a;
      sockets[at ^ 1] = b;
    }
  }
  // What is still under way refers to closed ends only: circles, which go when others end.
  for (const s of sockets) s.close();
  for (let i = 0; i < 2000; i++) p.socket(SOCK_STREAM).close();
  for (const s of sockets) expect(s.references).toBe(0);
});

test('small messages with descriptors are bounded by their number', () => {
  const p = new FakeProcess();
  const [a, b] = p.pair(SOCK_STREAM);
  const carried = p.socket(SOCK_DGRAM);
  const wakes = counter(a, POLLOUT);
  let sent = 0;
  while (p.send(a, 'x', null, [carried.acquire()]) === 1) sent++;
  expect(sent).toBeLessThan(1000);
  expect(a.poll() & POLLOUT).toBe(0);
  for (let i = 0; i < sent; i++) {
    const into = new Incoming();
    expect(p.receive(b, 1, 0, into)).toBe('x');
    for (const file of into.rights) file.close();
  }
  expect(wakes.count).toBeGreaterThan(0);
  expect(p.send(a, 'x')).toBe(1);
});
