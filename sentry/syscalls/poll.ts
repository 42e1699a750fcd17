/**
 * poll(2), ppoll(2).
 */
import { EFAULT, EINVAL, ERESTART_RESTARTBLOCK, ERESTARTNOHAND } from '../../spec/linux/errno.ts';
import { POLLFD } from '../../spec/linux/layout/poll.ts';
import { POLLERR, POLLHUP, POLLNVAL } from '../../spec/linux/poll.ts';
import { RLIMIT_NOFILE } from '../../spec/linux/resource.ts';
import { SYS_poll, SYS_ppoll } from '../../spec/linux/syscall_numbers.ts';
import type { SyscallArgs } from '../kernel/syscall_args.ts';
import type { SyscallFragment } from '../kernel/syscall_table.ts';
import type { Task } from '../kernel/task.ts';
import type { OpenFile } from '../vfs/open_file.ts';
import { openFd } from './path_argument.ts';
import { deadlineAfter, FOREVER, NOT_WAITING, pollWait, storeRest } from './poll_wait.ts';
import { replaceSignalMask, restoreSignalMask } from './temporary_mask.ts';
import { readTimespec, writeTimespec } from './user_time.ts';

const POLLFD_BYTES = POLLFD.size;
const REVENTS_OFFSET = 6;
const NS_PER_MS = 1e6;
const ALWAYS = POLLERR | POLLHUP;

/** The pollfd array of one call. */
class PollList {
  readonly files: OpenFile[] = [];
  /** All events asked for. */
  mask = ALWAYS;
  private readonly addr: number;
  /** By index; null for negative descriptors, undefined for bad ones. */
  private readonly entries: (OpenFile | null | undefined)[] = [];
  private readonly events: number[] = [];
  private readonly revents: number[] = [];

  constructor(addr: number) {
    this.addr = addr;
  }

  /** Takes in `count` entries: 0 or -EFAULT. */
  read(t: Task, count: number): number {
    const bytes = new Uint8Array(count * POLLFD_BYTES);
    if (t.mm.copyIn(this.addr, bytes) < 0) return -EFAULT;
    const view = new DataView(bytes.buffer);
    for (let at = 0; at < bytes.length; at += POLLFD_BYTES) {
      const fd = view.getInt32(at, true);
      const file = fd < 0 ? null : openFd(t, fd);
      const events = view.getUint16(at + 4, true) | ALWAYS;
      this.entries.push(file);
      this.events.push(events);
      if (!file) continue;
      this.files.push(file);
      this.mask |= events;
    }
    return 0;
  }

  /** How many entries have something to tell. */
  look(): number {
    let count = 0;
    for (let i = 0; i < this.entries.length; i++) {
      const file = this.entries[i];
      let found = 0;
      if (file === undefined) found = POLLNVAL;
      else if (file !== null) found = file.poll() & (this.events[i] as number);
      this.revents[i] = found;
      if (found !== 0) count++;
    }
    return count;
  }

  /** Stores what the last look found, and passes `result` on. */
  store(t: Task, result: number): number {
    for (let i = 0; i < this.entries.length; i++) {
      const at = this.addr + i * POLLFD_BYTES + REVENTS_OFFSET;
      if (t.mm.writeU16(at, this.revents[i] as number) < 0) return -EFAULT;
    }
    return result;
  }
}

/** The list of `count` entries at `addr`, or -errno. */
function readList(t: Task, addr: number, count: number): PollList | number {
  if (count > t.group.limits.soft(RLIMIT_NOFILE)) return -EINVAL;
  const list = new PollList(addr);
  const r = list.read(t, count);
  return r < 0 ? r : list;
}

/** Waits; every end goes through `end`, with -ERESTARTNOHAND for a signal. */
function doPoll(t: Task, list: PollList, deadlineNs: number, end: (r: number) => number): number {
  return pollWait(t, {
    files: list.files,
    mask: list.mask,
    deadlineNs,
    look: () => {
      const n = list.look();
      return n === 0 ? 0 : end(list.store(t, n));
    },
    onTimeout: () => end(list.store(t, 0)),
    onInterrupt: () => end(list.store(t, -ERESTARTNOHAND)),
  });
}

/** A poll that goes on with the same deadline after a stop or an ignored signal. */
function restartablePoll(t: Task, addr: number, count: number, deadlineNs: number): number {
  const list = readList(t, addr, count);
  if (typeof list === 'number') return list;
  return doPoll(t, list, deadlineNs, (r) => {
    if (r !== -ERESTARTNOHAND) return r;
    t.restartBlock = () => restartablePoll(t, addr, count, deadlineNs);
    return -ERESTART_RESTARTBLOCK;
  });
}

/** poll(2). */
export function sysPoll(t: Task, a: SyscallArgs): number {
  const timeoutMs = a.int(2);
  let deadlineNs = timeoutMs < 0 ? FOREVER : NOT_WAITING;
  if (timeoutMs > 0) deadlineNs = t.kernel.clock.monotonicNs() + timeoutMs * NS_PER_MS;
  return restartablePoll(t, a.addr(0), a.uint(1), deadlineNs);
}

/** ppoll(2). As in Linux, and unlike what its manual page promises, the time limit runs down. */
export function sysPpoll(t: Task, a: SyscallArgs): number {
  const listAddr = a.addr(0);
  const count = a.uint(1);
  const limitAddr = a.addr(2);
  let deadlineNs = FOREVER;
  if (limitAddr !== 0) {
    const limit = readTimespec(t, limitAddr);
    if (typeof limit === 'number') return limit;
    deadlineNs = deadlineAfter(t, limit);
  }
  const masked = replaceSignalMask(t, a.addr(3), a.sizeT(4));
  if (masked < 0) return masked;
  const end = (r: number): number => {
    if (r !== -ERESTARTNOHAND) restoreSignalMask(t, r);
    return storeRest(
      t,
      deadlineNs,
      limitAddr === 0 ? null : (rest) => writeTimespec(t, limitAddr, rest),
      r,
    );
  };
  const list = readList(t, listAddr, count);
  return typeof list === 'number' ? end(list) : doPoll(t, list, deadlineNs, end);
}

export const pollSyscalls: SyscallFragment = {
  [SYS_poll]: { name: 'poll', args: 'hex uint int', fn: sysPoll },
  [SYS_ppoll]: { name: 'ppoll', args: 'hex uint timespec hex size', fn: sysPpoll },
};
