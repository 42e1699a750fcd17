/**
 * Settings of a thread or process (prctl(2), arch_prctl(2), personality(2)). An operation that is not in
 * the table below answers EINVAL, as on a kernel built without it.
 */

import {
  CAP_LAST_CAP,
  CAP_SETPCAP,
  SECBIT_KEEP_CAPS,
  SECBIT_KEEP_CAPS_LOCKED,
  SECBIT_NO_CAP_AMBIENT_RAISE,
} from '../../spec/linux/capability.ts';
import { EFAULT, EINVAL, EPERM } from '../../spec/linux/errno.ts';
import {
  ARCH_GET_FS,
  ARCH_GET_GS,
  ARCH_SET_FS,
  ARCH_SET_GS,
  PR_CAP_AMBIENT,
  PR_CAP_AMBIENT_CLEAR_ALL,
  PR_CAP_AMBIENT_IS_SET,
  PR_CAP_AMBIENT_LOWER,
  PR_CAP_AMBIENT_RAISE,
  PR_CAPBSET_DROP,
  PR_CAPBSET_READ,
  PR_GET_CHILD_SUBREAPER,
  PR_GET_DUMPABLE,
  PR_GET_KEEPCAPS,
  PR_GET_NAME,
  PR_GET_NO_NEW_PRIVS,
  PR_GET_PDEATHSIG,
  PR_GET_SECCOMP,
  PR_GET_SECUREBITS,
  PR_GET_TID_ADDRESS,
  PR_GET_TIMERSLACK,
  PR_GET_TIMING,
  PR_GET_TSC,
  PR_SET_CHILD_SUBREAPER,
  PR_SET_DUMPABLE,
  PR_SET_KEEPCAPS,
  PR_SET_NAME,
  PR_SET_NO_NEW_PRIVS,
  PR_SET_PDEATHSIG,
  PR_SET_SECUREBITS,
  PR_SET_TIMERSLACK,
  PR_SET_TIMING,
  PR_TIMING_STATISTICAL,
  PR_TSC_ENABLE,
} from '../../spec/linux/prctl.ts';
import { PER_LINUX } from '../../spec/linux/sched.ts';
import { NSIG } from '../../spec/linux/signal.ts';
import { SYS_arch_prctl, SYS_personality, SYS_prctl } from '../../spec/linux/syscall_numbers.ts';
import { byteStringBytes, decodeByteString } from '../base/byte_string.ts';
import { withoutCapabilities } from '../kernel/credential_changes.ts';
import type { SyscallArgs } from '../kernel/syscall_args.ts';
import type { SyscallFragment } from '../kernel/syscall_table.ts';
import type { Task } from '../kernel/task.ts';
import { REG_FS_BASE, REG_GS_BASE } from '../platform/platform.ts';
import { hasCapability, NO_CAPABILITIES, uniteCapabilities } from '../vfs/credentials.ts';

const COMM_BYTES = 16;
const DEFAULT_TIMER_SLACK_NS = 50_000;
const SECUREBITS_MASK = 0xff;
/** The lock bits of securebits, each beside the bit it locks. */
const SECUREBITS_LOCKS = 0xaa;

type Operation = (t: Task, a: SyscallArgs) => number;

function flag(on: boolean): number {
  return on ? 1 : 0;
}

function laterArgumentsAreZero(a: SyscallArgs, from: number): boolean {
  for (let i = from; i <= 4; i++) if (a.sizeT(i) !== 0) return false;
  return true;
}

/** PR_SET_NAME: at most 15 bytes of the string count. */
function setName(t: Task, a: SyscallArgs): number {
  const bytes = new Uint8Array(COMM_BYTES - 1);
  let length = 0;
  while (length < bytes.length) {
    const byte = t.mm.readU8(a.addr(1) + length);
    if (byte < 0) return -EFAULT;
    if (byte === 0) break;
    bytes[length++] = byte;
  }
  t.name = decodeByteString(bytes, 0, length);
  return 0;
}

function getName(t: Task, a: SyscallArgs): number {
  const bytes = new Uint8Array(COMM_BYTES);
  bytes.set(byteStringBytes(t.name.slice(0, COMM_BYTES - 1)));
  return t.mm.copyOut(a.addr(1), bytes);
}

function setParentDeathSignal(t: Task, a: SyscallArgs): number {
  const signo = a.sizeT(1);
  if (signo > NSIG) return -EINVAL;
  t.parentDeathSignal = signo;
  return 0;
}

function setDumpable(t: Task, a: SyscallArgs): number {
  const value = a.sizeT(1);
  if (value !== 0 && value !== 1) return -EINVAL;
  t.group.dumpable = value;
  return 0;
}

function setKeepCaps(t: Task, a: SyscallArgs): number {
  const value = a.sizeT(1);
  const bits = t.creds.securebits;
  if (value > 1) return -EINVAL;
  if ((bits & SECBIT_KEEP_CAPS_LOCKED) !== 0) return -EPERM;
  const securebits = value === 1 ? bits | SECBIT_KEEP_CAPS : bits & ~SECBIT_KEEP_CAPS;
  t.creds = t.creds.with({ securebits });
  return 0;
}

function setSecurebits(t: Task, a: SyscallArgs): number {
  const wanted = a.sizeT(1);
  const old = t.creds.securebits;
  if (wanted > SECUREBITS_MASK) return -EPERM;
  const locked = (old & SECUREBITS_LOCKS) >> 1;
  const changesLocked = (locked & (old ^ wanted)) !== 0;
  const unlocks = (old & SECUREBITS_LOCKS & ~wanted) !== 0;
  if (changesLocked || unlocks || !t.creds.has(CAP_SETPCAP)) return -EPERM;
  t.creds = t.creds.with({ securebits: wanted });
  return 0;
}

function readBounding(t: Task, a: SyscallArgs): number {
  const cap = a.sizeT(1);
  return cap > CAP_LAST_CAP ? -EINVAL : flag(hasCapability(t.creds.bounding, cap));
}

function dropBounding(t: Task, a: SyscallArgs): number {
  const cap = a.sizeT(1);
  if (!t.creds.has(CAP_SETPCAP)) return -EPERM;
  if (cap > CAP_LAST_CAP) return -EINVAL;
  t.creds = t.creds.with({ bounding: withoutCapabilities(t.creds.bounding, 2 ** cap) });
  return 0;
}

function ambient(t: Task, a: SyscallArgs): number {
  const op = a.sizeT(1);
  const cap = a.sizeT(2);
  const c = t.creds;
  if (op === PR_CAP_AMBIENT_CLEAR_ALL) {
    if (!laterArgumentsAreZero(a, 2)) return -EINVAL;
    t.creds = c.with({ ambient: NO_CAPABILITIES });
    return 0;
  }
  if (!laterArgumentsAreZero(a, 3) || cap > CAP_LAST_CAP) return -EINVAL;
  if (op === PR_CAP_AMBIENT_IS_SET) return flag(hasCapability(c.ambient, cap));
  if (op === PR_CAP_AMBIENT_LOWER) {
    t.creds = c.with({ ambient: withoutCapabilities(c.ambient, 2 ** cap) });
    return 0;
  }
  if (op !== PR_CAP_AMBIENT_RAISE) return -EINVAL;
  const held = hasCapability(c.permitted, cap) && hasCapability(c.inheritable, cap);
  if (!held || (c.securebits & SECBIT_NO_CAP_AMBIENT_RAISE) !== 0) return -EPERM;
  t.creds = c.with({ ambient: uniteCapabilities(c.ambient, 2 ** cap) });
  return 0;
}

function setNoNewPrivs(t: Task, a: SyscallArgs): number {
  if (a.sizeT(1) !== 1 || !laterArgumentsAreZero(a, 2)) return -EINVAL;
  t.creds = t.creds.with({ noNewPrivs: true });
  return 0;
}

function setTimerSlack(t: Task, a: SyscallArgs): number {
  const ns = a.long(1);
  t.timerSlackNs = ns <= 0 ? DEFAULT_TIMER_SLACK_NS : ns;
  return 0;
}

const OPERATIONS: Readonly<Record<number, Operation>> = {
  [PR_SET_PDEATHSIG]: setParentDeathSignal,
  [PR_GET_PDEATHSIG]: (t, a) => t.mm.writeU32(a.addr(1), t.parentDeathSignal),
  [PR_GET_DUMPABLE]: (t) => t.group.dumpable,
  [PR_SET_DUMPABLE]: setDumpable,
  [PR_GET_KEEPCAPS]: (t) => flag((t.creds.securebits & SECBIT_KEEP_CAPS) !== 0),
  [PR_SET_KEEPCAPS]: setKeepCaps,
  [PR_GET_TIMING]: () => PR_TIMING_STATISTICAL,
  [PR_SET_TIMING]: (_t, a) => (a.sizeT(1) === PR_TIMING_STATISTICAL ? 0 : -EINVAL),
  [PR_SET_NAME]: setName,
  [PR_GET_NAME]: getName,
  [PR_GET_SECCOMP]: () => 0,
  [PR_CAPBSET_READ]: readBounding,
  [PR_CAPBSET_DROP]: dropBounding,
  [PR_GET_TSC]: (t, a) => t.mm.writeU32(a.addr(1), PR_TSC_ENABLE),
  [PR_GET_SECUREBITS]: (t) => t.creds.securebits,
  [PR_SET_SECUREBITS]: setSecurebits,
  [PR_SET_TIMERSLACK]: setTimerSlack,
  [PR_GET_TIMERSLACK]: (t) => t.timerSlackNs,
  [PR_SET_CHILD_SUBREAPER]: (t, a) => {
    t.group.childSubreaper = a.sizeT(1) !== 0;
    return 0;
  },
  [PR_GET_CHILD_SUBREAPER]: (t, a) => t.mm.writeU32(a.addr(1), flag(t.group.childSubreaper)),
  [PR_SET_NO_NEW_PRIVS]: setNoNewPrivs,
  [PR_GET_NO_NEW_PRIVS]: (t, a) =>
    laterArgumentsAreZero(a, 1) ? flag(t.creds.noNewPrivs) : -EINVAL,
  [PR_GET_TID_ADDRESS]: (t, a) => t.mm.writeU64(a.addr(1), t.clearChildTid),
  [PR_CAP_AMBIENT]: ambient,
};

/** prctl(2). */
export function sysPrctl(t: Task, a: SyscallArgs): number {
  const operation = OPERATIONS[a.int(0)];
  return operation === undefined ? -EINVAL : operation(t, a);
}

/** arch_prctl(2). */
export function sysArchPrctl(t: Task, a: SyscallArgs): number {
  const addr = a.addr(1);
  const { regs } = t.context;
  switch (a.int(0)) {
    case ARCH_SET_FS:
    case ARCH_SET_GS:
      if (addr >= t.mm.taskSize) return -EPERM;
      regs.set(a.int(0) === ARCH_SET_FS ? REG_FS_BASE : REG_GS_BASE, addr);
      return 0;
    case ARCH_GET_FS:
      return t.mm.writeU64(addr, regs.get(REG_FS_BASE));
    case ARCH_GET_GS:
      return t.mm.writeU64(addr, regs.get(REG_GS_BASE));
    default:
      return -EINVAL;
  }
}

/** What personality(2) takes for "only tell". */
const QUERY = 0xffffffff;

/** personality(2). */
export function sysPersonality(_t: Task, a: SyscallArgs): number {
  const wanted = a.uint(0);
  return wanted === QUERY || wanted === PER_LINUX ? PER_LINUX : -EINVAL;
}

export const prctlSyscalls: SyscallFragment = {
  [SYS_personality]: {
    name: 'personality',
    args: 'hex',
    fn: sysPersonality,
    gap: 'only PER_LINUX without flags',
  },
  [SYS_prctl]: {
    name: 'prctl',
    args: 'int hex hex hex hex',
    fn: sysPrctl,
    gap: 'PR_SET_MM, PR_SET_SECCOMP, PR_SET_TSC, PR_MCE_KILL, PR_SET_THP_DISABLE, PR_SET_VMA',
  },
  [SYS_arch_prctl]: { name: 'arch_prctl', args: 'hex hex', fn: sysArchPrctl },
};
