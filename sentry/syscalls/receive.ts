/**
 * recvfrom(2), recvmsg(2), recvmmsg(2).
 */
import { EAGAIN, EFAULT } from '../../spec/linux/errno.ts';
import { MAX_RW_COUNT } from '../../spec/linux/fcntl.ts';
import { MMSGHDR, MSGHDR } from '../../spec/linux/layout/socket.ts';
import { POLLIN } from '../../spec/linux/poll.ts';
import {
  MSG_CMSG_CLOEXEC,
  MSG_DONTWAIT,
  MSG_PEEK,
  MSG_WAITALL,
  MSG_WAITFORONE,
} from '../../spec/linux/socket.ts';
import { SYS_recvfrom, SYS_recvmmsg, SYS_recvmsg } from '../../spec/linux/syscall_numbers.ts';
import type { SyscallArgs } from '../kernel/syscall_args.ts';
import type { SyscallFragment } from '../kernel/syscall_table.ts';
import type { Task } from '../kernel/task.ts';
import type { IoBuffer } from '../mm/io_buffer.ts';
import { Incoming, type Socket } from '../socket/socket.ts';
import {
  type MessageHeader,
  readMessageHeader,
  writeControl,
  writeMessageHeader,
} from './message_header.ts';
import { MESSAGES_MAX } from './send.ts';
import { deadlineOf, interruptedResult, socketAt, writeAddress } from './socket_argument.ts';
import { durationNs, readTimespec, timestampOf, writeTimespec } from './user_time.ts';

const FOREVER = Number.POSITIVE_INFINITY;
const NO_ADDRESS = new Uint8Array(0);

/** One message being received, perhaps in several steps. */
class Receiving {
  readonly incoming = new Incoming();
  readonly dst: IoBuffer;
  readonly socket: Socket;
  private readonly flags: number;
  /** Bytes that a stream must bring before the call ends. */
  private readonly target: number;

  constructor(socket: Socket, dst: IoBuffer, flags: number) {
    this.socket = socket;
    this.dst = dst;
    this.flags = flags;
    const all = (flags & MSG_WAITALL) !== 0;
    this.target = all ? dst.remaining : Math.min(socket.options.receiveLowWater, dst.remaining);
  }

  /** The count, -EAGAIN to wait, or -errno. */
  attempt(t: Task): number {
    const { socket, dst, incoming, flags } = this;
    for (;;) {
      const n = socket.receive(t, dst, flags, incoming);
      if (!socket.stream || n === -EAGAIN) return n;
      if (n < 0) return dst.done > 0 ? dst.done : n;
      const enough = n === 0 || dst.done >= this.target || incoming.rights.length > 0;
      if (enough || (flags & MSG_PEEK) !== 0) return dst.done;
    }
  }

  /** The result when waiting ends with `r`. */
  partial(r: number): number {
    return this.dst.done > 0 && this.socket.stream ? this.dst.done : r;
  }
}

/** Receives one message, waiting as the flags say; `finish` stores what came along. */
function receive(t: Task, r: Receiving, flags: number, finish: (n: number) => number): number {
  const { socket } = r;
  const end = (n: number): number => (n < 0 ? n : finish(n));
  const attempt = (): number => end(r.attempt(t));
  const first = attempt();
  if (first !== -EAGAIN) return first;
  if (socket.nonblock || (flags & MSG_DONTWAIT) !== 0) return end(r.partial(-EAGAIN));
  const { receiveTimeoutNs } = socket.options;
  return t.sleep([socket], POLLIN, {
    attempt,
    deadlineNs: deadlineOf(t, receiveTimeoutNs),
    onTimeout: () => end(r.partial(-EAGAIN)),
    onInterrupt: () => end(r.partial(interruptedResult(receiveTimeoutNs))),
  });
}

/** recvfrom(2). */
export function sysRecvfrom(t: Task, a: SyscallArgs): number {
  const flags = a.int(3);
  const nameAddr = a.addr(4);
  const nameLengthAddr = a.addr(5);
  const socket = socketAt(t, a.int(0));
  if (typeof socket === 'number') return socket;
  const dst = t.mm.userBuffer(a.addr(1), Math.min(a.sizeT(2), MAX_RW_COUNT), true);
  if (dst === null) return -EFAULT;
  const receiving = new Receiving(socket, dst, flags);
  return receive(t, receiving, flags, (n) => {
    const { incoming } = receiving;
    for (const file of incoming.rights) file.close();
    if (nameAddr === 0) return n;
    const r = writeAddress(t, nameAddr, nameLengthAddr, incoming.address ?? NO_ADDRESS);
    return r < 0 ? r : n;
  });
}

/** Prepares to receive into a msghdr, or -errno. */
function startMessage(
  t: Task,
  socket: Socket,
  h: MessageHeader,
  flags: number,
): Receiving | number {
  const dst = t.mm.userVector(h.iovAddr, h.iovCount, true);
  return typeof dst === 'number' ? dst : new Receiving(socket, dst, flags);
}

/** Stores what came with a message of `n` bytes: `n` or -errno. */
function finishMessage(t: Task, h: MessageHeader, r: Receiving, flags: number, n: number): number {
  const { incoming, socket } = r;
  const cloexec = flags & MSG_CMSG_CLOEXEC;
  const used = writeControl(t, socket, incoming, h.controlAddr, h.controlLength, cloexec !== 0);
  const address = incoming.address ?? NO_ADDRESS;
  const fits = Math.min(address.length, h.nameLength);
  if (h.nameAddr !== 0 && t.mm.copyOut(h.nameAddr, address, 0, fits) < 0) return -EFAULT;
  const written = writeMessageHeader(t, h, address.length, used, incoming.flags | cloexec);
  return written < 0 ? written : n;
}

/** recvmsg(2). */
export function sysRecvmsg(t: Task, a: SyscallArgs): number {
  const flags = a.int(2);
  const socket = socketAt(t, a.int(0));
  if (typeof socket === 'number') return socket;
  const h = readMessageHeader(t, a.addr(1));
  if (typeof h === 'number') return h;
  const receiving = startMessage(t, socket, h, flags);
  if (typeof receiving === 'number') return receiving;
  return receive(t, receiving, flags, (n) => finishMessage(t, h, receiving, flags, n));
}

interface Current {
  readonly header: MessageHeader;
  readonly receiving: Receiving;
}

/** The messages of one recvmmsg: goes on after every wait where it stopped. */
class ReceiveBatch {
  private received = 0;
  private current: Current | null = null;
  private readonly t: Task;
  private readonly socket: Socket;
  private readonly addr: number;
  private readonly count: number;
  private readonly flags: number;
  private readonly deadlineNs: number;

  constructor(
    t: Task,
    socket: Socket,
    addr: number,
    count: number,
    flags: number,
    limitNs: number,
  ) {
    this.t = t;
    this.socket = socket;
    this.addr = addr;
    this.count = count;
    this.flags = flags;
    this.deadlineNs = limitNs;
  }

  /** How many were received, -EAGAIN to wait. */
  attempt(): number {
    while (this.received < this.count) {
      const r = this.next();
      if (r === -EAGAIN) return this.enough() ? this.received : r;
      if (r < 0) return this.end(r);
      // As documented, the time limit is looked at only when a message has come.
      if (this.t.kernel.clock.monotonicNs() >= this.deadlineNs) break;
    }
    return this.received;
  }

  private enough(): boolean {
    return this.received > 0 && (this.flags & (MSG_WAITFORONE | MSG_DONTWAIT)) !== 0;
  }

  private next(): number {
    const { t } = this;
    const current = this.current ?? this.start();
    if (typeof current === 'number') return current;
    this.current = current;
    const n = current.receiving.attempt(t);
    return n < 0 ? n : this.finish(current, n);
  }

  private start(): Current | number {
    const header = readMessageHeader(this.t, this.addr + this.received * MMSGHDR.size);
    if (typeof header === 'number') return header;
    const receiving = startMessage(this.t, this.socket, header, this.flags);
    return typeof receiving === 'number' ? receiving : { header, receiving };
  }

  private finish(current: Current, n: number): number {
    this.current = null;
    const { header, receiving } = current;
    const r = finishMessage(this.t, header, receiving, this.flags, n);
    if (r < 0 || this.t.mm.writeU32(header.addr + MSGHDR.size, n) < 0) return -EFAULT;
    this.received++;
    return 0;
  }

  /** The result when no more comes because of `r`. */
  end(r: number): number {
    const { current } = this;
    if (current !== null && current.receiving.dst.done > 0 && this.socket.stream) {
      this.finish(current, current.receiving.dst.done);
    }
    return this.received > 0 ? this.received : r;
  }
}

/** recvmmsg(2). */
export function sysRecvmmsg(t: Task, a: SyscallArgs): number {
  const flags = a.int(3);
  const limitAddr = a.addr(4);
  const socket = socketAt(t, a.int(0));
  if (typeof socket === 'number') return socket;
  let deadlineNs = FOREVER;
  if (limitAddr !== 0) {
    const limit = readTimespec(t, limitAddr);
    if (typeof limit === 'number') return limit;
    deadlineNs = t.kernel.clock.monotonicNs() + durationNs(limit);
  }
  const count = Math.min(a.uint(2), MESSAGES_MAX);
  const batch = new ReceiveBatch(t, socket, a.addr(1), count, flags, deadlineNs);
  const end = (r: number): number => {
    if (r < 0 || limitAddr === 0) return r;
    const rest = Math.max(0, deadlineNs - t.kernel.clock.monotonicNs());
    return Number.isFinite(rest) ? writeTimespec(t, limitAddr, timestampOf(rest)) || r : r;
  };
  const r = batch.attempt();
  if (r !== -EAGAIN) return end(r);
  if (socket.nonblock || (flags & MSG_DONTWAIT) !== 0) return end(batch.end(-EAGAIN));
  const { receiveTimeoutNs } = socket.options;
  return t.sleep([socket], POLLIN, {
    attempt: () => {
      const n = batch.attempt();
      return n === -EAGAIN ? n : end(n);
    },
    deadlineNs: deadlineOf(t, receiveTimeoutNs),
    onTimeout: () => end(batch.end(-EAGAIN)),
    onInterrupt: () => end(batch.end(interruptedResult(receiveTimeoutNs))),
  });
}

export const receiveSyscalls: SyscallFragment = {
  [SYS_recvfrom]: {
    name: 'recvfrom',
    args: 'fd out size hex hex hex',
    fn: sysRecvfrom,
    gap: 'no MSG_OOB, no MSG_ERRQUEUE',
  },
  [SYS_recvmsg]: {
    name: 'recvmsg',
    args: 'fd hex hex',
    fn: sysRecvmsg,
    gap: 'no MSG_OOB, no MSG_ERRQUEUE',
  },
  [SYS_recvmmsg]: { name: 'recvmmsg', args: 'fd hex uint hex timespec', fn: sysRecvmmsg },
};
