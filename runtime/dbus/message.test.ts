/** D-Bus messages and signatures. */
import { describe, expect, it } from 'vitest';
import {
  decodeMessage,
  encodeMessage,
  type Message,
  messageLength,
  type Value,
} from './message.ts';
import { nextType, validSignature } from './signature.ts';

const CALL: Message = {
  type: 1,
  serial: 7,
  path: '/org/example',
  interface: 'org.example.I',
  member: 'Do',
  destination: 'org.example',
  signature: '',
  body: [],
};

function message(signature: string, ...body: Value[]): Message {
  return { ...CALL, signature, body };
}

describe('a message', () => {
  it.each([
    ['nothing', CALL],
    ['basic values', message('ybuts', 255, true, 0xffffffff, 2 ** 40, 'ä')],
    [
      'a variant in a struct in an array',
      message('a(sv)', [['a', { signature: 'au', value: [1, 2] }]]),
    ],
    ['empty arrays', message('a(sa(sv))ay', [], new Uint8Array(0))],
    ['bytes', message('yay', 1, Uint8Array.of(1, 2, 3))],
  ])('of %s comes back', (_, message) => {
    const bytes = encodeMessage(message);
    expect(messageLength(bytes)).toBe(bytes.length);
    expect(decodeMessage(bytes)).toEqual(message);
  });

  it('has the layout of the specification', () => {
    const bytes = encodeMessage({
      ...CALL,
      path: '/',
      interface: '',
      destination: '',
      member: 'M',
    });
    const fields = ['01016f00', '01000000', '2f000000', '00000000', '03017300', '01000000', '4d00'];
    const header = ['6c010001', '00000000', '07000000', '1a000000', ...fields, '000000000000'];
    expect(Buffer.from(bytes).toString('hex')).toBe(header.join(''));
  });

  it('is read in the other byte order', () => {
    const fixed = ['42020001', '00000004', '00000001', '0000000f'];
    const fields = ['05017500', '00000009', '08016700', '01690000'];
    const body = 'fffffffe';
    const bytes = Buffer.from([...fixed, ...fields, body].join(''), 'hex');
    const { type, serial, replySerial, body: values } = decodeMessage(bytes) ?? CALL;
    expect([type, serial, replySerial, values]).toEqual([2, 1, 9, [-2]]);
  });

  it('is none when any byte is missing', () => {
    const bytes = encodeMessage(message('a(sv)', [['a', { signature: 's', value: 'b' }]]));
    for (let length = 0; length < bytes.length; length++) {
      expect(decodeMessage(bytes.subarray(0, length))).toBe(null);
    }
  });

  it('is none when lengths, signatures or the protocol are wrong', () => {
    const change = (at: number, byte: number) => {
      const bytes = encodeMessage(message('s', 'abc'));
      bytes[at] = byte;
      return decodeMessage(bytes);
    };
    expect(change(0, 0)).toBe(null);
    expect(change(3, 2)).toBe(null);
    expect(change(4, 0xff)).toBe(null);
    expect(change(15, 0xff)).toBe(null);
    const bytes = encodeMessage(message('s', 'abc'));
    bytes[bytes.length - 1] = 1;
    expect(decodeMessage(bytes)).toBe(null);
  });
});

describe('signatures', () => {
  it.each(['', 'a{sv}', '(i(as))', 'aaau', 'v', 'a(sa(sv))'])('%s is one', (text) => {
    expect(validSignature(text)).toBe(true);
  });

  it.each(['a', '(', '()', '(i', '{sv}', 'a{vs}', 'a{s}', 'a{svs}', 'z', 'i)', 'a'.repeat(40)])(
    '%s is none',
    (text) => {
      expect(validSignature(text)).toBe(false);
    },
  );

  it('are taken apart type by type', () => {
    expect([nextType('a{sv}u', 0), nextType('a{sv}u', 5), nextType('u', 1)]).toEqual([5, 6, -1]);
  });
});
