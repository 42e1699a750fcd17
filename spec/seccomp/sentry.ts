/**
 * The host system calls of a locked Sentry, each with its reason: the whole list. No call here takes a
 * path, makes a socket, starts a program or a thread, maps anything executable, or changes a credential. `runsc help seccomp` prints it.
 */

import { bindsOnHost, type HostUds } from '../control/boot.ts';
import { F_GETFL } from '../linux/fcntl.ts';
import { TCGETS, TCSETSW, TIOCGWINSZ } from '../linux/ioctl.ts';
import * as ptrace from '../linux/ptrace.ts';
import { SIGCONT, SIGKILL, SIGURG } from '../linux/signal.ts';
import * as nr from '../linux/syscall_numbers.ts';
import { ENGINE_RULES } from './engine.ts';
import type { ArgumentTest, SyscallRule } from './rule.ts';

const NO_ADDRESS: readonly ArgumentTest[] = [{ arg: 4, equals: 0 }];

/** On every platform. */
const COMMON: readonly SyscallRule[] = [
  // Files that are open already: stdio, what the Gofer donates, the MemoryFile, the debug log.
  { nr: nr.SYS_read, why: 'a terminal, eventfds, a signalfd' },
  { nr: nr.SYS_write, why: 'a terminal, the debug log, eventfds' },
  { nr: nr.SYS_pread64, why: 'files of the Gofer' },
  { nr: nr.SYS_pwrite64, why: 'files of the Gofer; copies of pages (MemoryFile)' },
  { nr: nr.SYS_preadv2, why: 'stdio and files of the Gofer, in pieces' },
  { nr: nr.SYS_pwritev2, why: 'stdio and files of the Gofer, in pieces or at the end' },
  { nr: nr.SYS_lseek, why: 'holes of the MemoryFile; results of memory threads; stdio' },
  { nr: nr.SYS_fstat, why: 'kind and size of a descriptor; memory in use' },
  { nr: nr.SYS_fsync, why: 'fsync of the application' },
  { nr: nr.SYS_fdatasync, why: 'fdatasync of the application' },
  { nr: nr.SYS_ftruncate, why: 'files of the Gofer' },
  { nr: nr.SYS_fallocate, why: 'gives back memory (MemoryFile); files of the Gofer' },
  {
    nr: nr.SYS_fcntl,
    why: 'how a descriptor was opened that the Gofer or the CLI sent',
    when: [[{ arg: 1, is: [F_GETFL] }]],
  },
  {
    nr: nr.SYS_ioctl,
    why: 'modes and size of a host terminal',
    when: [[{ arg: 1, is: [TCGETS, TCSETSW, TIOCGWINSZ] }]],
  },
  { nr: nr.SYS_close, why: 'descriptors that are done with' },

  // The Gofer's connections and the control socket, all made by the CLI or accepted here.
  { nr: nr.SYS_recvmsg, why: 'the Gofer and the CLI, with descriptors' },
  { nr: nr.SYS_sendto, why: 'the Gofer and the CLI; no address', when: [NO_ADDRESS] },
  { nr: nr.SYS_accept4, why: 'commands of the CLI' },

  // Waiting.
  { nr: nr.SYS_ppoll, why: 'the one sleep of the Sentry; looks at a descriptor' },
  { nr: nr.SYS_epoll_ctl, why: 'descriptors that the sleep watches' },
  { nr: nr.SYS_epoll_wait, why: 'which of them are ready' },
  { nr: nr.SYS_signalfd4, why: 'size changes of a terminal' },
  { nr: nr.SYS_rt_sigprocmask, why: 'children are heard of while sleeping only' },
  { nr: nr.SYS_rt_sigreturn, why: 'the end of a signal handler' },

  ...ENGINE_RULES,

  // Stub processes.
  { nr: nr.SYS_wait4, why: 'ends of stub processes' },
  {
    nr: nr.SYS_kill,
    why: 'ends a stub process; lets one go on that the host has stopped',
    when: [
      [
        { arg: 0, positive: true },
        { arg: 1, is: [SIGKILL, SIGCONT] },
      ],
    ],
  },
  {
    nr: nr.SYS_tgkill,
    why: 'stops a running thread of the application',
    when: [[{ arg: 2, is: [SIGURG] }]],
  },
  { nr: nr.SYS_sched_setaffinity, why: 'threads that alternate share a processor' },

  { nr: nr.SYS_clock_gettime, why: 'processor time of a stub process' },
  { nr: nr.SYS_getrandom, why: 'randomness of the application' },
];

/** Requests once every tracee descends from the template; none begins to trace. */
const PTRACE_REQUESTS = [
  ptrace.PTRACE_GETREGS,
  ptrace.PTRACE_POKEUSR,
  ptrace.PTRACE_SYSEMU,
  ptrace.PTRACE_SETREGS,
  ptrace.PTRACE_SYSEMU_SINGLESTEP,
  ptrace.PTRACE_CONT,
  ptrace.PTRACE_GETREGSET,
  ptrace.PTRACE_SETREGSET,
  ptrace.PTRACE_GETSIGINFO,
  ptrace.PTRACE_INTERRUPT,
];

/** On the ptrace platform besides. */
const PTRACE: readonly SyscallRule[] = [
  {
    nr: nr.SYS_ptrace,
    why: 'runs stub threads and takes their stops',
    when: [[{ arg: 0, is: PTRACE_REQUESTS }]],
  },
  { nr: nr.SYS_timerfd_settime, why: 'deadlines, while the Sentry sleeps in wait4' },
];

export function sentryRules(platform: string): readonly SyscallRule[] {
  return platform === 'ptrace' ? [...COMMON, ...PTRACE] : COMMON;
}

/** What `--host-uds` adds: the sockets come from the Gofer, connected or bound. */
export function sentrySocketRules(sockets: HostUds): readonly SyscallRule[] {
  if (sockets === 'none') return [];
  const shutdown = {
    nr: nr.SYS_shutdown,
    why: 'shutdown of the application on a socket of the host',
  };
  if (!bindsOnHost(sockets)) return [shutdown];
  return [
    shutdown,
    { nr: nr.SYS_listen, why: 'listen of the application on a socket of the host' },
  ];
}
