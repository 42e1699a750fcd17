/**
 * One control connection: frames in, replies out, descriptors alongside (spec/control).
 */

import { close } from '../../native/fs.ts';
import { type PollFd, poll, recvWithFds, send } from '../../native/socket.ts';
import { encodeFrame, FrameReader, MAX_FRAME_FDS } from '../../spec/control/frame.ts';
import { type ControlError, parseRequest, type Request } from '../../spec/control/protocol.ts';
import { EAGAIN } from '../../spec/linux/errno.ts';
import { POLLOUT } from '../../spec/linux/poll.ts';
import { MSG_DONTWAIT, MSG_NOSIGNAL } from '../../spec/linux/socket.ts';
import type { HostPoller } from '../platform/platform.ts';

const RECEIVE_BYTES = 65536;
/** Requests of one connection before others have their turn. */
const REQUESTS_AT_ONCE = 16;
/** Replies that a client has not read yet. While there are any, its requests are not read either. */
const MAX_WAITING_BYTES = 1024 * 1024;
/** At the end of the sandbox. */
const LAST_SEND_TIMEOUT_MS = 500;
const receiveBuffer = new Uint8Array(RECEIVE_BYTES);

/** Takes a request; replies through the connection, now or later. Owns `fds`. */
export type RequestHandler = (from: Connection, request: Request, fds: number[]) => void;

export class Connection {
  readonly fd: number;
  closed = false;
  /** Runs once when the peer is gone. */
  readonly onClose: (() => void)[] = [];
  private readonly poller: HostPoller;
  private readonly handle: RequestHandler;
  private readonly frames = new FrameReader();
  private fds: number[] = [];
  private waiting: Uint8Array[] = [];
  private waitingBytes = 0;

  /** `greeting` goes out before any reply. */
  constructor(
    fd: number,
    poller: HostPoller,
    handle: RequestHandler,
    greeting: object | null = null,
  ) {
    this.fd = fd;
    this.poller = poller;
    this.handle = handle;
    poller.add(fd, () => this.ready());
    if (greeting !== null) this.sendMessage(greeting);
    this.ready();
  }

  reply(id: number, result: object): void {
    this.sendMessage({ id, result });
  }

  replyError(id: number, error: ControlError): void {
    this.sendMessage({ id, error });
  }

  sendMessage(message: object): void {
    if (this.closed) return;
    const frame = encodeFrame(message);
    if (frame === null || this.waitingBytes > MAX_WAITING_BYTES) {
      this.close();
      return;
    }
    this.waiting.push(frame);
    this.waitingBytes += frame.length;
    this.flush();
  }

  /** Sends what waits, as far as there is room. */
  private flush(): void {
    for (let first = this.waiting[0]; first !== undefined; first = this.waiting[0]) {
      const n = send(this.fd, first, MSG_DONTWAIT | MSG_NOSIGNAL);
      if (n === -EAGAIN) return;
      if (n <= 0) {
        this.close();
        return;
      }
      this.waitingBytes -= n;
      if (n === first.length) this.waiting.shift();
      else this.waiting[0] = first.subarray(n);
    }
  }

  /** Gives the peer a last chance to take what it is owed, then closes. */
  finish(): void {
    this.flush();
    while (!this.closed && this.waiting.length > 0) {
      const room: PollFd = { fd: this.fd, events: POLLOUT, revents: 0 };
      if (poll([room], LAST_SEND_TIMEOUT_MS) <= 0) break;
      this.flush();
    }
    this.close();
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.poller.remove(this.fd);
    close(this.fd);
    for (const fd of this.fds) close(fd);
    this.fds = [];
    this.waiting = [];
    for (const done of this.onClose) done();
  }

  private ready(): void {
    this.flush();
    if (this.closed) return;
    let budget = REQUESTS_AT_ONCE;
    while (budget > 0) {
      budget = this.dispatch(budget);
      if (this.closed || this.waiting.length > 0) return;
      if (budget > 0 && !this.receive()) return;
    }
    // There may be more, which no edge will tell: ask anew, after others had their turn.
    this.poller.remove(this.fd);
    this.poller.add(this.fd, () => this.ready());
  }

  /** Receives once; false when there is nothing more for now. */
  private receive(): boolean {
    const got = recvWithFds(this.fd, receiveBuffer, MSG_DONTWAIT);
    if (typeof got === 'number') {
      if (got !== -EAGAIN) this.close();
      return false;
    }
    this.fds.push(...got.fds);
    if (got.length === 0 || this.fds.length > MAX_FRAME_FDS) {
      this.close();
      return false;
    }
    this.frames.push(receiveBuffer, got.length);
    return true;
  }

  /** Handles requests that are here, at most `budget`: what is left of it. */
  private dispatch(budget: number): number {
    let left = budget;
    while (left > 0 && !this.closed && this.waiting.length === 0) {
      const message = this.frames.next();
      if (message === undefined) break;
      left--;
      const fds = this.fds;
      this.fds = [];
      const request = parseRequest(message, fds.length);
      if (typeof request !== 'string') {
        this.handle(this, request, fds);
        continue;
      }
      for (const fd of fds) close(fd);
      const id = (message as { id?: unknown } | null)?.id;
      if (typeof id !== 'number') {
        this.close();
        return left;
      }
      this.replyError(id, { message: request });
    }
    if (this.frames.error !== '') this.close();
    return left;
  }
}
