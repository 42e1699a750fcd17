/**
 * Making, naming and connecting sockets: socket(2), socketpair(2), bind(2), connect(2), listen(2),
 * accept(2), getsockname(2), getpeername(2), shutdown(2), getsockopt(2), setsockopt(2). Sending and
 * receiving are in send.ts and receive.ts.
 */
import { EAFNOSUPPORT, EFAULT, EINVAL, EOPNOTSUPP } from '../../spec/linux/errno.ts';
import { POLLIN, POLLOUT } from '../../spec/linux/poll.ts';
import {
  AF_MAX,
  AF_UNIX,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_TYPE_MASK,
  SOL_SOCKET,
} from '../../spec/linux/socket.ts';
import {
  SYS_accept,
  SYS_accept4,
  SYS_bind,
  SYS_connect,
  SYS_getpeername,
  SYS_getsockname,
  SYS_getsockopt,
  SYS_listen,
  SYS_setsockopt,
  SYS_shutdown,
  SYS_socket,
  SYS_socketpair,
} from '../../spec/linux/syscall_numbers.ts';
import type { SyscallArgs } from '../kernel/syscall_args.ts';
import type { SyscallFragment } from '../kernel/syscall_table.ts';
import type { Task } from '../kernel/task.ts';
import type { Socket, SocketFamily } from '../socket/socket.ts';
import { unixFamily } from '../socket/unix/unix_family.ts';
import { newDescriptor } from './new_descriptor.ts';
import {
  deadlineOf,
  interruptedResult,
  readAddress,
  socketAt,
  writeAddress,
} from './socket_argument.ts';

const FAMILIES: ReadonlyMap<number, SocketFamily> = new Map([[AF_UNIX, unixFamily]]);
const CREATION_FLAGS = SOCK_CLOEXEC | SOCK_NONBLOCK;
/** More option bytes than any option has. */
const OPTION_MAX = 4096;

/** The family and the type, checked: -EINVAL, -EAFNOSUPPORT. */
function familyOf(domain: number, typeAndFlags: number): SocketFamily | number {
  if ((typeAndFlags & ~(SOCK_TYPE_MASK | CREATION_FLAGS)) !== 0) return -EINVAL;
  if (domain < 0 || domain >= AF_MAX) return -EAFNOSUPPORT;
  if ((typeAndFlags & SOCK_TYPE_MASK) > 10) return -EINVAL;
  return FAMILIES.get(domain) ?? -EAFNOSUPPORT;
}

function enter(t: Task, socket: Socket, flags: number): number {
  socket.setNonblock((flags & SOCK_NONBLOCK) !== 0);
  return newDescriptor(t, socket, (flags & SOCK_CLOEXEC) !== 0);
}

/** socket(2). */
export function sysSocket(t: Task, a: SyscallArgs): number {
  const flags = a.int(1);
  const family = familyOf(a.int(0), flags);
  if (typeof family === 'number') return family;
  const socket = family.create(t, flags & SOCK_TYPE_MASK, a.int(2));
  return typeof socket === 'number' ? socket : enter(t, socket, flags);
}

/** socketpair(2). */
export function sysSocketpair(t: Task, a: SyscallArgs): number {
  const flags = a.int(1);
  const addr = a.addr(3);
  const family = familyOf(a.int(0), flags);
  if (typeof family === 'number') return family;
  const pair = family.createPair(t, flags & SOCK_TYPE_MASK, a.int(2));
  if (typeof pair === 'number') return pair;
  const first = enter(t, pair[0], flags);
  if (first < 0) {
    pair[1].close();
    return first;
  }
  const second = enter(t, pair[1], flags);
  if (second < 0) {
    t.files.close(first);
    return second;
  }
  if (t.mm.writeU32(addr, first) >= 0 && t.mm.writeU32(addr + 4, second) >= 0) return 0;
  t.files.close(first);
  t.files.close(second);
  return -EFAULT;
}

/** bind(2). */
export function sysBind(t: Task, a: SyscallArgs): number {
  const socket = socketAt(t, a.int(0));
  if (typeof socket === 'number') return socket;
  const address = readAddress(t, a.addr(1), a.int(2));
  return typeof address === 'number' ? address : socket.bind(t, address);
}

/** connect(2). */
export function sysConnect(t: Task, a: SyscallArgs): number {
  const socket = socketAt(t, a.int(0));
  if (typeof socket === 'number') return socket;
  const address = readAddress(t, a.addr(1), a.int(2));
  if (typeof address === 'number') return address;
  const { sendTimeoutNs } = socket.options;
  return t.waitUntilDeadline(socket, POLLOUT, socket.nonblock, {
    attempt: () => socket.connect(t, address),
    deadlineNs: deadlineOf(t, sendTimeoutNs),
    onInterrupt: () => interruptedResult(sendTimeoutNs),
  });
}

/** listen(2). */
export function sysListen(t: Task, a: SyscallArgs): number {
  const socket = socketAt(t, a.int(0));
  return typeof socket === 'number' ? socket : socket.listen(t, a.int(1));
}

function doAccept(t: Task, fd: number, addr: number, lengthAddr: number, flags: number): number {
  if ((flags & ~CREATION_FLAGS) !== 0) return -EINVAL;
  const socket = socketAt(t, fd);
  if (typeof socket === 'number') return socket;
  const attempt = (): number => {
    const accepted = socket.accept(t);
    if (typeof accepted === 'number') return accepted;
    if (addr !== 0) {
      const peer = accepted.peerAddress();
      const r = writeAddress(t, addr, lengthAddr, typeof peer === 'number' ? NO_ADDRESS : peer);
      if (r < 0) {
        accepted.close();
        return r;
      }
    }
    return enter(t, accepted, flags);
  };
  const { receiveTimeoutNs } = socket.options;
  return t.waitUntilDeadline(socket, POLLIN, socket.nonblock, {
    attempt,
    deadlineNs: deadlineOf(t, receiveTimeoutNs),
    onInterrupt: () => interruptedResult(receiveTimeoutNs),
  });
}

const NO_ADDRESS = new Uint8Array(0);

/** accept(2). */
export function sysAccept(t: Task, a: SyscallArgs): number {
  return doAccept(t, a.int(0), a.addr(1), a.addr(2), 0);
}

/** accept4(2). */
export function sysAccept4(t: Task, a: SyscallArgs): number {
  return doAccept(t, a.int(0), a.addr(1), a.addr(2), a.int(3));
}

/** getsockname(2). */
export function sysGetsockname(t: Task, a: SyscallArgs): number {
  const socket = socketAt(t, a.int(0));
  if (typeof socket === 'number') return socket;
  const address = socket.localAddress();
  return typeof address === 'number' ? address : writeAddress(t, a.addr(1), a.addr(2), address);
}

/** getpeername(2). */
export function sysGetpeername(t: Task, a: SyscallArgs): number {
  const socket = socketAt(t, a.int(0));
  if (typeof socket === 'number') return socket;
  const address = socket.peerAddress();
  return typeof address === 'number' ? address : writeAddress(t, a.addr(1), a.addr(2), address);
}

/** shutdown(2). */
export function sysShutdown(t: Task, a: SyscallArgs): number {
  const socket = socketAt(t, a.int(0));
  return typeof socket === 'number' ? socket : socket.shutdown(a.int(1));
}

/** setsockopt(2). */
export function sysSetsockopt(t: Task, a: SyscallArgs): number {
  const socket = socketAt(t, a.int(0));
  if (typeof socket === 'number') return socket;
  const level = a.int(1);
  const name = a.int(2);
  const length = a.int(4);
  if (length < 0) return -EINVAL;
  const value = new Uint8Array(Math.min(length, OPTION_MAX));
  if (value.length > 0 && t.mm.copyIn(a.addr(3), value) < 0) return -EFAULT;
  if (level === SOL_SOCKET) return socket.options.set(t, name, value);
  return socket.setOption(t, level, name, value);
}

/** getsockopt(2). */
export function sysGetsockopt(t: Task, a: SyscallArgs): number {
  const socket = socketAt(t, a.int(0));
  if (typeof socket === 'number') return socket;
  const level = a.int(1);
  const name = a.int(2);
  const lengthAddr = a.addr(4);
  const room = t.mm.readU32(lengthAddr);
  if (room < 0) return -EFAULT;
  if ((room | 0) < 0) return level === SOL_SOCKET ? -EINVAL : -EOPNOTSUPP;
  const value =
    level === SOL_SOCKET ? socket.options.get(socket, name) : socket.getOption(level, name);
  if (typeof value === 'number') return value;
  const n = Math.min(room, value.length);
  if (t.mm.copyOut(a.addr(3), value, 0, n) < 0) return -EFAULT;
  return t.mm.writeU32(lengthAddr, n);
}

export const socketSyscalls: SyscallFragment = {
  [SYS_socket]: {
    name: 'socket',
    args: 'int hex int',
    fn: sysSocket,
    gap: 'only AF_UNIX; other families answer EAFNOSUPPORT',
  },
  [SYS_socketpair]: { name: 'socketpair', args: 'int hex int hex', fn: sysSocketpair },
  [SYS_bind]: { name: 'bind', args: 'fd hex int', fn: sysBind },
  [SYS_connect]: { name: 'connect', args: 'fd hex int', fn: sysConnect },
  [SYS_listen]: { name: 'listen', args: 'fd int', fn: sysListen },
  [SYS_accept]: { name: 'accept', args: 'fd hex hex', fn: sysAccept },
  [SYS_accept4]: { name: 'accept4', args: 'fd hex hex hex', fn: sysAccept4 },
  [SYS_getsockname]: { name: 'getsockname', args: 'fd hex hex', fn: sysGetsockname },
  [SYS_getpeername]: { name: 'getpeername', args: 'fd hex hex', fn: sysGetpeername },
  [SYS_shutdown]: { name: 'shutdown', args: 'fd int', fn: sysShutdown },
  [SYS_setsockopt]: {
    name: 'setsockopt',
    args: 'fd int int hex int',
    fn: sysSetsockopt,
    gap: 'no socket filters, time stamps, SO_PEEK_OFF',
  },
  [SYS_getsockopt]: { name: 'getsockopt', args: 'fd int int hex hex', fn: sysGetsockopt },
};
