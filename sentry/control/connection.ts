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
/** How long a client that does not read may hold up the sandbox, milliseconds. */
const SEND_TIMEOUT_MS = 5000;
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

  constructor(fd: number, poller: HostPoller, handle: RequestHandler) {
    this.fd = fd;
    this.poller = poller;
    this.handle = handle;
    poller.add(fd, () => this.receive());
    this.receive();
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
    if (frame === null) {
      this.close();
      return;
    }
    for (let sent = 0; sent < frame.length; ) {
      const n = send(this.fd, frame.subarray(sent), MSG_DONTWAIT | MSG_NOSIGNAL);
      if (n > 0) {
        sent += n;
        continue;
      }
      const room: PollFd = { fd: this.fd, events: POLLOUT, revents: 0 };
      if (n !== -EAGAIN || poll([room], SEND_TIMEOUT_MS) <= 0) {
        this.close();
        return;
      }
    }
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.poller.remove(this.fd);
    close(this.fd);
    for (const fd of this.fds) close(fd);
    this.fds = [];
    for (const done of this.onClose) done();
  }

  private receive(): void {
    while (!this.closed) {
      const got = recvWithFds(this.fd, receiveBuffer, MSG_DONTWAIT);
      if (typeof got === 'number') {
        if (got !== -EAGAIN) this.close();
        return;
      }
      this.fds.push(...got.fds);
      if (got.length === 0 || this.fds.length > MAX_FRAME_FDS) {
        this.close();
        return;
      }
      this.frames.push(receiveBuffer, got.length);
      this.dispatch();
    }
  }

  private dispatch(): void {
    for (;;) {
      const message = this.frames.next();
      if (message === undefined) break;
      const fds = this.fds;
      this.fds = [];
      const request = parseRequest(message, fds.length);
      if (typeof request !== 'string') {
        this.handle(this, request, fds);
        continue;
      }
      for (const fd of fds) close(fd);
      const id = (message as { id?: unknown }).id;
      if (typeof id !== 'number') {
        this.close();
        return;
      }
      this.replyError(id, { message: request });
    }
    if (this.frames.error !== '') this.close();
  }
}
