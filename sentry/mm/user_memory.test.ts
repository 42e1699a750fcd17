/** Strings of an application, as execve(2) collects them. */
import { expect, test } from 'vitest';
import { EFAULT, ENAMETOOLONG } from '../../spec/linux/errno.ts';
import {
  MAP_ANONYMOUS,
  MAP_PRIVATE,
  PAGE_SIZE,
  PROT_READ,
  PROT_WRITE,
} from '../../spec/linux/mman.ts';
import { decodeByteString } from '../base/byte_string.ts';
import { StringList } from '../base/string_list.ts';
import { FakeFile, FakeHost } from './fake_space.ts';

const LENGTH = 2 * PAGE_SIZE;

test('of own memory: across pages, and up to where it ends', () => {
  const mm = new FakeHost(2 ** 24).newManager();
  const flags = MAP_PRIVATE | MAP_ANONYMOUS;
  const prot = PROT_READ | PROT_WRITE;
  const at = mm.mmap({ addr: 0, length: LENGTH, prot, flags, file: null, offset: 0 });
  mm.copyOut(at + PAGE_SIZE - 3, new Uint8Array(6).fill(120));
  const list = new StringList();
  expect(mm.addString(at + PAGE_SIZE - 3, 7, list)).toBe(0);
  expect(mm.addString(at, 1, list)).toBe(0);
  expect(decodeByteString(list.bytes)).toBe('xxxxxx\0\0');
  expect(list.ends).toEqual([7, 8]);
  expect(mm.addString(at + PAGE_SIZE - 3, 6, new StringList())).toBe(-ENAMETOOLONG);
  mm.copyOut(at + LENGTH - 2, new Uint8Array(2).fill(120));
  expect(mm.addString(at + LENGTH - 2, 4096, new StringList())).toBe(-EFAULT);
});

test('of a mapped host file: longer than a piece, and across pages', () => {
  const host = new FakeHost(2 ** 24);
  const mm = host.newManager();
  const file = new FakeFile(host, 7, new Uint8Array(LENGTH).fill(120));
  file.bytes[PAGE_SIZE + 5] = 0;
  const flags = MAP_PRIVATE;
  const at = mm.mmap({ addr: 0, length: LENGTH, prot: PROT_READ, flags, file, offset: 0 });
  const list = new StringList();
  expect(mm.addString(at + PAGE_SIZE - 700, 706, list)).toBe(0);
  expect(decodeByteString(list.bytes)).toBe(`${'x'.repeat(705)}\0`);
  expect(mm.addString(at + PAGE_SIZE - 700, 705, new StringList())).toBe(-ENAMETOOLONG);
});
