/**
 * Signals: actions, masks, waiting and alternate stacks (sigaction(2), sigprocmask(2), sigpending(2),
 * sigtimedwait(2), sigsuspend(2), sigreturn(2), sigaltstack(2), pause(2), signalfd(2),
 * restart_syscall(2)). Sending is in kill.ts.
 */
import { EAGAIN, EBADF, EFAULT, EINTR, EINVAL, ERESTARTNOHAND } from '../../spec/linux/errno.ts';
import { SIGACTION, STACK_T } from '../../spec/linux/layout/signal.ts';
import { POLLIN } from '../../spec/linux/poll.ts';
import {
  NSIG,
  SFD_CLOEXEC,
  SFD_NONBLOCK,
  SIG_BLOCK,
  SIG_SETMASK,
  SIG_UNBLOCK,
  SIGKILL,
  SIGSTOP,
} from '../../spec/linux/signal.ts';
import {
  SYS_pause,
  SYS_restart_syscall,
  SYS_rt_sigaction,
  SYS_rt_sigpending,
  SYS_rt_sigprocmask,
  SYS_rt_sigreturn,
  SYS_rt_sigsuspend,
  SYS_rt_sigtimedwait,
  SYS_sigaltstack,
  SYS_signalfd,
  SYS_signalfd4,
} from '../../spec/linux/syscall_numbers.ts';
import { SignalFile } from '../fsimpl/signalfd/signalfd.ts';
import { alternateStackFlags, setAlternateStack } from '../kernel/alternate_stack.ts';
import { encodeSigInfo } from '../kernel/siginfo.ts';
import { UNBLOCKABLE } from '../kernel/signal.ts';
import { popSignalFrame } from '../kernel/signal_frame.ts';
import { SignalSet } from '../kernel/signal_set.ts';
import { complement, dequeueSignal } from '../kernel/signal_take.ts';
import type { SyscallArgs } from '../kernel/syscall_args.ts';
import { NO_RESULT, type SyscallFragment } from '../kernel/syscall_table.ts';
import type { Task } from '../kernel/task.ts';
import { newDescriptor } from './new_descriptor.ts';
import { monotonicAfter, readTimespec } from './user_time.ts';

/** sizeof(sigset_t) as the kernel knows it. */
const SIGSET_BYTES = 8;

/** The set at `addr`, or -EFAULT. */
function readSignalSet(t: Task, addr: number): SignalSet | number {
  const lo = t.mm.readU32(addr);
  const hi = t.mm.readU32(addr + 4);
  return lo < 0 || hi < 0 ? -EFAULT : new SignalSet(lo, hi);
}

function writeSignalSet(t: Task, addr: number, lo: number, hi: number): number {
  return t.mm.writeU32(addr, lo) < 0 || t.mm.writeU32(addr + 4, hi) < 0 ? -EFAULT : 0;
}

/** rt_sigaction(2). */
export function sysRtSigaction(t: Task, a: SyscallArgs): number {
  const signo = a.int(0);
  const newAddr = a.addr(1);
  const oldAddr = a.addr(2);
  if (a.sizeT(3) !== SIGSET_BYTES || signo < 1 || signo > NSIG) return -EINVAL;
  if (newAddr !== 0 && (signo === SIGKILL || signo === SIGSTOP)) return -EINVAL;
  const handlers = t.group.handlers;
  const old = handlers.get(signo);
  const bytes = new Uint8Array(SIGACTION.size);
  if (newAddr !== 0) {
    if (t.mm.copyIn(newAddr, bytes) < 0) return -EFAULT;
    const raw = SIGACTION.decode(bytes);
    const mask = new SignalSet(raw.sa_mask[0], raw.sa_mask[1]);
    mask.delete(SIGKILL);
    mask.delete(SIGSTOP);
    handlers.set(signo, {
      handler: raw.sa_handler,
      flags: raw.sa_flags,
      restorer: raw.sa_restorer,
      maskLo: mask.lo,
      maskHi: mask.hi,
    });
    if (handlers.ignores(signo)) {
      const gone = SignalSet.of(signo);
      t.group.pending.discard(gone);
      for (const other of t.group.tasks) other.pending.discard(gone);
    }
  }
  if (oldAddr === 0) return 0;
  SIGACTION.encode(
    {
      sa_handler: old.handler,
      sa_flags: old.flags,
      sa_restorer: old.restorer,
      sa_mask: [old.maskLo, old.maskHi],
    },
    bytes,
  );
  return t.mm.copyOut(oldAddr, bytes);
}

/** rt_sigprocmask(2). */
export function sysRtSigprocmask(t: Task, a: SyscallArgs): number {
  const how = a.int(0);
  const newAddr = a.addr(1);
  const oldAddr = a.addr(2);
  if (a.sizeT(3) !== SIGSET_BYTES) return -EINVAL;
  const { lo, hi } = t.signalMask;
  if (newAddr !== 0) {
    const set = readSignalSet(t, newAddr);
    if (typeof set === 'number') return set;
    if (how === SIG_BLOCK) t.setSignalMask(lo | set.lo, hi | set.hi);
    else if (how === SIG_UNBLOCK) t.setSignalMask(lo & ~set.lo, hi & ~set.hi);
    else if (how === SIG_SETMASK) t.setSignalMask(set.lo, set.hi);
    else return -EINVAL;
  }
  return oldAddr === 0 ? 0 : writeSignalSet(t, oldAddr, lo, hi);
}

/** rt_sigpending(2). */
export function sysRtSigpending(t: Task, a: SyscallArgs): number {
  if (a.sizeT(1) > SIGSET_BYTES) return -EINVAL;
  const mask = t.signalMask;
  const set = t.pending.set.copy();
  set.addAll(t.group.pending.set);
  return writeSignalSet(t, a.addr(0), set.lo & mask.lo, set.hi & mask.hi);
}

/** rt_sigtimedwait(2). */
export function sysRtSigtimedwait(t: Task, a: SyscallArgs): number {
  const infoAddr = a.addr(1);
  const timeoutAddr = a.addr(2);
  if (a.sizeT(3) !== SIGSET_BYTES) return -EINVAL;
  const wanted = readSignalSet(t, a.addr(0));
  if (typeof wanted === 'number') return wanted;
  let deadlineNs = Number.POSITIVE_INFINITY;
  if (timeoutAddr !== 0) {
    const timeout = readTimespec(t, timeoutAddr);
    if (typeof timeout === 'number') return timeout;
    deadlineNs = monotonicAfter(t, timeout);
  }
  const others = complement(wanted);
  others.addAll(UNBLOCKABLE);
  const attempt = (): number => {
    const info = dequeueSignal(t, others);
    if (info === null) return -EAGAIN;
    if (infoAddr !== 0 && t.mm.copyOut(infoAddr, encodeSigInfo(info)) < 0) return -EFAULT;
    return info.signo;
  };
  return t.sleep([t.group.signalQueue], POLLIN, {
    attempt,
    deadlineNs,
    onTimeout: () => -EAGAIN,
    onInterrupt: () => -EINTR,
  });
}

/** Sleeps until a signal is handled. */
function sleepForSignal(t: Task): number {
  return t.sleep([], 0, { attempt: () => -EAGAIN, onInterrupt: () => -ERESTARTNOHAND });
}

/** rt_sigsuspend(2). */
export function sysRtSigsuspend(t: Task, a: SyscallArgs): number {
  if (a.sizeT(1) !== SIGSET_BYTES) return -EINVAL;
  const set = readSignalSet(t, a.addr(0));
  if (typeof set === 'number') return set;
  t.savedMask = t.signalMask.copy();
  t.setSignalMask(set.lo, set.hi);
  return sleepForSignal(t);
}

/** pause(2). */
export function sysPause(t: Task): number {
  return sleepForSignal(t);
}

/** rt_sigreturn(2). */
export function sysRtSigreturn(t: Task): number {
  popSignalFrame(t);
  return NO_RESULT;
}

/** sigaltstack(2). */
export function sysSigaltstack(t: Task, a: SyscallArgs): number {
  const newAddr = a.addr(0);
  const oldAddr = a.addr(1);
  const old = t.alternateStack;
  const oldFlags = alternateStackFlags(t);
  const bytes = new Uint8Array(STACK_T.size);
  if (newAddr !== 0) {
    if (t.mm.copyIn(newAddr, bytes) < 0) return -EFAULT;
    const raw = STACK_T.decode(bytes);
    const stack = { address: raw.ss_sp, size: raw.ss_size, flags: raw.ss_flags };
    const r = setAlternateStack(t, stack);
    if (r < 0) return r;
  }
  if (oldAddr === 0) return 0;
  STACK_T.encode({ ss_sp: old.address, ss_flags: oldFlags, ss_size: old.size }, bytes);
  return t.mm.copyOut(oldAddr, bytes);
}

/** restart_syscall(2): only ever made by returning from a stop or an ignored signal. */
export function sysRestartSyscall(t: Task): number {
  const restart = t.restartBlock;
  t.restartBlock = null;
  return restart === null ? -EINTR : restart();
}

function doSignalfd(t: Task, fd: number, addr: number, size: number, flags: number): number {
  if (size !== SIGSET_BYTES || (flags & ~(SFD_CLOEXEC | SFD_NONBLOCK)) !== 0) return -EINVAL;
  const set = readSignalSet(t, addr);
  if (typeof set === 'number') return set;
  if (fd === -1) {
    const file = new SignalFile(t, set, flags & SFD_NONBLOCK);
    return newDescriptor(t, file, (flags & SFD_CLOEXEC) !== 0);
  }
  const file = t.files.get(fd);
  if (file === undefined) return -EBADF;
  if (!(file instanceof SignalFile)) return -EINVAL;
  file.setSignals(set);
  return fd;
}

/** signalfd(2). */
export function sysSignalfd(t: Task, a: SyscallArgs): number {
  return doSignalfd(t, a.int(0), a.addr(1), a.sizeT(2), 0);
}

/** signalfd4(2). */
export function sysSignalfd4(t: Task, a: SyscallArgs): number {
  return doSignalfd(t, a.int(0), a.addr(1), a.sizeT(2), a.int(3));
}

export const signalSyscalls: SyscallFragment = {
  [SYS_rt_sigaction]: { name: 'rt_sigaction', args: 'signal hex hex size', fn: sysRtSigaction },
  [SYS_rt_sigprocmask]: { name: 'rt_sigprocmask', args: 'int hex hex size', fn: sysRtSigprocmask },
  [SYS_rt_sigreturn]: { name: 'rt_sigreturn', args: '', fn: sysRtSigreturn },
  [SYS_pause]: { name: 'pause', args: '', fn: sysPause },
  [SYS_rt_sigpending]: { name: 'rt_sigpending', args: 'hex size', fn: sysRtSigpending },
  [SYS_rt_sigtimedwait]: {
    name: 'rt_sigtimedwait',
    args: 'hex hex timespec size',
    fn: sysRtSigtimedwait,
  },
  [SYS_rt_sigsuspend]: { name: 'rt_sigsuspend', args: 'hex size', fn: sysRtSigsuspend },
  [SYS_sigaltstack]: { name: 'sigaltstack', args: 'hex hex', fn: sysSigaltstack },
  [SYS_restart_syscall]: { name: 'restart_syscall', args: '', fn: sysRestartSyscall },
  [SYS_signalfd]: { name: 'signalfd', args: 'fd hex size', fn: sysSignalfd },
  [SYS_signalfd4]: { name: 'signalfd4', args: 'fd hex size hex', fn: sysSignalfd4 },
};
