/**
 * Sockets (socket(2), socket(7)): what every address family fulfils. As all files they never sleep: an
 * operation that cannot go on answers -EAGAIN, and the caller waits for POLLIN or POLLOUT.
 */
import { ENOPROTOOPT, EOPNOTSUPP } from '../../spec/linux/errno.ts';
import { O_NONBLOCK, O_RDWR } from '../../spec/linux/fcntl.ts';
import { SOCK_STREAM } from '../../spec/linux/socket.ts';
import { S_IFSOCK } from '../../spec/linux/stat.ts';
import { type AnonFileSystem, AnonInode, anonFileSystem } from '../fsimpl/anon/anon_inode.ts';
import type { Task } from '../kernel/task.ts';
import type { IoBuffer } from '../mm/io_buffer.ts';
import type { FsCaller } from '../vfs/caller.ts';
import { OpenFile } from '../vfs/open_file.ts';
import { SocketOptions } from './socket_options.ts';

/** Who somebody is, as SCM_CREDENTIALS and SO_PEERCRED tell it. */
export interface UserCredentials {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

/** What goes along with the bytes of one send. */
export interface Outgoing {
  /** MSG_*. */
  readonly flags: number;
  /** A sockaddr, or null for the connected peer. */
  readonly address: Uint8Array | null;
  /** SCM_RIGHTS: the socket that takes them sets this to null and owns the references. */
  rights: OpenFile[] | null;
  /** SCM_CREDENTIALS given by the sender, checked already. */
  readonly credentials: UserCredentials | null;
}

/** What came along with the bytes of one receive. */
export class Incoming {
  /** MSG_* for msg_flags. */
  flags = 0;
  /** The sender's sockaddr; null when it has none. */
  address: Uint8Array | null = null;
  /** SCM_RIGHTS; the receiver owns the references. */
  rights: OpenFile[] = [];
  /** SCM_CREDENTIALS; null when not asked for. */
  credentials: UserCredentials | null = null;
}

export const PLAIN_SEND: Outgoing = { flags: 0, address: null, rights: null, credentials: null };

/** Makes the sockets of one address family; -errno for what it does not know. */
export interface SocketFamily {
  create(t: Task, type: number, protocol: number): Socket | number;
  /** socketpair(2). */
  createPair(t: Task, type: number, protocol: number): readonly [Socket, Socket] | number;
}

export abstract class Socket extends OpenFile {
  /** AF_*. */
  readonly family: number;
  /** SOCK_*, without flags. */
  readonly type: number;
  readonly protocol: number;
  readonly options = new SocketOptions();

  constructor(caller: FsCaller, family: number, type: number, protocol: number) {
    const fs = anonFileSystem((caller as Task).kernel);
    const ino = fs.newIno();
    const inode = new SocketInode(fs, ino, caller);
    super(fs.place(inode, `socket:[${ino}]`), inode, O_RDWR);
    this.family = family;
    this.type = type;
    this.protocol = protocol;
  }

  get stream(): boolean {
    return this.type === SOCK_STREAM;
  }

  setNonblock(on: boolean): void {
    this.flags = on ? this.flags | O_NONBLOCK : this.flags & ~O_NONBLOCK;
  }

  abstract bind(caller: FsCaller, address: Uint8Array): number;
  /** -EAGAIN while it must wait for POLLOUT. */
  abstract connect(caller: FsCaller, address: Uint8Array): number;
  abstract listen(caller: FsCaller, backlog: number): number;
  abstract accept(caller: FsCaller): Socket | number;
  /** `how` is SHUT_*. */
  abstract shutdown(how: number): number;
  /** Sockaddrs, or -errno. */
  abstract localAddress(): Uint8Array | number;
  abstract peerAddress(): Uint8Array | number;
  abstract send(caller: FsCaller, src: IoBuffer, how: Outgoing): number;
  /** `flags` are MSG_*. With MSG_TRUNC a message's full length, which may exceed what was stored. */
  abstract receive(caller: FsCaller, dst: IoBuffer, flags: number, into: Incoming): number;

  /** SO_ERROR: the pending error, which this clears, as a positive number; 0 for none. */
  abstract takeError(): number;
  /** SO_ACCEPTCONN. */
  abstract get listening(): boolean;
  /** SO_PEERCRED. */
  peerCredentials(): UserCredentials | number {
    return -ENOPROTOOPT;
  }
  /** SO_PEERGROUPS. */
  peerGroups(): readonly number[] | number {
    return -ENOPROTOOPT;
  }
  /** SCM_RIGHTS and SCM_CREDENTIALS are for unix(7) only. */
  get passesRights(): boolean {
    return false;
  }
  /** Options of levels other than SOL_SOCKET. */
  getOption(_level: number, _name: number): Uint8Array | number {
    return -EOPNOTSUPP;
  }
  setOption(_caller: FsCaller, _level: number, _name: number, _value: Uint8Array): number {
    return -EOPNOTSUPP;
  }

  override get signalsBrokenPipe(): boolean {
    return this.stream;
  }
  override get readTimeoutNs(): number {
    return this.options.receiveTimeoutNs;
  }
  override get writeTimeoutNs(): number {
    return this.options.sendTimeoutNs;
  }

  override read(caller: FsCaller, dst: IoBuffer): number {
    if (dst.remaining === 0) return 0;
    const incoming = new Incoming();
    const n = this.receive(caller, dst, 0, incoming);
    for (const file of incoming.rights) file.close();
    return n;
  }

  override write(caller: FsCaller, src: IoBuffer): number {
    return this.send(caller, src, PLAIN_SEND);
  }
}

class SocketInode extends AnonInode {
  constructor(fs: AnonFileSystem, ino: number, caller: FsCaller) {
    super(fs, ino, S_IFSOCK | 0o777, caller.creds.fsuid, caller.creds.fsgid);
  }
}
