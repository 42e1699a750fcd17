/**
 * What the three types of unix(7) sockets share: names, shutdown, errors, readiness, and the accounting
 * of what they have sent and nobody has received yet. Linux's counterpart is net/unix/af_unix.c.
 */
import { EADDRINUSE, EINVAL, EOPNOTSUPP, EPERM } from '../../../spec/linux/errno.ts';
import { FIONREAD, TIOCOUTQ } from '../../../spec/linux/ioctl.ts';
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
import { AF_UNIX, SHUT_RD, SHUT_RDWR, SHUT_WR } from '../../../spec/linux/socket.ts';
import { Waiter, WaitQueue } from '../../base/wait_queue.ts';
import { type Container, containerOf } from '../../kernel/container.ts';
import type { Task } from '../../kernel/task.ts';
import type { IoBuffer } from '../../mm/io_buffer.ts';
import type { FsCaller } from '../../vfs/caller.ts';
import type { HostSocket } from '../../vfs/host_socket.ts';
import { type Path, pin, unpin } from '../../vfs/mount.ts';
import { type Outgoing, Socket, type UserCredentials } from '../socket.ts';
import { decodeUnixAddress, encodeUnixAddress } from './unix_address.ts';
import { autobindName, bindName, findByName, forgetName, nameExists } from './unix_names.ts';
import type { RightsHolder } from './unix_rights.ts';

export const READABLE = POLLIN | POLLRDNORM;
export const WRITABLE = POLLOUT | POLLWRNORM | POLLWRBAND;

/** Bits of `shutdowns`. */
export const RECEIVE_SHUT = 1;
export const SEND_SHUT = 2;
const BOTH_SHUT = RECEIVE_SHUT | SEND_SHUT;

/** SO_PEERCRED of a socket without a peer. */
const NOBODY: UserCredentials = { pid: 0, uid: 0xffffffff, gid: 0xffffffff };
/** And of one whose peer is a process of the host: as Linux tells those outside of one's namespaces. */
const OVERFLOW_ID = 65534;
const OUTSIDER: UserCredentials = { pid: 0, uid: OVERFLOW_ID, gid: OVERFLOW_ID };

/** Who `caller` is to its peers: its effective ids. */
export function effectiveCredentials(caller: FsCaller): UserCredentials {
  return { pid: (caller as Task).pid, uid: caller.creds.euid, gid: caller.creds.egid };
}

/** SCM_CREDENTIALS to send along when somebody wants them: the real ids, or what the sender says. */
export function credentialsToSend(
  from: UnixSocket,
  to: UnixSocket,
  caller: FsCaller,
  how: Outgoing,
): UserCredentials | null {
  if (how.credentials !== null) return how.credentials;
  if (!from.options.passCredentials && !to.options.passCredentials) return null;
  return { pid: (caller as Task).pid, uid: caller.creds.uid, gid: caller.creds.gid };
}

export abstract class UnixSocket extends Socket implements RightsHolder {
  readonly container: Container;
  /** Notified of everything that poll tells. */
  protected readonly events = new WaitQueue();
  /** Notified with POLLOUT when this socket takes more: messages, or connections. */
  protected readonly room = new WaitQueue();
  private name = '';
  private boundPath: Path | null = null;
  protected peer: UnixSocket | null = null;
  protected peerIs: UserCredentials = NOBODY;
  private peerGroupIds: readonly number[] = [];
  /** A socket of the host that this one is connected or bound by. */
  protected host: HostSocket | null = null;
  /** RECEIVE_SHUT, SEND_SHUT. */
  shutdowns = 0;
  /** Positive errno that the next call reports. */
  private error = 0;
  dead = false;
  /** Bytes sent and not received yet, with overhead. */
  protected sent = 0;
  /** Pass room at other sockets on to those who wait for this one. */
  private readonly relays = new Map<UnixSocket, Waiter>();

  constructor(caller: FsCaller, type: number) {
    super(caller, AF_UNIX, type, 0);
    this.container = containerOf(caller);
  }

  override get passesRights(): boolean {
    return true;
  }

  override get waitQueue(): WaitQueue {
    return this.events;
  }

  /** Wakes whoever waits for this socket. */
  notify(events: number): void {
    this.events.notify(events);
  }

  // Names --------------------------------------------------------------------------------------

  /** A sockaddr; only the family when there is no name. */
  get address(): Uint8Array {
    return encodeUnixAddress(this.name);
  }

  get named(): boolean {
    return this.name !== '';
  }

  override bind(caller: FsCaller, address: Uint8Array): number {
    const name = decodeUnixAddress(address);
    if (typeof name === 'number') return name;
    if (name === '') return this.autobind(caller);
    if (this.named) return nameExists(caller, this.container, name) ? -EADDRINUSE : -EINVAL;
    return this.bindTo(caller, name);
  }

  private bindTo(caller: FsCaller, name: string): number {
    if (this.host !== null) return -EOPNOTSUPP;
    const bound = bindName(caller, this, name);
    if (typeof bound === 'number') return bound;
    this.name = name;
    this.boundPath = bound.at === null ? null : pin(bound.at);
    if (bound.host !== null) this.standsFor(bound.host);
    return 0;
  }

  protected autobind(caller: FsCaller): number {
    if (this.named) return 0;
    const name = autobindName(this);
    return typeof name === 'number' ? name : this.bindTo(caller, name);
  }

  /** An accepted connection answers to its listener's name without owning it. */
  protected shareNameOf(other: UnixSocket): void {
    this.name = other.name;
  }

  /** The socket of this type that `address` leads to, or one of the host connected to it, or -errno. */
  protected find(caller: FsCaller, address: Uint8Array): UnixSocket | HostSocket | number {
    const name = decodeUnixAddress(address);
    if (typeof name === 'number') return name;
    return name === '' ? -EINVAL : findByName(caller, this.container, this.type, name);
  }

  override localAddress(): Uint8Array {
    return this.address;
  }

  // The host -----------------------------------------------------------------------------------

  /** What others see and send goes through `host`, which this socket takes over. */
  protected standsFor(host: HostSocket): void {
    this.host = host;
    host.watch((events) => this.events.notify(events));
  }

  /** connect(2) led to the host. */
  protected connectedTo(host: HostSocket): void {
    this.standsFor(host);
    this.setPeerIdentity(OUTSIDER, []);
  }

  /** Descriptors and credentials of the sandbox mean nothing to the host. */
  protected sendToHost(host: HostSocket, src: IoBuffer, how: Outgoing): number {
    return how.rights !== null || how.credentials !== null ? -EOPNOTSUPP : host.send(src);
  }

  // Peers --------------------------------------------------------------------------------------

  override peerCredentials(): UserCredentials {
    return this.peerIs;
  }

  override peerGroups(): readonly number[] {
    return this.peerGroupIds;
  }

  protected setPeerIdentity(who: UserCredentials, groups: readonly number[]): void {
    this.peerIs = who;
    this.peerGroupIds = groups;
  }

  /** Until there is room at `other`, those who wait for this socket wait for that. */
  protected awaitRoomAt(other: UnixSocket): void {
    if (this.relays.has(other)) return;
    const relay = new Waiter(POLLOUT, () => {
      relay.cancel();
      this.relays.delete(other);
      this.events.notify(WRITABLE);
    });
    this.relays.set(other, relay);
    other.room.add(relay);
  }

  // Errors and shutdown ------------------------------------------------------------------------

  override takeError(): number {
    const { error } = this;
    this.error = 0;
    return error;
  }

  setError(error: number): void {
    this.error = error;
  }

  /** The other end of a connection shut `mask` down, or went away with `error`. */
  peerShutDown(mask: number, error: number): void {
    this.shutdowns |= mask;
    if (error !== 0) this.error = error;
    this.events.notify(READABLE | WRITABLE | POLLHUP | POLLRDHUP | POLLERR);
  }

  override shutdown(how: number): number {
    if (how !== SHUT_RD && how !== SHUT_WR && how !== SHUT_RDWR) return -EINVAL;
    const mask = how + 1;
    const r = this.host?.shutdown(how) ?? 0;
    if (r < 0) return r;
    this.shutdowns |= mask;
    this.shutDownPeer(mask);
    this.events.notify(READABLE | WRITABLE | POLLHUP | POLLRDHUP);
    this.room.notify(POLLOUT);
    return 0;
  }

  /** For connections: what this end does not receive the other cannot send. */
  protected shutDownPeer(_mask: number): void {}

  // Readiness ----------------------------------------------------------------------------------

  /** Something to receive or accept. */
  protected abstract get hasInput(): boolean;

  /** Linux: at most a quarter of the send buffer is under way. */
  protected get maySend(): boolean {
    return this.sent * 4 <= this.options.sendBuffer;
  }

  /** A socket for connections that has none. */
  protected get hungUp(): boolean {
    return false;
  }

  override poll(): number {
    if (this.host !== null) return this.host.poll() | (this.hasInput ? READABLE : 0);
    let events = this.error !== 0 ? POLLERR : 0;
    if (this.shutdowns === BOTH_SHUT || this.hungUp) events |= POLLHUP;
    if ((this.shutdowns & RECEIVE_SHUT) !== 0) events |= POLLRDHUP | READABLE;
    if (this.hasInput) events |= READABLE;
    if (this.maySend) events |= WRITABLE;
    return events;
  }

  /** Bytes of this socket arrived or were dropped: its writers may go on. */
  received(bytes: number): void {
    this.sent -= bytes;
    if (this.maySend) this.events.notify(WRITABLE);
  }

  override ioctl(caller: FsCaller, command: number, argument: number): number {
    if (command === FIONREAD) {
      const waiting = this.host?.waitingBytes() ?? this.waitingBytes();
      return waiting < 0 ? waiting : caller.mm.writeU32(argument, waiting);
    }
    if (command === TIOCOUTQ) return caller.mm.writeU32(argument, this.sent);
    return super.ioctl(caller, command, argument);
  }

  abstract dropReceived(): void;

  /** FIONREAD, or -errno. */
  protected abstract waitingBytes(): number;

  protected override release(): void {
    this.dead = true;
    this.host?.close();
    for (const relay of this.relays.values()) relay.cancel();
    this.relays.clear();
    forgetName(this, this.name, this.boundPath);
    if (this.boundPath !== null) unpin(this.boundPath);
    this.boundPath = null;
    this.room.notify(POLLOUT);
  }

  /** Whether datagrams from `from` are welcome: a connected socket hears only its peer. */
  protected accepts(from: UnixSocket): number {
    return this.peer === null || this.peer === from ? 0 : -EPERM;
  }
}
