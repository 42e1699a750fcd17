/**
 * The host system calls of a locked Gofer, each with its reason: the whole list. What takes a path is
 * bounded by the file tree that the Gofer is shut in (gofer/confinement.ts), not by this filter.
 * `runsc help seccomp` prints it.
 */

import { bindsOnHost, connectsToHost, type HostUds } from '../control/boot.ts';
import { F_DUPFD_CLOEXEC, F_OFD_GETLK, F_OFD_SETLK } from '../linux/fcntl.ts';
import { IN_CLOEXEC, IN_NONBLOCK } from '../linux/inotify.ts';
import { AF_UNIX } from '../linux/socket.ts';
import { S_IFCHR } from '../linux/stat.ts';
import * as nr from '../linux/syscall_numbers.ts';
import { ENGINE_RULES } from './engine.ts';
import type { SyscallRule } from './rule.ts';

/** Kinds of file that mknod(2) may make: S_IFCHR and S_IFBLK have a bit that the others have not. */
const NO_DEVICE = 0xffff & ~S_IFCHR;

export const GOFER_RULES: readonly SyscallRule[] = [
  // Its connections, which the CLI made.
  { nr: nr.SYS_ppoll, why: 'the one sleep of the Gofer' },
  { nr: nr.SYS_recvfrom, why: 'requests; no address', when: [[{ arg: 4, equals: 0 }]] },
  { nr: nr.SYS_sendto, why: 'replies; no address', when: [[{ arg: 4, equals: 0 }]] },
  { nr: nr.SYS_sendmsg, why: 'replies with an open file' },

  // Files.
  { nr: nr.SYS_openat2, why: 'one step of a walk, not through a link nor out of the directory' },
  { nr: nr.SYS_openat, why: 'opens or makes what a descriptor stands for' },
  { nr: nr.SYS_close, why: 'descriptors that are done with' },
  { nr: nr.SYS_statx, why: 'attributes' },
  { nr: nr.SYS_fstatfs, why: 'statfs of the application' },
  { nr: nr.SYS_getdents64, why: 'directories' },
  { nr: nr.SYS_lseek, why: 'where a directory is read on' },
  { nr: nr.SYS_readlinkat, why: 'symbolic links' },
  { nr: nr.SYS_pread64, why: 'reading where the descriptor is not handed over' },
  { nr: nr.SYS_pwrite64, why: 'writing where the descriptor is not handed over' },
  { nr: nr.SYS_fsync, why: 'fsync and fdatasync where the descriptor is not handed over' },
  { nr: nr.SYS_ftruncate, why: 'truncate of the application' },
  { nr: nr.SYS_fchmodat, why: 'chmod of the application' },
  { nr: nr.SYS_fchownat, why: 'chown of the application; owners of new files' },
  { nr: nr.SYS_utimensat, why: 'utimensat of the application' },
  { nr: nr.SYS_mkdirat, why: 'mkdir of the application' },
  {
    nr: nr.SYS_mknodat,
    why: 'fifos and sockets of the application, no devices',
    when: [[{ arg: 2, bits: NO_DEVICE }]],
  },
  { nr: nr.SYS_symlinkat, why: 'symlink of the application' },
  { nr: nr.SYS_linkat, why: 'link of the application' },
  { nr: nr.SYS_renameat2, why: 'rename of the application' },
  { nr: nr.SYS_unlinkat, why: 'unlink and rmdir of the application' },
  { nr: nr.SYS_getxattr, why: 'extended attributes' },
  { nr: nr.SYS_setxattr, why: 'extended attributes' },
  { nr: nr.SYS_listxattr, why: 'extended attributes' },
  { nr: nr.SYS_removexattr, why: 'extended attributes' },
  {
    nr: nr.SYS_fcntl,
    why: 'a descriptor for the Sentry; locks',
    when: [[{ arg: 1, is: [F_DUPFD_CLOEXEC, F_OFD_SETLK, F_OFD_GETLK] }]],
  },
  {
    nr: nr.SYS_inotify_init1,
    why: 'what others change in a volume, for the Sentry to read',
    when: [[{ arg: 0, equals: IN_NONBLOCK | IN_CLOEXEC }]],
  },
  { nr: nr.SYS_inotify_add_watch, why: 'directories that the Sentry remembers' },
  { nr: nr.SYS_inotify_rm_watch, why: 'directories that it forgets' },
  {
    nr: nr.SYS_write,
    why: 'last words of V8; V8 tells the event loop, which is /dev/null',
    when: [[{ arg: 0, is: [1, 2] }]],
  },

  {
    nr: nr.SYS_sched_setaffinity,
    why: 'follows the Sentry to its processor; itself alone',
    when: [[{ arg: 0, equals: 0 }]],
  },

  ...ENGINE_RULES,
];

const UNIX_SOCKET: SyscallRule = {
  nr: nr.SYS_socket,
  why: 'unix sockets of the host, with --host-uds',
  when: [[{ arg: 0, equals: AF_UNIX }]],
};

/** What `--host-uds` adds. Addresses are paths, which end in the same file tree. */
export function goferSocketRules(sockets: HostUds): readonly SyscallRule[] {
  if (sockets === 'none') return [];
  const rules = [UNIX_SOCKET];
  if (connectsToHost(sockets)) rules.push({ nr: nr.SYS_connect, why: 'to a socket in a volume' });
  if (bindsOnHost(sockets)) rules.push({ nr: nr.SYS_bind, why: 'makes a socket in a volume' });
  return rules;
}
