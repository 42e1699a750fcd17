/** The overlay over a tmpfs: what shows, what is copied up, and what follows. */
import { beforeEach, describe, expect, test } from 'vitest';
import { ENOENT, ENOTEMPTY, EXDEV } from '../../../spec/linux/errno.ts';
import {
  O_APPEND,
  O_CREAT,
  O_RDONLY,
  O_RDWR,
  O_TRUNC,
  O_WRONLY,
  RENAME_EXCHANGE,
} from '../../../spec/linux/fcntl.ts';
import { type Extent, IN_MEMORY_FILE, type Mapper } from '../../mm/mappable.ts';
import type { MemoryFile } from '../../mm/memory_file.ts';
import { changeMode, truncatePath } from '../../vfs/operations/attributes.ts';
import { makeLink, makeSymlink } from '../../vfs/operations/create.ts';
import { FakeFiles, fakeClock, fakeMemory } from '../../vfs/operations/fake_files.ts';
import { removeDirectory, removeFile } from '../../vfs/operations/remove.ts';
import { rename } from '../../vfs/operations/rename.ts';
import { getXattr, setXattr } from '../../vfs/operations/xattr.ts';
import type { Stat } from '../../vfs/stat.ts';
import { parseOptions } from '../tmpfs/options.ts';
import { Tmpfs } from '../tmpfs/tmpfs.ts';
import { Overlay } from './overlay.ts';

let memory: MemoryFile;
/** The lower tree, looked at by itself. */
let below: FakeFiles;
let overlay: Overlay;
let f: FakeFiles;

beforeEach(() => {
  memory = fakeMemory();
  const options = parseOptions('mode=755', 2 ** 30);
  if (typeof options === 'number') throw new Error('options');
  const parts = { memory, clock: fakeClock(), devMajor: 0 };
  const lower = new Tmpfs({ ...parts, devMinor: 40 }, options);
  below = new FakeFiles(lower);
  below.mkdir('/etc');
  below.put('/etc/passwd', 'root');
  below.put('/etc/group', 'wheel');
  below.mkdir('/usr');
  below.mkdir('/usr/bin');
  below.put('/usr/bin/ls', 'ELF', 0o755);
  makeSymlink(below.vfs, below.caller, 'ls', undefined, '/usr/bin/dir');
  below.put('/one', 'shared');
  makeLink(below.vfs, below.caller, below.at('/one'), undefined, '/two');
  overlay = new Overlay({ ...parts, lower, devMinor: 41, sizeBytes: Number.POSITIVE_INFINITY });
  f = new FakeFiles(overlay);
});

const stat = (path: string): Stat => f.at(path, false).dentry.inode?.getattr() as Stat;
const unlink = (path: string): number => removeFile(f.vfs, f.caller, undefined, path);
const rmdir = (path: string): number => removeDirectory(f.vfs, f.caller, undefined, path);
const mv = (from: string, to: string, flags = 0): number =>
  rename(f.vfs, f.caller, undefined, from, undefined, to, flags);

/** Forgets all names that nobody uses, as a full cache would. */
function forgetNames(): void {
  const visit = (d: {
    children: Map<string, import('../../vfs/dentry.ts').Dentry> | null;
  }): void => {
    for (const child of [...(d.children?.values() ?? [])]) {
      visit(child);
      if (child.pins === 0 && child.children === null) f.vfs.dentries.remove(child);
    }
  };
  visit(f.namespace.root.root);
}

describe('the merged tree', () => {
  test('shows what is below', () => {
    expect(f.get('/etc/passwd')).toBe('root');
    expect(f.get('/usr/bin/dir')).toBe('ELF');
    expect(f.list('/etc')).toEqual(['.', '..', 'group', 'passwd']);
    expect(overlay.usedBytes).toBe(0);
  });

  test('covers what is removed and shows what is new', () => {
    expect(unlink('/etc/passwd')).toBe(0);
    f.put('/etc/hosts', 'new');
    expect(f.list('/etc')).toEqual(['.', '..', 'group', 'hosts']);
    forgetNames();
    expect(f.get('/etc/passwd')).toBe(-ENOENT);
    expect(f.get('/etc/hosts')).toBe('new');
    f.put('/etc/passwd', 'again');
    forgetNames();
    expect(f.get('/etc/passwd')).toBe('again');
    unlink('/etc/passwd');
    forgetNames();
    expect(f.lookup('/etc/passwd')).toBe(-ENOENT);
    expect(below.get('/etc/passwd')).toBe('root');
  });

  test('a directory made over a removed one is empty', () => {
    expect(rmdir('/etc')).toBe(-ENOTEMPTY);
    unlink('/etc/passwd');
    unlink('/etc/group');
    expect(rmdir('/etc')).toBe(0);
    expect(f.mkdir('/etc')).toBe(0);
    forgetNames();
    expect(f.list('/etc')).toEqual(['.', '..']);
  });

  test('a lower directory can be renamed with all that is in it', () => {
    expect(mv('/usr', '/opt')).toBe(0);
    forgetNames();
    expect(f.get('/opt/bin/ls')).toBe('ELF');
    expect(f.lookup('/usr')).toBe(-ENOENT);
    changeMode(f.caller, f.at('/opt/bin/ls'), 0o700);
    forgetNames();
    expect(stat('/opt/bin/ls').mode & 0o7777).toBe(0o700);
    expect(mv('/opt/bin', '/etc', RENAME_EXCHANGE)).toBe(0);
    forgetNames();
    expect(f.list('/opt/bin')).toEqual(['.', '..', 'group', 'passwd']);
    expect(f.get('/etc/ls')).toBe('ELF');
  });

  test('a rename replaces a lower file', () => {
    f.put('/etc/passwd.new', 'rooty');
    expect(mv('/etc/passwd.new', '/etc/passwd')).toBe(0);
    forgetNames();
    expect(f.get('/etc/passwd')).toBe('rooty');
    expect(mv('/etc/group', '/etc/passwd')).toBe(0);
    forgetNames();
    expect(f.get('/etc/passwd')).toBe('wheel');
    expect(f.list('/etc')).toEqual(['.', '..', 'passwd']);
  });
});

describe('changes', () => {
  test('attributes stay and cost no copy', () => {
    const before = stat('/etc/passwd');
    changeMode(f.caller, f.at('/etc/passwd'), 0o600);
    setXattr(f.caller, f.at('/etc/group'), 'user.a', new Uint8Array([7]), 0);
    forgetNames();
    expect(stat('/etc/passwd').mode & 0o7777).toBe(0o600);
    expect(stat('/etc/passwd').ino).toBe(before.ino);
    expect(getXattr(f.caller, f.at('/etc/group'), 'user.a')).toEqual(new Uint8Array([7]));
    expect(getXattr(below.caller, below.at('/etc/group'), 'user.a')).toBeLessThan(0);
    expect(overlay.usedBytes).toBe(0);
  });

  test('a write copies up; who had it open sees it', () => {
    const reader = f.open('/etc/passwd');
    const ino = stat('/etc/passwd').ino;
    const writer = f.open('/etc/passwd', O_WRONLY | O_APPEND);
    f.write(writer, ':x');
    writer.close();
    expect(f.read(reader)).toBe('root:x');
    reader.close();
    forgetNames();
    expect(f.get('/etc/passwd')).toBe('root:x');
    expect(stat('/etc/passwd').ino).toBe(ino);
    expect(below.get('/etc/passwd')).toBe('root');
  });

  test('contents are known not to change until they are copied up', () => {
    const constant = () => f.at('/etc/passwd').dentry.inode?.isConstant;
    const lower = below.at('/').dentry.inode!.fs;
    const parts = { memory, clock: fakeClock(), devMajor: 0, devMinor: 42, lower };
    const sizeBytes = Number.POSITIVE_INFINITY;
    const other = new FakeFiles(new Overlay({ ...parts, sizeBytes, lowerChanges: true }));
    expect(other.at('/etc/passwd').dentry.inode?.isConstant).toBe(false);
    expect(constant()).toBe(true);
    f.open('/etc/passwd', O_WRONLY).close();
    expect(constant()).toBe(true);
    const writer = f.open('/etc/passwd', O_WRONLY);
    f.write(writer, 'x');
    writer.close();
    expect(constant()).toBe(false);
    f.put('/etc/new', 'x');
    expect(f.at('/etc/new').dentry.inode?.isConstant).toBe(false);
  });

  test('truncation copies only what is kept', () => {
    f.open('/etc/passwd', O_WRONLY | O_TRUNC).close();
    expect(stat('/etc/passwd').size).toBe(0);
    expect(overlay.usedBytes).toBe(0);
    expect(truncatePath(f.caller, f.at('/etc/group'), 2)).toBe(0);
    forgetNames();
    expect(f.get('/etc/group')).toBe('wh');
  });

  test('large files arrive whole', () => {
    const text = Array.from({ length: 30000 }, (_, i) => String(i)).join(' ');
    below.put('/big', text);
    const file = f.open('/big', O_RDWR);
    f.write(file, 'Z');
    expect(file.seek(0, 0)).toBe(0);
    expect(f.read(file, text.length + 10)).toBe(`Z${text.slice(1)}`);
    file.close();
  });

  test('hard links below stay one file', () => {
    expect(stat('/one').ino).toBe(stat('/two').ino);
    const file = f.open('/one', O_WRONLY);
    f.write(file, 'SHARED');
    file.close();
    forgetNames();
    expect(f.get('/two')).toBe('SHARED');
    unlink('/one');
    forgetNames();
    expect(f.get('/two')).toBe('SHARED');
    expect(stat('/two').nlink).toBe(1);
  });

  test('a new link to a lower file stays one file', () => {
    expect(makeLink(f.vfs, f.caller, f.at('/etc/passwd'), undefined, '/pw')).toBe(0);
    forgetNames();
    expect(stat('/pw').ino).toBe(stat('/etc/passwd').ino);
    expect(stat('/etc/passwd').nlink).toBe(2);
    const file = f.open('/pw', O_WRONLY | O_TRUNC);
    f.write(file, 'both');
    file.close();
    expect(f.get('/etc/passwd')).toBe('both');
  });

  test('removing an open lower file, then writing to it', () => {
    const file = f.open('/etc/passwd', O_RDWR);
    unlink('/etc/passwd');
    f.write(file, 'gone');
    file.seek(0, 0);
    expect(f.read(file)).toBe('gone');
    file.close();
    forgetNames();
    expect(f.lookup('/etc/passwd')).toBe(-ENOENT);
    expect(overlay.usedBytes).toBe(0);
  });

  test('other file systems are other', () => {
    const inode = f.at('/etc/passwd').dentry.inode!;
    expect(inode.fs).toBe(overlay);
    expect(makeLink(f.vfs, f.caller, below.at('/one'), undefined, '/x')).toBe(-EXDEV);
  });
});

test('mappings follow the copy up', () => {
  const file = f.open('/etc/passwd', O_RDWR);
  const mapped = file.mappable();
  if (typeof mapped === 'number') throw new Error('not mappable');
  const invalidated: boolean[] = [];
  const written: unknown[] = [];
  const mapper: Mapper = {
    invalidate: (target, _start, _end, evenPrivate) => {
      expect(target).toBe(mapped);
      invalidated.push(evenPrivate);
    },
    written: (target) => written.push(target),
  };
  mapped.addMapping(mapper);
  const extent: Extent = { fd: IN_MEMORY_FILE, offset: 0, length: 0 };
  expect(mapped.translate(0, 4096, false, extent)).toBe(0);
  expect(memory.bytes[extent.offset]).toBe('r'.charCodeAt(0));
  const lowerOffset = extent.offset;
  f.write(file, 'R');
  expect(invalidated).toEqual([false]);
  expect(written).toEqual([mapped]);
  expect(file.mappable()).toBe(mapped);
  expect(mapped.translate(0, 4096, true, extent)).toBe(0);
  expect(extent.offset).not.toBe(lowerOffset);
  expect(memory.bytes[extent.offset]).toBe('R'.charCodeAt(0));
  file.close();
  unlink('/etc/passwd');
  expect(overlay.usedBytes).toBeGreaterThan(0);
  mapped.removeMapping(mapper);
  expect(overlay.usedBytes).toBe(0);
});

test('opening for reading needs no room above', () => {
  f.open('/usr/bin/ls', O_RDONLY).close();
  f.open('/usr/bin/new', O_CREAT | O_WRONLY).close();
  expect(f.list('/usr/bin')).toEqual(['.', '..', 'dir', 'ls', 'new']);
});
