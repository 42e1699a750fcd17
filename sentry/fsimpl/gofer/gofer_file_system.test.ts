/** The file system over a real gofer: the host's own view of the tree is the oracle. */
import * as nodeFs from 'node:fs';
import * as path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import * as errno from '../../../spec/linux/errno.ts';
import {
  O_APPEND,
  O_RDONLY,
  O_RDWR,
  O_WRONLY,
  SEEK_END,
  SEEK_SET,
} from '../../../spec/linux/fcntl.ts';
import { S_IFIFO } from '../../../spec/linux/stat.ts';
import { type Gofer, startGofer, temporaryTree } from '../../../test/harness/gofer.ts';
import { TimerQueue } from '../../base/timer_queue.ts';
import { IoBuffer } from '../../mm/io_buffer.ts';
import type { Extent, Mapper } from '../../mm/mappable.ts';
import type { FsCaller } from '../../vfs/caller.ts';
import { Dentry } from '../../vfs/dentry.ts';
import type { Inode } from '../../vfs/inode.ts';
import { MountNamespace } from '../../vfs/mount.ts';
import type { DirEntry, Stat } from '../../vfs/stat.ts';
import { GoferFile } from './gofer_file.ts';
import { GoferFileSystem } from './gofer_file_system.ts';

const clock = {
  monotonicNs: () => Number(process.hrtime.bigint()),
  realtime: () => ({ sec: Math.floor(Date.now() / 1000), nsec: 0 }),
};
let turns = 0;
/** Each look at the kernel's count is one of another system call. */
const kernel = {
  clock,
  timers: new TimerQueue(),
  get turn() {
    return ++turns;
  },
};
const caller = { fileSizeLimit: Infinity, raise: () => undefined } as unknown as FsCaller;
const HOW = { mode: 0o644, uid: 11, gid: 22 };

const bytes = (text: string): IoBuffer => IoBuffer.over(Uint8Array.from(Buffer.from(text)));

describe.each([true, false])('exclusive: %s', (exclusive) => {
  let tree = '';
  let gofer: Gofer;
  let fs: GoferFileSystem;
  let calls = 0;
  const at = (...names: string[]): string => path.join(tree, ...names);

  beforeEach(() => {
    tree = temporaryTree();
    nodeFs.mkdirSync(at('d/e'), { recursive: true });
    nodeFs.writeFileSync(at('d/f'), 'contents');
    nodeFs.symlinkSync('d/f', at('l'));
    gofer = startGofer('rw', [tree]);
    const made = GoferFileSystem.connect(gofer.fds[0]!, {
      kernel,
      devMinor: 9,
      exclusive,
    });
    if (typeof made === 'number') throw new Error(`errno ${-made}`);
    fs = made;
    const channel = (fs.client as unknown as { channel: { flush(): void } }).channel;
    const flush = channel.flush.bind(channel);
    calls = 0;
    channel.flush = () => {
      calls++;
      flush();
    };
    turns = 0;
  });

  afterEach(async () => {
    fs.destroy();
    expect(await gofer.ended).toBe(0);
    nodeFs.rmSync(tree, { recursive: true });
  });

  const look = (...names: string[]): Inode => {
    let inode: Inode = fs.root;
    for (const name of names) {
      const next = inode.lookup(name);
      if (typeof next === 'number') throw new Error(`${name}: errno ${-next}`);
      inode = next;
    }
    return inode;
  };
  const open = (inode: Inode, flags: number): GoferFile => {
    const ns = new MountNamespace(fs, 'x', 0);
    const dentry = new Dentry(ns.root.root, 'name', inode);
    const file = inode.open(caller, { mount: ns.root, dentry }, flags);
    if (!(file instanceof GoferFile)) throw new Error(`errno ${-(file as number)}`);
    return file;
  };
  const read = (file: GoferFile, length = 100): string => {
    const into = new Uint8Array(length);
    const n = file.read(caller, IoBuffer.over(into));
    if (n < 0) throw new Error(`errno ${-n}`);
    return Buffer.from(into.subarray(0, n)).toString('latin1');
  };
  const same = (inode: Inode, file: string): void => {
    const s = nodeFs.lstatSync(file);
    const { mode, nlink, uid, gid, size, blocks } = s;
    expect(inode.getattr()).toMatchObject({ mode, nlink, uid, gid, size, blocks });
    expect((inode.getattr() as Stat).mtime.sec).toBe(Math.floor(s.mtimeMs / 1000));
  };

  test('looks up, reads, lists', () => {
    same(look('d'), at('d'));
    same(look('d', 'f'), at('d/f'));
    expect(look('l').readlink()).toBe('d/f');
    expect(look('d').lookup('none')).toBe(-errno.ENOENT);
    const entries = look('d').readdir();
    expect((entries as readonly DirEntry[]).map((e) => e.name).sort()).toEqual(['e', 'f']);
    const file = open(look('d', 'f'), O_RDONLY);
    expect(read(file)).toBe('contents');
    expect(read(file)).toBe('');
    expect(file.seek(-3, SEEK_END)).toBe(5);
    expect(read(file)).toBe('nts');
    expect(look('d', 'f')).toBe(look('d', 'f'));
    file.close();
  });

  test('more files are in use than the gofer has fids', () => {
    const names = Array.from({ length: 600 }, (_, i) => `f${i}`);
    for (const name of names) nodeFs.writeFileSync(at('d', name), name);
    const d = look('d');
    const inodes = names.map((name) => d.lookup(name) as Inode);
    const files = inodes.map((inode) => open(inode, O_RDONLY));
    expect(files.map((file) => read(file))).toEqual(names);
    for (const file of files) file.close();
    for (const name of names) expect(d.create(`new-${name}`, HOW)).toMatchObject({ uid: 11 });
    expect(d.rename('f0', inodes[0]!, look('d', 'e'), 'moved', null, 0)).toBe(0);
    expect(nodeFs.readFileSync(at('d/e/moved'), 'latin1')).toBe('f0');
  });

  test('creates, writes, appends, truncates', () => {
    const inode = look('d').create('new', HOW) as Inode;
    expect(inode).toMatchObject({ uid: 11, gid: 22 });
    const file = open(inode, O_RDWR);
    expect(file.write(caller, bytes('hello '))).toBe(6);
    expect(file.write(caller, bytes('world'))).toBe(5);
    same(inode, at('d/new'));
    expect(nodeFs.readFileSync(at('d/new'), 'latin1')).toBe('hello world');
    expect(file.truncate(4)).toBe(0);
    expect((inode.getattr() as Stat).size).toBe(4);
    expect(inode.setattr({ mode: 0o600, uid: 5, mtime: { sec: 77, nsec: 5 } })).toBe(0);
    same(inode, at('d/new'));
    expect(file.fsync(false)).toBe(0);
    const limited = { ...caller, fileSizeLimit: 6 } as FsCaller;
    file.seek(4, SEEK_SET);
    expect(file.write(limited, bytes('abc'))).toBe(2);
    expect(file.write(limited, bytes('abc'))).toBe(-errno.EFBIG);
    file.close();
    expect((look('d', 'new').getattr() as Stat).size).toBe(6);
  });

  test('appends behind what others wrote', () => {
    const file = open(look('d', 'f'), O_WRONLY | O_APPEND);
    expect(file.write(caller, bytes('1'))).toBe(1);
    if (!exclusive) nodeFs.appendFileSync(at('d/f'), ' others ');
    expect(file.write(caller, bytes('2'))).toBe(1);
    const others = exclusive ? '' : ' others ';
    expect(nodeFs.readFileSync(at('d/f'), 'latin1')).toBe(`contents1${others}2`);
    expect(file.offset).toBe(10 + others.length);
    file.close();
  });

  test('a link is walked to and read in one exchange, a file is opened in one', () => {
    const link = look('l');
    const before = calls;
    expect(link.readlink()).toBe('d/f');
    expect(calls - before).toBeLessThanOrEqual(exclusive ? 1 : 0);
    const f = look('d', 'f');
    const opened = calls;
    open(f, O_RDONLY).close();
    expect(calls).toBe(opened + 1);
  });

  if (!exclusive)
    test('a file that another took the name of is opened all the same', () => {
      const f = look('d', 'f');
      nodeFs.renameSync(at('d/f'), at('d/g'));
      nodeFs.writeFileSync(at('d/f'), 'another');
      expect(read(open(f, O_RDONLY))).toBe('contents');
      nodeFs.unlinkSync(at('d/f'));
      expect(open(look('d', 'g'), O_RDONLY).inode).toBe(f);
    });

  test('names come and go', () => {
    const d = look('d');
    expect((d.mkdir('m', { ...HOW, mode: 0o755 }) as Inode).isDirectory).toBe(true);
    same(look('d', 'm'), at('d/m'));
    expect((d.symlink('s', 'tar/get', HOW) as Inode).readlink()).toBe('tar/get');
    expect((d.mknod('p', S_IFIFO, HOW, 0, 0) as Inode).type).toBe(S_IFIFO);
    const f = look('d', 'f');
    expect(d.link('hard', f)).toBe(0);
    expect(look('d', 'hard')).toBe(f);
    expect((f.getattr() as Stat).nlink).toBe(2);
    expect(fs.root.rename('l', look('l'), d, 'moved', null, 0)).toBe(0);
    expect(fs.root.lookup('l')).toBe(-errno.ENOENT);
    expect(look('d', 'moved').readlink()).toBe('d/f');
    expect(d.rename('moved', look('d', 'moved'), fs.root, 's2', null, 2)).toBe(-errno.EINVAL);
    expect(d.rmdir('m', look('d', 'm'))).toBe(0);
    expect(d.unlink('hard', f)).toBe(0);
    expect((f.getattr() as Stat).nlink).toBe(1);
    const names = (d.readdir() as readonly DirEntry[]).map((e) => e.name).sort();
    expect(names).toEqual(nodeFs.readdirSync(at('d')).sort());
    expect(fs.root.rmdir('d', d)).toBe(-errno.ENOTEMPTY);
  });

  test('an unlinked file lives as long as it is open', () => {
    const f = look('d', 'f');
    const file = open(f, O_RDWR);
    expect(look('d').unlink('f', f)).toBe(0);
    f.forget();
    expect(look('d').lookup('f')).toBe(-errno.ENOENT);
    expect(read(file)).toBe('contents');
    expect(f.getattr()).toMatchObject({ nlink: 0, size: 8 });
    expect(file.write(caller, bytes('more'))).toBe(4);
    expect(f.getattr()).toMatchObject({ nlink: 0, size: 12 });
    file.close();
    const again = look('d').create('f', HOW) as Inode;
    expect(again).not.toBe(f);
    expect(again.getattr()).toMatchObject({ size: 0, nlink: 1 });
  });

  test('what is deleted without being open still has attributes', () => {
    const d = look('d');
    const [e, f, l] = [look('d', 'e'), look('d', 'f'), look('l')];
    const before = [e, f, l].map((inode) => (inode.getattr() as Stat).ino);
    fs.dropFids(100, -1);
    expect(d.rmdir('e', e)).toBe(0);
    expect(d.unlink('f', f)).toBe(0);
    expect(fs.root.unlink('l', l)).toBe(0);
    for (const [i, inode] of [e, f, l].entries()) {
      expect(inode.getattr()).toMatchObject({ ino: before[i], nlink: 0 });
    }
  });

  test.each([
    ['deleted', () => look('d').unlink('f', look('d', 'f'))],
    ['replaced', () => look('d').rename('g', look('d', 'g'), look('d'), 'f', look('d', 'f'), 0)],
  ])('a file that is held by O_PATH opens again and again, %s', (_how, remove) => {
    nodeFs.writeFileSync(at('d/g'), 'other');
    const f = look('d', 'f');
    f.held();
    fs.dropFids(100, -1);
    expect(remove()).toBe(0);
    for (let i = 0; i < 2; i++) {
      const file = open(f, O_RDONLY);
      expect(read(file)).toBe('contents');
      file.close();
    }
    f.dropped();
    f.forget();
    expect(() => open(f, O_RDONLY)).toThrow('errno');
  });

  test('a directory moved keeps its children reachable', () => {
    const e = look('d', 'e') as Inode;
    e.create('x', HOW);
    expect(look('d').rename('e', e, fs.root, 'e2', null, 0)).toBe(0);
    expect((look('e2', 'x').getattr() as Stat).size).toBe(0);
    const file = open(look('e2', 'x'), O_WRONLY);
    file.write(caller, bytes('1'));
    file.close();
    expect(nodeFs.readFileSync(at('e2/x'), 'latin1')).toBe('1');
  });

  test('mappings follow the file', () => {
    const f = look('d', 'f');
    const file = open(f, O_RDWR);
    const map = file.mappable();
    if (typeof map === 'number') throw new Error('not mappable');
    const extent: Extent = { fd: -1, offset: 0, length: 0 };
    expect(map.translate(0, 65536, true, extent)).toBe(0);
    expect(extent).toMatchObject({ offset: 0, length: 4096 });
    expect(nodeFs.fstatSync(extent.fd).size).toBe(8);
    expect(map.translate(4096, 4096, false, extent)).toBe(-errno.ENXIO);
    const lost: unknown[] = [];
    const mapper: Mapper = {
      invalidate: (_f, start, end, all) => lost.push([start, end, all]),
      written: (target) => lost.push(target === map),
    };
    map.addMapping(mapper);
    file.write(caller, bytes('other'));
    file.truncate(0);
    expect(lost).toEqual([true, [0, Infinity, true]]);
    file.close();
    nodeFs.writeFileSync(at('d/f'), 'x'.repeat(5000));
    f.setattr({ size: 5000 });
    expect(map.translate(4096, 4096, true, extent)).toBe(0);
    map.removeMapping(mapper);
  });

  test('extended attributes', () => {
    const f = look('d', 'f');
    expect(f.getxattr('user.a')).toBe(-errno.ENODATA);
    const r = f.setxattr('user.a', Uint8Array.of(1, 2), 0);
    if (r === -errno.EOPNOTSUPP) return;
    expect(f.listxattr()).toContain('user.a');
    expect(f.getxattr('user.a')).toEqual(Uint8Array.of(1, 2));
    expect(f.removexattr('user.a')).toBe(0);
    expect(f.getxattr('user.a')).toBe(-errno.ENODATA);
  });

  if (exclusive) {
    test('what is known is answered without the gofer', () => {
      for (let i = 0; i < 50; i++) nodeFs.writeFileSync(at('d/e', `n${i}`), '');
      const e = look('d', 'e');
      for (let i = 0; i < 4; i++) e.lookup(`absent${i}`);
      const before = calls;
      for (let i = 0; i < 50; i++) same(look('d', 'e', `n${i}`), at('d/e', `n${i}`));
      for (let i = 0; i < 50; i++) expect(e.lookup(`none${i}`)).toBe(-errno.ENOENT);
      expect((e.readdir() as unknown[]).length).toBe(50);
      expect(calls).toBe(before);
    });

    test('a file opened again needs no gofer', () => {
      const f = look('d', 'f');
      open(f, O_RDONLY).close();
      const before = calls;
      const file = open(f, O_RDONLY);
      expect(read(file)).toBe('contents');
      file.close();
      expect(calls).toBe(before);
    });

    test('a small directory is asked for whole, at its first lookup once the sandbox is at work', () => {
      nodeFs.writeFileSync(at('d/e/g'), 'other');
      const asked = (dir: Inode): number[] =>
        ['a', 'b', 'g', 'c'].map((name) => {
          const before = calls;
          const found = dir.lookup(name);
          expect(typeof found === 'number' ? found : 'there').toBe(
            name === 'g' ? 'there' : -errno.ENOENT,
          );
          return calls - before;
        });
      const d = look('d') as Inode;
      expect(d.lookup('a')).toBe(-errno.ENOENT);
      const before = calls;
      expect(d.lookup('b')).toBe(-errno.ENOENT);
      expect(calls - before).toBe(1);
      turns = 1000;
      expect(asked(look('d', 'e'))).toEqual([1, 0, 0, 0]);
    });

    test('creating, writing and closing a file takes two exchanges', () => {
      const d = look('d');
      d.lookup('f');
      const before = calls;
      const file = open(d.create('quick', HOW) as Inode, O_WRONLY);
      file.write(caller, bytes('x'));
      file.close();
      expect(calls - before).toBeLessThanOrEqual(2);
    });

    test('forgotten inodes come back right', () => {
      const f = look('d', 'f');
      for (let i = 0; i < 5; i++) look('d').lookup(`absent${i}`);
      const file = open(f, O_RDWR);
      file.write(caller, bytes('longer contents'));
      file.close();
      f.forget();
      const again = look('d', 'f');
      expect(again).not.toBe(f);
      same(again, at('d/f'));
    });
  } else {
    test('changes by others are seen', () => {
      const f = look('d', 'f');
      expect(fs.revalidate(look('d'), 'f', f)).toBe(true);
      nodeFs.writeFileSync(at('d/f'), 'changed by the host');
      expect(fs.revalidate(look('d'), 'f', f)).toBe(true);
      expect((f.getattr() as Stat).size).toBe(19);
      nodeFs.rmSync(at('d/f'));
      expect(fs.revalidate(look('d'), 'f', f)).toBe(false);
      expect(fs.revalidate(look('d'), 'new', null)).toBe(false);
      nodeFs.writeFileSync(at('d/new'), '1');
      expect((look('d', 'new').getattr() as Stat).size).toBe(1);
      expect((look('d').readdir() as readonly DirEntry[]).map((x) => x.name)).toContain('new');
    });
  }

  test('a dead gofer is EIO, but what is open goes on', async () => {
    const file = open(look('d', 'f'), O_RDONLY);
    gofer.child.kill('SIGKILL');
    await gofer.ended;
    (gofer as { ended: Promise<number | null> }).ended = Promise.resolve(0);
    expect(fs.root.mkdir('x', HOW)).toBe(-errno.EIO);
    expect(read(file)).toBe('contents');
    expect(fs.statfs()).toBe(-errno.EIO);
    file.close();
  });
});
