/** Codec: round trips of every message, byte-exact samples, and hostile bytes (fixed seed). */
import { expect, test } from 'vitest';
import { decodeMessage, encodeToBytes, replyTo } from './codec.ts';
import { MAX_MSIZE } from './constants.ts';
import { decodeDirents, decodeDirentsPlus } from './dirent.ts';
import { type Fields, type FieldType, MESSAGES, type MessageName } from './messages.ts';

const QID = { type: 0x80, version: 7, path: 2 ** 52 + 3 };
const ATTR = {
  valid: 0x3fff,
  qid: QID,
  mode: 0o100644,
  uid: 1,
  gid: 0xffffffff,
  nlink: 3,
  rdev: 0,
  size: 2 ** 40 + 1,
  blksize: 4096,
  blocks: 8,
  atimeSec: -1,
  atimeNsec: 999999999,
  mtimeSec: 2 ** 33,
  mtimeNsec: 1,
  ctimeSec: 5,
  ctimeNsec: 6,
  btimeSec: -(2 ** 33) - 5,
  btimeNsec: 8,
  gen: 9,
  dataVersion: 10,
};

const SAMPLES: Record<FieldType, unknown> = {
  u8: 0xfe,
  u16: 0xfedc,
  u32: 0xfedcba98,
  u64: 2 ** 53 - 1,
  i64: -(2 ** 40),
  text: '/a/\xff\x01',
  name: 'caf\xc3\xa9',
  xattrName: 'user.x',
  qid: QID,
  names: ['a', '..', 'b'.repeat(255)],
  qids: [QID, QID],
  attr: ATTR,
  data: Uint8Array.of(1, 2, 3),
};

function sample(name: MessageName): Fields<MessageName> {
  const fields: Record<string, unknown> = {};
  for (const [field, type] of Object.entries(MESSAGES[name][1])) {
    fields[field] = SAMPLES[type as FieldType];
  }
  return fields as Fields<MessageName>;
}

const NAMES = Object.keys(MESSAGES) as MessageName[];

test('every message survives a round trip, and no prefix or extension of it decodes', () => {
  for (const name of NAMES) {
    const fields = sample(name);
    const bytes = encodeToBytes(name, 0x1234, fields, MAX_MSIZE)!;
    expect(decodeMessage(bytes)).toEqual({ name, tag: 0x1234, fields });
    for (let n = 0; n < bytes.length; n++) {
      const cut = bytes.slice(0, n);
      if (n >= 4) new DataView(cut.buffer).setUint32(0, n, true);
      expect(decodeMessage(cut)).toBeNull();
    }
    const longer = new Uint8Array(bytes.length + 1);
    longer.set(bytes);
    new DataView(longer.buffer).setUint32(0, longer.length, true);
    expect(decodeMessage(longer)).toBeNull();
  }
});

test('a request has an even number, and its reply is the next and named after it', () => {
  for (const name of NAMES) {
    expect(MESSAGES[name][0] % 2, name).toBe(name.startsWith('T') ? 0 : 1);
    if (name.startsWith('T')) expect(replyTo(name)).toBe(`R${name.slice(1)}`);
  }
});

test('bytes on the wire are those of the protocol', () => {
  expect([...encodeToBytes('Tversion', 0xffff, { msize: 8192, version: '9P2000.L' }, 64)!]).toEqual(
    [
      21, 0, 0, 0, 100, 0xff, 0xff, 0, 32, 0, 0, 8, 0, 0x39, 0x50, 0x32, 0x30, 0x30, 0x30, 0x2e,
      0x4c,
    ],
  );
  expect([...encodeToBytes('Twalk', 1, { fid: 2, newfid: 3, names: ['x'] }, 64)!]).toEqual([
    20, 0, 0, 0, 110, 1, 0, 2, 0, 0, 0, 3, 0, 0, 0, 1, 0, 1, 0, 0x78,
  ]);
});

test('encoding refuses what does not fit or is too long', () => {
  expect(encodeToBytes('Twalk', 1, { fid: 2, newfid: 3, names: ['x'] }, 19)).toBeNull();
  const names = new Array(17).fill('x');
  expect(encodeToBytes('Twalk', 1, { fid: 2, newfid: 3, names }, 640)).toBeNull();
  const name = 'x'.repeat(256);
  expect(encodeToBytes('Tunlinkat', 1, { dfid: 2, name, flags: 0 }, 640)).toBeNull();
});

test('names with a slash, a NUL, no or too many bytes are refused', () => {
  for (const name of ['a/b', '/', 'a\0', '', 'x'.repeat(256)]) {
    // Written through the looser type of field, as a hostile peer would.
    const bytes = encodeToBytes('Rreadlink', 1, { target: name }, 512)!;
    const body = bytes.slice(7);
    const hostile = new Uint8Array(7 + 4 + body.length + 4);
    hostile.set([hostile.length & 0xff, hostile.length >> 8, 0, 0, 76, 1, 0, 9, 0, 0, 0]);
    hostile.set(body, 11);
    expect(decodeMessage(hostile)).toBeNull();
  }
});

test('random mutations never throw', () => {
  let seed = 12345;
  const random = (n: number): number => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return seed % n;
  };
  for (let round = 0; round < 20000; round++) {
    const name = NAMES[random(NAMES.length)]!;
    const bytes = encodeToBytes(name, 1, sample(name), 2048)!;
    for (let i = random(4); i >= 0; i--) bytes[random(bytes.length)] = random(256);
    const message = decodeMessage(bytes);
    if (message?.name === 'Rreaddir' || message?.name === 'Rreaddirplus') {
      decodeDirents(message.fields.data);
      decodeDirentsPlus(message.fields.data);
    }
  }
});
