/** Client and gofer together over a socket; the host's own view of the tree is the oracle. */
import * as nodeFs from 'node:fs';
import * as path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import * as fs from '../../../native/fs.ts';
import * as errno from '../../../spec/linux/errno.ts';
import { S_IFBLK, S_IFCHR, S_IFIFO, S_IFREG, S_IFSOCK } from '../../../spec/linux/stat.ts';
import * as p9 from '../../../spec/p9/constants.ts';
import type { P9Attr } from '../../../spec/p9/messages.ts';
import { type Gofer, startGofer, temporaryTree, treeOfTest } from '../../../test/harness/gofer.ts';
import { Client, NO_CHANGES } from './client.ts';

const HOW = { mode: 0o640, uid: 1234, gid: 4321 };

function ok<T>(value: T | number): T {
  if (typeof value === 'number' && value < 0) throw new Error(`errno ${-value}`);
  return value as T;
}

function expectSame(attr: P9Attr, file: string): void {
  const s = nodeFs.lstatSync(file, { bigint: true });
  expect(attr).toMatchObject({
    mode: Number(s.mode),
    uid: Number(s.uid),
    gid: Number(s.gid),
    nlink: Number(s.nlink),
    size: Number(s.size),
    blocks: Number(s.blocks),
    rdev: Number(s.rdev),
    mtimeSec: Number(s.mtimeNs / 1_000_000_000n),
    mtimeNsec: Number(s.mtimeNs % 1_000_000_000n),
  });
}

describe.each(['9P2000.L.runsc', '9P2000.L'])('%s', (version) => {
  const extended = version === p9.VERSION_RUNSC;
  const tree = temporaryTree();
  const at = (...names: string[]): string => path.join(tree, ...names);
  let gofer: Gofer;
  let client: Client;
  let root = -1;

  beforeAll(() => {
    nodeFs.mkdirSync(at('a/b/c'), { recursive: true });
    nodeFs.writeFileSync(at('a/b/c/file'), 'contents');
    nodeFs.symlinkSync('/etc/passwd', at('escape'));
    nodeFs.symlinkSync('..', at('up'));
    nodeFs.writeFileSync(at('caf\u00e9'), '');
    gofer = startGofer('rw', [tree]);
    client = ok(Client.connect(gofer.fds[0]!, [version]));
    root = ok(client.attach()).fid;
  });

  afterAll(async () => {
    client.close();
    expect(await gofer.ended).toBe(0);
    nodeFs.rmSync(tree, { recursive: true });
  });

  const walk = (...names: string[]): number => {
    const w = ok(client.walkGetattr(root, names));
    if (w.fid < 0) throw new Error(`errno ${-w.error}`);
    return w.fid;
  };

  test('walks as far as it can and says how far', () => {
    const w = ok(client.walkGetattr(root, ['a', 'b', 'c', 'file']));
    expect(w.attrs.length).toBe(4);
    expectSame(w.attrs[0]!, at('a'));
    expectSame(w.attrs[3]!, at('a/b/c/file'));
    client.clunk(w.fid);
    expect(client.walkGetattr(root, ['a', 'x', 'y'])).toMatchObject({
      fid: -1,
      error: -errno.ENOENT,
    });
    expect(ok(client.walkGetattr(root, ['a', 'x', 'y'])).attrs.length).toBe(1);
    const f = ['a', 'b', 'c', 'file', 'z'];
    expect(client.walkGetattr(root, f)).toMatchObject({ fid: -1, error: -errno.ENOTDIR });
    const none = ok(client.walkGetattr(root, []));
    expectSame(none.attrs[0]!, tree);
    client.clunk(none.fid);
    client.clunk(walk('caf\u00c3\u00a9'));
  });

  test('never leaves the tree', () => {
    expect(client.walkGetattr(root, ['..'])).toMatchObject({ fid: -1, error: -errno.EINVAL });
    expect(client.walkGetattr(root, ['a', '..', '..'])).toMatchObject({ error: -errno.EINVAL });
    const link = ok(client.walkGetattr(root, ['escape']));
    expectSame(link.attrs[0]!, at('escape'));
    expect(link.target).toBe(extended ? '/etc/passwd' : '');
    expect(client.readlink(link.fid)).toBe('/etc/passwd');
    expect(client.open(link.fid, 0)).toBe(-errno.ELOOP);
    client.clunk(link.fid);
    expect(client.walkGetattr(root, ['up', 'etc'])).toMatchObject({ error: -errno.ENOTDIR });
    expect(client.mkdir(root, '..', HOW)).toBe(-errno.EINVAL);
    expect(client.rename(root, 'a', root, '..')).toBe(-errno.EINVAL);
    expect(client.unlink(root, '.', true)).toBe(-errno.EINVAL);
    // A slash in a name cannot even be decoded.
    expect(client.walkGetattr(root, ['a/b'])).toSatisfy(
      (r) => r === -errno.EINVAL || (typeof r === 'object' && r.error === -errno.EINVAL),
    );
    expect(client.symlink(root, 'evil', '/', HOW)).toMatchObject({ fid: expect.any(Number) });
    expect(client.create(root, 'evil', p9.P9_RDWR, HOW)).toBe(-errno.EEXIST);
    expect(client.mkdir(walk('evil'), 'x', HOW)).toBe(-errno.ENOTDIR);
  });

  test('opens by name in one message', () => {
    const directory = walk('a', 'b', 'c');
    if (!extended) {
      expect(client.openAt(directory, 'file', 0)).toBe(-errno.EOPNOTSUPP);
      return;
    }
    const { ino, opened } = ok(client.openAt(directory, 'file', p9.P9_RDWR));
    expect(ino).toBe(ok(client.walkGetattr(directory, ['file'])).attrs[0]!.qid.path);
    expect(opened.fid).toBe(-1);
    const bytes = new Uint8Array(64);
    const length = fs.pread(opened.hostFd, bytes, 0);
    expect(Buffer.from(bytes.subarray(0, length))).toEqual(nodeFs.readFileSync(at('a/b/c/file')));
    fs.close(opened.hostFd);
    expect(client.openAt(directory, 'missing', 0)).toBe(-errno.ENOENT);
    expect(client.openAt(directory, '..', 0)).toBe(-errno.EINVAL);
    expect(client.openAt(directory, 'file', p9.P9_ACCMODE)).toBe(-errno.EINVAL);
    expect(client.openAt(root, 'a', 0)).toBe(-errno.EISDIR);
    expect(client.openAt(root, 'escape', 0)).toBe(-errno.ELOOP);
    expect(client.openAt(walk('a', 'b', 'c', 'file'), 'x', 0)).toBe(-errno.ENOTDIR);
  });

  test('creates, writes, reads, truncates', () => {
    const c = ok(client.create(root, 'new', p9.P9_RDWR, HOW));
    expectSame(c.attr, at('new'));
    expect(c.attr).toMatchObject({ mode: 0o100640, uid: 1234, gid: 4321 });
    expect(client.create(root, 'new', p9.P9_RDWR, HOW)).toBe(-errno.EEXIST);
    expect(c.hostFd >= 0).toBe(extended);
    const data = Uint8Array.from('hello world', (x) => x.charCodeAt(0));
    const back = new Uint8Array(64);
    if (extended) {
      expect(fs.pwrite(c.hostFd, data, 0)).toBe(11);
      expect(fs.pread(c.hostFd, back, 6)).toBe(5);
      fs.close(c.hostFd);
    } else {
      expect(client.write(c.fid, data, 0)).toBe(11);
      expect(client.read(c.fid, back, 6)).toBe(5);
      expect(client.fsync(c.fid, true)).toBe(0);
      client.clunk(c.fid);
    }
    expect(String.fromCharCode(...back.subarray(0, 5))).toBe('world');
    const fid = c.nodeFid;
    const size = { ...NO_CHANGES, fid, valid: p9.SETATTR_SIZE, size: 5 };
    expect(client.setattr(size)).toBe(0);
    expect(nodeFs.readFileSync(at('new'), 'latin1')).toBe('hello');
    const times = p9.SETATTR_ATIME | p9.SETATTR_ATIME_SET | p9.SETATTR_MTIME | p9.SETATTR_MTIME_SET;
    const old = { atimeSec: -5, atimeNsec: 7, mtimeSec: 2 ** 31, mtimeNsec: 999999999 };
    const mode = { mode: 0o4755, uid: 7, gid: 8 };
    const owner = p9.SETATTR_MODE | p9.SETATTR_UID | p9.SETATTR_GID;
    expect(client.setattr({ ...NO_CHANGES, fid, valid: times | owner, ...old, ...mode })).toBe(0);
    const attr = ok(client.getattr(fid));
    expect(attr).toMatchObject({ ...old, mode: 0o104755, uid: 7, gid: 8, size: 5 });
    expectSame(attr, at('new'));
    client.clunk(fid);
  });

  test('set-id bits and modes are exactly those asked for', () => {
    nodeFs.mkdirSync(at('setgid'));
    nodeFs.chownSync(at('setgid'), 0, 99);
    nodeFs.chmodSync(at('setgid'), 0o2777);
    const dir = walk('setgid');
    const made = ok(client.mkdir(dir, 'd', { mode: 0o1770, uid: 5, gid: 6 }));
    expect(made.attr).toMatchObject({ mode: 0o41770, uid: 5, gid: 6 });
    const file = ok(client.create(dir, 'f', p9.P9_WRONLY, { mode: 0o6711, uid: 5, gid: 6 }));
    expect(file.attr).toMatchObject({ mode: 0o106711, uid: 5, gid: 6 });
    if (file.hostFd >= 0) fs.close(file.hostFd);
    expect(nodeFs.statSync(at('setgid/f')).mode).toBe(0o106711);
  });

  test('links, symbolic links, special files, renames and removals', () => {
    const dir = ok(client.mkdir(root, 'dir', HOW)).fid;
    expectSame(ok(client.getattr(dir)), at('dir'));
    const target = '/some\xff/where';
    const link = ok(client.symlink(dir, 'link', target, HOW));
    expect(client.readlink(link.fid)).toBe(target);
    expectSame(link.attr, at('dir/link'));
    const times = p9.SETATTR_MTIME | p9.SETATTR_MTIME_SET;
    expect(client.setattr({ ...NO_CHANGES, fid: link.fid, valid: times, mtimeSec: 77 })).toBe(0);
    expect(nodeFs.lstatSync(at('dir/link')).mtimeMs).toBe(77000);
    expect(client.link(dir, 'hard', walk('a', 'b', 'c', 'file'))).toBe(0);
    expect(client.link(dir, 'hardlink', link.fid)).toBe(0);
    expect(nodeFs.readlinkSync(at('dir/hardlink'), 'latin1')).toBe(target);
    expect(nodeFs.statSync(at('a/b/c/file')).nlink).toBe(2);
    for (const type of [S_IFIFO, S_IFSOCK, S_IFREG]) {
      const node = ok(client.mknod(dir, `n${type}`, { ...HOW, mode: type | 0o600 }, 0, 0));
      expectSame(node.attr, at(`dir/n${type}`));
      if (type !== S_IFREG) expect(client.open(node.fid, 0)).toBe(-errno.ENXIO);
    }
    for (const type of [S_IFCHR, S_IFBLK]) {
      expect(client.mknod(dir, 'dev', { ...HOW, mode: type | 0o600 }, 1, 3)).toBe(-errno.EPERM);
    }
    expect(client.unlink(dir, 'hard', true)).toBe(-errno.ENOTDIR);
    expect(client.unlink(root, 'dir', true)).toBe(-errno.ENOTEMPTY);
    expect(client.unlink(root, 'dir', false)).toBe(-errno.EISDIR);
    expect(client.rename(dir, 'hard', root, 'moved')).toBe(0);
    expect(nodeFs.readFileSync(at('moved'), 'latin1')).toBe('contents');
    for (const name of nodeFs.readdirSync(at('dir')))
      expect(client.unlink(dir, name, false)).toBe(0);
    expect(client.unlink(root, 'dir', true)).toBe(0);
    expect(nodeFs.existsSync(at('dir'))).toBe(false);
  });

  test('device nodes are seen but never opened', () => {
    fs.mknodat(-100, at('null'), S_IFCHR | 0o666, fs.makeDevice(1, 3));
    const w = ok(client.walkGetattr(root, ['null']));
    expectSame(w.attrs[0]!, at('null'));
    expect(client.open(w.fid, p9.P9_RDWR)).toBe(-errno.EACCES);
  });

  test('lists directories of every size with attributes', () => {
    for (const count of [0, 1, 3000]) {
      nodeFs.mkdirSync(at(`many${count}`));
      for (let i = 0; i < count; i++)
        nodeFs.writeFileSync(at(`many${count}`, `${i}`.repeat(9)), '');
      if (count > 0) nodeFs.symlinkSync('x', at(`many${count}/link`));
      const fid = walk(`many${count}`);
      const listed = ok(client.readdirPlus(fid));
      const names = listed.map((e) => e.name).sort();
      expect(names).toEqual(nodeFs.readdirSync(at(`many${count}`)).sort());
      for (const e of listed.slice(0, 5)) {
        expectSame(e.attr, at(`many${count}`, e.name));
        expect(e.type).toBe(e.attr.mode >> 12);
      }
      client.clunk(fid);
    }
  });

  test('extended attributes', () => {
    nodeFs.writeFileSync(at('attributes'), '');
    const fid = walk('attributes');
    const value = Uint8Array.of(0, 1, 255);
    const set = client.setXattr(fid, 'user.one', value, 0);
    if (set === -errno.EOPNOTSUPP) return; // the temporary directory's file system has none
    expect(set).toBe(0);
    expect(client.getXattr(fid, 'user.one')).toEqual(value);
    expect(client.setXattr(fid, 'user.one', value, p9.XATTR_CREATE)).toBe(-errno.EEXIST);
    expect(client.setXattr(fid, 'user.two', value, p9.XATTR_REPLACE)).toBe(-errno.ENODATA);
    expect(client.setXattr(fid, 'user.large', new Uint8Array(65537), 0)).toBe(-errno.E2BIG);
    const names = String.fromCharCode(...ok(client.getXattr(fid, '') as Uint8Array));
    expect(names).toContain('user.one\0');
    expect(client.removeXattr(fid, 'user.one')).toBe(0);
    expect(client.getXattr(fid, 'user.one')).toBe(-errno.ENODATA);
    client.clunk(fid);
  });

  test('statfs and locks', () => {
    const s = ok(client.statfs(root)) as Exclude<ReturnType<Client['statfs']>, number>;
    const host = nodeFs.statfsSync(tree);
    expect(s).toMatchObject({ bsize: host.bsize, blocks: host.blocks, type: host.type });
    if (extended) return; // donated descriptors are locked by themselves
    nodeFs.writeFileSync(at('locked'), '');
    const fid = walk('locked');
    const one = ok(client.open(fid, p9.P9_RDWR)).fid;
    const two = ok(client.open(fid, p9.P9_RDWR)).fid;
    expect(client.lock(one, p9.LOCK_TYPE_WRLCK, 10, 0, 1)).toBe(p9.LOCK_SUCCESS);
    expect(client.lock(two, p9.LOCK_TYPE_RDLCK, 0, 20, 2)).toBe(p9.LOCK_BLOCKED);
    expect(client.lock(two, p9.LOCK_TYPE_RDLCK, 0, 10, 2)).toBe(p9.LOCK_SUCCESS);
    expect(client.getLock(two, p9.LOCK_TYPE_RDLCK, 0, 0, 2)).toMatchObject({
      type: p9.LOCK_TYPE_WRLCK,
      start: 10,
    });
    expect(client.lock(one, p9.LOCK_TYPE_UNLCK, 0, 0, 1)).toBe(p9.LOCK_SUCCESS);
    expect(client.lock(two, p9.LOCK_TYPE_WRLCK, 0, 0, 2)).toBe(p9.LOCK_SUCCESS);
  });

  test('fids are bounded, and clunking makes room', () => {
    const fids: number[] = [];
    for (;;) {
      const w = client.walkGetattr(root, ['a']);
      if (typeof w === 'number' || w.fid < 0) {
        expect(w).toSatisfy((r) => r === -errno.EMFILE || r.error === -errno.EMFILE);
        break;
      }
      fids.push(w.fid);
      if (fids.length > 300) throw new Error('no bound');
    }
    for (const fid of fids) client.clunk(fid);
    for (let i = 0; i < 1000; i++) client.clunk(walk('a', 'b'));
  });
});

test('a read-only connection refuses every change', async () => {
  const tree = treeOfTest();
  nodeFs.writeFileSync(path.join(tree, 'f'), 'x');
  const gofer = startGofer('ro', [tree]);
  const client = ok(Client.connect(gofer.fds[0]!));
  const root = ok(client.attach()).fid;
  const fid = ok(client.walkGetattr(root, ['f'])).fid;
  const refused = [
    client.open(fid, p9.P9_RDWR),
    client.open(fid, p9.P9_TRUNC),
    client.openAt(root, 'f', p9.P9_RDWR),
    client.openAt(root, 'f', p9.P9_TRUNC),
    client.create(root, 'n', 0, HOW),
    client.mkdir(root, 'n', HOW),
    client.mknod(root, 'n', { ...HOW, mode: S_IFIFO }, 0, 0),
    client.symlink(root, 'n', 'x', HOW),
    client.link(root, 'n', fid),
    client.rename(root, 'f', root, 'n'),
    client.unlink(root, 'f', false),
    client.setattr({ ...NO_CHANGES, fid, valid: p9.SETATTR_MODE, mode: 0 }),
    client.setXattr(fid, 'user.x', Uint8Array.of(1), 0),
  ];
  expect(refused).toEqual(refused.map(() => -errno.EROFS));
  const opened = ok(client.open(fid, 0));
  expect(fs.write(opened.hostFd, Uint8Array.of(1))).toBe(-errno.EBADF);
  client.close();
  expect(await gofer.ended).toBe(0);
});

test('a single file can be attached', async () => {
  const tree = treeOfTest();
  nodeFs.writeFileSync(path.join(tree, 'f'), 'one file');
  const gofer = startGofer('rw', [path.join(tree, 'f')]);
  const client = ok(Client.connect(gofer.fds[0]!));
  const root = ok(client.attach());
  expect(root.attr.qid.type).toBe(p9.QTFILE);
  expectSame(root.attr, path.join(tree, 'f'));
  expect(client.walkGetattr(root.fid, ['x'])).toMatchObject({ error: -errno.ENOTDIR });
  const opened = ok(client.open(root.fid, p9.P9_RDWR));
  expect(fs.pread(opened.hostFd, new Uint8Array(20), 0)).toBe(8);
  client.close();
  expect(await gofer.ended).toBe(0);
});

test('a gofer that dies makes every call fail, and none hang', async () => {
  const gofer = startGofer('rw', [treeOfTest()]);
  const client = ok(Client.connect(gofer.fds[0]!));
  const root = ok(client.attach()).fid;
  gofer.child.kill('SIGKILL');
  await gofer.ended;
  expect(client.getattr(root)).toBe(-errno.EIO);
  expect(client.isDead).toBe(true);
  expect(client.walkGetattr(root, ['a'])).toBe(-errno.EIO);
  expect(client.open(root, 0)).toBe(-errno.EIO);
  expect(client.readdirPlus(root)).toBe(-errno.EIO);
});
