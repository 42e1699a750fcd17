/**
 * The system as a whole (uname(2), sysinfo(2), sethostname(2), setdomainname(2), syslog(2), getrandom(2)).
 */

import { CAP_SYS_ADMIN, CAP_SYSLOG } from '../../spec/linux/capability.ts';
import { EFAULT, EINVAL, EPERM } from '../../spec/linux/errno.ts';
import { SYSINFO, UTSNAME } from '../../spec/linux/layout/process.ts';
import { GRND_INSECURE, GRND_NONBLOCK, GRND_RANDOM } from '../../spec/linux/sched.ts';
import {
  SYS_getrandom,
  SYS_setdomainname,
  SYS_sethostname,
  SYS_sysinfo,
  SYS_syslog,
  SYS_uname,
} from '../../spec/linux/syscall_numbers.ts';
import { NSEC_PER_SEC } from '../../spec/linux/time.ts';
import { byteStringBytes, decodeByteString } from '../base/byte_string.ts';
import { bootMessages } from '../kernel/boot_messages.ts';
import type { UtsNames } from '../kernel/container.ts';
import type { Kernel } from '../kernel/kernel.ts';
import {
  LINUX_MACHINE,
  LINUX_RELEASE,
  LINUX_SYSNAME,
  LINUX_VERSION,
} from '../kernel/linux_version.ts';
import { LOAD_SHIFT } from '../kernel/load_average.ts';
import { memoryInUseBytes } from '../kernel/memory_in_use.ts';
import type { SyscallArgs } from '../kernel/syscall_args.ts';
import type { SyscallFragment } from '../kernel/syscall_table.ts';
import type { Task } from '../kernel/task.ts';

/** __NEW_UTS_LEN. */
const UTS_LENGTH_MAX = 64;
/** Fraction bits of sysinfo's loads. */
const SI_LOAD_SHIFT = 16;

/** uname(2). */
export function sysUname(t: Task, a: SyscallArgs): number {
  const { hostname, domainname } = t.container.uts;
  const bytes = UTSNAME.encode({
    sysname: LINUX_SYSNAME,
    nodename: hostname,
    release: LINUX_RELEASE,
    version: LINUX_VERSION,
    machine: LINUX_MACHINE,
    domainname,
  });
  return t.mm.copyOut(a.addr(0), bytes);
}

function setName(t: Task, a: SyscallArgs, which: keyof UtsNames): number {
  const length = a.int(1);
  if (!t.creds.has(CAP_SYS_ADMIN)) return -EPERM;
  if (length < 0 || length > UTS_LENGTH_MAX) return -EINVAL;
  const bytes = new Uint8Array(length);
  if (t.mm.copyIn(a.addr(0), bytes) < 0) return -EFAULT;
  const nul = bytes.indexOf(0);
  t.container.uts[which] = decodeByteString(bytes, 0, nul < 0 ? length : nul);
  return 0;
}

/** sethostname(2). */
export function sysSethostname(t: Task, a: SyscallArgs): number {
  return setName(t, a, 'hostname');
}

/** setdomainname(2). */
export function sysSetdomainname(t: Task, a: SyscallArgs): number {
  return setName(t, a, 'domainname');
}

/** sysinfo(2). */
export function sysSysinfo(t: Task, a: SyscallArgs): number {
  const { kernel, container } = t;
  const total = container.totalMemoryBytes;
  const bytes = SYSINFO.encode({
    uptime: Math.floor((kernel.clock.monotonicNs() - kernel.bootNs) / NSEC_PER_SEC),
    loads: kernel.load.averages.map((load) => load * 2 ** (SI_LOAD_SHIFT - LOAD_SHIFT)),
    totalram: total,
    freeram: total - memoryInUseBytes(container),
    procs: Math.min(container.pids.tasks.size, 0xffff),
    mem_unit: 1,
  });
  return t.mm.copyOut(a.addr(0), bytes);
}

// The kernel log ---------------------------------------------------------------------------------

/** syslog(2) commands. */
const SYSLOG_CLOSE = 0;
const SYSLOG_OPEN = 1;
const SYSLOG_READ_ALL = 3;
const SYSLOG_SIZE_UNREAD = 9;
const SYSLOG_SIZE_BUFFER = 10;

const logs = new WeakMap<Kernel, Uint8Array>();

function kernelLog(kernel: Kernel): Uint8Array {
  let log = logs.get(kernel);
  if (log === undefined) {
    log = byteStringBytes(bootMessages(kernel.random));
    logs.set(kernel, log);
  }
  return log;
}

/** syslog(2): the boot messages, which cannot be cleared or consumed. */
export function sysSyslog(t: Task, a: SyscallArgs): number {
  const command = a.int(0);
  const length = a.int(2);
  const log = kernelLog(t.kernel);
  switch (command) {
    case SYSLOG_READ_ALL: {
      if (a.addr(1) === 0 || length < 0) return -EINVAL;
      const start = Math.max(0, log.length - length);
      const n = log.length - start;
      return t.mm.copyOut(a.addr(1), log, start, n) < 0 ? -EFAULT : n;
    }
    case SYSLOG_SIZE_BUFFER:
      return log.length;
    case SYSLOG_SIZE_UNREAD:
    case SYSLOG_OPEN:
    case SYSLOG_CLOSE:
      return t.creds.has(CAP_SYSLOG) || t.creds.has(CAP_SYS_ADMIN) ? 0 : -EPERM;
    default:
      return command > SYSLOG_SIZE_BUFFER || command < 0 ? -EINVAL : -EPERM;
  }
}

// Randomness -------------------------------------------------------------------------------------

/** Linux gives no more in one call. */
const GETRANDOM_MAX = 0x1ffffff;

/** getrandom(2). */
export function sysGetrandom(t: Task, a: SyscallArgs): number {
  const length = Math.min(a.sizeT(1), GETRANDOM_MAX);
  const flags = a.uint(2);
  const both = GRND_RANDOM | GRND_INSECURE;
  if ((flags & ~(GRND_NONBLOCK | both)) !== 0 || (flags & both) === both) return -EINVAL;
  const buffer = t.mm.userBuffer(a.addr(0), length, true);
  if (buffer === null) return -EFAULT;
  for (;;) {
    const span = buffer.peek();
    if (span === null) break;
    const { bytes, start } = span;
    const n = span.length;
    t.kernel.random(bytes.subarray(start, start + n));
    buffer.advance(n);
  }
  return buffer.done === 0 && length > 0 ? -EFAULT : buffer.done;
}

export const systemSyscalls: SyscallFragment = {
  [SYS_uname]: { name: 'uname', args: 'hex', fn: sysUname },
  [SYS_sysinfo]: { name: 'sysinfo', args: 'hex', fn: sysSysinfo },
  [SYS_syslog]: {
    name: 'syslog',
    args: 'int hex int',
    fn: sysSyslog,
    gap: 'reads the boot messages; nothing else',
  },
  [SYS_sethostname]: { name: 'sethostname', args: 'buf size', fn: sysSethostname },
  [SYS_setdomainname]: { name: 'setdomainname', args: 'buf size', fn: sysSetdomainname },
  [SYS_getrandom]: { name: 'getrandom', args: 'hex size hex', fn: sysGetrandom },
};
