/**
 * What an attacker who controls a locked process tries. Each is harmless where it succeeds: `control`
 * says that it does so for root without the locks, which shows that the attempt is a real one.
 */

import { addressOf, syscall } from '../../native/index.ts';
import { syscallNumber } from '../../spec/linux/syscall_numbers.ts';

export interface World {
  /** A file and a directory of the host, which no sandbox serves. */
  readonly file: string;
  readonly directory: string;
  /** A host process of the very user that a Sentry is. */
  readonly victim: number;
  /** The process that forked the locked one. */
  readonly cli: number;
  /** A connected socket and a regular file that the locked process has open. */
  readonly socketFd: number;
  readonly fileFd: number;
  readonly machine: { run(code: Uint8Array, argument: Uint8Array): number };
}

export interface Attempt {
  readonly name: string;
  /** Negative or an exception: refused. */
  readonly run: (w: World) => number;
  readonly control: boolean;
}

type Argument = number | null | ArrayBufferView;

const text = (string: string): Uint8Array => new TextEncoder().encode(`${string}\0`);
const call = (name: string, ...args: Argument[]): number => syscall(syscallNumber(name), ...args);
const scratch = new Uint8Array(8192);
const AT_FDCWD = -100;
const O_RDWR = 2;

function raw(
  name: string,
  args: (w: World) => readonly Argument[],
  control = false,
  label = name,
): Attempt {
  return { name: label, run: (w) => call(name, ...args(w)), control };
}

const FILE_CALLS: readonly Attempt[] = [
  raw('open', (w) => [text(w.file), 0], true),
  raw('creat', (w) => [text(`${w.directory}/created`), 0o600], true),
  raw('openat', (w) => [AT_FDCWD, text(w.file), O_RDWR], true),
  raw('openat', () => [AT_FDCWD, text('/'), 0o200000], true, 'openat of a directory to list'),
  raw('openat2', (w) => [AT_FDCWD, text(w.file), new BigUint64Array(3), 24], true),
  raw('openat', () => [AT_FDCWD, text('/proc/1/root'), 0], false, 'openat of /proc/1/root'),
  raw('openat', () => [AT_FDCWD, text('/proc/self/mem'), O_RDWR], true, 'openat of /proc/self/mem'),
  raw('openat', () => [AT_FDCWD, text('/proc/self/exe'), 0], true, 'openat of /proc/self/exe'),
  raw('openat', () => [AT_FDCWD, text('/proc/self/ns/net'), 0], true, 'openat of a namespace'),
  raw('openat', () => [AT_FDCWD, text('/root/../../../etc/passwd'), 0], true, 'openat through ..'),
  raw('openat', () => [AT_FDCWD, text('/dev/mem'), 0], false, 'openat of /dev/mem'),
  raw(
    'openat',
    () => [AT_FDCWD, text('/mounts/1/file'), O_RDWR],
    false,
    'openat to write into a read-only mount',
  ),
  raw('stat', (w) => [text(w.file), scratch], true),
  raw('newfstatat', (w) => [AT_FDCWD, text(w.file), scratch, 0], true),
  raw('statx', (w) => [AT_FDCWD, text(w.file), 0, 0x7ff, scratch], true),
  raw('access', (w) => [text(w.file), 4], true),
  raw('readlinkat', () => [AT_FDCWD, text('/proc/self/exe'), scratch, 100], true),
  raw('truncate', (w) => [text(w.file), 10], true),
  raw('fchmodat', (w) => [AT_FDCWD, text(w.file), 0o666], true),
  raw('fchownat', (w) => [AT_FDCWD, text(w.file), 1, 1, 0], true),
  raw('utimensat', (w) => [AT_FDCWD, text(w.file), null, 0], true),
  raw('mkdirat', (w) => [AT_FDCWD, text(`${w.directory}/made`), 0o700], true),
  raw('mknodat', (w) => [AT_FDCWD, text(`${w.directory}/node`), 0o20600, 0x103], true),
  raw('mknodat', () => [AT_FDCWD, text('/node'), 0o20600, 0x103], false, 'mknodat in its root'),
  raw('symlinkat', (w) => [text('/etc'), AT_FDCWD, text(`${w.directory}/link`)], true),
  raw('linkat', (w) => [AT_FDCWD, text(w.file), AT_FDCWD, text(`${w.directory}/hard`), 0], true),
  raw(
    'renameat2',
    (w) => [AT_FDCWD, text(w.file), AT_FDCWD, text(`${w.directory}/moved`), 0],
    false,
  ),
  raw('unlinkat', (w) => [AT_FDCWD, text(`${w.directory}/gone`), 0]),
  raw('getxattr', (w) => [text(w.file), text('user.x'), scratch, 10]),
  raw('setxattr', (w) => [text(w.file), text('user.x'), scratch, 1, 0]),
  raw('inotify_init1', () => [0], true),
  raw('fanotify_init', () => [0, 0], true),
  raw('open_by_handle_at', () => [AT_FDCWD, scratch, 0]),
  raw('chdir', (w) => [text(w.directory)], true),
  raw('chroot', (w) => [text(w.directory)], true),
];

const KERNEL_CALLS: readonly Attempt[] = [
  raw('mount', (w) => [text('tmpfs'), text(w.directory), text('tmpfs'), 0, null]),
  raw('umount2', () => [text('/'), 2]),
  raw('pivot_root', () => [text('/'), text('/')]),
  raw('fsopen', () => [text('tmpfs'), 0], true),
  raw('unshare', () => [0x10000000], false, 'unshare of a user namespace'),
  raw('unshare', () => [0x20000], true, 'unshare of a mount namespace'),
  raw('setns', (w) => [w.socketFd, 0]),
  raw('bpf', () => [0, scratch, 72]),
  raw('perf_event_open', () => [scratch, 0, -1, -1, 0]),
  raw('keyctl', () => [1, null], true, 'keyctl: a session keyring'),
  raw('add_key', () => [text('user'), text('runsc-test'), scratch, 1, -1], true),
  raw('io_uring_setup', () => [4, new Uint8Array(120)], true),
  raw('userfaultfd', () => [0], true),
  raw('memfd_create', () => [text('x'), 0], true),
  raw('init_module', () => [scratch, 0, text('')]),
  raw('reboot', () => [0, 0, 0, null]),
  raw('syslog', () => [10, null, 0], true),
  raw('iopl', () => [3]),
  raw('modify_ldt', () => [0, scratch, 16], true),
  raw('personality', () => [0x0400000], true),
  raw('shmget', () => [0, 4096, 0o1600], true),
  raw('sethostname', () => [text('x'), -1]),
  raw('setuid', () => [0], true),
  raw('setresuid', () => [0, 0, 0], true),
  raw('setgroups', () => [0, null], true),
  raw('capset', () => [new Uint32Array([0x20080522, 0]), new Uint32Array(6)], true),
  raw('prctl', () => [4, 1, 0, 0, 0], true, 'prctl: dumpable again'),
  raw('seccomp', () => [2, 0, new Uint32Array([0x7fff0000])], true),
  raw('prlimit64', () => [0, 4, new BigUint64Array([1n, 1n]), null], true),
];

const SOCKET_CALLS: readonly Attempt[] = [
  raw('socket', () => [2, 1, 0], true, 'socket: TCP'),
  raw('socket', () => [1, 1, 0], true, 'socket: unix'),
  raw('socket', () => [16, 3, 0], true, 'socket: netlink'),
  raw('socket', () => [17, 3, 0], true, 'socket: packet'),
  raw('socketpair', () => [1, 1, 0, scratch], true),
  raw('connect', (w) => [w.socketFd, new Uint8Array([1, 0, 0, 97]), 4]),
  raw('bind', (w) => [w.socketFd, new Uint8Array([1, 0]), 2], true),
  raw('sendto', (w) => [w.socketFd, scratch, 1, 0, new Uint8Array([1, 0, 0, 97]), 4]),
  raw('setsockopt', (w) => [w.socketFd, 1, 8, new Uint32Array([65536]), 4], true),
];

const PROCESS_CALLS: readonly Attempt[] = [
  raw('execve', () => [text('/bin/sh'), null, null]),
  raw('execveat', (w) => [w.fileFd, text(''), null, null, 0x1000]),
  raw('fork', () => []),
  raw('vfork', () => []),
  raw('clone', () => [17, null, null, null, null]),
  raw('clone', () => [0x10000011, null, null, null, null], false, 'clone into a user namespace'),
  raw('clone3', () => [new BigUint64Array(11), 88]),
  raw('ptrace', (w) => [16, w.cli, null, null], false, 'ptrace of the CLI'),
  raw('ptrace', (w) => [0x4206, w.victim, null, null], true, 'ptrace of a process of its user'),
  raw('process_vm_readv', (w) => [w.victim, ...vectors(), 0], false),
  raw('process_vm_writev', (w) => [w.victim, ...vectors(), 0], false),
  raw('kill', (w) => [w.victim, 18], true, 'kill: SIGCONT to a host process'),
  raw('kill', (w) => [w.victim, 0], true, 'kill: look for a host process'),
  raw('kill', () => [-1, 0], true, 'kill of everybody'),
  raw('tgkill', (w) => [w.victim, w.victim, 23], true, 'tgkill of a host process'),
  raw('tgkill', (w) => [w.cli, w.cli, 23], true, 'tgkill of the CLI'),
  raw('sched_setaffinity', (w) => [w.victim, 8, new Uint32Array([0xff, 0])], true),
  raw('pidfd_open', (w) => [w.victim, 0], true),
  raw('pidfd_getfd', (w) => [w.fileFd, 0, 0]),
  raw('setpriority', (w) => [0, w.victim, 10], true),
  raw('prlimit64', (w) => [w.victim, 7, null, scratch], false, 'prlimit64 of a host process'),
  raw('kcmp', (w) => [w.cli, w.victim, 0, 0, 0]),
];

const MEMORY_CALLS: readonly Attempt[] = [
  raw('mmap', () => [null, 4096, 7, 0x22, -1, 0], true, 'mmap: executable and writable'),
  raw('mmap', (w) => [null, 4096, 5, 2, w.fileFd, 0], true, 'mmap: a file, executable'),
  raw('mmap', (w) => [null, 4096, 1, 1, w.fileFd, 0], true, 'mmap: a file, shared'),
  raw('mprotect', () => [page(), 4096, 5], true, 'mprotect: executable'),
  raw('pkey_mprotect', () => [page(), 4096, 5, -1], true),
  raw('process_madvise', (w) => [w.fileFd, scratch, 1, 4, 0]),
  raw('ioctl', () => [0, 0x5412, scratch], false, 'ioctl: types into a terminal'),
  raw('ioctl', (w) => [w.fileFd, 0x541b, scratch], true, 'ioctl: FIONREAD'),
  raw('fcntl', (w) => [w.fileFd, 4, 0o2000], true, 'fcntl: O_APPEND'),
  raw('fcntl', (w) => [w.fileFd, 8, w.victim], true, 'fcntl: signals to a host process'),
];

function vectors(): readonly Argument[] {
  const vector = new BigUint64Array([BigInt(addressOf(scratch)), 8n]);
  return [vector, 1, vector, 1];
}

/** The address of a page of our own. */
function page(): number {
  const room = new Uint8Array(8192);
  return Math.ceil(addressOf(room) / 4096) * 4096;
}

/** mov eax, number; the rest; ret. `rdi` is a path on entry. */
function machine(name: string, code: readonly number[], control = true): Attempt {
  return {
    name: `machine code: ${name}`,
    run: (w) => w.machine.run(Uint8Array.from(code), text(w.file)),
    control,
  };
}

const SYSCALL_RET = [0x0f, 0x05, 0xc3];
const word = (value: number) => [0, 8, 16, 24].map((shift) => (value >>> shift) & 0xff);

const MACHINE_CODE: readonly Attempt[] = [
  machine('open', [0x31, 0xf6, 0xb8, ...word(2), ...SYSCALL_RET]),
  machine('fork', [
    0xb8,
    ...word(57),
    0x0f,
    0x05,
    0x85,
    0xc0,
    0x75,
    0x07,
    0xb8,
    ...word(231),
    0x0f,
    0x05,
    0xc3,
  ]),
  machine('int 0x80: getpid of 32 bits', [0xb8, ...word(20), 0xcd, 0x80, 0xc3]),
  machine('int 0x80: fork of 32 bits', [0x53, 0xb8, ...word(0x77), 0xcd, 0x80, 0x5b, 0xc3], false),
  machine('an x32 number', [0xb8, ...word(0x40000027), ...SYSCALL_RET], false),
  machine(
    'a number with garbage above',
    [0x48, 0xb8, ...word(2), ...word(1), ...SYSCALL_RET],
    false,
  ),
];

function script(name: string, run: (w: World) => unknown, control = true): Attempt {
  return {
    name: `JavaScript: ${name}`,
    run: (w) => {
      run(w);
      return 0;
    },
    control,
  };
}

const node = (name: string) => process.getBuiltinModule(`node:${name}`) as never;

const JAVASCRIPT: readonly Attempt[] = [
  script('readFileSync', (w) => (node('fs') as typeof import('node:fs')).readFileSync(w.file)),
  script('readdirSync', () => (node('fs') as typeof import('node:fs')).readdirSync('/etc')),
  script('writeFileSync', (w) =>
    (node('fs') as typeof import('node:fs')).writeFileSync(`${w.directory}/new`, 'x'),
  ),
  script('readFileSync of /proc/self/environ', () =>
    (node('fs') as typeof import('node:fs')).readFileSync('/proc/self/environ'),
  ),
  script(
    'spawnSync',
    () => {
      const { error } = (node('child_process') as typeof import('node:child_process')).spawnSync(
        '/bin/true',
      );
      if (error) throw error;
    },
    false,
  ),
  script('a server', (w) =>
    (node('net') as typeof import('node:net')).createServer().listen(`${w.directory}/socket`),
  ),
  script(
    'Worker',
    () =>
      new (node('worker_threads') as typeof import('node:worker_threads')).Worker('0', {
        eval: true,
      }),
  ),
  script(
    'process.dlopen',
    () => process.dlopen({ exports: {} }, '/lib/x86_64-linux-gnu/libm.so.6'),
    false,
  ),
  script('process.kill', (w) => process.kill(w.victim, 0)),
  script('process.setuid', () => process.setuid?.(0)),
  script('process.chdir', (w) => process.chdir(w.directory)),
  script('os.setPriority', () => (node('os') as typeof import('node:os')).setPriority(0, 5)),
];

export const ATTEMPTS: readonly Attempt[] = [
  ...FILE_CALLS,
  ...KERNEL_CALLS,
  ...SOCKET_CALLS,
  ...PROCESS_CALLS,
  ...MEMORY_CALLS,
  ...MACHINE_CODE,
  ...JAVASCRIPT,
];
