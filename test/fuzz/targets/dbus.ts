/** What comes from a D-Bus bus: authentication, messages and replies, in pieces of any size. */
import { Bus, BusError } from '../../../runtime/dbus/bus.ts';
import { decodeMessage, encodeMessage, type Message } from '../../../runtime/dbus/message.ts';
import type { ControlChannel } from '../../../runtime/host/host.ts';
import { must, type Target } from '../target.ts';

const EAGAIN = -11;
const SIGNATURES = ['o', 'uoss', 'a(sv)', 'a{sv}', 'v', 'ay', 'aau', '(ybnqiuxtd)'];

/** A bus that has said all it will say. */
class Said implements ControlChannel {
  readonly fd = -1;
  private at = 1;
  private readonly input: Uint8Array;

  constructor(input: Uint8Array) {
    this.input = input;
  }

  send(bytes: Uint8Array): number {
    return bytes.length;
  }

  receive(buffer: Uint8Array): number {
    if (this.at >= this.input.length) return (this.input[0] ?? 0) % 2 === 0 ? 0 : EAGAIN;
    const piece = this.input.subarray(this.at, this.at + 1 + ((this.input[0] ?? 0) >> 1) * 4);
    const length = Math.min(piece.length, buffer.length);
    buffer.set(piece.subarray(0, length));
    this.at += length;
    return length;
  }

  close(): void {}
}

function message(more: Partial<Message>): Message {
  return { type: 2, serial: 1, sender: ':1.1', signature: '', body: [], ...more };
}

export class Dbus implements Target {
  readonly name = 'dbus';
  readonly tokens = ['OK ', '\r\n', 'l\x02\0\x01', 'l\x04\0\x01', 'B\x02\0\x01', ...SIGNATURES];

  seeds(): Uint8Array[] {
    const session = Buffer.concat([
      Buffer.from('\xffOK 0123\r\n', 'latin1'),
      encodeMessage(message({ replySerial: 1, signature: 's', body: [':1.7'] })),
      encodeMessage(
        message({ type: 4, member: 'JobRemoved', signature: 'uoss', body: [1, '/j', 'u', 'done'] }),
      ),
      encodeMessage(message({ replySerial: 2, signature: 'o', body: ['/j'] })),
    ]);
    const variant = {
      signature: 'a(sv)',
      value: [['a', { signature: 'ay', value: Buffer.from('b') }]],
    };
    const alone = encodeMessage(message({ signature: 'va(su)', body: [variant, [['k', 1]]] }));
    const error = encodeMessage(message({ type: 3, errorName: 'a.b', replySerial: 1 }));
    return [session, Buffer.from('\0REJECTED\r\n'), alone, error];
  }

  run(input: Uint8Array): void {
    const decoded = decodeMessage(input);
    if (decoded !== null) {
      must(decoded.serial > 0, 'a message without a serial number');
      must(typeof decoded.signature === 'string', 'a strange signature');
      must(decoded.replySerial === undefined || decoded.replySerial >= 0, 'a strange reply');
    }
    try {
      const bus = new Bus(new Said(input), 0);
      bus.call({ destination: 'a.b', path: '/', interface: 'a.b', member: 'c' });
      bus.waitSignal((signal) => signal.body[3] === 'done', 0);
    } catch (thrown) {
      if (!(thrown instanceof BusError)) throw thrown;
    }
  }

  check(): void {
    must(Object.keys(Object.prototype).length === 0, 'Object.prototype has new keys');
  }

  close(): void {}
}
