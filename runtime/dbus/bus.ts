/**
 * A connection to a D-Bus message bus, without an event loop: a call returns when its reply is
 * there. Authenticates as our user (SASL EXTERNAL). None of npm's clients will do: they are built
 * on net.Socket and streams, and what asks here must have its answer before it forks.
 */

import { EAGAIN, EINTR } from '../../spec/linux/errno.ts';
import type { ControlChannel } from '../host/host.ts';
import {
  decodeMessage,
  ERROR,
  encodeMessage,
  METHOD_CALL,
  METHOD_RETURN,
  type Message,
  messageLength,
  SIGNAL,
  type Value,
} from './message.ts';

const BUS = 'org.freedesktop.DBus';
const BUS_PATH = '/org/freedesktop/DBus';
const REPLY_TIMEOUT_MS = 25_000;
const MOST_LINE_LENGTH = 4096;
/** Signals kept for a later waitSignal; the oldest go first. */
const MOST_SIGNALS = 256;
const ROOM = 16_384;

export interface Method {
  readonly destination: string;
  readonly path: string;
  readonly interface: string;
  readonly member: string;
  readonly signature?: string;
  readonly body?: readonly Value[];
}

/** What the other side, or the connection, refuses; `errorName` as D-Bus names it, or ''. */
export class BusError extends Error {
  readonly errorName: string;

  constructor(message: string, errorName = '') {
    super(message);
    this.errorName = errorName;
  }
}

export class Bus {
  private readonly channel: ControlChannel;
  private received: Buffer = Buffer.alloc(0);
  private serial = 0;
  private readonly signals: Message[] = [];

  /** Takes over `channel`, connected to a bus's socket. Throws BusError. */
  constructor(channel: ControlChannel, uid: number) {
    this.channel = channel;
    try {
      this.authenticate(uid);
      this.callBus('Hello');
    } catch (thrown) {
      channel.close();
      throw thrown;
    }
  }

  close(): void {
    this.channel.close();
  }

  /** Has the bus pass on signals that match `rule`. */
  addMatch(rule: string): void {
    this.callBus('AddMatch', 's', [rule]);
  }

  /** Calls a method: what it returns. Throws BusError. */
  call(method: Method): readonly Value[] {
    const serial = ++this.serial;
    const { signature = '', body = [] } = method;
    this.send(encodeMessage({ ...method, type: METHOD_CALL, serial, signature, body }));
    const deadline = performance.now() + REPLY_TIMEOUT_MS;
    for (;;) {
      const message = this.receive(deadline);
      if (message === null) throw new BusError(`no reply to ${method.member}`);
      if (message.type === SIGNAL) this.keep(message);
      if (message.replySerial !== serial) continue;
      if (message.type === METHOD_RETURN) return message.body;
      if (message.type === ERROR) {
        const [said] = message.body;
        const name = message.errorName ?? '';
        throw new BusError(typeof said === 'string' && said !== '' ? said : name, name);
      }
    }
  }

  /** The first signal, come already or to come, for which `accept` holds; null after `timeoutMs`. */
  waitSignal(accept: (signal: Message) => boolean, timeoutMs: number): Message | null {
    const at = this.signals.findIndex(accept);
    const [kept] = at < 0 ? [] : this.signals.splice(at, 1);
    if (kept !== undefined) return kept;
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      const message = this.receive(deadline);
      if (message === null || (message.type === SIGNAL && accept(message))) return message;
    }
  }

  private keep(signal: Message): void {
    this.signals.push(signal);
    if (this.signals.length > MOST_SIGNALS) this.signals.shift();
  }

  private callBus(member: string, signature = '', body: readonly Value[] = []): void {
    this.call({ destination: BUS, path: BUS_PATH, interface: BUS, member, signature, body });
  }

  /** The NUL is where BSDs attach credentials; here the socket has them. */
  private authenticate(uid: number): void {
    const name = Buffer.from(String(uid)).toString('hex');
    this.send(Buffer.from(`\0AUTH EXTERNAL ${name}\r\n`));
    const deadline = performance.now() + REPLY_TIMEOUT_MS;
    let end = -1;
    while (end < 0) {
      if (this.received.length > MOST_LINE_LENGTH || !this.fill(deadline)) {
        throw new BusError('the bus does not authenticate');
      }
      end = this.received.indexOf('\r\n');
    }
    const line = this.received.toString('latin1', 0, end);
    this.received = this.received.subarray(end + 2);
    if (!line.startsWith('OK ')) throw new BusError(`the bus refuses user ${uid}: ${line}`);
    this.send(Buffer.from('BEGIN\r\n'));
  }

  private send(bytes: Uint8Array): void {
    const sent = this.channel.send(bytes, []);
    if (sent < 0) throw new BusError(`the bus has closed the connection (errno ${-sent})`);
  }

  /** The next message; null when the time is up. */
  private receive(deadline: number): Message | null {
    for (;;) {
      const length = messageLength(this.received);
      if (length < 0) throw new BusError('the bus says what is no message');
      if (length > 0 && this.received.length >= length) {
        const message = decodeMessage(this.received.subarray(0, length));
        this.received = this.received.subarray(length);
        if (message === null) throw new BusError('the bus sends a broken message');
        return message;
      }
      if (!this.fill(deadline)) return null;
    }
  }

  /** Takes what has come; false when the time is up. */
  private fill(deadline: number): boolean {
    const room = Buffer.alloc(ROOM);
    const got = this.channel.receive(room, Math.max(0, deadline - performance.now()));
    if (got === -EAGAIN) return false;
    if (got === -EINTR) return true;
    if (got <= 0) throw new BusError('the bus has closed the connection');
    this.received = Buffer.concat([this.received, room.subarray(0, got)]);
    return true;
  }
}
