/**
 * epoll_create(2), epoll_ctl(2), epoll_wait(2) and their like.
 */
import { EAGAIN, EBADF, EFAULT, EINTR, EINVAL, EPERM } from '../../spec/linux/errno.ts';
import { EPOLL_EVENT } from '../../spec/linux/layout/poll.ts';
import {
  EPOLL_CLOEXEC,
  EPOLL_CTL_ADD,
  EPOLL_CTL_DEL,
  EPOLL_CTL_MOD,
  POLLIN,
} from '../../spec/linux/poll.ts';
import {
  SYS_epoll_create,
  SYS_epoll_create1,
  SYS_epoll_ctl,
  SYS_epoll_pwait,
  SYS_epoll_pwait2,
  SYS_epoll_wait,
} from '../../spec/linux/syscall_numbers.ts';
import { EpollFile } from '../fsimpl/epoll/epoll.ts';
import type { EpollInterest } from '../fsimpl/epoll/epoll_item.ts';
import type { SyscallArgs } from '../kernel/syscall_args.ts';
import type { SyscallFragment } from '../kernel/syscall_table.ts';
import type { Task } from '../kernel/task.ts';
import { newDescriptor } from './new_descriptor.ts';
import { openFd } from './path_argument.ts';
import { replaceSignalMask, restoreSignalMask } from './temporary_mask.ts';
import { monotonicAfter, readTimespec } from './user_time.ts';

const EVENT_BYTES = EPOLL_EVENT.size;
const MAX_EVENTS = Math.floor(0x7fffffff / EVENT_BYTES);
const NS_PER_MS = 1e6;
const FOREVER = Number.POSITIVE_INFINITY;

/** epoll_create(2): the size is a hint of old that must be positive. */
export function sysEpollCreate(t: Task, a: SyscallArgs): number {
  return a.int(0) <= 0 ? -EINVAL : newDescriptor(t, new EpollFile(t.kernel), false);
}

/** epoll_create1(2). */
export function sysEpollCreate1(t: Task, a: SyscallArgs): number {
  const flags = a.int(0);
  if ((flags & ~EPOLL_CLOEXEC) !== 0) return -EINVAL;
  return newDescriptor(t, new EpollFile(t.kernel), (flags & EPOLL_CLOEXEC) !== 0);
}

function readInterest(t: Task, addr: number): EpollInterest | number {
  const events = t.mm.readU32(addr);
  const dataLo = t.mm.readU32(addr + 4);
  const dataHi = t.mm.readU32(addr + 8);
  return events < 0 || dataLo < 0 || dataHi < 0 ? -EFAULT : { events, dataLo, dataHi };
}

/** epoll_ctl(2). */
export function sysEpollCtl(t: Task, a: SyscallArgs): number {
  const operation = a.int(1);
  const fd = a.int(2);
  const eventAddr = a.addr(3);
  const interest =
    operation === EPOLL_CTL_DEL ? { events: 0, dataLo: 0, dataHi: 0 } : readInterest(t, eventAddr);
  if (typeof interest === 'number') return interest;
  const epoll = openFd(t, a.int(0));
  const file = openFd(t, fd);
  if (epoll === undefined || file === undefined) return -EBADF;
  if (!file.pollable) return -EPERM;
  if (file === epoll || !(epoll instanceof EpollFile)) return -EINVAL;
  switch (operation) {
    case EPOLL_CTL_ADD:
      return epoll.add(file, fd, interest);
    case EPOLL_CTL_DEL:
      return epoll.delete(file, fd);
    case EPOLL_CTL_MOD:
      return epoll.modify(file, fd, interest);
    default:
      return -EINVAL;
  }
}

/** One try: the number of events stored, -EAGAIN for none. */
function collectInto(t: Task, epoll: EpollFile, addr: number, max: number): number {
  if (!epoll.maybeReady) return -EAGAIN;
  let at = addr;
  let faulted = false;
  const count = epoll.collect(max, (item, events) => {
    const { dataLo, dataHi } = item.interest;
    faulted =
      t.mm.writeU32(at, events) < 0 ||
      t.mm.writeU32(at + 4, dataLo) < 0 ||
      t.mm.writeU32(at + 8, dataHi) < 0;
    at += EVENT_BYTES;
    return !faulted;
  });
  if (count > 0) return count;
  return faulted ? -EFAULT : -EAGAIN;
}

/** Waits with the mask already in place, and puts the old one back. */
function doEpollWait(t: Task, fd: number, addr: number, max: number, deadlineNs: number): number {
  const done = (r: number): number => (r === -EAGAIN ? r : restoreSignalMask(t, r));
  if (max <= 0 || max > MAX_EVENTS) return done(-EINVAL);
  const epoll = openFd(t, fd);
  if (epoll === undefined) return done(-EBADF);
  if (!(epoll instanceof EpollFile)) return done(-EINVAL);
  const attempt = (): number => done(collectInto(t, epoll, addr, max));
  const r = attempt();
  if (r !== -EAGAIN) return r;
  if (deadlineNs === 0) return done(0);
  return t.sleep([epoll], POLLIN, {
    attempt,
    deadlineNs,
    onTimeout: () => done(0),
    onInterrupt: () => -EINTR,
  });
}

/** The moment `timeoutMs` from now: 0 stands for not waiting, negative for ever. */
function deadlineAfterMs(t: Task, timeoutMs: number): number {
  if (timeoutMs < 0) return FOREVER;
  return timeoutMs === 0 ? 0 : t.kernel.clock.monotonicNs() + timeoutMs * NS_PER_MS;
}

/** epoll_wait(2). */
export function sysEpollWait(t: Task, a: SyscallArgs): number {
  return doEpollWait(t, a.int(0), a.addr(1), a.int(2), deadlineAfterMs(t, a.int(3)));
}

/** epoll_pwait(2). */
export function sysEpollPwait(t: Task, a: SyscallArgs): number {
  const r = replaceSignalMask(t, a.addr(4), a.sizeT(5));
  if (r < 0) return r;
  return doEpollWait(t, a.int(0), a.addr(1), a.int(2), deadlineAfterMs(t, a.int(3)));
}

/** epoll_pwait2(2): the timeout is a timespec, absent for ever. */
export function sysEpollPwait2(t: Task, a: SyscallArgs): number {
  let deadlineNs = FOREVER;
  if (a.addr(3) !== 0) {
    const timeout = readTimespec(t, a.addr(3));
    if (typeof timeout === 'number') return timeout;
    deadlineNs = timeout.sec === 0 && timeout.nsec === 0 ? 0 : monotonicAfter(t, timeout);
  }
  const r = replaceSignalMask(t, a.addr(4), a.sizeT(5));
  if (r < 0) return r;
  return doEpollWait(t, a.int(0), a.addr(1), a.int(2), deadlineNs);
}

export const epollSyscalls: SyscallFragment = {
  [SYS_epoll_create]: { name: 'epoll_create', args: 'int', fn: sysEpollCreate },
  [SYS_epoll_create1]: { name: 'epoll_create1', args: 'hex', fn: sysEpollCreate1 },
  [SYS_epoll_ctl]: { name: 'epoll_ctl', args: 'fd int fd hex', fn: sysEpollCtl },
  [SYS_epoll_wait]: { name: 'epoll_wait', args: 'fd hex int int', fn: sysEpollWait },
  [SYS_epoll_pwait]: { name: 'epoll_pwait', args: 'fd hex int int hex size', fn: sysEpollPwait },
  [SYS_epoll_pwait2]: {
    name: 'epoll_pwait2',
    args: 'fd hex int hex hex size',
    fn: sysEpollPwait2,
  },
};
