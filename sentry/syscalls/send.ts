/**
 * sendto(2), sendmsg(2), sendmmsg(2).
 */
import { EAGAIN, EFAULT, EPIPE } from '../../spec/linux/errno.ts';
import { MAX_RW_COUNT } from '../../spec/linux/fcntl.ts';
import { MMSGHDR, MSGHDR } from '../../spec/linux/layout/socket.ts';
import { POLLOUT } from '../../spec/linux/poll.ts';
import { SIGPIPE } from '../../spec/linux/signal.ts';
import { MSG_DONTWAIT, MSG_NOSIGNAL } from '../../spec/linux/socket.ts';
import { SYS_sendmmsg, SYS_sendmsg, SYS_sendto } from '../../spec/linux/syscall_numbers.ts';
import type { SyscallArgs } from '../kernel/syscall_args.ts';
import type { SyscallFragment } from '../kernel/syscall_table.ts';
import type { Task } from '../kernel/task.ts';
import type { IoBuffer } from '../mm/io_buffer.ts';
import type { Outgoing, Socket } from '../socket/socket.ts';
import { readControl, readMessageHeader } from './message_header.ts';
import {
  ADDRESS_MAX,
  deadlineOf,
  interruptedResult,
  readAddress,
  socketAt,
} from './socket_argument.ts';

/** sendmmsg(2) and recvmmsg(2) handle at most this many messages. */
export const MESSAGES_MAX = 1024;

/** One message on its way, perhaps in several steps. */
interface Sending {
  readonly src: IoBuffer;
  readonly how: Outgoing;
}

/** Releases what a message holds that was not sent, and passes `result` on. */
function abandon(s: Sending, result: number): number {
  for (const file of s.how.rights ?? []) file.close();
  s.how.rights = null;
  return result;
}

/** The message that a msghdr describes, or -errno. */
function readMessage(t: Task, socket: Socket, addr: number, flags: number): Sending | number {
  const h = readMessageHeader(t, addr);
  if (typeof h === 'number') return h;
  let address: Uint8Array | null = null;
  if (h.nameLength > 0) {
    const read = readAddress(t, h.nameAddr, Math.min(h.nameLength, ADDRESS_MAX));
    if (typeof read === 'number') return read;
    address = read;
  }
  const src = t.mm.userVector(h.iovAddr, h.iovCount, false);
  if (typeof src === 'number') return src;
  const control = readControl(t, socket, h);
  return typeof control === 'number' ? control : { src, how: { flags, address, ...control } };
}

/** One try at sending the rest: the count of all that was sent, -EAGAIN, or -errno. */
function trySend(t: Task, socket: Socket, s: Sending): number {
  const { src, how } = s;
  for (;;) {
    const n = socket.send(t, src, how);
    if (n === -EAGAIN) return n;
    if (n < 0 && src.done > 0 && socket.stream) return src.done;
    if (n === -EPIPE && socket.signalsBrokenPipe && (how.flags & MSG_NOSIGNAL) === 0) {
      t.raise(SIGPIPE);
    }
    if (n < 0 || !socket.stream) return n;
    if (src.remaining === 0 || n === 0 || src.faulted) return src.done;
  }
}

/** Sends all of a message, waiting as the flags say. */
function sendMessage(t: Task, socket: Socket, s: Sending): number {
  const attempt = (): number => {
    const n = trySend(t, socket, s);
    return n === -EAGAIN ? n : abandon(s, n);
  };
  const partial = (r: number): number => abandon(s, s.src.done > 0 ? s.src.done : r);
  const nonblock = socket.nonblock || (s.how.flags & MSG_DONTWAIT) !== 0;
  const { sendTimeoutNs } = socket.options;
  const r = attempt();
  if (r !== -EAGAIN) return r;
  if (nonblock) return partial(-EAGAIN);
  return t.sleep([socket], POLLOUT, {
    attempt,
    deadlineNs: deadlineOf(t, sendTimeoutNs),
    onTimeout: () => partial(-EAGAIN),
    onInterrupt: () => partial(interruptedResult(sendTimeoutNs)),
  });
}

/** sendto(2). */
export function sysSendto(t: Task, a: SyscallArgs): number {
  const socket = socketAt(t, a.int(0));
  if (typeof socket === 'number') return socket;
  const src = t.mm.userBuffer(a.addr(1), Math.min(a.sizeT(2), MAX_RW_COUNT), false);
  if (src === null) return -EFAULT;
  let address: Uint8Array | null = null;
  if (a.addr(4) !== 0) {
    const read = readAddress(t, a.addr(4), a.int(5));
    if (typeof read === 'number') return read;
    address = read;
  }
  const how: Outgoing = { flags: a.int(3), address, rights: null, credentials: null };
  return sendMessage(t, socket, { src, how });
}

/** sendmsg(2). */
export function sysSendmsg(t: Task, a: SyscallArgs): number {
  const socket = socketAt(t, a.int(0));
  if (typeof socket === 'number') return socket;
  const s = readMessage(t, socket, a.addr(1), a.int(2));
  return typeof s === 'number' ? s : sendMessage(t, socket, s);
}

/** The messages of one sendmmsg: goes on after every wait where it stopped. */
class SendBatch {
  private sent = 0;
  private current: Sending | null = null;
  private readonly t: Task;
  private readonly socket: Socket;
  private readonly addr: number;
  private readonly count: number;
  private readonly flags: number;

  constructor(t: Task, socket: Socket, addr: number, count: number, flags: number) {
    this.t = t;
    this.socket = socket;
    this.addr = addr;
    this.count = count;
    this.flags = flags;
  }

  /** How many were sent, -EAGAIN to wait. */
  attempt(): number {
    while (this.sent < this.count) {
      const r = this.next();
      if (r === -EAGAIN) return r;
      if (r < 0) return this.end(r);
    }
    return this.sent;
  }

  private next(): number {
    const at = this.addr + this.sent * MMSGHDR.size;
    const s = this.current ?? readMessage(this.t, this.socket, at, this.flags);
    if (typeof s === 'number') return s;
    this.current = s;
    const n = trySend(this.t, this.socket, s);
    if (n === -EAGAIN) return n;
    return n < 0 ? n : this.finish(n);
  }

  /** The current message ends after `n` bytes. */
  private finish(n: number): number {
    const at = this.addr + this.sent * MMSGHDR.size;
    if (this.current !== null) abandon(this.current, 0);
    this.current = null;
    if (this.t.mm.writeU32(at + MSGHDR.size, n) < 0) return -EFAULT;
    this.sent++;
    return 0;
  }

  /** The result when no more can be sent because of `r`. */
  end(r: number): number {
    const part = this.current?.src.done ?? 0;
    if (this.current !== null && part > 0 && this.socket.stream) this.finish(part);
    if (this.current !== null) abandon(this.current, 0);
    this.current = null;
    return this.sent > 0 ? this.sent : r;
  }
}

/** sendmmsg(2). */
export function sysSendmmsg(t: Task, a: SyscallArgs): number {
  const socket = socketAt(t, a.int(0));
  if (typeof socket === 'number') return socket;
  const flags = a.int(3);
  const batch = new SendBatch(t, socket, a.addr(1), Math.min(a.uint(2), MESSAGES_MAX), flags);
  const r = batch.attempt();
  if (r !== -EAGAIN) return r;
  if (socket.nonblock || (flags & MSG_DONTWAIT) !== 0) return batch.end(-EAGAIN);
  const { sendTimeoutNs } = socket.options;
  return t.sleep([socket], POLLOUT, {
    attempt: () => batch.attempt(),
    deadlineNs: deadlineOf(t, sendTimeoutNs),
    onTimeout: () => batch.end(-EAGAIN),
    onInterrupt: () => batch.end(interruptedResult(sendTimeoutNs)),
  });
}

export const sendSyscalls: SyscallFragment = {
  [SYS_sendto]: {
    name: 'sendto',
    args: 'fd buf size hex hex int',
    fn: sysSendto,
    gap: 'no MSG_OOB',
  },
  [SYS_sendmsg]: { name: 'sendmsg', args: 'fd hex hex', fn: sysSendmsg, gap: 'no MSG_OOB' },
  [SYS_sendmmsg]: { name: 'sendmmsg', args: 'fd hex uint hex', fn: sysSendmmsg },
};
