/**
 * select(2), pselect6(2).
 */
import { EBADF, EFAULT, EINVAL, ERESTARTNOHAND } from '../../spec/linux/errno.ts';
import { SIGSET_ARGPACK } from '../../spec/linux/layout/poll.ts';
import {
  POLLERR,
  POLLHUP,
  POLLIN,
  POLLOUT,
  POLLPRI,
  POLLRDBAND,
  POLLRDNORM,
  POLLWRBAND,
  POLLWRNORM,
} from '../../spec/linux/poll.ts';
import { SYS_pselect6, SYS_select } from '../../spec/linux/syscall_numbers.ts';
import type { SyscallArgs } from '../kernel/syscall_args.ts';
import type { SyscallFragment } from '../kernel/syscall_table.ts';
import type { Task } from '../kernel/task.ts';
import type { OpenFile } from '../vfs/open_file.ts';
import type { Timestamp } from '../vfs/stat.ts';
import { openFd } from './path_argument.ts';
import { deadlineAfter, FOREVER, pollWait, storeRest } from './poll_wait.ts';
import { replaceSignalMask, restoreSignalMask } from './temporary_mask.ts';
import { readTimespec, writeTimespec, writeTimeval } from './user_time.ts';

/** What makes a descriptor readable, writable and exceptional: the three sets in order. */
const SET_EVENTS = [
  POLLRDNORM | POLLRDBAND | POLLIN | POLLHUP | POLLERR,
  POLLWRBAND | POLLWRNORM | POLLOUT | POLLERR,
  POLLPRI,
] as const;
const ALL_EVENTS = SET_EVENTS[0] | SET_EVENTS[1] | SET_EVENTS[2];
/** Linux's descriptor tables are never smaller; bits above a table's end are ignored. */
const SMALLEST_TABLE = 64;
const BITS_PER_LONG = 64;
const USEC_PER_SEC = 1e6;

interface Watched {
  readonly fd: number;
  readonly file: OpenFile;
  /** Bit i: in set i. */
  readonly sets: number;
}

/** The three fd_sets of one call. */
class SelectSets {
  readonly watched: Watched[] = [];
  private readonly addrs: readonly number[];
  private readonly bytes: number;

  constructor(addrs: readonly number[], highest: number) {
    this.addrs = addrs;
    this.bytes = Math.ceil(highest / BITS_PER_LONG) * 8;
  }

  /** Takes the sets in: 0, -EFAULT, or -EBADF. */
  read(t: Task, highest: number): number {
    const sets: Uint8Array[] = [];
    for (const addr of this.addrs) {
      const set = new Uint8Array(this.bytes);
      if (addr !== 0 && t.mm.copyIn(addr, set) < 0) return -EFAULT;
      sets.push(set);
    }
    for (let fd = 0; fd < highest; fd++) {
      let member = 0;
      for (let i = 0; i < 3; i++) {
        if ((((sets[i] as Uint8Array)[fd >> 3] as number) >> (fd & 7)) & 1) member |= 1 << i;
      }
      if (member === 0) continue;
      const file = openFd(t, fd);
      if (file === undefined) return -EBADF;
      this.watched.push({ fd, file, sets: member });
    }
    return 0;
  }

  /** The number of bits set in the answer; stores it when that is positive or `always`. */
  answer(t: Task, always: boolean): number {
    const sets = this.addrs.map(() => new Uint8Array(this.bytes));
    let count = 0;
    for (const { fd, file, sets: member } of this.watched) {
      const events = file.poll();
      for (let i = 0; i < 3; i++) {
        if (((member >> i) & 1) === 0 || (events & (SET_EVENTS[i] as number)) === 0) continue;
        const set = sets[i] as Uint8Array;
        set[fd >> 3] = (set[fd >> 3] as number) | (1 << (fd & 7));
        count++;
      }
    }
    if (count === 0 && !always) return 0;
    for (let i = 0; i < 3; i++) {
      const addr = this.addrs[i] as number;
      if (addr !== 0 && t.mm.copyOut(addr, sets[i] as Uint8Array) < 0) return -EFAULT;
    }
    return count;
  }
}

interface SelectCall {
  readonly highest: number;
  readonly addrs: readonly number[];
  readonly deadlineNs: number;
  /** Stores the rest of the time limit. */
  readonly writeRest: ((rest: Timestamp) => number) | null;
}

function doSelect(t: Task, call: SelectCall): number {
  const { deadlineNs } = call;
  const end = (r: number): number => {
    if (r !== -ERESTARTNOHAND) restoreSignalMask(t, r);
    return storeRest(t, deadlineNs, call.writeRest, r);
  };
  if (call.highest < 0) return end(-EINVAL);
  const highest = Math.min(call.highest, Math.max(t.files.length, SMALLEST_TABLE));
  const sets = new SelectSets(call.addrs, highest);
  const r = sets.read(t, highest);
  if (r < 0) return end(r);
  return pollWait(t, {
    files: sets.watched.map((w) => w.file),
    mask: ALL_EVENTS,
    deadlineNs,
    look: () => {
      const n = sets.answer(t, false);
      return n === 0 ? 0 : end(n);
    },
    onTimeout: () => end(sets.answer(t, true)),
    onInterrupt: () => end(-ERESTARTNOHAND),
  });
}

/** A timeval whose microseconds may exceed a second, as select(2) takes it. */
function readLooseTimeval(t: Task, addr: number): Timestamp | number {
  const secLo = t.mm.readU32(addr);
  const secHi = t.mm.readU32(addr + 4);
  const usecLo = t.mm.readU32(addr + 8);
  const usecHi = t.mm.readU32(addr + 12);
  if (secLo < 0 || secHi < 0 || usecLo < 0 || usecHi < 0) return -EFAULT;
  const usec = usecLo + (usecHi | 0) * 2 ** 32;
  const sec = secLo + (secHi | 0) * 2 ** 32 + Math.floor(usec / USEC_PER_SEC);
  return sec < 0 || usec < 0 ? -EINVAL : { sec, nsec: (usec % USEC_PER_SEC) * 1000 };
}

/** select(2). */
export function sysSelect(t: Task, a: SyscallArgs): number {
  const limitAddr = a.addr(4);
  const highest = a.int(0);
  const addrs = [a.addr(1), a.addr(2), a.addr(3)];
  if (limitAddr === 0) return doSelect(t, { highest, addrs, deadlineNs: FOREVER, writeRest: null });
  const limit = readLooseTimeval(t, limitAddr);
  if (typeof limit === 'number') return limit;
  const writeRest = (rest: Timestamp): number => writeTimeval(t, limitAddr, rest);
  return doSelect(t, { highest, addrs, deadlineNs: deadlineAfter(t, limit), writeRest });
}

/** pselect6(2). The signal set comes with its size in a structure of its own. */
export function sysPselect6(t: Task, a: SyscallArgs): number {
  const limitAddr = a.addr(4);
  const packAddr = a.addr(5);
  const highest = a.int(0);
  const addrs = [a.addr(1), a.addr(2), a.addr(3)];
  let pack = { p: 0, size: 0 };
  if (packAddr !== 0) {
    const bytes = new Uint8Array(SIGSET_ARGPACK.size);
    if (t.mm.copyIn(packAddr, bytes) < 0) return -EFAULT;
    pack = SIGSET_ARGPACK.decode(bytes);
  }
  let deadlineNs = FOREVER;
  if (limitAddr !== 0) {
    const limit = readTimespec(t, limitAddr);
    if (typeof limit === 'number') return limit;
    deadlineNs = deadlineAfter(t, limit);
  }
  const masked = replaceSignalMask(t, pack.p, pack.size);
  if (masked < 0) return masked;
  const writeRest =
    limitAddr === 0 ? null : (rest: Timestamp): number => writeTimespec(t, limitAddr, rest);
  return doSelect(t, { highest, addrs, deadlineNs, writeRest });
}

export const selectSyscalls: SyscallFragment = {
  [SYS_select]: { name: 'select', args: 'int hex hex hex hex', fn: sysSelect },
  [SYS_pselect6]: { name: 'pselect6', args: 'int hex hex hex timespec hex', fn: sysPselect6 },
};
