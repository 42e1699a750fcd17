/** Layouts round-trip, clear what they leave out, and refuse to be declared wrongly. */

import { expect, test } from 'vitest';
import { RLIM_INFINITY } from '../resource.ts';
import { STAT } from './file.ts';
import { layout } from './layout.ts';
import { RLIMIT, UTSNAME } from './process.ts';
import { SIGACTION } from './signal.ts';

test('what is encoded decodes to the same', () => {
  const values = {
    st_dev: 7,
    st_ino: 2 ** 40 + 3,
    st_nlink: 1,
    st_mode: 0o100644,
    st_uid: 0xffffffff,
    st_gid: 5,
    st_rdev: 0,
    st_size: 2 ** 52 + 1,
    st_blksize: 4096,
    st_blocks: -1,
    st_atim: { tv_sec: -5, tv_nsec: 999999999 },
    st_mtim: { tv_sec: 0, tv_nsec: 1 },
    st_ctim: { tv_sec: 2 ** 33, tv_nsec: 0 },
  };
  const bytes = STAT.encode(values);
  expect(bytes.length).toBe(144);
  expect(STAT.decode(bytes)).toEqual(values);
  expect(STAT.offsets.st_size).toBe(48);
});

test('encoding into a larger buffer clears what it leaves out and touches nothing else', () => {
  const bytes = new Uint8Array(40).fill(0xee);
  const view = RLIMIT.encode({ rlim_max: 3 }, bytes, 8);
  expect(view.byteOffset).toBe(8);
  expect([...bytes.subarray(0, 8)]).toEqual(new Array(8).fill(0xee));
  expect([...bytes.subarray(24)]).toEqual(new Array(16).fill(0xee));
  expect(RLIMIT.decode(bytes, 8)).toEqual({ rlim_cur: 0, rlim_max: 3 });
});

test('all ones survive the round trip through a Number', () => {
  const bytes = RLIMIT.encode({ rlim_cur: RLIM_INFINITY, rlim_max: Number.POSITIVE_INFINITY });
  expect([...bytes]).toEqual(new Array(16).fill(0xff));
  expect(RLIMIT.decode(bytes)).toEqual({ rlim_cur: RLIM_INFINITY, rlim_max: RLIM_INFINITY });
});

test('text is cut to leave its NUL, and arrays keep exact words', () => {
  const bytes = UTSNAME.encode({ sysname: 'Linux', nodename: 'x'.repeat(100) });
  expect(UTSNAME.decode(bytes).nodename).toBe('x'.repeat(64));
  expect(UTSNAME.decode(bytes).domainname).toBe('');
  const action = SIGACTION.encode({ sa_mask: [0xffffffff, 0x80000001] });
  expect(SIGACTION.decode(action).sa_mask).toEqual([0xffffffff, 0x80000001]);
});

test('a layout that overlaps or does not fit is refused at load', () => {
  expect(() => layout('overlap', 8, { a: ['u32', 0], b: ['u32', 2] })).toThrow(/b overlaps/);
  expect(() => layout('small', 4, { a: ['u64', 0] })).toThrow(/need 8 of 4/);
});
