/**
 * Connection-oriented unix sockets: what SOCK_STREAM and SOCK_SEQPACKET share (listen(2), accept(2),
 * connect(2) on unix(7)).
 */
import {
  EAGAIN,
  ECONNREFUSED,
  ECONNRESET,
  EINVAL,
  EISCONN,
  ENOTCONN,
} from '../../../spec/linux/errno.ts';
import { POLLOUT } from '../../../spec/linux/poll.ts';
import { SOMAXCONN } from '../../../spec/linux/socket.ts';
import { Timer } from '../../base/timer_queue.ts';
import type { FsCaller } from '../../vfs/caller.ts';
import { HostSocket } from '../../vfs/host_socket.ts';
import type { UserCredentials } from '../socket.ts';
import { encodeUnixAddress } from './unix_address.ts';
import { collectLostSockets } from './unix_rights.ts';
import {
  effectiveCredentials,
  READABLE,
  RECEIVE_SHUT,
  SEND_SHUT,
  UnixSocket,
} from './unix_socket.ts';

/** A listener of the host whose backlog is full tells nobody when it has room. */
const RETRY_NS = 10e6;

type ConnectionState = 'unconnected' | 'listening' | 'connected';

export abstract class UnixConnection extends UnixSocket {
  protected state: ConnectionState = 'unconnected';
  /** Connections made and not accepted yet; the listener holds their references. */
  private readonly backlog: UnixConnection[] = [];
  private backlogLimit = 0;
  /** Who called listen(2): what SO_PEERCRED tells clients. */
  private listener: UserCredentials | null = null;
  private listenerGroups: readonly number[] = [];
  private accepted = true;
  /** The address that led to a socket of the host. */
  private hostAddress: Uint8Array | null = null;

  /** A new unconnected socket of the same type. */
  protected abstract another(caller: FsCaller): UnixConnection;
  /** Something received that nobody will read now. */
  protected abstract get unread(): boolean;

  /** The host's end of this connection. */
  protected get connectedHost(): HostSocket | null {
    return this.state === 'connected' ? this.host : null;
  }

  override get listening(): boolean {
    return this.state === 'listening';
  }

  protected override get hungUp(): boolean {
    return this.state === 'unconnected';
  }

  protected override get maySend(): boolean {
    return this.state !== 'listening' && super.maySend;
  }

  protected override get hasInput(): boolean {
    return this.state === 'listening' ? this.backlog.length > 0 : this.unread;
  }

  /** Joins two sockets (socketpair(2)). */
  pairWith(caller: FsCaller, other: UnixConnection): void {
    const who = effectiveCredentials(caller);
    const { groups } = caller.creds;
    this.joinTo(other, who, groups);
    other.joinTo(this, who, groups);
  }

  private joinTo(peer: UnixConnection, who: UserCredentials, groups: readonly number[]): void {
    this.state = 'connected';
    this.peer = peer;
    this.setPeerIdentity(who, groups);
  }

  override listen(caller: FsCaller, backlog: number): number {
    if (!this.named || this.state === 'connected') return -EINVAL;
    const r = this.host?.listen(Math.min(backlog >>> 0, SOMAXCONN)) ?? 0;
    if (r < 0) return r;
    const limit = backlog < 0 ? SOMAXCONN : Math.min(backlog, SOMAXCONN);
    const grown = limit > this.backlogLimit;
    this.backlogLimit = limit;
    this.state = 'listening';
    this.listener = effectiveCredentials(caller);
    this.listenerGroups = caller.creds.groups;
    this.setPeerIdentity(this.listener, this.listenerGroups);
    if (grown) this.room.notify(POLLOUT);
    return 0;
  }

  override connect(caller: FsCaller, address: Uint8Array): number {
    const to = this.find(caller, address);
    if (to === -EAGAIN) this.retrySoon();
    if (typeof to === 'number') return to;
    if (to instanceof HostSocket) return this.connectToHost(to, address);
    const other = to as UnixConnection;
    if (other.state !== 'listening' || (other.shutdowns & RECEIVE_SHUT) !== 0) {
      return -ECONNREFUSED;
    }
    if (this.state !== 'unconnected') return this.state === 'connected' ? -EISCONN : -EINVAL;
    if (other.backlog.length > other.backlogLimit) {
      this.awaitRoomAt(other);
      return -EAGAIN;
    }
    if (this.options.passCredentials) {
      const r = this.autobind(caller);
      if (r < 0) return r;
    }
    const server = this.another(caller);
    server.accepted = false;
    server.shareNameOf(other);
    server.joinTo(this, effectiveCredentials(caller), caller.creds.groups);
    this.joinTo(server, other.listener as UserCredentials, other.listenerGroups);
    other.backlog.push(server);
    other.notify(READABLE);
    return 0;
  }

  /** `to` is connected already. */
  private connectToHost(to: HostSocket, address: Uint8Array): number {
    if (this.state !== 'unconnected' || this.host !== null) {
      to.close();
      return this.state === 'connected' ? -EISCONN : -EINVAL;
    }
    this.state = 'connected';
    this.hostAddress = address;
    this.connectedTo(to);
    return 0;
  }

  private retrySoon(): void {
    const { clock, timers } = this.container.kernel;
    timers.start(new Timer(() => this.events.notify(POLLOUT)), clock.monotonicNs() + RETRY_NS);
  }

  private acceptFromHost(caller: FsCaller, host: HostSocket): UnixSocket | number {
    const client = host.accept();
    if (typeof client === 'number') return client;
    const server = this.another(caller);
    server.state = 'connected';
    server.shareNameOf(this);
    server.connectedTo(client);
    return server;
  }

  override accept(caller: FsCaller): UnixSocket | number {
    if (this.state !== 'listening') return -EINVAL;
    const server = this.backlog.shift();
    if (server === undefined) {
      if (this.host !== null) return this.acceptFromHost(caller, this.host);
      return (this.shutdowns & RECEIVE_SHUT) !== 0 ? -EINVAL : -EAGAIN;
    }
    server.accepted = true;
    this.room.notify(POLLOUT);
    return server;
  }

  override peerAddress(): Uint8Array | number {
    if (this.state !== 'connected') return -ENOTCONN;
    // Who came from the host has no name.
    return this.peer?.address ?? this.hostAddress ?? encodeUnixAddress('');
  }

  protected override shutDownPeer(mask: number): void {
    const forPeer =
      ((mask & RECEIVE_SHUT) !== 0 ? SEND_SHUT : 0) | ((mask & SEND_SHUT) !== 0 ? RECEIVE_SHUT : 0);
    this.peer?.peerShutDown(forPeer, 0);
  }

  protected override release(): void {
    super.release();
    for (const server of this.backlog.splice(0)) server.close();
    const lost = this.unread || !this.accepted;
    this.peer?.peerShutDown(RECEIVE_SHUT | SEND_SHUT, lost ? ECONNRESET : 0);
    this.dropReceived();
    collectLostSockets();
  }
}
