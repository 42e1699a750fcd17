/** Options, limits and holes of tmpfs. */
import { describe, expect, test } from 'vitest';
import { EINVAL, ENOSPC, ENXIO, EROFS } from '../../../spec/linux/errno.ts';
import {
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  O_CREAT,
  O_RDWR,
  SEEK_DATA,
  SEEK_HOLE,
} from '../../../spec/linux/fcntl.ts';
import { MS_BIND, MS_RDONLY, MS_REMOUNT } from '../../../spec/linux/mount.ts';
import { IoBuffer } from '../../mm/io_buffer.ts';
import type { Inode } from '../../vfs/inode.ts';
import { FakeFiles, fakeClock, fakeMemory } from '../../vfs/operations/fake_files.ts';
import { mountAt } from '../../vfs/operations/mounting.ts';
import { removeFile } from '../../vfs/operations/remove.ts';
import type { Stat } from '../../vfs/stat.ts';
import { optionText, parseOptions } from './options.ts';
import { Tmpfs } from './tmpfs.ts';

function mounted(data: string): FakeFiles {
  const options = parseOptions(data, 2 ** 30);
  if (typeof options === 'number') throw new Error(data);
  const parts = { memory: fakeMemory(), clock: fakeClock(), devMajor: 0, devMinor: 40 };
  return new FakeFiles(new Tmpfs(parts, options));
}

function inodeOf(f: FakeFiles, path: string): Inode {
  const found = f.lookup(path);
  const inode = typeof found === 'number' ? null : found.dentry.inode;
  if (inode === null) throw new Error(path);
  return inode;
}

describe('options', () => {
  test('are read and shown', () => {
    const o = parseOptions('size=64k,mode=700,uid=5', 2 ** 30);
    expect(o).toMatchObject({ sizeBytes: 65536, mode: 0o700, uid: 5, gid: 0 });
    if (typeof o !== 'number') expect(optionText(o)).toBe('size=64k,mode=700,uid=5');
    expect(parseOptions('size=50%', 2 ** 30)).toMatchObject({ sizeBytes: 2 ** 29 });
    expect(parseOptions('', 2 ** 30)).toMatchObject({ sizeBytes: 2 ** 29, mode: 0o1777 });
  });

  test('refuses nonsense', () => {
    for (const bad of ['size=', 'size=-1', 'mode=9', 'uid=x', 'colour=red', 'size=1q']) {
      expect(parseOptions(bad, 2 ** 30)).toBe(-EINVAL);
    }
  });
});

describe('limits', () => {
  test('size gives a short write, then ENOSPC, and room again after unlink', () => {
    const f = mounted('size=8k,mode=755');
    const file = f.open('/a', O_RDWR | O_CREAT);
    expect(f.write(file, 'x'.repeat(10000))).toBe(8192);
    expect(f.write(file, 'y')).toBe(-ENOSPC);
    file.close();
    expect(removeFile(f.vfs, f.caller, undefined, '/a')).toBe(0);
    f.put('/b', 'fits');
    expect(f.get('/b')).toBe('fits');
  });

  test('extended attributes of all files together, and room again without them', () => {
    const f = mounted('mode=755');
    const value = new Uint8Array(65536);
    const fill = (): number => {
      for (let i = 0; ; i++) {
        f.put(`/f${i}`, '');
        const inode = inodeOf(f, `/f${i}`);
        for (const name of ['user.a', 'user.b', 'user.c']) {
          if (inode.setxattr(name, value, 0) === -ENOSPC) return i;
        }
        if (i > 1000) return i;
      }
    };
    const files = fill();
    expect(files).toBeLessThan(200);
    const first = inodeOf(f, '/f0');
    expect(first.setxattr('user.d', Uint8Array.of(1), 0)).toBe(0);
    expect(first.removexattr('user.a')).toBe(0);
    expect(first.setxattr('user.e', value.subarray(0, 60_000), 0)).toBe(0);
    for (let i = 0; i <= files; i++) removeFile(f.vfs, f.caller, undefined, `/f${i}`);
    expect(fill()).toBe(files);
    for (let i = 0; i <= files; i++) removeFile(f.vfs, f.caller, undefined, `/f${i}`);
  });

  test('nr_inodes', () => {
    const f = mounted('nr_inodes=3');
    f.put('/a', '');
    expect(f.mkdir('/b')).toBe(0);
    expect(f.mkdir('/c')).toBe(-ENOSPC);
    removeFile(f.vfs, f.caller, undefined, '/a');
    expect(f.mkdir('/c')).toBe(0);
  });
});

describe('mount -o remount', () => {
  const remount = (f: FakeFiles, data: string, flags = MS_REMOUNT): number => {
    const caller = { ...f.caller, container: { totalMemoryBytes: 2 ** 30 } };
    return mountAt(f.vfs, caller, f.at('/'), { source: '', type: '', flags, data });
  };
  const shown = (f: FakeFiles): string => f.namespace.root.fs.options;

  test('changes the limits that are given', () => {
    const f = mounted('size=64k,nr_inodes=5,mode=700');
    f.put('/a', 'x'.repeat(9000));
    expect(remount(f, 'size=8k')).toBe(-EINVAL);
    expect(remount(f, 'nr_inodes=1')).toBe(-EINVAL);
    expect(remount(f, 'colour=red')).toBe(-EINVAL);
    expect(shown(f)).toBe('size=64k,nr_inodes=5,mode=700');
    expect(remount(f, 'size=12k,mode=777')).toBe(0);
    expect(shown(f)).toBe('size=12k,nr_inodes=5,mode=700');
    expect(f.namespace.root.fs.statfs()).toMatchObject({ blocks: 3, bfree: 0, files: 5 });
    expect(f.mkdir('/b')).toBe(0);
    expect(remount(f, 'nr_inodes=3')).toBe(0);
    expect(f.mkdir('/c')).toBe(-ENOSPC);
    expect(remount(f, 'nr_inodes=0,size=50%')).toBe(0);
    expect(f.mkdir('/c')).toBe(0);
    expect(remount(f, 'nr_inodes=1000')).toBe(-EINVAL);
    expect(shown(f)).toBe('size=524288k,nr_inodes=0,mode=700');
  });

  test('with MS_BIND changes nothing but the flags of the mount', () => {
    const f = mounted('size=64k');
    expect(remount(f, 'size=8k', MS_REMOUNT | MS_BIND | MS_RDONLY)).toBe(0);
    expect(shown(f)).toBe('size=64k');
    expect(f.mkdir('/a')).toBe(-EROFS);
  });
});

test('holes read as zeroes and are found', () => {
  const f = mounted('mode=755');
  const file = f.open('/a', O_RDWR | O_CREAT);
  file.pwrite(f.caller, IoBuffer.over(Buffer.from('end')), 3 * 4096);
  expect((file.getattr() as Stat).blocks).toBe(8);
  const bytes = new Uint8Array(5);
  expect(file.pread(f.caller, IoBuffer.over(bytes), 3 * 4096 - 2)).toBe(5);
  expect([...bytes]).toEqual([0, 0, 101, 110, 100]);
  expect(file.seek(0, SEEK_DATA)).toBe(3 * 4096);
  expect(file.seek(0, SEEK_HOLE)).toBe(0);
  expect(file.seek(3 * 4096, SEEK_HOLE)).toBe(3 * 4096 + 3);
  expect(file.seek(4 * 4096, SEEK_DATA)).toBe(-ENXIO);
  expect(file.fallocate(0, 0, 2 * 4096)).toBe(0);
  expect((file.getattr() as Stat).blocks).toBe(24);
  expect(file.fallocate(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096)).toBe(0);
  expect((file.getattr() as Stat).blocks).toBe(16);
  expect((file.getattr() as Stat).size).toBe(3 * 4096 + 3);
  file.close();
});
