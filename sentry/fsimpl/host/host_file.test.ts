/** Host descriptors as files: they never wait, and share what the host's description has. */
import { expect, test } from 'vitest';
import { close, fcntl, lseek, memfdCreate, pipe2, pread, read, write } from '../../../native/fs.ts';
import { EACCES, EAGAIN, EBADF, ENXIO, EPIPE } from '../../../spec/linux/errno.ts';
import {
  F_GETFL,
  O_NONBLOCK,
  O_PATH,
  O_RDONLY,
  O_WRONLY,
  SEEK_CUR,
  SEEK_SET,
} from '../../../spec/linux/fcntl.ts';
import { POLLHUP, POLLIN, POLLOUT } from '../../../spec/linux/poll.ts';
import { IoBuffer } from '../../mm/io_buffer.ts';
import type { HostPoller } from '../../platform/platform.ts';
import type { FsCaller } from '../../vfs/caller.ts';
import { PathFile } from '../../vfs/open_file.ts';
import { fakeClock } from '../../vfs/operations/fake_files.ts';
import type { HostFile } from './host_file.ts';
import { HostFileSystem } from './host_inode.ts';

const caller = {} as FsCaller;

class FakePoller implements HostPoller {
  readonly watched = new Set<number>();
  add(fd: number): number {
    this.watched.add(fd);
    return 0;
  }
  remove(fd: number): void {
    this.watched.delete(fd);
  }
  drain(): void {}
}

const poller = new FakePoller();
const fs = new HostFileSystem(fakeClock(), poller);

function over(fd: number): HostFile {
  const file = fs.openFd(fd, 5, 6);
  if (typeof file === 'number') throw new Error(`errno ${-file}`);
  return file;
}

function pipe(): [number, number] {
  const ends = pipe2(0);
  if (typeof ends === 'number') throw new Error(`errno ${-ends}`);
  return ends;
}

function take(file: HostFile, size = 100): string | number {
  const bytes = new Uint8Array(size);
  const n = file.read(caller, IoBuffer.over(bytes));
  return n < 0 ? n : Buffer.from(bytes.subarray(0, n)).toString();
}

function put(file: HostFile, text: string): number {
  return file.write(caller, IoBuffer.over(Buffer.from(text)));
}

test('an empty pipe says to wait, though its description may block', () => {
  const [reader, writer] = pipe();
  const file = over(reader);
  expect(take(file)).toBe(-EAGAIN);
  expect(file.poll() & POLLIN).toBe(0);
  write(writer, Buffer.from('hello'));
  expect(file.poll() & POLLIN).not.toBe(0);
  expect(take(file, 3)).toBe('hel');
  expect(take(file)).toBe('lo');
  expect(fcntl(reader, F_GETFL) & O_NONBLOCK).toBe(0);
  close(writer);
  expect(file.poll() & POLLHUP).not.toBe(0);
  expect(take(file)).toBe('');
  file.close();
});

test('a full pipe takes what fits', () => {
  const [reader, writer] = pipe();
  const file = over(writer);
  const text = 'x'.repeat(100_000);
  const n = put(file, text);
  expect(n).toBeGreaterThan(4096);
  expect(n).toBeLessThan(100_000);
  expect(put(file, 'y')).toBe(-EAGAIN);
  expect(file.poll() & POLLOUT).toBe(0);
  read(reader, new Uint8Array(70_000));
  expect(put(file, 'y')).toBe(1);
  close(reader);
  expect(put(file, 'z')).toBe(-EPIPE);
  file.close();
});

test('the offset of a regular file is the description’s', () => {
  const fd = memfdCreate('test', 0);
  const file = over(fd);
  expect(file.pollable).toBe(false);
  expect(put(file, 'hello')).toBe(5);
  expect(lseek(fd, 0, SEEK_CUR)).toBe(5);
  expect(file.seek(1, SEEK_SET)).toBe(1);
  expect(take(file)).toBe('ello');
  expect(file.pwrite(caller, IoBuffer.over(Buffer.from('J')), 0)).toBe(1);
  const bytes = new Uint8Array(5);
  pread(fd, bytes, 0);
  expect(Buffer.from(bytes).toString()).toBe('Jello');
  const attr = file.getattr();
  expect(attr).toMatchObject({ size: 5, uid: 5, gid: 6 });
  file.close();
});

test('opened again it is the same description, with no more access than was given', () => {
  const [reader, writer] = pipe();
  const file = over(writer);
  const { inode, path } = file;
  expect(inode.openSpecial(caller, path, O_RDONLY)).toBe(-EACCES);
  const again = inode.openSpecial(caller, path, O_WRONLY) as HostFile;
  file.close();
  expect(poller.watched.has(writer)).toBe(true);
  expect(put(again, 'still')).toBe(5);
  again.close();
  expect(poller.watched.has(writer)).toBe(false);
  const bytes = new Uint8Array(10);
  expect(read(reader, bytes)).toBe(5);
  expect(read(reader, bytes)).toBe(0);
  close(reader);
});

test('once closed it never touches the number again, which may be another descriptor by then', () => {
  const [reader, writer] = pipe();
  const file = over(writer);
  const { inode, path } = file;
  file.close();
  const reused = memfdCreate('secret', 0);
  expect(reused).toBe(writer);
  // A thread that slept in write(2), fstat(2) on what O_PATH kept, and opening it again.
  expect(put(file, 'leak')).toBe(-EBADF);
  expect(inode.getattr()).toBe(-EBADF);
  expect(inode.setattr({ size: 4096 })).toBe(-EBADF);
  expect(inode.openSpecial(caller, path, O_WRONLY)).toBe(-ENXIO);
  expect(lseek(reused, 0, SEEK_CUR)).toBe(0);
  close(reused);
  close(reader);
});

test('an O_PATH descriptor keeps the host descriptor for the next opening', () => {
  const [reader, writer] = pipe();
  const file = over(writer);
  const place = new PathFile(file.path, file.inode, O_PATH);
  file.close();
  const again = file.inode.openSpecial(caller, file.path, O_WRONLY) as HostFile;
  expect(put(again, 'still')).toBe(5);
  again.close();
  place.close();
  expect(poller.watched.has(writer)).toBe(false);
  close(reader);
});
