/**
 * Requests about unix sockets of the host, served only where --host-uds allows it: the Sentry gets a
 * connected or bound socket and does the rest itself.
 */
import { bindsOnHost, connectsToHost } from '../../spec/control/boot.ts';
import { EBADF, ECONNREFUSED, EINVAL, EMFILE, EPERM } from '../../spec/linux/errno.ts';
import { SOCK_DGRAM, SOCK_SEQPACKET, SOCK_STREAM } from '../../spec/linux/socket.ts';
import { S_IFSOCK } from '../../spec/linux/stat.ts';
import { IOUNIT_FD_DONATED } from '../../spec/p9/constants.ts';
import type { Fields } from '../../spec/p9/messages.ts';
import type { OpenSocket } from './backend.ts';
import type { Connection } from './connection.ts';
import { owner, parentOf } from './directory_requests.ts';

function isKnown(type: number): boolean {
  return type === SOCK_STREAM || type === SOCK_DGRAM || type === SOCK_SEQPACKET;
}

/** Gives the client its socket: nothing of it stays here. */
function donate(c: Connection, socket: OpenSocket): { iounit: number } | number {
  const donated = c.donate(socket.fd);
  socket.close();
  return donated ? { iounit: IOUNIT_FD_DONATED } : -EMFILE;
}

export function connect(c: Connection, f: Fields<'Tconnect'>): Fields<'Rconnect'> | number {
  const fid = c.fids.get(f.fid);
  if (fid === undefined) return -EBADF;
  if (!isKnown(f.type)) return -EINVAL;
  if (!connectsToHost(c.hostUds) || fid.node.fileType !== S_IFSOCK) return -ECONNREFUSED;
  const socket = fid.node.connect(f.type);
  return typeof socket === 'number' ? socket : donate(c, socket);
}

export function bind(c: Connection, f: Fields<'Tbind'>): Fields<'Rbind'> | number {
  const fid = parentOf(c, f.dfid, f.name);
  if (typeof fid === 'number') return fid;
  if (!isKnown(f.type)) return -EINVAL;
  if (!bindsOnHost(c.hostUds)) return -EPERM;
  const socket = fid.node.bind(f.name, f.type, f.mode & 0o7777, owner(c, fid, f.gid));
  return typeof socket === 'number' ? socket : donate(c, socket);
}
