/**
 * SOCK_SEQPACKET of unix(7): connections that keep message boundaries.
 */
import { EAGAIN, EFAULT, EINVAL, ENOTCONN, EOPNOTSUPP, EPIPE } from '../../../spec/linux/errno.ts';
import { MSG_OOB, SOCK_SEQPACKET } from '../../../spec/linux/socket.ts';
import type { Task } from '../../kernel/task.ts';
import type { IoBuffer } from '../../mm/io_buffer.ts';
import type { FsCaller } from '../../vfs/caller.ts';
import type { Incoming, Outgoing } from '../socket.ts';
import { checkMessageSize, MessageQueue, messageCharge, takeBytes } from './message_queue.ts';
import { UnixConnection } from './unix_connection.ts';
import { Rights } from './unix_rights.ts';
import { credentialsToSend, READABLE, RECEIVE_SHUT, SEND_SHUT } from './unix_socket.ts';

export class UnixSeqpacket extends UnixConnection {
  private readonly queue = new MessageQueue();

  constructor(caller: FsCaller) {
    super(caller, SOCK_SEQPACKET);
  }

  protected override another(caller: FsCaller): UnixSeqpacket {
    return new UnixSeqpacket(caller);
  }
  protected override get unread(): boolean {
    return this.queue.count > 0;
  }
  override dropReceived(): void {
    this.queue.clear();
  }
  protected override waitingBytes(): number {
    return this.listening ? -EINVAL : this.queue.nextLength;
  }

  /** An address is ignored: the connection says where it goes. */
  override send(caller: FsCaller, src: IoBuffer, how: Outgoing): number {
    if (this.connectedHost !== null) return this.sendToHost(this.connectedHost, src, how);
    const peer = this.peer as UnixSeqpacket | null;
    if (peer === null) return -ENOTCONN;
    if ((how.flags & MSG_OOB) !== 0) return -EOPNOTSUPP;
    const length = src.remaining;
    const fits = checkMessageSize(length, this.options.sendBuffer);
    if (fits < 0) return fits;
    const error = this.takeError();
    if (error !== 0) return -error;
    if ((this.shutdowns & SEND_SHUT) !== 0) return -EPIPE;
    if (peer.dead || (peer.shutdowns & RECEIVE_SHUT) !== 0) return -EPIPE;
    if (this.sent >= this.options.sendBuffer) return -EAGAIN;
    const bytes = takeBytes(src);
    if (bytes === null) return -EFAULT;
    const rights = how.rights === null ? null : Rights.send(caller as Task, how.rights, peer);
    if (typeof rights === 'number') return rights;
    how.rights = null;
    const charge = messageCharge(length);
    this.sent += charge;
    const credentials = credentialsToSend(this, peer, caller, how);
    peer.queue.push({ bytes, sender: this, credentials, rights, charge });
    peer.notify(READABLE);
    return length;
  }

  override receive(_caller: FsCaller, dst: IoBuffer, flags: number, into: Incoming): number {
    if (this.state !== 'connected') return -ENOTCONN;
    if ((flags & MSG_OOB) !== 0) return -EOPNOTSUPP;
    if (this.host !== null) return this.host.receive(dst, flags, into);
    const error = this.takeError();
    if (error !== 0) return -error;
    if (this.queue.count > 0) return this.queue.take(dst, flags, into);
    return (this.shutdowns & RECEIVE_SHUT) !== 0 ? 0 : -EAGAIN;
  }
}
