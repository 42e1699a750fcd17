/**
 * AF_UNIX: making sockets of its three types (unix(7)).
 */
import { EPROTONOSUPPORT, ESOCKTNOSUPPORT } from '../../../spec/linux/errno.ts';
import {
  AF_UNIX,
  SOCK_DGRAM,
  SOCK_RAW,
  SOCK_SEQPACKET,
  SOCK_STREAM,
} from '../../../spec/linux/socket.ts';
import type { Task } from '../../kernel/task.ts';
import type { SocketFamily } from '../socket.ts';
import { UnixConnection } from './unix_connection.ts';
import { UnixDatagram } from './unix_datagram.ts';
import { UnixSeqpacket } from './unix_seqpacket.ts';
import { UnixStream } from './unix_stream.ts';

function create(t: Task, type: number, protocol: number): UnixConnection | UnixDatagram | number {
  if (protocol !== 0 && protocol !== AF_UNIX) return -EPROTONOSUPPORT;
  switch (type) {
    case SOCK_STREAM:
      return new UnixStream(t);
    case SOCK_SEQPACKET:
      return new UnixSeqpacket(t);
    case SOCK_DGRAM:
    case SOCK_RAW:
      return new UnixDatagram(t);
    default:
      return -ESOCKTNOSUPPORT;
  }
}

export const unixFamily: SocketFamily = {
  create,
  createPair: (t, type, protocol) => {
    const a = create(t, type, protocol);
    const b = create(t, type, protocol);
    if (typeof a === 'number') return a;
    if (a instanceof UnixDatagram && b instanceof UnixDatagram) a.pairWith(t, b);
    if (a instanceof UnixConnection && b instanceof UnixConnection) a.pairWith(t, b);
    return [a, b as typeof a];
  },
};
