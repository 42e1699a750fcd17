/**
 * The x86-64 signal frame: pushed on the application's stack before a handler runs, popped by
 * rt_sigreturn(2). Its layout is ABI (Linux's struct rt_sigframe), from high to low addresses:
 * 128 bytes that the interrupted function may use (the red zone), floating-point state aligned to 64
 * bytes, siginfo, ucontext, the return address.
 *
 * A frame that comes back is hostile: selectors and privileged flags are forced, floating-point
 * contents are checked by the platform.
 */
import { EFAULT } from '../../spec/linux/errno.ts';
import { RT_SIGFRAME, SIGCONTEXT, STACK_T, UCONTEXT } from '../../spec/linux/layout/signal.ts';
import { getU16, getU32, getU64, putU16, putU32, putU64 } from '../../spec/linux/little_endian.ts';
import {
  SA_ONSTACK,
  SA_RESTORER,
  SI_KERNEL,
  SIGBUS,
  SIGFPE,
  SIGILL,
  SIGKILL,
  SIGSEGV,
  SIGTRAP,
  SS_AUTODISARM,
  UC_FP_XSTATE,
  UC_SIGCONTEXT_SS,
  UC_STRICT_RESTORE_SS,
} from '../../spec/linux/signal.ts';
import {
  REG_CS,
  REG_EFLAGS,
  REG_ORIG_RAX,
  REG_R8,
  REG_R9,
  REG_R10,
  REG_R11,
  REG_R12,
  REG_R13,
  REG_R14,
  REG_R15,
  REG_RAX,
  REG_RBP,
  REG_RBX,
  REG_RCX,
  REG_RDI,
  REG_RDX,
  REG_RIP,
  REG_RSI,
  REG_RSP,
  REG_SS,
} from '../platform/platform.ts';
import { NO_ALTERNATE_STACK, onAlternateStack, setAlternateStack } from './alternate_stack.ts';
import { beginGroupExit } from './exit.ts';
import { loadFpFrame, saveFpFrame } from './fp_frame.ts';
import { encodeSigInfo } from './siginfo.ts';
import type { SigInfo, SignalAction } from './signal.ts';
import { forceSignal } from './signal_send.ts';
import type { SignalSet } from './signal_set.ts';
import type { Task } from './task.ts';

const RED_ZONE = 128;
const FP_ALIGNMENT = 64;
const USER_CS = 0x33;
const USER_SS = 0x2b;

const FLAG_TRAP = 0x100;
const FLAG_DIRECTION = 0x400;
const FLAG_RESUME = 0x10000;
/** AC, OF, DF, TF, SF, ZF, AF, PF, CF: what sigreturn may change. */
const USER_FLAGS = 0x40dd5 | FLAG_TRAP;

/** Trap numbers of the frame (Intel SDM vol. 3, table 6-1). */
const TRAP_NUMBER: Readonly<Record<number, number>> = {
  [SIGFPE]: 0,
  [SIGTRAP]: 3,
  [SIGILL]: 6,
  [SIGSEGV]: 14,
  [SIGBUS]: 14,
};
/** The page fault came from user mode. */
const ERROR_USER = 4;

const UC_AT = 8;
const INFO_AT = 312;
const CONTEXT_AT = UC_AT + UCONTEXT.offsets.uc_mcontext;
const SIGMASK_AT = UC_AT + UCONTEXT.offsets.uc_sigmask;
const STACK_AT = UC_AT + UCONTEXT.offsets.uc_stack;

/** The sixteen general registers and rip in the order of struct sigcontext. */
const CONTEXT_REGISTERS = [
  REG_R8,
  REG_R9,
  REG_R10,
  REG_R11,
  REG_R12,
  REG_R13,
  REG_R14,
  REG_R15,
  REG_RDI,
  REG_RSI,
  REG_RBP,
  REG_RBX,
  REG_RDX,
  REG_RAX,
  REG_RCX,
  REG_RSP,
  REG_RIP,
] as const;

/**
 * Builds the frame and points the registers at the handler. `oldMask` is what sigreturn restores.
 * 0, or -EFAULT when the stack cannot take it (then nothing has changed).
 */
export function pushSignalFrame(
  t: Task,
  info: SigInfo,
  action: SignalAction,
  oldMask: SignalSet,
): number {
  const { regs } = t.context;
  if ((action.flags & SA_RESTORER) === 0) return -EFAULT;
  const oldSp = regs.get(REG_RSP);
  let sp = oldSp - RED_ZONE;
  const stack = t.alternateStack;
  const wasOn = onAlternateStack(stack, oldSp);
  let entering = false;
  if ((action.flags & SA_ONSTACK) !== 0 && stack.size > 0 && !wasOn) {
    sp = stack.address + stack.size;
    entering = true;
  }
  const fp = saveFpFrame(t.context);
  if (fp === null) {
    // Its host thread is gone, which the platform has yet to tell.
    beginGroupExit(t.group, SIGKILL);
    return 0;
  }
  const fpAt = floorTo(sp - fp.length, FP_ALIGNMENT);
  const frameAt = floorTo(fpAt - RT_SIGFRAME.size, 16) - 8;
  if ((wasOn || entering) && (stack.flags & SS_AUTODISARM) === 0 && frameAt < stack.address) {
    return -EFAULT;
  }
  if (frameAt <= 0) return -EFAULT;
  const bytes = new Uint8Array(RT_SIGFRAME.size);
  putU64(bytes, 0, action.restorer);
  putU64(bytes, UC_AT, UC_FP_XSTATE | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS);
  STACK_T.encode(
    { ss_sp: stack.address, ss_flags: stack.flags, ss_size: stack.size },
    bytes,
    STACK_AT,
  );
  putContext(t, bytes, info, oldMask, fpAt);
  encodeSigInfo(info, bytes, INFO_AT);
  if (t.mm.copyOut(fpAt, fp) < 0 || t.mm.copyOut(frameAt, bytes) < 0) return -EFAULT;

  if ((stack.flags & SS_AUTODISARM) !== 0) t.alternateStack = NO_ALTERNATE_STACK;
  regs.set(REG_RDI, info.signo);
  regs.set(REG_RSI, frameAt + INFO_AT);
  regs.set(REG_RDX, frameAt + UC_AT);
  regs.set(REG_RAX, 0);
  regs.set(REG_RSP, frameAt);
  regs.set(REG_RIP, action.handler);
  regs.set(REG_CS, USER_CS);
  regs.set(REG_SS, USER_SS);
  const flags = regs.words[regs.base + 2 * REG_EFLAGS] as number;
  regs.set(REG_EFLAGS, (flags & ~(FLAG_DIRECTION | FLAG_RESUME | FLAG_TRAP)) >>> 0);
  regs.set(REG_ORIG_RAX, -1);
  return 0;
}

function putContext(
  t: Task,
  bytes: Uint8Array,
  info: SigInfo,
  oldMask: SignalSet,
  fpAt: number,
): void {
  const { regs } = t.context;
  regs.fetch();
  const { words, base } = regs;
  const at = CONTEXT_AT;
  CONTEXT_REGISTERS.forEach((reg, i) => {
    putU32(bytes, at + i * 8, words[base + 2 * reg] as number);
    putU32(bytes, at + i * 8 + 4, words[base + 2 * reg + 1] as number);
  });
  const o = SIGCONTEXT.offsets;
  putU32(bytes, at + o.eflags, words[base + 2 * REG_EFLAGS] as number);
  putU16(bytes, at + o.cs, USER_CS);
  putU16(bytes, at + o.ss, USER_SS);
  const trap = info.pid === undefined && info.code > 0 ? TRAP_NUMBER[info.signo] : undefined;
  if (trap !== undefined) {
    putU32(bytes, at + o.trapno, trap);
    if (trap === 14) {
      putU32(bytes, at + o.err, ERROR_USER);
      putU64(bytes, at + o.cr2, info.address ?? 0);
    }
  }
  putU32(bytes, at + o.oldmask, oldMask.lo);
  putU32(bytes, at + o.oldmask + 4, oldMask.hi);
  putU64(bytes, at + o.fpstate, fpAt);
  putU32(bytes, SIGMASK_AT, oldMask.lo);
  putU32(bytes, SIGMASK_AT + 4, oldMask.hi);
}

/** rt_sigreturn(2): all registers come from the frame. A bad one is SIGSEGV. */
export function popSignalFrame(t: Task): void {
  const { regs } = t.context;
  // The handler's return has popped the return address.
  const frameAt = regs.get(REG_RSP) - UC_AT;
  const bytes = new Uint8Array(RT_SIGFRAME.size);
  const end = UC_AT + UCONTEXT.size;
  if (t.mm.copyIn(frameAt + UC_AT, bytes, UC_AT, end - UC_AT) < 0 || !loadContext(t, bytes)) {
    forceSignal(t, { signo: SIGSEGV, code: SI_KERNEL, address: 0 });
  }
}

function loadContext(t: Task, bytes: Uint8Array): boolean {
  const at = CONTEXT_AT;
  const o = SIGCONTEXT.offsets;
  // The compatibility segment would run 32-bit code, which no platform here supports.
  if ((getU16(bytes, at + o.cs) | 3) !== USER_CS) return false;
  if (loadFpFrame(t, getU64(bytes, at + o.fpstate)) < 0) return false;
  const { regs } = t.context;
  regs.fetch();
  const { words, base } = regs;
  CONTEXT_REGISTERS.forEach((reg, i) => {
    words[base + 2 * reg] = getU32(bytes, at + i * 8);
    words[base + 2 * reg + 1] = getU32(bytes, at + i * 8 + 4);
  });
  const old = words[base + 2 * REG_EFLAGS] as number;
  const flags = (old & ~USER_FLAGS) | (getU32(bytes, at + o.eflags) & USER_FLAGS);
  regs.set(REG_EFLAGS, flags >>> 0);
  regs.set(REG_CS, USER_CS);
  regs.set(REG_SS, USER_SS);
  regs.set(REG_ORIG_RAX, -1);
  t.setSignalMask(getU32(bytes, SIGMASK_AT), getU32(bytes, SIGMASK_AT + 4));
  const stack = STACK_T.decode(bytes, STACK_AT);
  // As in Linux, a stack that is not acceptable is passed over.
  setAlternateStack(t, { address: stack.ss_sp, size: stack.ss_size, flags: stack.ss_flags });
  return true;
}

function floorTo(n: number, unit: number): number {
  return n - (n % unit);
}
