/**
 * Unix sockets of the host over a descriptor that a gofer gave (unix(7)). Bytes alone pass: descriptors
 * and credentials that come along are dropped by the host, which MSG_CTRUNC tells.
 */

import { close } from '../../../native/fs.ts';
import {
  accept,
  listen,
  type PollFd,
  poll,
  receiveBytes,
  send,
  shutdown,
} from '../../../native/socket.ts';
import { EFAULT, EMSGSIZE } from '../../../spec/linux/errno.ts';
import {
  POLLERR,
  POLLHUP,
  POLLIN,
  POLLOUT,
  POLLRDHUP,
  POLLRDNORM,
  POLLWRBAND,
  POLLWRNORM,
} from '../../../spec/linux/poll.ts';
import {
  MSG_CTRUNC,
  MSG_DONTWAIT,
  MSG_NOSIGNAL,
  MSG_PEEK,
  MSG_TRUNC,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_STREAM,
} from '../../../spec/linux/socket.ts';
import type { IoBuffer } from '../../mm/io_buffer.ts';
import type { HostPoller } from '../../platform/platform.ts';
import { HostSocket } from '../../vfs/host_socket.ts';

/** The host's own bound on a message: its send buffer. */
const MESSAGE_BYTES_MAX = 212992;
/** What waits is looked at through this much. */
const PEEK_BYTES = 64 * 1024;

export class UnixHostSocket extends HostSocket {
  /** -1 once closed. */
  private fd: number;
  private readonly type: number;
  private readonly poller: HostPoller;
  private watched = false;

  /** Takes over `fd`, a socket of SOCK_* `type` that does not wait. */
  constructor(fd: number, type: number, poller: HostPoller) {
    super();
    this.fd = fd;
    this.type = type;
    this.poller = poller;
  }

  override watch(notify: (events: number) => void): void {
    this.watched = this.poller.add(this.fd, notify) === 0;
  }

  override poll(): number {
    const events = POLLIN | POLLOUT | POLLRDHUP;
    const look: PollFd = { fd: this.fd, events, revents: 0 };
    if (poll([look], 0) <= 0) return 0;
    let found = look.revents & (events | POLLHUP | POLLERR);
    if ((found & POLLIN) !== 0) found |= POLLRDNORM;
    if ((found & POLLOUT) !== 0) found |= POLLWRNORM | POLLWRBAND;
    return found;
  }

  override send(src: IoBuffer): number {
    return this.type === SOCK_STREAM ? this.sendStream(src) : this.sendMessage(src);
  }

  /** One piece of the application's memory: whoever sends more calls again. */
  private sendStream(src: IoBuffer): number {
    const piece = src.peek();
    if (piece === null) return src.faulted ? -EFAULT : 0;
    const bytes = piece.bytes.subarray(piece.start, piece.start + piece.length);
    const n = send(this.fd, bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n > 0) src.advance(n);
    return n;
  }

  private sendMessage(src: IoBuffer): number {
    if (src.remaining > MESSAGE_BYTES_MAX) return -EMSGSIZE;
    const bytes = new Uint8Array(src.remaining);
    // A copy of the cursor: this may have to be tried again.
    if (src.copy().read(bytes) < bytes.length) return -EFAULT;
    const n = send(this.fd, bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n > 0) src.skip(n);
    return n;
  }

  override receive(dst: IoBuffer, flags: number, into: { flags: number }): number {
    if (this.type === SOCK_STREAM) return this.receiveStream(dst, flags, into);
    const bytes = new Uint8Array(Math.min(dst.remaining, MESSAGE_BYTES_MAX));
    const how = MSG_DONTWAIT | (flags & (MSG_PEEK | MSG_TRUNC));
    const got = receiveBytes(this.fd, bytes, how);
    if (typeof got === 'number') return got;
    into.flags |= got.flags & (MSG_TRUNC | MSG_CTRUNC);
    const stored = Math.min(got.length, bytes.length);
    return dst.write(bytes, 0, stored) < stored ? -EFAULT : got.length;
  }

  /** Into one piece of the application's memory: whoever wants more calls again. */
  private receiveStream(dst: IoBuffer, flags: number, into: { flags: number }): number {
    const piece = dst.peek();
    if (piece === null) return dst.faulted ? -EFAULT : 0;
    const bytes = piece.bytes.subarray(piece.start, piece.start + piece.length);
    const got = receiveBytes(this.fd, bytes, MSG_DONTWAIT | (flags & MSG_PEEK));
    if (typeof got === 'number') return got;
    into.flags |= got.flags & MSG_CTRUNC;
    if (got.length > 0) dst.advance(got.length);
    return got.length;
  }

  override waitingBytes(): number {
    const how = MSG_DONTWAIT | MSG_PEEK | (this.type === SOCK_STREAM ? 0 : MSG_TRUNC);
    const got = receiveBytes(this.fd, new Uint8Array(PEEK_BYTES), how);
    return typeof got === 'number' ? 0 : got.length;
  }

  override listen(backlog: number): number {
    return listen(this.fd, backlog);
  }

  override accept(): HostSocket | number {
    const fd = accept(this.fd, SOCK_NONBLOCK | SOCK_CLOEXEC);
    return fd < 0 ? fd : new UnixHostSocket(fd, this.type, this.poller);
  }

  override shutdown(how: number): number {
    return shutdown(this.fd, how);
  }

  override close(): void {
    if (this.watched) this.poller.remove(this.fd);
    if (this.fd >= 0) close(this.fd);
    this.fd = -1;
  }
}
