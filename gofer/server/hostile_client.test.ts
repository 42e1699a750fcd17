/** A client that owns the Sentry: what it may not name, and what it may not make the gofer hold. */
import { execFileSync } from 'node:child_process';
import * as nodeFs from 'node:fs';
import * as path from 'node:path';
import { expect, test } from 'vitest';
import * as native from '../../native/stat.ts';
import {
  EACCES,
  EBADF,
  EINVAL,
  ENODATA,
  ENOMEM,
  ENOSPC,
  ENOTDIR,
  ENXIO,
  EOPNOTSUPP,
  EPERM,
  EROFS,
} from '../../spec/linux/errno.ts';
import { encodeToBytes } from '../../spec/p9/codec.ts';
import * as p9 from '../../spec/p9/constants.ts';
import type { Fields, MessageName } from '../../spec/p9/messages.ts';
import { IN_MEMORY, treeOfTest } from '../../test/harness/gofer.ts';
import { P9Session } from '../../test/harness/p9_session.ts';
import { MAX_WATCHES } from '../localfs/inotify_watches.ts';

const asRoot = process.getuid?.() === 0;
const HOW = { mode: 0o644, gid: 0 };
const MANY = 100;

function openFds(): number {
  return nodeFs.readdirSync('/proc/self/fd').length;
}

/** The errno that answers a request; 0 when it is carried out. */
function errnoOf<N extends MessageName>(s: P9Session, name: N, fields: Fields<N>): number {
  const reply = s.say(name, fields);
  if (reply === null) return -1;
  return reply.name === 'Rlerror' ? reply.fields.ecode : 0;
}

function walk(s: P9Session, newfid: number, ...names: string[]): void {
  expect(s.say('Twalk', { fid: 0, newfid, names })?.name).toBe('Rwalk');
}

/** A request as bytes with `from` written over by `to`, which the encoder itself may refuse. */
function forged(name: MessageName, fields: object, from: string, to: string): Uint8Array {
  const bytes = Buffer.from(encodeToBytes(name, 1, fields as never, 4096)!);
  bytes.write(to, bytes.indexOf(from), 'latin1');
  return bytes;
}

test('no name leads out of the tree', () => {
  const base = treeOfTest();
  const tree = path.join(base, 'tree');
  nodeFs.mkdirSync(path.join(tree, 'd'), { recursive: true });
  nodeFs.writeFileSync(path.join(base, 'outside'), 'untouched');
  nodeFs.symlinkSync('../outside', path.join(tree, 'link'));
  nodeFs.symlinkSync('..', path.join(tree, 'up'));
  const s = new P9Session(tree).start();
  const requests: [MessageName, object][] = [
    ['Twalk', { fid: 0, newfid: 9, names: ['NAME'] }],
    ['Twalkgetattr', { fid: 0, newfid: 9, names: ['NAME'] }],
    ['Tlcreate', { fid: 0, name: 'NAME', flags: 2, ...HOW }],
    ['Tmkdir', { dfid: 0, name: 'NAME', ...HOW }],
    ['Tmknod', { dfid: 0, name: 'NAME', mode: 0o100644, major: 0, minor: 0, gid: 0 }],
    ['Tsymlink', { fid: 0, name: 'NAME', target: 'x', gid: 0 }],
    ['Tlink', { dfid: 0, fid: 0, name: 'NAME' }],
    ['Trename', { fid: 0, dfid: 0, name: 'NAME' }],
    ['Trenameat', { olddirfid: 0, oldname: 'NAME', newdirfid: 0, newname: 'b' }],
    ['Trenameat', { olddirfid: 0, oldname: 'link', newdirfid: 0, newname: 'NAME' }],
    ['Tunlinkat', { dfid: 0, name: 'NAME', flags: 0 }],
  ];
  for (const [name, fields] of requests) {
    for (const bad of ['../o', '..\0\0', '/etc', '.\0\0\0', 'd/..']) {
      s.feed(forged(name, fields, 'NAME', bad));
      expect(s.drain()[4], `${name} ${bad}`).toBe(7);
    }
    for (const bad of ['..', '.']) {
      const f = JSON.parse(JSON.stringify(fields).replaceAll('NAME', bad)) as never;
      const reply = s.say(name, f);
      if (name === 'Twalkgetattr')
        expect(reply?.fields).toMatchObject({ ecode: EINVAL, data: { length: 0 } });
      else expect(reply?.name, `${name} ${bad}`).toBe('Rlerror');
    }
  }
  // Links are walked to, never through.
  expect(s.say('Twalk', { fid: 0, newfid: 9, names: ['up', 'outside'] })?.fields).toMatchObject({
    qids: [{ type: p9.QTSYMLINK }],
  });
  walk(s, 1, 'link');
  expect(errnoOf(s, 'Tlopen', { fid: 1, flags: 0 })).toBeGreaterThan(0);
  expect(errnoOf(s, 'Tmkdir', { dfid: 1, name: 'x', ...HOW })).toBe(ENOTDIR);
  s.close();
  expect(nodeFs.readdirSync(base).sort()).toEqual(['outside', 'tree']);
  expect(nodeFs.readFileSync(path.join(base, 'outside'), 'utf8')).toBe('untouched');
});

test('nothing is answered before Tversion and Tattach', () => {
  const s = new P9Session(treeOfTest());
  expect(errnoOf(s, 'Tgetattr', { fid: 0, mask: 0 })).toBe(EINVAL);
  s.say('Tversion', { msize: 8192, version: p9.VERSION_RUNSC }, p9.NOTAG);
  for (const fid of [0, 1, p9.NOFID]) {
    expect(errnoOf(s, 'Tgetattr', { fid, mask: 0 })).toBe(EBADF);
    expect(errnoOf(s, 'Twalk', { fid, newfid: 5, names: [] })).toBe(EBADF);
    expect(errnoOf(s, 'Tmkdir', { dfid: fid, name: 'x', ...HOW })).toBe(EBADF);
  }
  s.close();
});

test.runIf(asRoot)('devices are neither made nor opened, pipes and sockets not opened', () => {
  const tree = treeOfTest();
  const s = new P9Session(tree).start();
  const node = { dfid: 0, major: 1, minor: 3, gid: 0 };
  for (const mode of [0o20666, 0o60666]) {
    expect(errnoOf(s, 'Tmknod', { ...node, name: 'dev', mode })).toBe(EPERM);
  }
  expect(errnoOf(s, 'Tmknod', { ...node, name: 'fifo', mode: 0o10666 })).toBe(0);
  expect(nodeFs.lstatSync(path.join(tree, 'fifo')).isFIFO()).toBe(true);
  walk(s, 1, 'fifo');
  for (const flags of [0, 1, 2]) expect(errnoOf(s, 'Tlopen', { fid: 1, flags })).toBe(ENXIO);
  // Not by creating it either.
  s.say('Twalk', { fid: 0, newfid: 2, names: [] });
  expect(errnoOf(s, 'Tlcreate', { fid: 2, name: 'fifo', flags: 2, ...HOW })).toBe(ENXIO);
  s.close();
  // Devices that the host's administrator put there.
  const dev = new P9Session('/dev').start();
  walk(dev, 1, 'null');
  for (const flags of [0, 1, 2]) expect(errnoOf(dev, 'Tlopen', { fid: 1, flags })).toBe(EACCES);
  dev.close();
});

test('a read-only tree is not changed by any request', () => {
  const tree = treeOfTest();
  nodeFs.writeFileSync(path.join(tree, 'f'), 'as it was');
  const s = new P9Session(tree, { readonly: true }).start();
  walk(s, 1, 'f');
  const times = { atimeSec: 0, atimeNsec: 0, mtimeSec: 0, mtimeNsec: 0 };
  const set = { fid: 1, valid: 8, mode: 0, uid: 0, gid: 0, size: 0, ...times };
  const requests: [MessageName, object][] = [
    ['Tsetattr', set],
    ['Tlcreate', { fid: 0, name: 'x', flags: 0, ...HOW }],
    ['Tmkdir', { dfid: 0, name: 'x', ...HOW }],
    ['Tmknod', { dfid: 0, name: 'x', mode: 0o100644, major: 0, minor: 0, gid: 0 }],
    ['Tsymlink', { fid: 0, name: 'x', target: 'x', gid: 0 }],
    ['Tlink', { dfid: 0, fid: 1, name: 'x' }],
    ['Trename', { fid: 1, dfid: 0, name: 'x' }],
    ['Trenameat', { olddirfid: 0, oldname: 'f', newdirfid: 0, newname: 'x' }],
    ['Tunlinkat', { dfid: 0, name: 'f', flags: 0 }],
    ['Txattrcreate', { fid: 1, name: 'user.a', size: 0, flags: 0 }],
    ['Tlopen', { fid: 1, flags: p9.P9_WRONLY }],
    ['Tlopen', { fid: 1, flags: p9.P9_RDWR }],
    ['Tlopen', { fid: 1, flags: p9.P9_TRUNC }],
    ['Tremove', { fid: 1 }],
  ];
  for (const [name, fields] of requests) {
    expect(errnoOf(s, name, fields as never), name).toBe(EROFS);
  }
  walk(s, 1, 'f');
  expect(errnoOf(s, 'Tlopen', { fid: 1, flags: p9.P9_ACCMODE })).toBe(EINVAL);
  expect(errnoOf(s, 'Tlopen', { fid: 1, flags: 0 })).toBe(0);
  expect(errnoOf(s, 'Twrite', { fid: 1, offset: 0, data: Uint8Array.of(1) })).toBe(EROFS);
  s.close();
  expect(nodeFs.readdirSync(tree)).toEqual(['f']);
  expect(nodeFs.readFileSync(path.join(tree, 'f'), 'utf8')).toBe('as it was');
});

test('our own memory, a file of /proc, is not written', () => {
  const s = new P9Session('/proc').start();
  walk(s, 1, `${process.pid}`, 'mem');
  for (const flags of [p9.P9_WRONLY, p9.P9_RDWR, p9.P9_TRUNC]) {
    expect(errnoOf(s, 'Tlopen', { fid: 1, flags })).toBe(EACCES);
  }
  // A magic link is a link and no more.
  walk(s, 2, `${process.pid}`, 'root');
  expect(errnoOf(s, 'Tlopen', { fid: 2, flags: 0 })).toBeGreaterThan(0);
  expect(s.say('Twalk', { fid: 2, newfid: 3, names: ['etc'] })?.name).toBe('Rlerror');
  s.close();
});

test('attributes other than user.* are the host’s own business', () => {
  const tree = treeOfTest();
  const file = path.join(tree, 'f');
  nodeFs.writeFileSync(file, '');
  const s = new P9Session(tree).start();
  walk(s, 1, 'f');
  for (const name of [
    'trusted.a',
    'security.capability',
    'system.posix_acl_access',
    'user.',
    'x',
  ]) {
    const create = { fid: 1, name, size: 1, flags: 0 };
    expect(errnoOf(s, 'Txattrcreate', create), name).toBe(EPERM);
  }
  for (const name of ['trusted.a', 'security.selinux', 'system.posix_acl_access', 'user.']) {
    expect(errnoOf(s, 'Txattrwalk', { fid: 1, newfid: 5, name }), name).toBe(ENODATA);
  }
  const where = { path: file, follow: true };
  const stored = native.setXattr(where, 'trusted.a', Uint8Array.of(1), 0);
  if (stored === 0 && native.setXattr(where, 'user.a', Uint8Array.of(1), 0) === 0) {
    s.say('Txattrwalk', { fid: 1, newfid: 5, name: '' });
    const reply = s.say('Tread', { fid: 5, offset: 0, count: 4096 });
    expect(Buffer.from((reply as { fields: Fields<'Rread'> }).fields.data).toString()).toBe(
      'user.a\0',
    );
  }
  s.close();
});

test('values, locks, listings and donated descriptors are bounded', () => {
  const tree = treeOfTest();
  const before = openFds();
  nodeFs.writeFileSync(path.join(tree, 'f'), '');
  for (let i = 0; i < 3000; i++) nodeFs.writeFileSync(path.join(tree, `name-${i}`), '');
  const s = new P9Session(tree, { maxFids: 1000 }).start();
  let last = 0;
  for (let fid = 1; fid <= MANY; fid++) {
    walk(s, fid, 'f');
    last = errnoOf(s, 'Txattrcreate', { fid, name: 'user.a', size: 65536, flags: 0 });
  }
  expect(last).toBe(ENOMEM);
  for (let fid = 1; fid <= MANY; fid++) s.say('Tclunk', { fid });
  walk(s, 1, 'f');
  expect(errnoOf(s, 'Txattrcreate', { fid: 1, name: 'user.a', size: 1, flags: 0 })).toBe(0);

  walk(s, 2, 'f');
  s.say('Tlopen', { fid: 2, flags: 2 });
  const lock = { fid: 2, flags: 0, procId: 1, clientId: '' };
  const statuses = new Set<unknown>();
  for (let i = 0; i < 1200; i++) {
    statuses.add(s.say('Tlock', { ...lock, type: 1, start: 2 * i, length: 1 })?.fields);
  }
  const free = { ...lock, type: p9.LOCK_TYPE_UNLCK, start: 0, length: 0 };
  expect([...statuses].at(-1)).toEqual({ status: p9.LOCK_ERROR });
  expect(s.say('Tlock', free)?.fields).toEqual({ status: p9.LOCK_SUCCESS });

  // Six listings at once, turn by turn: each gets all names though only some keep their entries.
  const seen = Array.from({ length: 6 }, () => new Set<string>());
  const offsets = seen.map(() => 0);
  seen.forEach((_, i) => {
    s.say('Twalk', { fid: 0, newfid: 10 + i, names: [] });
    s.say('Tlopen', { fid: 10 + i, flags: 0 });
  });
  for (let turn = 0; turn < 12; turn++) {
    seen.forEach((names, i) => {
      const reply = s.say('Treaddir', { fid: 10 + i, offset: offsets[i]!, count: 16384 });
      const { data } = (reply as { fields: Fields<'Rreaddir'> }).fields;
      for (let at = 0; at < data.length; ) {
        const view = Buffer.from(data.buffer, data.byteOffset + at, data.length - at);
        const length = view.readUInt16LE(22);
        names.add(view.toString('latin1', 24, 24 + length));
        offsets[i] = Number(view.readBigUInt64LE(13));
        at += 24 + length;
      }
    });
  }
  for (const names of seen) expect(names.size).toBe(3003);

  // Replies that nobody takes: the descriptors in them are few.
  for (let fid = 100; fid < 100 + MANY; fid++) walk(s, fid, 'f');
  const held = openFds();
  const opens = Buffer.concat(
    Array.from(
      { length: MANY },
      (_, i) => encodeToBytes('Tlopen', 1, { fid: 100 + i, flags: 0 }, 64)!,
    ),
  );
  s.feed(opens);
  expect(openFds() - held).toBeLessThanOrEqual(2 * 33);
  s.drain();
  s.close();
  expect(openFds()).toBe(before);
});

test('directories are watched, nothing else; how many is bounded', () => {
  const tree = treeOfTest(IN_MEMORY);
  const before = openFds();
  nodeFs.writeFileSync(path.join(tree, 'f'), '');
  nodeFs.symlinkSync('f', path.join(tree, 'l'));
  for (let i = 0; i < MAX_WATCHES; i++) nodeFs.mkdirSync(path.join(tree, `d${i}`));
  const s = new P9Session(tree, { maxFids: 10 }).start();
  expect(errnoOf(s, 'Tunwatch', { wd: 1 })).toBe(EINVAL);
  expect(errnoOf(s, 'Twatch', { fid: 7 })).toBe(EBADF);
  walk(s, 1, 'f');
  walk(s, 2, 'l');
  for (const fid of [1, 2]) expect(errnoOf(s, 'Twatch', { fid })).toBe(ENOTDIR);
  // Attributes of directories are not given away: names could be looked up by such a descriptor.
  expect(errnoOf(s, 'Tlopen', { fid: 0, flags: p9.P9_PATH })).toBe(EACCES);
  expect(errnoOf(s, 'Tlopen', { fid: 1, flags: p9.P9_PATH })).toBe(0);
  const first = s.say('Twatch', { fid: 0 })?.fields as Fields<'Rwatch'>;
  expect(first).toEqual({ wd: 1, iounit: p9.IOUNIT_FD_DONATED });
  expect(s.say('Twatch', { fid: 0 })?.fields).toEqual({ wd: 1, iounit: 0 });
  let last = 0;
  for (let i = 0; i < MAX_WATCHES; i++) {
    walk(s, 3, `d${i}`);
    last = errnoOf(s, 'Twatch', { fid: 3 });
    s.say('Tclunk', { fid: 3 });
  }
  expect(last).toBe(ENOSPC);
  expect(errnoOf(s, 'Tunwatch', { wd: 2 })).toBe(0);
  expect(errnoOf(s, 'Tunwatch', { wd: 2 })).toBe(EINVAL);
  walk(s, 3, `d${MAX_WATCHES - 1}`);
  expect(errnoOf(s, 'Twatch', { fid: 3 })).toBe(0);
  s.close();
  expect(openFds()).toBe(before);
  // What others change in /proc is told to nobody.
  const proc = new P9Session('/proc').start();
  expect(errnoOf(proc, 'Twatch', { fid: 0 })).toBe(EOPNOTSUPP);
  proc.close();
});

test('fifos are opened where that is allowed, and nothing else is as one', () => {
  const tree = treeOfTest();
  const before = openFds();
  nodeFs.writeFileSync(path.join(tree, 'f'), '');
  nodeFs.symlinkSync('p', path.join(tree, 'l'));
  execFileSync('mkfifo', [path.join(tree, 'p')]);
  const s = new P9Session(tree).start();
  ['f', 'l', 'p'].forEach((name, i) => walk(s, 1 + i, name));
  expect(errnoOf(s, 'Tfifo', { fid: 9, access: 0 })).toBe(EBADF);
  for (const fid of [0, 1, 2]) expect(errnoOf(s, 'Tfifo', { fid, access: 0 })).toBe(EINVAL);
  for (const access of [3, 4, 0o1000]) {
    expect(errnoOf(s, 'Tfifo', { fid: 3, access })).toBe(EINVAL);
  }
  // Nobody reads, and what was given away is not kept.
  for (let i = 0; i < 3; i++) {
    expect(errnoOf(s, 'Tfifo', { fid: 3, access: 1 })).toBe(ENXIO);
    expect(errnoOf(s, 'Tfifo', { fid: 3, access: 0 })).toBe(0);
    s.drain();
  }
  expect(errnoOf(s, 'Tlopen', { fid: 3, flags: 0 })).toBe(ENXIO);
  s.close();
  const readonly = new P9Session(tree, { readonly: true }).start();
  walk(readonly, 3, 'p');
  for (const access of [1, 2]) expect(errnoOf(readonly, 'Tfifo', { fid: 3, access })).toBe(EROFS);
  readonly.close();
  const none = new P9Session(tree, { hostFifo: 'none' }).start();
  walk(none, 3, 'p');
  expect(errnoOf(none, 'Tfifo', { fid: 3, access: 0 })).toBe(EPERM);
  none.close();
  expect(openFds()).toBe(before);
});
