/** The CLI's end of the control protocol: requests out, replies in, always with a deadline. */

import { encodeFrame, FrameReader } from '../../spec/control/frame.ts';
import {
  type Method,
  type Params,
  parseReply,
  type Reply,
  type Results,
} from '../../spec/control/protocol.ts';
import { EXIT_FAILURE, Failure } from '../cli/failure.ts';
import type { ControlChannel } from '../host/host.ts';

/** How long the sandbox may take for anything but `wait`. */
export const REPLY_TIMEOUT_MS = 60_000;

const EAGAIN = -11;
const EINTR = -4;
const RECEIVE_LENGTH = 16384;

export class ControlClient {
  readonly fd: number;
  /** The Sentry closed the connection (or died). */
  ended = false;
  private readonly channel: ControlChannel;
  private readonly reader = new FrameReader();
  private readonly buffer = new Uint8Array(RECEIVE_LENGTH);
  private nextId = 1;

  constructor(channel: ControlChannel) {
    this.channel = channel;
    this.fd = channel.fd;
  }

  /** Sends a request; its reply comes out of `receive` with the returned id. */
  send<M extends Method>(method: M, params: Params<M>, fds: readonly number[] = []): number {
    const id = this.nextId++;
    const frame = encodeFrame({ id, method, params });
    if (frame === null) throw new Failure(`${method}: the configuration is too long for a request`);
    if (this.channel.send(frame, fds) < 0) this.ended = true;
    return id;
  }

  /** Sends a request and waits for its reply. */
  call<M extends Method>(
    method: M,
    params: Params<M>,
    fds: readonly number[] = [],
    timeoutMs: number = REPLY_TIMEOUT_MS,
  ): Results[M] {
    return this.result(method, this.send(method, params, fds), timeoutMs);
  }

  /** Waits for the reply to request `id`. */
  result<M extends Method>(
    method: M,
    id: number,
    timeoutMs: number = REPLY_TIMEOUT_MS,
  ): Results[M] {
    const deadline = Date.now() + timeoutMs;
    for (;;) {
      const reply = parseReply(this.receiveMessage(deadline - Date.now()));
      if (reply !== null && reply.id === id) return resultOf(reply) as Results[M];
      if (this.ended) throw new Failure(`the sandbox has ended before it answered "${method}"`);
      if (Date.now() >= deadline) {
        throw new Failure(
          `the sandbox did not answer "${method}" within ${timeoutMs / 1000} s: runsc delete --force ends it`,
        );
      }
    }
  }

  /** The next message, undefined when none came in time or `ended`. */
  receiveMessage(timeoutMs: number): unknown {
    const deadline = Date.now() + timeoutMs;
    for (;;) {
      const message = this.reader.next();
      if (message !== undefined) return message;
      if (this.reader.error !== '') this.ended = true;
      if (this.ended) return undefined;
      const length = this.channel.receive(this.buffer, Math.max(0, deadline - Date.now()));
      if (length === EINTR) continue;
      if (length === EAGAIN) return undefined;
      if (length <= 0) this.ended = true;
      else this.reader.push(this.buffer, length);
    }
  }

  close(): void {
    this.channel.close();
  }
}

/** The result of a reply; an error becomes the Failure it describes. */
export function resultOf(reply: Reply): Results[Method] {
  if ('result' in reply) return reply.result;
  const code = reply.error.exitCode ?? EXIT_FAILURE;
  throw new Failure(reply.error.message, code >= 1 && code <= 255 ? code : EXIT_FAILURE);
}
