/**
 * SOCK_STREAM of unix(7): two queues of bytes, one each way.
 */
import {
  EAGAIN,
  EFAULT,
  EINVAL,
  EISCONN,
  ENOTCONN,
  EOPNOTSUPP,
  EPIPE,
} from '../../../spec/linux/errno.ts';
import { MSG_OOB, MSG_PEEK, SOCK_STREAM } from '../../../spec/linux/socket.ts';
import type { Task } from '../../kernel/task.ts';
import type { IoBuffer } from '../../mm/io_buffer.ts';
import type { FsCaller } from '../../vfs/caller.ts';
import type { Incoming, Outgoing } from '../socket.ts';
import { ByteQueue, MAX_SEGMENTS } from './byte_queue.ts';
import { UnixConnection } from './unix_connection.ts';
import { Rights } from './unix_rights.ts';
import { credentialsToSend, READABLE, RECEIVE_SHUT, SEND_SHUT } from './unix_socket.ts';

export class UnixStream extends UnixConnection {
  private readonly queue = new ByteQueue();

  constructor(caller: FsCaller) {
    super(caller, SOCK_STREAM);
  }

  protected override another(caller: FsCaller): UnixStream {
    return new UnixStream(caller);
  }
  protected override get unread(): boolean {
    return this.queue.length > 0;
  }
  protected override get maySend(): boolean {
    const waiting = (this.peer as UnixStream | null)?.queue.segmentCount ?? 0;
    return waiting * 4 <= 3 * MAX_SEGMENTS && super.maySend;
  }
  override dropReceived(): void {
    const { length } = this.queue;
    this.queue.clear();
    this.peer?.received(length);
  }
  protected override waitingBytes(): number {
    return this.listening ? -EINVAL : this.queue.length;
  }

  override send(caller: FsCaller, src: IoBuffer, how: Outgoing): number {
    if ((how.flags & MSG_OOB) !== 0) return -EOPNOTSUPP;
    if (how.address !== null) return this.state === 'connected' ? -EISCONN : -EOPNOTSUPP;
    const peer = this.peer as UnixStream | null;
    if (this.connectedHost !== null) return this.sendToHost(this.connectedHost, src, how);
    if (peer === null) return -ENOTCONN;
    if ((this.shutdowns & SEND_SHUT) !== 0) return -EPIPE;
    if (src.remaining === 0) return 0;
    if (peer.dead || (peer.shutdowns & RECEIVE_SHUT) !== 0) return -EPIPE;
    const room = this.options.sendBuffer - this.sent;
    if (room <= 0 || peer.queue.segmentCount >= MAX_SEGMENTS) return -EAGAIN;
    const rights = how.rights === null ? null : Rights.send(caller as Task, how.rights, peer);
    if (typeof rights === 'number') return rights;
    const n = peer.queue.append(src, room, credentialsToSend(this, peer, caller, how), rights);
    if (n === 0) {
      rights?.receive();
      return -EFAULT;
    }
    how.rights = null;
    this.sent += n;
    peer.notify(READABLE);
    return n;
  }

  override receive(_caller: FsCaller, dst: IoBuffer, flags: number, into: Incoming): number {
    if (this.state !== 'connected') return -EINVAL;
    if ((flags & MSG_OOB) !== 0) return -EOPNOTSUPP;
    if (this.host !== null) return this.host.receive(dst, flags, into);
    if (this.queue.length === 0) {
      const error = this.takeError();
      if (error !== 0) return -error;
      return (this.shutdowns & RECEIVE_SHUT) !== 0 ? 0 : -EAGAIN;
    }
    if (dst.remaining === 0) return 0;
    const peek = (flags & MSG_PEEK) !== 0;
    const { length, credentials, rights } = this.queue.read(
      dst,
      peek,
      this.options.passCredentials,
    );
    if (length === 0) return -EFAULT;
    const peer = this.peer as UnixStream;
    into.address = peer.named ? peer.address : null;
    into.credentials = credentials;
    if (rights !== null) into.rights = peek ? rights.duplicate() : rights.receive();
    if (!peek) peer.received(length);
    return length;
  }
}
