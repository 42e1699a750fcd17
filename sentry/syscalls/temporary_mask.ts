/**
 * The signal mask that ppoll(2), pselect(2) and epoll_pwait(2) put in place while they wait. When a
 * signal interrupts the wait the old mask comes back only after its handler's frame is made
 * (Task.savedMask); any other end puts it back at once, so that the signal stays blocked.
 */
import { EFAULT, EINVAL } from '../../spec/linux/errno.ts';
import type { Task } from '../kernel/task.ts';

/** sizeof(sigset_t) as the kernel knows it. */
const SIGSET_BYTES = 8;

/** Replaces the mask by the set at `addr`; does nothing when that is 0. 0, -EINVAL or -EFAULT. */
export function replaceSignalMask(t: Task, addr: number, size: number): number {
  if (addr === 0) return 0;
  if (size !== SIGSET_BYTES) return -EINVAL;
  const lo = t.mm.readU32(addr);
  const hi = t.mm.readU32(addr + 4);
  if (lo < 0 || hi < 0) return -EFAULT;
  t.savedMask = t.signalMask.copy();
  t.setSignalMask(lo, hi);
  return 0;
}

/** Puts the old mask back. Passes `result` through. */
export function restoreSignalMask(t: Task, result: number): number {
  if (t.savedMask !== null) {
    t.signalMask.copyFrom(t.savedMask);
    t.savedMask = null;
  }
  return result;
}
