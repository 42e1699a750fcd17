/**
 * siginfo_t as bytes (sigaction(2), "The siginfo_t argument"): which arm of the union a signal fills
 * follows from its number and code, as in Linux's siginfo_layout.
 */

import {
  SIGINFO,
  SIGINFO_CHLD,
  SIGINFO_FAULT,
  SIGINFO_KILL,
  SIGINFO_POLL,
  SIGINFO_SYS,
  SIGINFO_TIMER,
  SIGNALFD_SIGINFO,
} from '../../spec/linux/layout/signal.ts';
import { AUDIT_ARCH_X86_64 } from '../../spec/linux/prctl.ts';
import {
  SI_KERNEL,
  SI_SIGIO,
  SI_TIMER,
  SI_USER,
  SIGBUS,
  SIGCHLD,
  SIGFPE,
  SIGILL,
  SIGIO,
  SIGSEGV,
  SIGSYS,
  SIGTRAP,
} from '../../spec/linux/signal.ts';
import type { SigInfo } from './signal.ts';

export type SigInfoKind = 'kill' | 'timer' | 'child' | 'fault' | 'poll' | 'syscall';

export function sigInfoKind(info: SigInfo): SigInfoKind {
  const { signo, code } = info;
  if (code === SI_TIMER) return 'timer';
  if (code === SI_SIGIO) return 'poll';
  if (code <= SI_USER || code === SI_KERNEL) return info.address === undefined ? 'kill' : 'fault';
  switch (signo) {
    case SIGILL:
    case SIGFPE:
    case SIGSEGV:
    case SIGBUS:
    case SIGTRAP:
      return 'fault';
    case SIGCHLD:
      return 'child';
    case SIGIO:
      return 'poll';
    case SIGSYS:
      return 'syscall';
    default:
      return 'kill';
  }
}

/** 128 bytes. */
export function encodeSigInfo(
  info: SigInfo,
  into = new Uint8Array(SIGINFO.size),
  at = 0,
): Uint8Array {
  const head = { si_signo: info.signo, si_errno: info.errno ?? 0, si_code: info.code };
  const si_value = [info.valueLo ?? 0, info.valueHi ?? 0];
  switch (sigInfoKind(info)) {
    case 'kill':
      return SIGINFO_KILL.encode(
        { ...head, si_pid: info.pid ?? 0, si_uid: info.uid ?? 0, si_value },
        into,
        at,
      );
    case 'timer':
      return SIGINFO_TIMER.encode(
        { ...head, si_timerid: info.timerId ?? 0, si_overrun: info.overrun ?? 0, si_value },
        into,
        at,
      );
    case 'child':
      return SIGINFO_CHLD.encode(
        {
          ...head,
          si_pid: info.pid ?? 0,
          si_uid: info.uid ?? 0,
          si_status: info.status ?? 0,
          si_utime: info.utime ?? 0,
          si_stime: info.stime ?? 0,
        },
        into,
        at,
      );
    case 'fault':
      return SIGINFO_FAULT.encode({ ...head, si_addr: info.address ?? 0 }, into, at);
    case 'poll':
      return SIGINFO_POLL.encode(
        { ...head, si_band: info.band ?? 0, si_fd: info.fd ?? 0 },
        into,
        at,
      );
    case 'syscall':
      return SIGINFO_SYS.encode(
        {
          ...head,
          si_call_addr: info.address ?? 0,
          si_syscall: info.syscall ?? 0,
          si_arch: AUDIT_ARCH_X86_64,
        },
        into,
        at,
      );
  }
}

/** What rt_sigqueueinfo(2) was given: the head and the arm that user space fills. */
export function decodeQueuedSigInfo(bytes: Uint8Array, signo: number): SigInfo {
  const raw = SIGINFO_KILL.decode(bytes);
  return {
    signo,
    queued: true,
    errno: raw.si_errno,
    code: raw.si_code,
    pid: raw.si_pid,
    uid: raw.si_uid,
    valueLo: raw.si_value[0] ?? 0,
    valueHi: raw.si_value[1] ?? 0,
  };
}

/** The record that reading a signalfd(2) gives, 128 bytes. */
export function encodeSignalfdSigInfo(info: SigInfo): Uint8Array {
  const kind = sigInfoKind(info);
  const head = { ssi_signo: info.signo, ssi_errno: info.errno ?? 0, ssi_code: info.code };
  const value = { ssi_ptr: [info.valueLo ?? 0, info.valueHi ?? 0], ssi_int: info.valueLo ?? 0 };
  const sender = { ssi_pid: info.pid ?? 0, ssi_uid: info.uid ?? 0 };
  switch (kind) {
    case 'kill':
      return SIGNALFD_SIGINFO.encode({ ...head, ...sender, ...value });
    case 'timer':
      return SIGNALFD_SIGINFO.encode({
        ...head,
        ...value,
        ssi_tid: info.timerId ?? 0,
        ssi_overrun: info.overrun ?? 0,
      });
    case 'child':
      return SIGNALFD_SIGINFO.encode({
        ...head,
        ...sender,
        ssi_status: info.status ?? 0,
        ssi_utime: info.utime ?? 0,
        ssi_stime: info.stime ?? 0,
      });
    case 'fault':
      return SIGNALFD_SIGINFO.encode({ ...head, ssi_addr: info.address ?? 0 });
    case 'poll':
      return SIGNALFD_SIGINFO.encode({ ...head, ssi_band: info.band ?? 0, ssi_fd: info.fd ?? 0 });
    case 'syscall':
      return SIGNALFD_SIGINFO.encode({
        ...head,
        ssi_call_addr: info.address ?? 0,
        ssi_syscall: info.syscall ?? 0,
        ssi_arch: AUDIT_ARCH_X86_64,
      });
  }
}
