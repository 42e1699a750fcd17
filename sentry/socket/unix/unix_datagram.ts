/**
 * SOCK_DGRAM of unix(7): reliable messages between named sockets.
 */
import {
  EAGAIN,
  ECONNREFUSED,
  ECONNRESET,
  EFAULT,
  ENOBUFS,
  ENOTCONN,
  EOPNOTSUPP,
  EPIPE,
} from '../../../spec/linux/errno.ts';
import { getU16 } from '../../../spec/linux/little_endian.ts';
import { POLLOUT } from '../../../spec/linux/poll.ts';
import { AF_UNSPEC, MSG_DONTWAIT, MSG_OOB, SOCK_DGRAM } from '../../../spec/linux/socket.ts';
import type { Task } from '../../kernel/task.ts';
import type { IoBuffer } from '../../mm/io_buffer.ts';
import type { FsCaller } from '../../vfs/caller.ts';
import { HostSocket } from '../../vfs/host_socket.ts';
import type { Incoming, Outgoing } from '../socket.ts';
import { checkMessageSize, MessageQueue, messageCharge, takeBytes } from './message_queue.ts';
import { collectLostSockets, Rights } from './unix_rights.ts';
import {
  credentialsToSend,
  effectiveCredentials,
  READABLE,
  RECEIVE_SHUT,
  SEND_SHUT,
  UnixSocket,
} from './unix_socket.ts';

/** net.unix.max_dgram_qlen: strangers find a socket full when more messages than this wait. */
const MAX_QUEUE = 10;

export class UnixDatagram extends UnixSocket {
  private readonly queue = new MessageQueue();
  /** The address of the socket of the host that this one is connected to. */
  private hostAddress: Uint8Array | null = null;

  constructor(caller: FsCaller) {
    super(caller, SOCK_DGRAM);
  }

  protected override get hasInput(): boolean {
    return this.queue.count > 0;
  }
  protected override waitingBytes(): number {
    return this.queue.nextLength;
  }
  override get listening(): boolean {
    return false;
  }
  override listen(): number {
    return -EOPNOTSUPP;
  }
  override accept(): number {
    return -EOPNOTSUPP;
  }
  override peerAddress(): Uint8Array | number {
    return this.peer?.address ?? this.hostAddress ?? -ENOTCONN;
  }

  /** Joins two sockets (socketpair(2)). */
  pairWith(caller: FsCaller, other: UnixDatagram): void {
    const who = effectiveCredentials(caller);
    this.peer = other;
    other.peer = this;
    this.setPeerIdentity(who, caller.creds.groups);
    other.setPeerIdentity(who, caller.creds.groups);
  }

  /** AF_UNSPEC dissolves the association. */
  override connect(caller: FsCaller, address: Uint8Array): number {
    let to: UnixDatagram | null = null;
    if (address.length < 2 || getU16(address, 0) !== AF_UNSPEC) {
      if (this.options.passCredentials) {
        const r = this.autobind(caller);
        if (r < 0) return r;
      }
      const found = this.find(caller, address);
      if (typeof found === 'number') return found;
      if (found instanceof HostSocket) return this.connectToHost(found, address);
      to = found as UnixDatagram;
      const welcome = to.accepts(this);
      if (welcome < 0) return welcome;
    }
    if (this.hostAddress !== null) this.leaveHost();
    const old = this.peer;
    this.peer = to;
    if (old !== null && old !== to) this.disconnected(old as UnixDatagram);
    return 0;
  }

  /** A socket bound on the host has its one end there already. */
  private connectToHost(to: HostSocket, address: Uint8Array): number {
    if (this.hostAddress !== null) this.leaveHost();
    if (this.host !== null) {
      to.close();
      return -EOPNOTSUPP;
    }
    this.hostAddress = address;
    this.connectedTo(to);
    return 0;
  }

  private leaveHost(): void {
    this.host?.close();
    this.host = null;
    this.hostAddress = null;
  }

  /** What the former peer sent is lost, and it is told. */
  private disconnected(old: UnixDatagram): void {
    if (this.queue.count === 0) return;
    this.queue.clear();
    this.room.notify(POLLOUT);
    if (!old.dead && old.peer === this) {
      old.setError(ECONNRESET);
      old.notify(READABLE);
    }
  }

  /** Too much waits at `to` for messages from here; its mutual peer is bounded by its send buffer. */
  private finds(to: UnixDatagram): 'room' | 'full' {
    return to.peer !== this && to !== this && to.queue.count > MAX_QUEUE ? 'full' : 'room';
  }

  protected override get maySend(): boolean {
    if (!super.maySend) return false;
    const to = this.peer as UnixDatagram | null;
    if (to === null || to.dead || this.finds(to) === 'room') return true;
    this.awaitRoomAt(to);
    return false;
  }

  override send(caller: FsCaller, src: IoBuffer, how: Outgoing): number {
    if ((how.flags & MSG_OOB) !== 0) return -EOPNOTSUPP;
    if (how.address === null && this.host !== null && this.hostAddress !== null) {
      return this.sendToHost(this.host, src, how);
    }
    const to = this.destination(caller, how.address);
    if (typeof to === 'number') return to;
    if (to instanceof HostSocket) return this.sendOnce(to, src, how);
    const length = src.remaining;
    const fits = checkMessageSize(length, this.options.sendBuffer);
    if (fits < 0) return fits;
    const r = this.mayDeliver(to);
    if (r < 0) return r;
    const bytes = takeBytes(src);
    if (bytes === null) return -EFAULT;
    const rights = how.rights === null ? null : Rights.send(caller as Task, how.rights, to);
    if (typeof rights === 'number') return rights;
    how.rights = null;
    const charge = messageCharge(length);
    this.sent += charge;
    const credentials = credentialsToSend(this, to, caller, how);
    to.queue.push({ bytes, sender: this, credentials, rights, charge });
    to.notify(READABLE);
    return length;
  }

  /** One message to a socket of the host: who finds it full is not told when there is room. */
  private sendOnce(to: HostSocket, src: IoBuffer, how: Outgoing): number {
    const n = this.sendToHost(to, src, how);
    to.close();
    return n === -EAGAIN ? -ENOBUFS : n;
  }

  private destination(
    caller: FsCaller,
    address: Uint8Array | null,
  ): UnixDatagram | HostSocket | number {
    if (address === null) return (this.peer as UnixDatagram | null) ?? -ENOTCONN;
    if (this.options.passCredentials) {
      const r = this.autobind(caller);
      if (r < 0) return r;
    }
    const found = this.find(caller, address);
    return found instanceof UnixSocket ? (found as UnixDatagram) : found;
  }

  /** 0, -EAGAIN when it must wait, or -errno. */
  private mayDeliver(to: UnixDatagram): number {
    const error = this.takeError();
    if (error !== 0) return -error;
    if ((this.shutdowns & SEND_SHUT) !== 0) return -EPIPE;
    if (this.sent >= this.options.sendBuffer) return -EAGAIN;
    const welcome = to.accepts(this);
    if (welcome < 0) return welcome;
    if (to.dead) {
      if (this.peer === to) {
        this.peer = null;
        this.disconnected(to);
      }
      return -ECONNREFUSED;
    }
    if ((to.shutdowns & RECEIVE_SHUT) !== 0) return -EPIPE;
    if (this.finds(to) === 'room') return 0;
    this.awaitRoomAt(to);
    return -EAGAIN;
  }

  override receive(_caller: FsCaller, dst: IoBuffer, flags: number, into: Incoming): number {
    if ((flags & MSG_OOB) !== 0) return -EOPNOTSUPP;
    const error = this.takeError();
    if (error !== 0) return -error;
    if (this.queue.count === 0 && this.host !== null) return this.host.receive(dst, flags, into);
    if (this.queue.count === 0) {
      // As in Linux, only those who would wait see the end.
      const waits = !this.nonblock && (flags & MSG_DONTWAIT) === 0;
      return waits && (this.shutdowns & RECEIVE_SHUT) !== 0 ? 0 : -EAGAIN;
    }
    const n = this.queue.take(dst, flags, into);
    this.room.notify(POLLOUT);
    return n;
  }

  override dropReceived(): void {
    this.queue.clear();
  }

  protected override release(): void {
    super.release();
    this.peer = null;
    this.queue.clear();
    collectLostSockets();
  }
}
