/**
 * Synchronous faults of application code (Linux's exc_page_fault and its kin): page faults go to the
 * MemoryManager; what it cannot serve, and every other trap, becomes a signal (sigaction(2), si_code).
 *
 * The three calls of the vsyscall page are answered here when the host has none: very old static
 * programs still make them.
 */
import { PROT_EXEC } from '../../spec/linux/mman.ts';
import {
  BUS_ADRERR,
  SEGV_ACCERR,
  SEGV_MAPERR,
  SI_KERNEL,
  SIGBUS,
  SIGILL,
  SIGKILL,
  SIGSEGV,
} from '../../spec/linux/signal.ts';
import { SYSCALL_BYTES } from '../arch/call_site.ts';
import { REPLACED_OTHER, REPLACED_SYSCALL } from '../mm/call_sites.ts';
import { FAULT_ACCERR, FAULT_BUS, FAULT_HANDLED, FAULT_MAPERR } from '../mm/fault.ts';
import {
  REG_EFLAGS,
  REG_R11,
  REG_RAX,
  REG_RCX,
  REG_RDI,
  REG_RIP,
  REG_RSI,
  REG_RSP,
} from '../platform/platform.ts';
import { beginGroupExit } from './exit.ts';
import { forceSignal } from './signal_send.ts';
import type { Task } from './task.ts';

const VSYSCALL_HIGH = 0xffffffff;
const VSYSCALL_GETTIMEOFDAY = 0xff600000;
const VSYSCALL_TIME = 0xff600400;
const VSYSCALL_GETCPU = 0xff600800;

/** The context of `t` stopped with STOP_FAULT: repairs it or queues a signal. */
export function handleFault(t: Task): void {
  const { faultSignal: signo, faultCode: code, faultAddress: address } = t.context;
  if (signo === SIGILL && t.mm.replacedInstruction(t.context.regs) === REPLACED_OTHER) return;
  if (signo !== SIGSEGV || code === SI_KERNEL) {
    forceSignal(t, { signo, code, address });
    return;
  }
  if (vsyscall(t)) return;
  const executing = t.context.regs.get(REG_RIP) === address;
  const result = t.mm.fault(address, executing ? PROT_EXEC : 0);
  switch (result) {
    case FAULT_HANDLED:
      t.group.ownUsage.minorFaults++;
      return;
    case FAULT_MAPERR:
    case FAULT_ACCERR:
      if (executing && t.mm.mendCopy(t.context.regs)) return;
      forceSignal(t, {
        signo: SIGSEGV,
        code: result === FAULT_MAPERR ? SEGV_MAPERR : SEGV_ACCERR,
        address,
      });
      return;
    case FAULT_BUS:
      forceSignal(t, { signo: SIGBUS, code: BUS_ADRERR, address });
      return;
    default:
      t.kernel.log(`out of memory: ${t.name} (${t.tid}) is killed`);
      beginGroupExit(t.group, SIGKILL);
  }
}

/**
 * Where a patch has taken the place of a `syscall` instruction (mm/call_sites.ts) the processor finds
 * an illegal one. Makes the registers those of a system call; false when the fault is none.
 */
export function enterReplacedSyscall(t: Task): boolean {
  if (t.context.faultSignal !== SIGILL) return false;
  const { regs } = t.context;
  if (t.mm.replacedInstruction(regs) !== REPLACED_SYSCALL) return false;
  const at = regs.get(REG_RIP);
  regs.set(REG_RIP, at + SYSCALL_BYTES);
  regs.set(REG_RCX, at + SYSCALL_BYTES);
  regs.set(REG_R11, regs.get(REG_EFLAGS));
  return true;
}

/** Answers a call into the vsyscall page. False when the fault is none. */
function vsyscall(t: Task): boolean {
  const { regs } = t.context;
  const at = regs.base + 2 * REG_RIP;
  if (regs.words[at + 1] !== VSYSCALL_HIGH) return false;
  const result = vsyscallResult(t, regs.words[at] as number);
  if (result === null) return false;
  const sp = regs.get(REG_RSP);
  const caller = t.mm.readU64(sp);
  if (result === 'fault' || caller < 0) {
    forceSignal(t, { signo: SIGSEGV, code: SEGV_MAPERR, address: sp });
    return true;
  }
  regs.set(REG_RAX, result);
  regs.set(REG_RSP, sp + 8);
  regs.set(REG_RIP, caller);
  return true;
}

function vsyscallResult(t: Task, entry: number): number | 'fault' | null {
  const { regs } = t.context;
  const { mm } = t;
  const first = regs.get(REG_RDI);
  const second = regs.get(REG_RSI);
  const now = t.kernel.clock.realtime();
  switch (entry) {
    case VSYSCALL_GETTIMEOFDAY: {
      if (first !== 0) {
        const usec = Math.floor(now.nsec / 1000);
        if (mm.writeU64(first, now.sec) < 0 || mm.writeU64(first + 8, usec) < 0) return 'fault';
      }
      return second !== 0 && mm.writeU64(second, 0) < 0 ? 'fault' : 0;
    }
    case VSYSCALL_TIME:
      return first !== 0 && mm.writeU64(first, now.sec) < 0 ? 'fault' : now.sec;
    case VSYSCALL_GETCPU:
      if (first !== 0 && mm.writeU32(first, 0) < 0) return 'fault';
      return second !== 0 && mm.writeU32(second, 0) < 0 ? 'fault' : 0;
    default:
      return null;
  }
}
