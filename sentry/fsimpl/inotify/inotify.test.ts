/** inotify instances: what is queued, merged and read. */
import { expect, test } from 'vitest';
import { EAGAIN, EINVAL } from '../../../spec/linux/errno.ts';
import { O_CREAT, O_WRONLY } from '../../../spec/linux/fcntl.ts';
import {
  IN_ALL_EVENTS,
  IN_CREATE,
  IN_IGNORED,
  IN_MODIFY,
  IN_MOVED_FROM,
  IN_MOVED_TO,
  IN_ONESHOT,
  IN_Q_OVERFLOW,
} from '../../../spec/linux/inotify.ts';
import { IoBuffer } from '../../mm/io_buffer.ts';
import { FakeFiles, fakeClock, fakeMemory } from '../../vfs/operations/fake_files.ts';
import { rename } from '../../vfs/operations/rename.ts';
import { parseOptions } from '../tmpfs/options.ts';
import { Tmpfs } from '../tmpfs/tmpfs.ts';
import { InotifyFile } from './inotify.ts';

function instance(): { f: FakeFiles; in_: InotifyFile } {
  const options = parseOptions('mode=755', 2 ** 30);
  if (typeof options === 'number') throw new Error('options');
  const parts = { memory: fakeMemory(), clock: fakeClock(), devMajor: 0, devMinor: 40 };
  const f = new FakeFiles(new Tmpfs(parts, options));
  const at = f.at('/');
  return { f, in_: new InotifyFile(at, at.dentry.inode!, 0) };
}

function events(f: FakeFiles, in_: InotifyFile): string[] {
  const bytes = new Uint8Array(4096);
  const n = in_.read(f.caller, IoBuffer.over(bytes));
  if (n < 0) return [String(n)];
  const view = new DataView(bytes.buffer);
  const list: string[] = [];
  for (let at = 0; at < n; ) {
    const length = view.getUint32(at + 12, true);
    const name = Buffer.from(bytes.subarray(at + 16, at + 16 + length)).toString('latin1');
    const mask = view.getUint32(at + 4, true).toString(16);
    list.push(`${view.getInt32(at, true)} ${mask} ${name.replace(/\0+$/, '')}`.trim());
    at += 16 + length;
  }
  return list;
}

test('events carry names and cookies, and repeated ones are one', () => {
  const { f, in_ } = instance();
  const root = f.at('/').dentry.inode!;
  const wd = in_.addWatch(root, IN_CREATE | IN_MOVED_FROM | IN_MOVED_TO | IN_MODIFY);
  expect(in_.read(f.caller, IoBuffer.over(new Uint8Array(99)))).toBe(-EAGAIN);
  f.open('/a', O_CREAT | O_WRONLY).close();
  rename(f.vfs, f.caller, undefined, '/a', undefined, '/b', 0);
  expect(in_.read(f.caller, IoBuffer.over(new Uint8Array(16)))).toBe(-EINVAL);
  expect(events(f, in_)).toEqual([`${wd} 100 a`, `${wd} 40 a`, `${wd} 80 b`]);
  root.watches?.notify(IN_MODIFY, 0, 'x');
  root.watches?.notify(IN_MODIFY, 0, 'x');
  expect(events(f, in_)).toEqual([`${wd} 2 x`]);
});

test('one shot, removal and overflow', () => {
  const { f, in_ } = instance();
  const root = f.at('/').dentry.inode!;
  const once = in_.addWatch(root, IN_CREATE | IN_ONESHOT);
  f.put('/a', '');
  f.put('/b', '');
  expect(events(f, in_)).toEqual([`${once} 100 a`, `${once} ${IN_IGNORED.toString(16)}`]);
  expect(root.watches).toBe(null);
  const wd = in_.addWatch(root, IN_ALL_EVENTS);
  expect(in_.removeWatch(wd)).toBe(0);
  expect(in_.removeWatch(wd)).toBe(-EINVAL);
  expect(events(f, in_)).toEqual([`${wd} ${IN_IGNORED.toString(16)}`]);
  for (let i = 0; i < 20000; i++) in_.queueEvent(1, IN_MODIFY, 0, String(i));
  let last = '';
  for (let got = events(f, in_); !got[0]?.startsWith('-11'); got = events(f, in_)) {
    last = got[got.length - 1] ?? '';
  }
  expect(last).toBe(`-1 ${IN_Q_OVERFLOW.toString(16)}`);
  in_.close();
});
