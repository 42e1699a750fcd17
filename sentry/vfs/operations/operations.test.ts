/** The VFS operations over a tmpfs, with the errors of Linux. */
import { beforeEach, describe, expect, test } from 'vitest';
import {
  EACCES,
  EBUSY,
  EEXIST,
  EFBIG,
  EINVAL,
  EISDIR,
  ELOOP,
  ENOENT,
  ENOTDIR,
  ENOTEMPTY,
  ENXIO,
  EPERM,
  EROFS,
  ETXTBSY,
  EXDEV,
} from '../../../spec/linux/errno.ts';
import {
  O_APPEND,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_NOFOLLOW,
  O_PATH,
  O_RDONLY,
  O_RDWR,
  O_TMPFILE,
  O_TRUNC,
  O_WRONLY,
  RENAME_EXCHANGE,
  RENAME_NOREPLACE,
} from '../../../spec/linux/fcntl.ts';
import { IN_CREATE, IN_DELETE, IN_DELETE_SELF, IN_IGNORED } from '../../../spec/linux/inotify.ts';
import { MNT_DETACH, MS_BIND, MS_RDONLY, MS_REC, MS_REMOUNT } from '../../../spec/linux/mount.ts';
import { SIGXFSZ } from '../../../spec/linux/signal.ts';
import { S_IFCHR, S_IFREG } from '../../../spec/linux/stat.ts';
import { parseOptions } from '../../fsimpl/tmpfs/options.ts';
import { Tmpfs } from '../../fsimpl/tmpfs/tmpfs.ts';
import { type Watch, WatchList } from '../fsnotify.ts';
import type { Path } from '../mount.ts';
import type { OpenFile } from '../open_file.ts';
import type { Stat } from '../stat.ts';
import { changeMode, changeOwner, changeTimes, checkAccess, truncatePath } from './attributes.ts';
import { makeLink, makeNode, makeSymlink } from './create.ts';
import { FakeFiles, fakeClock, fakeMemory, ROOT, USER } from './fake_files.ts';
import { mountAt, unmountAt } from './mounting.ts';
import { openExisting } from './open.ts';
import { removeDirectory, removeFile } from './remove.ts';
import { rename } from './rename.ts';
import { getXattr, listXattr, removeXattr, setXattr } from './xattr.ts';

function newTmpfs(data = 'size=8m,mode=755'): Tmpfs {
  const options = parseOptions(data, 2 ** 30);
  if (typeof options === 'number') throw new Error('options');
  return new Tmpfs(
    { memory: fakeMemory(), clock: fakeClock(), devMajor: 0, devMinor: 40 },
    options,
  );
}

let f: FakeFiles;
beforeEach(() => {
  f = new FakeFiles(newTmpfs());
});

const stat = (path: string): Stat => f.at(path, false).dentry.inode?.getattr() as Stat;
const unlink = (path: string): number => removeFile(f.vfs, f.caller, undefined, path);
const rmdir = (path: string): number => removeDirectory(f.vfs, f.caller, undefined, path);
const mv = (from: string, to: string, flags = 0): number =>
  rename(f.vfs, f.caller, undefined, from, undefined, to, flags);
const ln = (from: string, to: string): number =>
  makeLink(f.vfs, f.caller, f.at(from, false), undefined, to);
const symlink = (target: string, path: string): number =>
  makeSymlink(f.vfs, f.caller, target, undefined, path);

describe('open', () => {
  test('creates, reads back, appends and truncates', () => {
    f.put('/a', 'hello');
    expect(f.get('/a')).toBe('hello');
    const file = f.open('/a', O_WRONLY | O_APPEND);
    f.write(file, ' world');
    file.close();
    expect(f.get('/a')).toBe('hello world');
    f.open('/a', O_WRONLY | O_TRUNC).close();
    expect(stat('/a').size).toBe(0);
  });

  test('says what Linux says', () => {
    f.put('/file', 'x');
    f.mkdir('/dir');
    symlink('file', '/link');
    symlink('nowhere', '/dangling');
    expect(f.tryOpen('/file', O_CREAT | O_EXCL)).toBe(-EEXIST);
    expect(f.tryOpen('/dir', O_WRONLY)).toBe(-EISDIR);
    expect(f.tryOpen('/dir', O_CREAT)).toBe(-EISDIR);
    expect(f.tryOpen('/file', O_DIRECTORY)).toBe(-ENOTDIR);
    expect(f.tryOpen('/file/', O_RDONLY)).toBe(-ENOTDIR);
    expect(f.tryOpen('/new/', O_CREAT)).toBe(-EISDIR);
    expect(f.tryOpen('/link', O_NOFOLLOW)).toBe(-ELOOP);
    expect(f.tryOpen('/link', O_CREAT | O_EXCL)).toBe(-EEXIST);
    expect(f.tryOpen('/nothing')).toBe(-ENOENT);
    expect(f.tryOpen('/file/x')).toBe(-ENOTDIR);
    expect(f.tryOpen('/', O_CREAT)).toBe(-EISDIR);
    expect(f.tryOpen('/dangling')).toBe(-ENOENT);
  });

  test('O_CREAT goes through a dangling link', () => {
    f.mkdir('/dir');
    symlink('dir/made', '/dangling');
    f.open('/dangling', O_CREAT | O_WRONLY).close();
    expect(stat('/dir/made').mode).toBe(S_IFREG | 0o644);
    symlink('loop', '/loop');
    expect(f.tryOpen('/loop', O_CREAT)).toBe(-ELOOP);
  });

  test('O_PATH opens links and unreadable files', () => {
    symlink('x', '/link');
    const file = f.open('/link', O_PATH | O_NOFOLLOW);
    expect(file.inode.isSymlink).toBe(true);
    expect(file.readable).toBe(false);
    file.close();
  });

  test('O_TMPFILE can get a name unless O_EXCL', () => {
    const file = f.open('/', O_TMPFILE | O_RDWR);
    f.write(file, 'later');
    expect((file.getattr() as Stat).nlink).toBe(0);
    expect(makeLink(f.vfs, f.caller, file.path, undefined, '/named')).toBe(0);
    file.close();
    expect(f.get('/named')).toBe('later');
    const hidden = f.open('/', O_TMPFILE | O_RDWR | O_EXCL);
    expect(makeLink(f.vfs, f.caller, hidden.path, undefined, '/never')).toBe(-ENOENT);
    expect(f.tryOpen('/', O_TMPFILE)).toBe(-EINVAL);
  });

  test('O_PATH keeps a file without a name, to be opened again', () => {
    const fs = f.at('/').mount.fs as Tmpfs;
    const before = fs.usedBytes;
    f.put('/a', 'kept');
    const place = f.open('/a', O_PATH);
    expect(unlink('/a')).toBe(0);
    for (let i = 0; i < 2; i++) {
      const again = openExisting(f.vfs, f.caller, place.path, O_RDWR) as OpenFile;
      expect(f.read(again)).toBe('kept');
      again.close();
    }
    place.close();
    expect(fs.usedBytes).toBe(before);
  });

  test('a directory that is gone is forgotten with its last user', () => {
    const fs = f.at('/').mount.fs as Tmpfs;
    const { ffree } = fs.statfs();
    f.mkdir('/gone');
    f.fs.setCwd(f.at('/gone'));
    expect(rmdir('/gone')).toBe(0);
    expect(f.lookup('nothing')).toBe(-ENOENT);
    expect(f.tryOpen('nothing', O_CREAT)).toBe(-ENOENT);
    f.fs.setCwd(f.at('/'));
    expect(fs.statfs().ffree).toBe(ffree);
  });

  test('checks permissions, and ETXTBSY', () => {
    f.put('/secret', 'x', 0o600);
    f.put('/program', 'x', 0o755);
    f.creds = USER;
    expect(f.tryOpen('/secret')).toBe(-EACCES);
    expect(f.tryOpen('/mine', O_CREAT | O_WRONLY)).toBe(-EACCES);
    expect(f.tryOpen('/program', O_WRONLY)).toBe(-EACCES);
    f.creds = ROOT;
    const inode = f.at('/program').dentry.inode!;
    inode.writeCount--;
    expect(f.tryOpen('/program', O_WRONLY)).toBe(-ETXTBSY);
    inode.writeCount++;
    const file = f.open('/program', O_WRONLY);
    expect(inode.writeCount).toBe(1);
    file.close();
    expect(inode.writeCount).toBe(0);
  });

  test('a new file in a set-group-id directory takes its group', () => {
    f.mkdir('/shared');
    changeOwner(f.caller, f.at('/shared'), -1, 77);
    changeMode(f.caller, f.at('/shared'), 0o2777);
    f.creds = USER;
    f.put('/shared/file', '');
    f.mkdir('/shared/sub');
    expect(stat('/shared/file').gid).toBe(77);
    expect(stat('/shared/sub').mode & 0o7777).toBe(0o2755);
  });
});

describe('names', () => {
  test('unlink keeps an open file alive', () => {
    f.put('/a', 'still here');
    const file = f.open('/a');
    expect(unlink('/a')).toBe(0);
    expect(f.get('/a')).toBe(-ENOENT);
    expect(f.read(file)).toBe('still here');
    expect((file.getattr() as Stat).nlink).toBe(0);
    file.close();
    expect((f.namespace.root.fs as Tmpfs).usedBytes).toBe(0);
  });

  test('unlink and rmdir refuse the wrong kind', () => {
    f.put('/a', '');
    f.mkdir('/d');
    f.put('/d/x', '');
    expect(unlink('/d')).toBe(-EISDIR);
    expect(rmdir('/a')).toBe(-ENOTDIR);
    expect(rmdir('/d')).toBe(-ENOTEMPTY);
    expect(rmdir('/d/.')).toBe(-EINVAL);
    expect(rmdir('/')).toBe(-EBUSY);
    expect(unlink('/a/')).toBe(-ENOTDIR);
    unlink('/d/x');
    expect(rmdir('/d')).toBe(0);
    expect(f.lookup('/d')).toBe(-ENOENT);
  });

  test('the sticky bit protects what others own', () => {
    f.mkdir('/tmp');
    changeMode(f.caller, f.at('/tmp'), 0o1777);
    f.put('/tmp/roots', '');
    f.creds = USER;
    expect(unlink('/tmp/roots')).toBe(-EPERM);
    f.put('/tmp/mine', '');
    expect(unlink('/tmp/mine')).toBe(0);
  });

  test('hard links share an inode', () => {
    f.put('/a', 'one');
    expect(ln('/a', '/b')).toBe(0);
    expect(stat('/b').nlink).toBe(2);
    expect(stat('/b').ino).toBe(stat('/a').ino);
    unlink('/a');
    expect(f.get('/b')).toBe('one');
    f.mkdir('/d');
    expect(ln('/d', '/e')).toBe(-EPERM);
  });

  test('rename replaces, exchanges and refuses', () => {
    f.put('/a', 'A');
    f.put('/b', 'B');
    f.mkdir('/d');
    f.mkdir('/d/e');
    expect(mv('/a', '/b', RENAME_NOREPLACE)).toBe(-EEXIST);
    expect(mv('/a', '/b', RENAME_EXCHANGE)).toBe(0);
    expect(f.get('/a')).toBe('B');
    expect(mv('/a', '/b')).toBe(0);
    expect(f.get('/b')).toBe('B');
    expect(f.lookup('/a')).toBe(-ENOENT);
    expect(mv('/d', '/d/e/f')).toBe(-EINVAL);
    expect(mv('/d/e', '/d')).toBe(-ENOTEMPTY);
    expect(mv('/d', '/b')).toBe(-ENOTDIR);
    expect(mv('/b', '/d')).toBe(-EISDIR);
    expect(mv('/b', '/c/')).toBe(-ENOTDIR);
    expect(mv('/d/.', '/x')).toBe(-EBUSY);
    expect(stat('/d').nlink).toBe(3);
    expect(mv('/d/e', '/e')).toBe(0);
    expect(stat('/d').nlink).toBe(2);
    expect(f.namespace.pathname(f.at('/e'), f.fs.root)).toBe('/e');
  });

  test('rename onto a link to the same file does nothing', () => {
    f.put('/a', 'A');
    ln('/a', '/b');
    expect(mv('/a', '/b')).toBe(0);
    expect(f.list('/')).toEqual(['.', '..', 'a', 'b']);
  });

  test('device nodes need CAP_MKNOD', () => {
    changeMode(f.caller, f.at('/'), 0o777);
    f.creds = USER;
    expect(makeNode(f.vfs, f.caller, undefined, '/null', S_IFCHR, 0o666, 1, 3)).toBe(-EPERM);
    f.creds = ROOT;
    makeNode(f.vfs, f.caller, undefined, '/null', S_IFCHR, 0o666, 1, 3);
    expect(stat('/null').rdevMinor).toBe(3);
    expect(f.tryOpen('/null')).toBe(-ENXIO);
  });
});

describe('attributes', () => {
  test('chown by a user and the set-id bits', () => {
    f.put('/a', '', 0o755);
    changeMode(f.caller, f.at('/a'), 0o6755);
    changeOwner(f.caller, f.at('/a'), 1000, 1000);
    expect(stat('/a').mode & 0o7777).toBe(0o755);
    f.creds = USER;
    expect(changeOwner(f.caller, f.at('/a'), 0, -1)).toBe(-EPERM);
    expect(changeOwner(f.caller, f.at('/a'), 1000, 1000)).toBe(0);
    expect(changeMode(f.caller, f.at('/a'), 0o600)).toBe(0);
    expect(changeMode(f.caller, f.at('/'), 0o777)).toBe(-EPERM);
  });

  test('times', () => {
    f.put('/a', '');
    const t = { sec: 5, nsec: 7 };
    expect(changeTimes(f.caller, f.at('/a'), t, 'omit')).toBe(0);
    expect(stat('/a').atime).toEqual(t);
    expect(stat('/a').mtime.sec).toBeGreaterThan(5);
    f.creds = USER;
    expect(changeTimes(f.caller, f.at('/a'), t, t)).toBe(-EPERM);
    expect(changeTimes(f.caller, f.at('/a'), 'now', 'now')).toBe(-EACCES);
  });

  test('truncate and RLIMIT_FSIZE', () => {
    f.put('/a', 'abcdef');
    expect(truncatePath(f.caller, f.at('/a'), 3)).toBe(0);
    expect(f.get('/a')).toBe('abc');
    expect(truncatePath(f.caller, f.at('/a'), 5)).toBe(0);
    expect(f.get('/a')).toBe('abc\0\0');
    f.fileSizeLimit = 4;
    expect(truncatePath(f.caller, f.at('/a'), 5)).toBe(-EFBIG);
    const file = f.open('/a', O_WRONLY);
    expect(f.write(file, 'wxyz12')).toBe(4);
    expect(f.write(file, 'more')).toBe(-EFBIG);
    expect(f.signals).toEqual([SIGXFSZ, SIGXFSZ]);
    expect(truncatePath(f.caller, f.at('/'), 0)).toBe(-EISDIR);
  });

  test('extended attributes and their name spaces', () => {
    f.put('/a', '');
    const value = new Uint8Array([1, 2]);
    expect(setXattr(f.caller, f.at('/a'), 'user.x', value, 0)).toBe(0);
    expect(setXattr(f.caller, f.at('/a'), 'trusted.y', value, 0)).toBe(0);
    expect(setXattr(f.caller, f.at('/a'), 'user.x', value, 1)).toBe(-EEXIST);
    expect(getXattr(f.caller, f.at('/a'), 'user.x')).toEqual(value);
    expect(listXattr(f.caller, f.at('/a'))).toEqual(['user.x', 'trusted.y']);
    expect(setXattr(f.caller, f.at('/a'), 'bogus', value, 0)).toBeLessThan(0);
    f.creds = USER;
    expect(listXattr(f.caller, f.at('/a'))).toEqual(['user.x']);
    expect(setXattr(f.caller, f.at('/a'), 'user.z', value, 0)).toBe(-EACCES);
    expect(removeXattr(f.caller, f.at('/a'), 'trusted.y')).toBe(-EPERM);
  });

  test('access goes by the given credentials', () => {
    f.put('/a', '', 0o640);
    expect(checkAccess(USER, f.at('/a'), 4)).toBe(-EACCES);
    expect(checkAccess(f.creds, f.at('/a'), 6)).toBe(0);
    expect(checkAccess(f.creds, f.at('/a'), 1)).toBe(-EACCES);
  });
});

describe('mounts', () => {
  const bind = { source: '/d', type: '', flags: MS_BIND, data: '' };

  test('bind, remount read-only, unmount', () => {
    f.mkdir('/d');
    f.mkdir('/m');
    f.put('/d/x', 'X');
    expect(mountAt(f.vfs, f.caller, f.at('/m'), bind)).toBe(0);
    expect(f.get('/m/x')).toBe('X');
    const again = { ...bind, flags: MS_REMOUNT | MS_BIND | MS_RDONLY };
    expect(mountAt(f.vfs, f.caller, f.at('/m'), again)).toBe(0);
    expect(f.tryOpen('/m/y', O_CREAT)).toBe(-EROFS);
    expect(f.tryOpen('/m/x', O_WRONLY)).toBe(-EROFS);
    expect(mv('/m/x', '/d/y')).toBe(-EXDEV);
    expect(unlink('/m/x')).toBe(-EROFS);
    expect(rmdir('/m')).toBe(-EBUSY);
    const file = f.open('/m/x');
    expect(unmountAt(f.caller, f.at('/m'), 0)).toBe(-EBUSY);
    file.close();
    expect(unmountAt(f.caller, f.at('/m'), 0)).toBe(0);
    expect(f.lookup('/m/x')).toBe(-ENOENT);
    expect(unmountAt(f.caller, f.at('/m'), 0)).toBe(-EINVAL);
  });

  test('a lazy unmount waits for the last user', () => {
    const inner = newTmpfs();
    let destroyed = false;
    inner.destroy = () => {
      destroyed = true;
    };
    f.vfs.fileSystemTypes.set('inner', () => inner);
    f.mkdir('/m');
    const request = { source: 'none', type: 'inner', flags: 0, data: '' };
    expect(mountAt(f.vfs, f.caller, f.at('/m'), request)).toBe(0);
    f.put('/m/x', 'kept');
    const file = f.open('/m/x');
    expect(unmountAt(f.caller, f.at('/m'), MNT_DETACH)).toBe(0);
    expect(destroyed).toBe(false);
    expect(f.read(file)).toBe('kept');
    file.close();
    expect(destroyed).toBe(true);
  });

  test('a mount that was detached lazily takes part in no other', () => {
    f.mkdir('/m');
    f.mkdir('/n');
    f.vfs.fileSystemTypes.set('inner', () => newTmpfs());
    const request = { source: 'none', type: 'inner', flags: 0, data: '' };
    mountAt(f.vfs, f.caller, f.at('/m'), request);
    const inside = f.at('/m');
    f.fs.setCwd(inside);
    expect(unmountAt(f.caller, inside, MNT_DETACH)).toBe(0);
    expect(mountAt(f.vfs, f.caller, f.at('/n'), { ...bind, source: '.' })).toBe(-EINVAL);
    expect(mountAt(f.vfs, f.caller, inside, request)).toBe(-EINVAL);
  });

  test('mounts may stand thousands deep', () => {
    f.vfs.fileSystemTypes.set('inner', () => newTmpfs());
    f.mkdir('/m');
    f.mkdir('/n');
    const lowest = f.at('/m');
    const request = { source: 'none', type: 'inner', flags: 0, data: '' };
    const under = (path: Path): Path => {
      f.fs.setCwd(path);
      f.mkdir('d');
      return f.at('d');
    };
    let at = lowest;
    for (let i = 0; i < 2000; i++) {
      expect(mountAt(f.vfs, f.caller, at, request)).toBe(0);
      at = under(f.namespace.top(at));
    }
    f.fs.setCwd(f.at('/'));
    const all = { ...bind, source: '/m', flags: MS_BIND | MS_REC };
    expect(mountAt(f.vfs, f.caller, f.at('/n'), all)).toBe(0);
    expect(f.namespace.mounts.length).toBe(4001);
    expect(unmountAt(f.caller, f.at('/n'), MNT_DETACH)).toBe(0);
    expect(unmountAt(f.caller, f.at('/m'), MNT_DETACH)).toBe(0);
    expect(f.namespace.mounts.length).toBe(1);
  });

  test('what is moved out of a bind mount has no way up', () => {
    for (const path of ['/d', '/d/sub', '/m', '/out']) f.mkdir(path);
    mountAt(f.vfs, f.caller, f.at('/m'), bind);
    f.fs.setCwd(f.at('/m/sub'));
    expect(f.at('..').mount.root).toBe(f.at('/d').dentry);
    expect(mv('/d/sub', '/out/sub')).toBe(0);
    expect(f.lookup('..')).toBe(-ENOENT);
    expect(f.lookup('../../d')).toBe(-ENOENT);
  });

  test('a file mounted elsewhere outlives its name and its readers', () => {
    f.put('/file', 'kept');
    f.put('/place', '');
    mountAt(f.vfs, f.caller, f.at('/place'), { ...bind, source: '/file' });
    expect(unlink('/file')).toBe(0);
    expect(f.get('/place')).toBe('kept');
    expect(f.get('/place')).toBe('kept');
  });
});

test('watchers hear of it', () => {
  const heard: string[] = [];
  const watch = (tag: string): Watch => ({
    mask: 0xfff,
    notify: (mask, _cookie, name) => heard.push(`${tag} ${mask.toString(16)} ${name}`.trim()),
    gone: () => heard.push(`${tag} ${IN_IGNORED.toString(16)}`),
  });
  const root = f.at('/').dentry.inode!;
  root.watches = new WatchList();
  root.watches.add(watch('dir'));
  f.open('/a', O_CREAT).close();
  const a = f.at('/a').dentry.inode!;
  a.watches = new WatchList();
  a.watches.add(watch('file'));
  unlink('/a');
  expect(heard).toContain(`dir ${IN_CREATE.toString(16)} a`);
  expect(heard.slice(-4)).toEqual([
    'file 4',
    `file ${IN_DELETE_SELF.toString(16)}`,
    'file 8000',
    `dir ${IN_DELETE.toString(16)} a`,
  ]);
});
