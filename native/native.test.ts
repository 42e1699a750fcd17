/** The host calls that Sentry and Gofer are made of. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { EBADF, EEXIST, EFAULT, ENOENT, EXDEV } from '../spec/linux/errno.ts';
import {
  O_CREAT,
  O_DIRECTORY,
  O_PATH,
  O_RDONLY,
  O_RDWR,
  RESOLVE_BENEATH,
} from '../spec/linux/fcntl.ts';
import { SOCK_STREAM } from '../spec/linux/socket.ts';
import { byteString, textOf } from './bytes.ts';
import * as fs from './fs.ts';
import { addressOf } from './index.ts';
import * as process from './process.ts';
import * as socket from './socket.ts';
import * as stat from './stat.ts';
import * as tty from './tty.ts';

const folder = mkdtempSync(join(tmpdir(), 'native-'));
afterAll(() => rmSync(folder, { recursive: true }));
const dir = fs.open(folder, O_RDONLY | O_DIRECTORY);
const bytes = (text: string) => new TextEncoder().encode(text);

describe('memory', () => {
  it('keeps a small array where addressOf found it', () => {
    const small = new Uint8Array(8);
    const address = addressOf(small);
    for (let i = 0; i < 200_000; i++) new Uint8Array(32);
    expect(addressOf(small)).toBe(address);
    expect(addressOf(small.subarray(3))).toBe(address + 3);
  });

  it('maps 1 TiB as one ArrayBuffer', () => {
    const fd = fs.memfdCreate('window', 1);
    expect(fs.ftruncate(fd, 2 ** 40)).toBe(0);
    const window = fs.mapFile(fd, 2 ** 40) as ArrayBuffer;
    new Uint32Array(window)[2 ** 37] = 0x01020304;
    expect(new Uint8Array(window)[2 ** 39]).toBe(4);
    const back = new Uint8Array(4);
    expect(fs.pread(fd, back, 2 ** 39)).toBe(4);
    expect([...back]).toEqual([4, 3, 2, 1]);
    fs.close(fd);
  });
});

describe('files', () => {
  it('tells by fstat what statx tells', () => {
    for (const path of ['/dev/null', '/proc/self/stat', '/usr/bin/env', '/dev']) {
      const fd = fs.open(path, O_RDONLY);
      const whole = stat.statxOf(fd) as stat.Stat;
      expect(stat.fstat(fd)).toEqual({ ...whole, btimeSec: 0, btimeNsec: 0, mountId: 0 });
      fs.close(fd);
    }
  });

  it('keeps names that are no UTF-8', () => {
    const name = '\xff\xfe-\x80';
    const fd = fs.openat(dir, name, O_CREAT | O_RDWR, 0o600);
    expect(fd).toBeGreaterThan(0);
    fs.close(fd);
    const names = (fs.getdents(dir) as fs.DirectoryEntry[]).map((entry) => entry.name);
    expect(names.sort()).toEqual(['.', '..', name]);
    expect(fs.unlinkat(dir, name, 0)).toBe(0);
    expect(textOf(byteString('häß€'))).toBe('häß€');
  });

  it('answers with negative errno', () => {
    expect(fs.openat(dir, 'missing', O_RDONLY)).toBe(-ENOENT);
    expect(fs.openat(dir, 'a\0b', O_RDONLY)).toBe(-EFAULT);
    expect(fs.openat(dir, '\u20ac', O_RDONLY)).toBe(-EFAULT);
    expect(fs.openat2(dir, '../x', O_RDONLY, 0, RESOLVE_BENEATH)).toBe(-EXDEV);
    expect(fs.close(99999)).toBe(-EBADF);
    expect(fs.mkdirat(dir, 'd', 0o700)).toBe(0);
    expect(fs.mkdirat(dir, 'd', 0o700)).toBe(-EEXIST);
  });

  it('reads and writes vectors, attributes, links and locks', () => {
    const fd = fs.openat(dir, 'file', O_CREAT | O_RDWR, 0o600);
    expect(fs.pwritev(fd, [bytes('hello '), bytes('world')], 0)).toBe(11);
    const into = [new Uint8Array(6), new Uint8Array(9)];
    expect(fs.preadv(fd, into, 0)).toBe(11);
    expect(new TextDecoder().decode(into[1]?.subarray(0, 5))).toBe('world');
    expect(stat.utimensat(dir, 'file', -5, 7, 2 ** 33, 9, 0)).toBe(0);
    const handle = fs.openat(dir, 'file', O_PATH);
    expect(stat.fchmod(handle, 0o644)).toBe(-EBADF);
    expect(stat.fchmodPath(handle, 0o640)).toBe(0);
    const st = stat.fstat(handle) as stat.Stat;
    expect(st.mode).toBe(0o100640);
    expect([st.size, st.nlink]).toEqual([11, 1]);
    expect([st.atimeSec, st.atimeNsec, st.mtimeSec, st.mtimeNsec]).toEqual([-5, 7, 2 ** 33, 9]);
    expect(fs.symlinkat('file', dir, 'link')).toBe(0);
    expect(fs.readlinkat(dir, 'link')).toBe('file');
    expect(fs.linkFd(fd, dir, 'hard')).toBe(0);
    expect(fs.renameat2(dir, 'hard', dir, 'file', 1)).toBe(-EEXIST);
    expect((stat.fstat(fd) as stat.Stat).nlink).toBe(2);
    const lock = { type: 1, whence: 0, start: 0, length: 5, pid: 0 };
    expect(fs.fcntlLock(fd, 37, lock)).toMatchObject({ type: 1 });
    const other = fs.openat(dir, 'file', O_RDWR);
    expect(fs.fcntlLock(other, 36, lock)).toMatchObject({ type: 1, start: 0, length: 5 });
    expect((stat.fstatfs(fd) as stat.StatFs).bsize).toBeGreaterThan(0);
    for (const each of [fd, handle, other]) fs.close(each);
  });
});

describe('sockets', () => {
  it('passes descriptors', () => {
    const [left, right] = socket.socketpair(SOCK_STREAM) as [number, number];
    const fds = Array.from({ length: 5 }, () => fs.memfdCreate('passed', 1));
    expect(socket.sendWithFds(left, bytes('x'), fds)).toBe(1);
    const got = socket.recvWithFds(right, new Uint8Array(8)) as socket.Received;
    expect([got.length, got.fds.length, got.flags & 0x28]).toEqual([1, 5, 0]);
    for (const fd of [...fds, ...got.fds]) expect(fs.close(fd)).toBe(0);
    const polled = [{ fd: right, events: 1, revents: 0 }];
    expect(socket.poll(polled, 0)).toBe(0);
    socket.send(left, bytes('abc'));
    expect(socket.poll(polled, 0)).toBe(1);
    expect(polled[0]?.revents).toBe(1);
    fs.close(left);
    fs.close(right);
  });

  it('listens on a path', () => {
    const server = socket.socket(1, SOCK_STREAM);
    expect(socket.bindUnix(server, join(folder, 'sock'))).toBe(0);
    expect(socket.listen(server, 1)).toBe(0);
    const client = socket.socket(1, SOCK_STREAM);
    expect(socket.connectUnix(client, join(folder, 'sock'))).toBe(0);
    const peer = socket.accept(server, 0);
    expect(socket.peerCredentials(peer)).toMatchObject({ pid: process.getpid() });
    for (const fd of [server, client, peer]) fs.close(fd);
  });
});

describe('processes and terminals', () => {
  it('reads limits, capabilities and affinity', () => {
    expect(process.prlimit(0, 7, null)).toMatchObject({ soft: expect.any(Number) });
    expect(process.capget()).toMatchObject({ inheritable: [0, 0] });
    expect((process.schedGetaffinity(0) as Uint32Array).length).toBeGreaterThan(0);
  });

  it('opens a pty', () => {
    const pty = tty.openpty() as { master: number; slave: number };
    const size = { rows: 3, columns: 4, xPixels: 5, yPixels: 6 };
    expect(tty.setWindowSize(pty.master, size)).toBe(0);
    expect(tty.getWindowSize(pty.slave)).toEqual(size);
    const raw = tty.makeRaw(tty.getTermios(pty.slave) as Uint8Array);
    expect(tty.setTermios(pty.slave, raw)).toBe(0);
    fs.write(pty.master, bytes('\x03'));
    const got = new Uint8Array(4);
    expect(fs.read(pty.slave, got)).toBe(1);
    expect(got[0]).toBe(3);
    fs.close(pty.master);
    fs.close(pty.slave);
  });
});
