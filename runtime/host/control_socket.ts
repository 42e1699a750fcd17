/**
 * Unix sockets below a state directory, whose path may be longer than sun_path: they are bound and
 * reached through /proc/self/fd.
 */

import { byteString } from '../../native/bytes.ts';
import * as native from '../../native/fs.ts';
import * as socket from '../../native/socket.ts';
import { EAGAIN, EINTR } from '../../spec/linux/errno.ts';
import { O_CLOEXEC, O_DIRECTORY, O_PATH } from '../../spec/linux/fcntl.ts';
import { POLLIN } from '../../spec/linux/poll.ts';
import {
  AF_UNIX,
  MSG_NOSIGNAL,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_STREAM,
} from '../../spec/linux/socket.ts';
import type { ControlChannel } from './host.ts';

const BACKLOG = 64;

/** Runs `use` with a short path to DIRECTORY/NAME. */
function throughDirectory(
  directory: string,
  name: string,
  flags: number,
  use: (path: string, fd: number) => number,
): number {
  const folder = native.open(byteString(directory), O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) return folder;
  const fd = socket.socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags);
  const result = fd < 0 ? fd : use(`/proc/self/fd/${folder}/${byteString(name)}`, fd);
  native.close(folder);
  if (fd >= 0 && result < 0) native.close(fd);
  return result < 0 ? result : fd;
}

/** The listening descriptor, nonblocking, or -errno. */
export function listenIn(directory: string, name: string): number {
  return throughDirectory(directory, name, SOCK_NONBLOCK, (path, fd) => {
    const bound = socket.bindUnix(fd, path);
    return bound < 0 ? bound : socket.listen(fd, BACKLOG);
  });
}

/** The connected descriptor, or -errno. */
export function connectIn(directory: string, name: string): number {
  return throughDirectory(directory, name, 0, (path, fd) => socket.connectUnix(fd, path));
}

/** A channel that owns `fd`. */
export class SocketChannel implements ControlChannel {
  readonly fd: number;

  constructor(fd: number) {
    this.fd = fd;
  }

  send(bytes: Uint8Array, fds: readonly number[]): number {
    let sent = 0;
    while (sent < bytes.length) {
      const rest = bytes.subarray(sent);
      const result =
        sent === 0 && fds.length > 0
          ? socket.sendWithFds(this.fd, rest, fds, MSG_NOSIGNAL)
          : socket.send(this.fd, rest, MSG_NOSIGNAL);
      if (result === -EINTR) continue;
      if (result < 0) return result;
      sent += result;
    }
    return sent;
  }

  receive(buffer: Uint8Array, timeoutMs: number): number {
    const entry = { fd: this.fd, events: POLLIN, revents: 0 };
    const ready = socket.poll([entry], Math.ceil(timeoutMs));
    if (ready < 0) return ready;
    return ready === 0 ? -EAGAIN : socket.recv(this.fd, buffer);
  }

  close(): void {
    native.close(this.fd);
  }
}
