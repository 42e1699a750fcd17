/** Lists of strings. */
import { expect, test } from 'vitest';
import { decodeByteString } from './byte_string.ts';
import { StringList } from './string_list.ts';

test('strings lie in a row, each with its NUL', () => {
  const list = StringList.of(['one', '', '\xff']);
  expect(decodeByteString(list.bytes)).toBe('one\0\0\xff\0');
  expect(list.ends).toEqual([4, 5, 7]);
  expect([list.count, list.byteLength, list.longest]).toEqual([3, 7, 4]);
});

test('a string in parts, and more than there was room for', () => {
  const list = new StringList();
  const part = new Uint8Array(3000).fill(97);
  list.addPart(part);
  list.addPart(part);
  list.addPart(new Uint8Array(1));
  list.endString();
  list.add('b');
  expect(decodeByteString(list.bytes)).toBe(`${'a'.repeat(6000)}\0b\0`);
  expect(list.longest).toBe(6001);
});

test('all of another but its first', () => {
  const list = StringList.of(['new']);
  list.addRest(StringList.of(['old', 'x', 'yz']));
  expect(decodeByteString(list.bytes)).toBe('new\0x\0yz\0');
  expect(list.ends).toEqual([4, 6, 9]);
  list.addRest(new StringList());
  list.addRest(StringList.of(['alone']));
  expect(list.count).toBe(3);
});
