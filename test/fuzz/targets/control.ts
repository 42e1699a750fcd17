/**
 * The control socket's bytes: framing, JSON, requests and replies, in chunks of any size. What lies behind
 * them is fuzzed on a running sandbox (test/oci/real/control_fuzz.ts).
 */
import { encodeFrame, FrameReader, MAX_FRAME_LENGTH } from '../../../spec/control/frame.ts';
import { METHODS, parseReply, parseRequest } from '../../../spec/control/protocol.ts';
import { must, type Target } from '../target.ts';

const MAX_MESSAGES = 64;
const SAMPLES: Record<string, unknown> = {
  ...{
    string: 'a',
    int: 3,
    boolean: true,
    ints: [0, 1],
    object: { args: ['/bin/true'], cwd: '/' },
  },
};

function framed(message: unknown): Uint8Array {
  return Uint8Array.from([7, ...encodeFrame(message)!]);
}

export class Control implements Target {
  readonly name = 'control';
  readonly tokens = [
    ...Object.keys(METHODS),
    '"params":{',
    '"id":1',
    '"cid":"a"',
    '__proto__',
    '{}',
    '[]',
    '\\u0000',
    '\0\0\0\0',
    '\xff\xff\xff\xff',
  ];

  seeds(): Uint8Array[] {
    const requests = Object.entries(METHODS).map(([method, fields]) => {
      const params: Record<string, unknown> = {};
      for (const [name, kind] of Object.entries(fields))
        params[name] = SAMPLES[kind.replace('?', '')];
      return framed({ id: 1, method, params });
    });
    const replies = [
      { id: 1, result: {} },
      { id: 1, error: { message: 'no' } },
      { hello: 'sentry' },
    ];
    return [...requests, ...replies.map(framed)];
  }

  /** The first byte says in what pieces the rest arrives, and how many descriptors came along. */
  run(input: Uint8Array): void {
    const reader = new FrameReader();
    const piece = 1 + (input[0] ?? 0);
    let messages = 0;
    for (let at = 1; at < input.length && messages < MAX_MESSAGES; at += piece) {
      const chunk = input.subarray(at, at + piece);
      reader.push(chunk, chunk.length);
      for (let m = reader.next(); m !== undefined; m = reader.next()) {
        messages++;
        this.message(m, piece % 7);
      }
      if (reader.error !== '') break;
    }
    const { buffer } = reader as unknown as { buffer: Uint8Array };
    must(buffer.length <= 2 * MAX_FRAME_LENGTH, `a buffer of ${buffer.length}`);
    if (reader.error !== '') must(reader.next() === undefined, 'a message after an error');
  }

  private message(message: unknown, fds: number): void {
    const request = parseRequest(message, fds);
    if (typeof request !== 'string') {
      must(Object.hasOwn(METHODS, request.method), 'an unknown method');
      must(Number.isSafeInteger(request.id), 'a strange id');
    } else must(!request.includes('\n'), 'more than one line');
    const reply = parseReply(message);
    must(reply === null || typeof reply === 'object', 'a strange reply');
  }

  check(): void {
    must(Object.keys(Object.prototype).length === 0, 'Object.prototype has new keys');
  }

  close(): void {}
}
