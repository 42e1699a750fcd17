/**
 * Hostile clients against a session on a real tree: framing, bounds, and random mutations of valid
 * traffic (fixed seed). Whatever comes, the session answers or breaks off; it never throws, never
 * grows without bound, and leaves no descriptor behind.
 */
import * as nodeFs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { decodeMessage, encodeToBytes } from '../../spec/p9/codec.ts';
import * as p9 from '../../spec/p9/constants.ts';
import { type DirentPlus, decodeDirentsPlus } from '../../spec/p9/dirent.ts';
import type { Fields, MessageName } from '../../spec/p9/messages.ts';
import { P9Session } from '../../test/harness/p9_session.ts';

const FUZZ_MS = 5000;
let base = '';
let tree = '';

beforeAll(() => {
  base = nodeFs.mkdtempSync(path.join(os.tmpdir(), 'runsc-9p-'));
  tree = path.join(base, 'tree');
  nodeFs.mkdirSync(path.join(tree, 'd/e'), { recursive: true });
  nodeFs.writeFileSync(path.join(tree, 'd/f'), 'text');
  nodeFs.symlinkSync('/', path.join(tree, 'd/l'));
  nodeFs.writeFileSync(path.join(base, 'outside'), 'untouched');
});

afterAll(() => nodeFs.rmSync(base, { recursive: true }));

function openFds(): number {
  return nodeFs.readdirSync('/proc/self/fd').length;
}

test('versions are negotiated', () => {
  const s = new P9Session(tree);
  const version = (v: string, msize: number): unknown =>
    s.say('Tversion', { msize, version: v }, p9.NOTAG)?.fields;
  expect(version('9P2000.L', 8192)).toEqual({ msize: 8192, version: '9P2000.L' });
  expect(version(p9.VERSION_RUNSC, 2 ** 31)).toEqual({
    msize: p9.MAX_MSIZE,
    version: p9.VERSION_RUNSC,
  });
  expect(version('9P2000', 8192)).toEqual({ msize: 8192, version: 'unknown' });
  expect(version('9P2000.L', 100)).toEqual({ ecode: 22 });
  expect(s.say('Tgetattr', { fid: 0, mask: 0 })?.fields).toEqual({ ecode: 22 });
  s.start('9P2000.L');
  expect(s.say('Twalkgetattr', { fid: 0, newfid: 1, names: [] })?.fields).toEqual({ ecode: 95 });
  s.start();
  expect(s.say('Twalkgetattr', { fid: 0, newfid: 1, names: [] })?.name).toBe('Rwalkgetattr');
  expect(s.say('Tauth', { afid: 9, uname: '', aname: '', nUname: 0 })?.fields).toEqual({
    ecode: 95,
  });
  expect(s.say('Tflush', { oldtag: 1 })?.name).toBe('Rflush');
  s.close();
});

test('a version message forgets every fid', () => {
  const before = openFds();
  const s = new P9Session(tree).start();
  for (let i = 1; i < 50; i++) s.say('Twalk', { fid: 0, newfid: i, names: ['d', 'f'] });
  s.say('Tlopen', { fid: 1, flags: 2 });
  expect(openFds()).toBeGreaterThan(before + 49);
  s.start();
  expect(s.say('Tgetattr', { fid: 1, mask: 0 })?.fields).toEqual({ ecode: 9 });
  s.close();
  expect(openFds()).toBe(before);
});

test('where a link leads is told by the walk to it, if there is room', () => {
  const target = 'x/'.repeat(2000);
  nodeFs.symlinkSync(target, path.join(tree, 'far'));
  for (const [msize, told] of [
    [8192, target],
    [4096, ''],
  ] as const) {
    const s = new P9Session(tree).start(p9.VERSION_RUNSC, msize);
    const walk = (...names: string[]) =>
      s.say('Twalkgetattr', { fid: 0, newfid: 1, names })?.fields;
    expect(walk('far')).toMatchObject({ ecode: 0, target: told });
    s.say('Tclunk', { fid: 1 });
    expect(walk('d', 'l')).toMatchObject({ ecode: 0, target: '/' });
    s.say('Tclunk', { fid: 1 });
    expect(walk('d', 'f')).toMatchObject({ ecode: 0, target: '' });
    s.close();
  }
});

test('bad sizes break the session off', () => {
  for (const size of [0, 6, p9.MAX_MSIZE + 1, 2 ** 32 - 1]) {
    const s = new P9Session(tree).start();
    const bytes = new Uint8Array(16);
    new DataView(bytes.buffer).setUint32(0, size, true);
    s.feed(bytes);
    expect(s.connection.broken).toBe(true);
    expect(s.connection.space.length).toBe(0);
    s.close();
  }
});

test('a client that reads no replies is not read from for ever', () => {
  const s = new P9Session(tree).start(p9.VERSION_RUNSC, p9.MIN_MSIZE);
  const request = encodeToBytes('Tgetattr', 1, { fid: 0, mask: 0 }, 64)!;
  let accepted = 0;
  while (accepted < 100000) {
    const { space } = s.connection;
    if (space.length < request.length) break;
    space.set(request);
    s.connection.received(request.length);
    accepted++;
  }
  expect(accepted).toBeLessThan(3000);
  const replies = s.drain().length / (7 + 153);
  expect(replies).toBe(accepted);
  s.close();
});

test('messages arrive whole from any chunking, and replies keep their order', () => {
  const s = new P9Session(tree).start();
  const stream = Buffer.concat(
    Array.from({ length: 20 }, (_, i) => encodeToBytes('Tgetattr', i, { fid: 0, mask: 0 }, 64)!),
  );
  for (const size of [1, 5, 33]) {
    for (let at = 0; at < stream.length; at += size) s.feed(stream.subarray(at, at + size));
    const out = s.drain();
    for (let i = 0; i < 20; i++) {
      const one = out.subarray(i * 160, (i + 1) * 160);
      expect(decodeMessage(Uint8Array.from(one))?.tag).toBe(i);
    }
  }
  s.close();
});

test('a listing goes on over many small replies, in order only', () => {
  const before = openFds();
  const names = Array.from({ length: 300 }, (_, i) => `${i}`.repeat(1 + (i % 80)));
  const directory = path.join(tree, 'many');
  nodeFs.mkdirSync(directory);
  for (const name of names) nodeFs.writeFileSync(path.join(directory, name), name);
  nodeFs.symlinkSync('x', path.join(directory, 'link'));
  nodeFs.utimesSync(path.join(directory, '0'), -5, 2 ** 33);
  const s = new P9Session(tree).start(p9.VERSION_RUNSC, p9.MIN_MSIZE);
  s.say('Twalk', { fid: 0, newfid: 1, names: ['many'] });
  const ask = (offset: number, count = p9.MIN_MSIZE) =>
    s.say('Treaddirplus', { fid: 1, offset, count })?.fields as Fields<'Rreaddirplus'>;
  expect(ask(0, 100)).toEqual({ ecode: 22 });
  const listed: DirentPlus[] = [];
  let replies = 0;
  for (let next = -1; next !== 0; replies++) {
    const r = ask(Math.max(next, 0));
    if (r.next !== 0) expect(r.data.length).toBeGreaterThan(0);
    listed.push(...decodeDirentsPlus(r.data)!);
    next = r.next;
    if (replies === 3) expect(ask(next + 1)).toEqual({ ecode: 22 });
  }
  expect(replies).toBeGreaterThan(20);
  expect(listed.map((e) => e.name).sort()).toEqual([...names, 'link'].sort());
  for (const { name, attr, type } of listed) {
    s.say('Twalk', { fid: 1, newfid: 2, names: [name] });
    expect(s.say('Tgetattr', { fid: 2, mask: p9.GETATTR_ALL })?.fields).toEqual({ attr });
    expect(type).toBe(attr.mode >> 12);
    s.say('Tclunk', { fid: 2 });
  }
  expect(ask(1)).toEqual({ ecode: 22 });
  s.close();
  nodeFs.rmSync(directory, { recursive: true });
  expect(openFds()).toBe(before);
});

test('Tremove and Trename act on the file, wherever it went', () => {
  const s = new P9Session(tree).start();
  nodeFs.writeFileSync(path.join(tree, 'r1'), '');
  s.say('Twalk', { fid: 0, newfid: 1, names: ['r1'] });
  s.say('Twalk', { fid: 0, newfid: 2, names: ['d'] });
  expect(s.say('Trename', { fid: 1, dfid: 2, name: 'r2' })?.name).toBe('Rrename');
  expect(nodeFs.existsSync(path.join(tree, 'd/r2'))).toBe(true);
  nodeFs.renameSync(path.join(tree, 'd/r2'), path.join(tree, 'r3'));
  nodeFs.writeFileSync(path.join(tree, 'd/r2'), 'another');
  expect(s.say('Tremove', { fid: 1 })?.fields).toEqual({ ecode: 2 });
  expect(s.say('Tgetattr', { fid: 1, mask: 0 })?.fields).toEqual({ ecode: 9 });
  s.say('Twalk', { fid: 0, newfid: 1, names: ['d', 'r2'] });
  expect(s.say('Tremove', { fid: 1 })?.name).toBe('Rremove');
  expect(nodeFs.existsSync(path.join(tree, 'd/r2'))).toBe(false);
  expect(s.say('Tremove', { fid: 0 })?.fields).toEqual({ ecode: 22 });
  s.close();
});

test(
  'random mutations of valid traffic do no harm',
  () => {
    const before = openFds();
    let seed = 20261122;
    const random = (n: number): number => {
      seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
      return Math.floor((seed / 2 ** 32) * n);
    };
    const fid = (): number => random(8);
    const names = ['d', 'e', 'f', 'l', 'n', 'x', '..', '.', 'outside', 'a'.repeat(255)];
    const name = (): string => names[random(names.length)]!;
    const how = { mode: 0o100644, gid: 0, flags: 0o102 };
    const make: (() => Uint8Array | null)[] = [
      () => msg('Twalk', { fid: fid(), newfid: fid(), names: [name(), name()] }),
      () => msg('Twalk', { fid: fid(), newfid: fid(), names: [] }),
      () => msg('Twalkgetattr', { fid: fid(), newfid: fid(), names: ['d', name()] }),
      () => msg('Tgetattr', { fid: fid(), mask: 0x7ff }),
      () => msg('Tsetattr', { ...SETATTR, fid: fid(), valid: random(512), size: random(9999) }),
      () => msg('Tlopen', { fid: fid(), flags: random(4) | (random(2) << 9) }),
      () => msg('Twalkopen', { fid: fid(), name: name(), flags: random(4) | (random(2) << 9) }),
      () => msg('Tlcreate', { fid: fid(), name: name(), ...how }),
      () => msg('Tread', { fid: fid(), offset: random(100), count: 2 ** random(32) }),
      () => msg('Twrite', { fid: fid(), offset: random(1000), data: new Uint8Array(random(99)) }),
      () => msg('Treaddir', { fid: fid(), offset: random(5), count: 2 ** random(20) }),
      () => msg('Treaddirplus', { fid: fid(), offset: random(5), count: 2 ** random(20) }),
      () => msg('Tmkdir', { dfid: fid(), name: name(), mode: random(4096), gid: 1 }),
      () =>
        msg('Tmknod', {
          dfid: fid(),
          name: name(),
          mode: random(65536),
          major: 1,
          minor: 3,
          gid: 0,
        }),
      () => msg('Tsymlink', { fid: fid(), name: name(), target: '../outside', gid: 0 }),
      () => msg('Treadlink', { fid: fid() }),
      () => msg('Tlink', { dfid: fid(), fid: fid(), name: name() }),
      () => msg('Trename', { fid: fid(), dfid: fid(), name: name() }),
      () =>
        msg('Trenameat', { olddirfid: fid(), oldname: name(), newdirfid: fid(), newname: name() }),
      () => msg('Tunlinkat', { dfid: fid(), name: name(), flags: random(2) << 9 }),
      () => msg('Txattrwalk', { fid: fid(), newfid: fid(), name: random(2) ? '' : 'user.a' }),
      () => msg('Txattrcreate', { fid: fid(), name: 'user.a', size: random(4), flags: random(3) }),
      () => msg('Tfsync', { fid: fid(), datasync: 1 }),
      () => msg('Tlock', { ...LOCK, fid: fid(), type: random(4), flags: random(3) }),
      () => msg('Tgetlock', { ...LOCK, fid: fid(), type: random(4) }),
      () => msg('Tstatfs', { fid: fid() }),
      () => msg('Tclunk', { fid: fid() }),
      () => msg('Tremove', { fid: fid() }),
      () => msg('Tsetowner', { uid: random(3) }),
      () => msg('Twatch', { fid: fid() }),
      () => msg('Tunwatch', { wd: random(4) }),
      () => msg('Tfifo', { fid: fid(), access: random(4) }),
      () => msg('Tlopen', { fid: fid(), flags: p9.P9_PATH }),
      () => msg('Tflush', { oldtag: random(5) }),
    ];
    const deadline = Date.now() + FUZZ_MS;
    let sessions = 0;
    let messages = 0;
    while (Date.now() < deadline) {
      const s = new P9Session(tree).start();
      sessions++;
      for (let i = 0; i < 400 && !s.connection.broken; i++) {
        const bytes = make[random(make.length)]!()!;
        if (random(4) === 0) {
          const from = random(20) === 0 ? 0 : 4; // mostly leave the size alone
          for (let k = random(3); k >= 0; k--) {
            bytes[from + random(bytes.length - from)] = random(3) === 0 ? 255 : random(256);
          }
        }
        s.feed(bytes);
        s.drain();
        messages++;
        if (i % 40 === 39) s.say('Twalk', { fid: 0, newfid: 1, names: ['d'] });
      }
      s.close();
      if (!nodeFs.existsSync(path.join(tree, 'd'))) nodeFs.mkdirSync(path.join(tree, 'd'));
    }
    expect(openFds()).toBe(before);
    expect(nodeFs.readFileSync(path.join(base, 'outside'), 'latin1')).toBe('untouched');
    expect(nodeFs.readdirSync(base).sort()).toEqual(['outside', 'tree']);
    expect(sessions).toBeGreaterThan(5);
    expect(messages).toBeGreaterThan(2000);
  },
  FUZZ_MS * 4,
);

const SETATTR = {
  mode: 0o755,
  uid: 1,
  gid: 1,
  atimeSec: 1,
  atimeNsec: 1,
  mtimeSec: -1,
  mtimeNsec: 999999999,
};
const LOCK = { start: 0, length: 10, procId: 1, clientId: 'x' };

function msg<N extends MessageName>(name: N, fields: Fields<N>): Uint8Array | null {
  return encodeToBytes(name, 1, fields, 4096);
}
