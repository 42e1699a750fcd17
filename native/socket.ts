/**
 * Host sockets: socketpair(2), unix(7) addresses, descriptors by SCM_RIGHTS, poll(2).
 * Results are >= 0 or -errno; flags are those of spec/linux/socket.ts.
 */

import { EINVAL, ENAMETOOLONG } from '../spec/linux/errno.ts';
import {
  AF_UNIX,
  MSG_CMSG_CLOEXEC,
  SCM_RIGHTS,
  SO_RCVTIMEO,
  SO_SNDTIMEO,
  SOL_SOCKET,
} from '../spec/linux/socket.ts';
import * as nr from '../spec/linux/syscall_numbers.ts';
import { type Path, result, setResult64 } from './bytes.ts';
import { addressOf, syscall, whenLoaded } from './index.ts';

/** The most descriptors the host passes in one message: SCM_MAX_FD. */
export const MAX_FDS = 253;

/** Both ends, or -errno. */
export function socketpair(type: number, domain = AF_UNIX): [number, number] | number {
  const status = syscall(nr.SYS_socketpair, domain, type, 0, result.address);
  return status < 0 ? status : [result.i32[0] as number, result.i32[1] as number];
}

export function socket(domain: number, type: number, protocol = 0): number {
  return syscall(nr.SYS_socket, domain, type, protocol);
}

/** Lays a sockaddr_un in `result`; its length, or -errno. A leading NUL makes it abstract. */
function layUnixAddress(path: Path): number {
  if (path.length === 0) return -EINVAL;
  if (path.length > 107) return -ENAMETOOLONG;
  result.u16[0] = AF_UNIX;
  for (let i = 0; i < path.length; i++) {
    result.bytes[2 + i] = typeof path === 'string' ? path.charCodeAt(i) : (path[i] as number);
  }
  result.bytes[2 + path.length] = 0;
  const abstract = result.bytes[2] === 0;
  return 2 + path.length + (abstract ? 0 : 1);
}

/** Binds to a unix path of at most 107 bytes (go through /proc/self/fd/N for longer ones). */
export function bindUnix(fd: number, path: Path): number {
  const length = layUnixAddress(path);
  return length < 0 ? length : syscall(nr.SYS_bind, fd, result.address, length);
}

export function connectUnix(fd: number, path: Path): number {
  const length = layUnixAddress(path);
  return length < 0 ? length : syscall(nr.SYS_connect, fd, result.address, length);
}

export function listen(fd: number, backlog: number): number {
  return syscall(nr.SYS_listen, fd, backlog);
}

export function accept(fd: number, flags: number): number {
  return syscall(nr.SYS_accept4, fd, null, null, flags);
}

export function shutdown(fd: number, how: number): number {
  return syscall(nr.SYS_shutdown, fd, how);
}

export function send(fd: number, from: Uint8Array, flags = 0): number {
  return syscall(nr.SYS_sendto, fd, from, from.length, flags, null, 0);
}

export function recv(fd: number, into: Uint8Array, flags = 0): number {
  return syscall(nr.SYS_recvfrom, fd, into, into.length, flags, null, null);
}

/** SO_RCVTIMEO and SO_SNDTIMEO: a call that waits for longer answers -EAGAIN. */
export function limitWaits(fd: number, seconds: number): number {
  setResult64(0, seconds);
  setResult64(8, 0);
  const { address } = result;
  for (const name of [SO_RCVTIMEO, SO_SNDTIMEO]) {
    const status = syscall(nr.SYS_setsockopt, fd, SOL_SOCKET, name, address, 16);
    if (status < 0) return status;
  }
  return 0;
}

/** SO_PEERCRED of unix(7), or -errno. */
export function peerCredentials(
  fd: number,
): { readonly pid: number; readonly uid: number; readonly gid: number } | number {
  result.u32[4] = 12;
  const SO_PEERCRED = 17;
  const { address, i32, u32 } = result;
  const status = syscall(nr.SYS_getsockopt, fd, SOL_SOCKET, SO_PEERCRED, address, address + 16);
  if (status < 0) return status;
  return { pid: i32[0] as number, uid: u32[1] as number, gid: u32[2] as number };
}

// struct msghdr at 0, struct iovec at 64, control at 128. What is the same in every call is laid once.
const IOVEC = 64;
const CONTROL = 128;
const CONTROL_BYTES = 16 + 4 * MAX_FDS + 4;
const message = new Uint32Array((CONTROL + CONTROL_BYTES) / 4);
let messageAddress = 0;

/** A 64-bit number of struct msghdr, iovec or cmsghdr, at byte `offset`. */
function lay64(offset: number, value: number): void {
  message[offset >> 2] = value % 2 ** 32;
  message[(offset >> 2) + 1] = value / 2 ** 32;
}

whenLoaded(() => {
  messageAddress = addressOf(message);
  lay64(16, messageAddress + IOVEC);
  lay64(24, 1);
});

function layMessage(buffer: Uint8Array, controlLength: number): void {
  lay64(32, controlLength === 0 ? 0 : messageAddress + CONTROL);
  message[40 >> 2] = controlLength;
  lay64(IOVEC, buffer.length === 0 ? 0 : addressOf(buffer));
  message[(IOVEC + 8) >> 2] = buffer.length;
}

/** sendmsg(2) with descriptors in one SCM_RIGHTS; at least one byte must go with them. */
export function sendWithFds(
  fd: number,
  from: Uint8Array,
  fds: readonly number[],
  flags = 0,
): number {
  if (fds.length > MAX_FDS) return -EINVAL;
  layMessage(from, fds.length === 0 ? 0 : 16 + ((fds.length * 4 + 7) & ~7));
  if (fds.length > 0) {
    message[CONTROL >> 2] = 16 + fds.length * 4;
    message[(CONTROL + 4) >> 2] = 0;
    message[(CONTROL + 8) >> 2] = SOL_SOCKET;
    message[(CONTROL + 12) >> 2] = SCM_RIGHTS;
    for (let i = 0; i < fds.length; i++) message[((CONTROL + 16) >> 2) + i] = fds[i] as number;
  }
  return syscall(nr.SYS_sendmsg, fd, messageAddress, flags);
}

/** What recvWithFds got: `length` bytes (0: the peer is gone), descriptors and MSG_* flags. */
export interface Received {
  readonly length: number;
  readonly fds: number[];
  /** MSG_TRUNC, MSG_CTRUNC. */
  readonly flags: number;
}

/** recvmsg(2). Descriptors arrive with FD_CLOEXEC; the caller owns them all. */
export function recvWithFds(fd: number, into: Uint8Array, flags = 0): Received | number {
  const fds: number[] = [];
  const length = recvAddingFds(fd, into, fds, flags);
  return length < 0 ? length : { length, fds, flags: receivedFlags() };
}

/** The same for who is called often: the descriptors are added to `fds`. How many bytes, or -errno. */
export function recvAddingFds(fd: number, into: Uint8Array, fds: number[], flags = 0): number {
  layMessage(into, CONTROL_BYTES);
  const length = syscall(nr.SYS_recvmsg, fd, messageAddress, flags | MSG_CMSG_CLOEXEC);
  if (length < 0) return length;
  const end = CONTROL + Math.min(message[40 >> 2] as number, CONTROL_BYTES);
  for (let at = CONTROL; at + 16 <= end; ) {
    const size = message[at >> 2] as number;
    if (size < 16 || at + size > end) break;
    const level = message[(at + 8) >> 2];
    const type = message[(at + 12) >> 2];
    if (level === SOL_SOCKET && type === SCM_RIGHTS) {
      for (let i = at + 16; i + 4 <= at + size; i += 4) fds.push(message[i >> 2] as number);
    }
    at += (size + 7) & ~7;
  }
  return length;
}

/** MSG_TRUNC and MSG_CTRUNC of the message received last. */
export function receivedFlags(): number {
  return message[48 >> 2] as number;
}

/** What `receiveBytes` got: its length, with MSG_TRUNC among `flags` that of the whole message. */
export interface ReceivedBytes {
  readonly length: number;
  /** MSG_TRUNC; MSG_CTRUNC when descriptors or credentials came along, which the host dropped. */
  readonly flags: number;
}

/** recvmsg(2) of the bytes alone. */
export function receiveBytes(fd: number, into: Uint8Array, flags: number): ReceivedBytes | number {
  layMessage(into, 0);
  const length = syscall(nr.SYS_recvmsg, fd, messageAddress, flags);
  return length < 0 ? length : { length, flags: receivedFlags() };
}

/** One descriptor of poll(2): `revents` is filled in. */
export interface PollFd {
  readonly fd: number;
  readonly events: number;
  revents: number;
}

/** struct timespec of poll: the host leaves there what was left. */
const timespec = new Int32Array(4);

/**
 * poll(2): how many are ready, or -errno. `timeoutMs` -1 waits without end. By ppoll(2), which the host
 * takes up again by itself when it was stopped.
 */
export function poll(fds: readonly PollFd[], timeoutMs: number): number {
  if (fds.length * 8 > result.bytes.length) return -EINVAL;
  for (let i = 0; i < fds.length; i++) {
    const { fd, events } = fds[i] as PollFd;
    result.i32[i * 2] = fd;
    result.u32[i * 2 + 1] = events & 0xffff;
  }
  const endless = timeoutMs < 0;
  timespec[0] = endless ? 0 : Math.floor(timeoutMs / 1000);
  timespec[2] = endless ? 0 : Math.floor((timeoutMs % 1000) * 1e6);
  const limit = endless ? null : timespec;
  const ready = syscall(nr.SYS_ppoll, result.address, fds.length, limit, null, 0);
  for (let i = 0; i < fds.length; i++) {
    (fds[i] as PollFd).revents = ready > 0 ? (result.u16[i * 4 + 3] as number) : 0;
  }
  return ready;
}
