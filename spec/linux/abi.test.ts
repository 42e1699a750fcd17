/**
 * Compares what spec/linux says with what the C compiler says: a C program generated from the
 * exported numbers and layouts prints the headers' values, sizes and offsets.
 *
 * Kernel headers come first in every list: the C library redefines a few names (O_LARGEFILE).
 */

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { type Field, Layout } from './layout/layout.ts';

type Exports = Readonly<Record<string, unknown>>;

/** Compiles and runs a C main() body; returns its lines. */
function runC(headers: readonly string[], declarations: string, body: string): string[] {
  const folder = mkdtempSync(join(tmpdir(), 'abi-'));
  try {
    const includes = headers.map((header) => `#include <${header}>\n`).join('');
    const source = `${includes}#include <stddef.h>\n#include <stdio.h>\n${declarations}\nint main(void) {\n${body}\nreturn 0;\n}\n`;
    writeFileSync(join(folder, 'abi.c'), source);
    const args = ['-w', '-O0', '-D_GNU_SOURCE', '-o', join(folder, 'abi'), join(folder, 'abi.c')];
    const gcc = spawnSync('gcc', args, { encoding: 'utf8' });
    expect(gcc.stderr, source).toBe('');
    return spawnSync(join(folder, 'abi'), { encoding: 'utf8' }).stdout.trim().split('\n');
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/**
 * Headers that define each topic's names: alternatives, because kernel and C library headers do not
 * mix. `absent` names no header of Debian 12 defines, each for the reason its file gives or because
 * it is newer than Linux 6.1.
 */
const TOPICS: Readonly<
  Record<string, { readonly headers: readonly (readonly string[])[]; readonly absent?: RegExp }>
> = {
  errno: { headers: [['linux/errno.h']], absent: /^(ERESTART|ENOIOCTLCMD)/ },
  fcntl: {
    headers: [
      [
        'linux/fcntl.h',
        'linux/fs.h',
        'linux/falloc.h',
        'linux/openat2.h',
        'linux/close_range.h',
        'linux/limits.h',
        'linux/uio.h',
      ],
      ['fcntl.h', 'unistd.h', 'dirent.h'],
    ],
    absent: /^MAX_RW_COUNT$/,
  },
  stat: { headers: [['linux/stat.h', 'linux/fs.h'], ['sys/stat.h']] },
  mman: {
    headers: [['linux/mman.h', 'linux/memfd.h', 'linux/mempolicy.h', 'sys/user.h']],
    absent: /^MFD_(NOEXEC_SEAL|EXEC)$/,
  },
  signal: {
    headers: [['linux/signal.h', 'asm/sigcontext.h', 'asm/ucontext.h'], ['sys/signalfd.h']],
    absent: /^(NSIG|SIGRTMAX)$/,
  },
  poll: { headers: [['linux/poll.h', 'linux/eventpoll.h', 'sys/eventfd.h', 'sys/select.h']] },
  sched: {
    headers: [
      [
        'linux/sched.h',
        'linux/resource.h',
        'linux/ioprio.h',
        'linux/pidfd.h',
        'linux/kcmp.h',
        'linux/membarrier.h',
        'linux/rseq.h',
        'linux/random.h',
        'linux/personality.h',
      ],
    ],
    absent: /^MEMBARRIER_CMD_GET_REGISTRATIONS$/,
  },
  wait: { headers: [['linux/wait.h']], absent: /^CONTINUED_STATUS$/ },
  resource: { headers: [['linux/resource.h', 'linux/time.h']] },
  prctl: { headers: [['linux/prctl.h', 'asm/prctl.h', 'linux/seccomp.h', 'linux/audit.h']] },
  capability: { headers: [['linux/capability.h', 'linux/securebits.h']] },
  time: {
    headers: [['linux/time.h', 'linux/timex.h'], ['sys/timerfd.h']],
    absent: /^(NSEC_|USER_HZ)/,
  },
  futex: { headers: [['linux/futex.h']] },
  socket: {
    headers: [
      ['sys/socket.h', 'netinet/in.h', 'netinet/tcp.h', 'sys/un.h', 'net/if.h'],
      ['linux/udp.h', 'linux/netlink.h', 'linux/un.h', 'linux/socket.h'],
    ],
    absent: /^(SOCK_TYPE_MASK|SCM_SECURITY|SCM_PIDFD|SCM_MAX_FD|SOL_UDP|SOL_NETLINK)$/,
  },
  ioctl: {
    headers: [
      ['linux/termios.h', 'linux/fs.h', 'linux/fiemap.h', 'linux/random.h', 'linux/nsfs.h'],
      ['sys/ioctl.h', 'linux/sockios.h'],
    ],
  },
  termios: { headers: [['asm/termbits.h', 'linux/tty.h', 'unistd.h']] },
  mount: {
    headers: [['linux/mount.h'], ['sys/mount.h', 'sys/statvfs.h']],
    absent: /^ST_(VALID|NOSYMFOLLOW)$/,
  },
  inotify: { headers: [['sys/inotify.h']] },
  elf: { headers: [['linux/elf.h', 'linux/auxvec.h'], ['elf.h']], absent: /^AT_RSEQ_/ },
  xattr: { headers: [['linux/xattr.h']] },
  statfs: { headers: [['linux/magic.h']], absent: /^MQUEUE_MAGIC$/ },
  ptrace: { headers: [['linux/ptrace.h', 'asm/ptrace-abi.h']] },
  ipc: {
    headers: [['linux/ipc.h', 'linux/shm.h', 'linux/sem.h', 'linux/msg.h']],
    absent: /^(SHM_DEST|SHM_LOCKED)$/,
  },
  reboot: { headers: [['linux/reboot.h']], absent: /^SYSLOG_/ },
  keyctl: { headers: [['linux/keyctl.h']] },
  syscall_numbers: {
    headers: [['sys/syscall.h']],
    absent:
      /^(SYSCALL_COUNT|SYS_(cachestat|fchmodat2|map_shadow_stack|futex_(wake|wait|requeue)|statmount|listmount|lsm_\w+|mseal))$/,
  },
};

/** Enumerators, which `#ifdef` cannot see. */
const ENUMERATORS =
  /^(KCMP_|MEMBARRIER_|RSEQ_|IOPRIO_(WHO|CLASS_(NONE|RT|BE|IDLE))|MPOL_(DEFAULT|PREFERRED|BIND|INTERLEAVE|LOCAL)|TCP_(ESTABLISHED|SYN_SENT|SYN_RECV|FIN_WAIT|TIME_WAIT|CLOSE|LAST_ACK|LISTEN|CLOSING)|PER_|ADDR_|READ_IMPLIES|MMAP_PAGE|UNAME26|STICKY|WHOLE_SEC|SHORT_INODE)/;

/** Values of the names in C, for those the headers know. */
function constantsInC(names: readonly string[], headers: readonly string[]): Map<string, number> {
  const body = names.map((name) => {
    const print = `printf((${name}) < 0 ? "${name} %lld\\n" : "${name} %llu\\n", (long long)(${name}));`;
    return ENUMERATORS.test(name) ? print : `#ifdef ${name}\n${print}\n#endif`;
  });
  const values = new Map<string, number>();
  for (const line of runC(headers, '', body.join('\n'))) {
    const [name, value] = line.split(' ');
    if (name) values.set(name, Number(value));
  }
  return values;
}

describe('constants', () => {
  for (const [topic, { headers, absent }] of Object.entries(TOPICS)) {
    test(topic, async () => {
      const exports = (await import(/* @vite-ignore */ `./${topic}.ts`)) as Exports;
      const names = Object.keys(exports).filter((name) => typeof exports[name] === 'number');
      expect(names.length).toBeGreaterThan(0);
      const known = new Map<string, number>();
      for (const [index, list] of headers.entries()) {
        const wanted = names.filter((name) => !known.has(name) && !absent?.test(name));
        const asked = index === 0 ? wanted : wanted.filter((name) => !ENUMERATORS.test(name));
        for (const [name, value] of constantsInC(asked, list)) known.set(name, value);
      }
      const unknown = names.filter((name) => !known.has(name) && !absent?.test(name));
      expect(unknown, 'names no header has').toEqual([]);
      for (const [name, value] of known) expect(exports[name], name).toBe(value);
    });
  }

  test('system call names and numbers agree', async () => {
    const { SYSCALL_COUNT, syscallName, syscallNumber, ...rest } = await import(
      './syscall_numbers.ts'
    );
    for (const [name, value] of Object.entries(rest)) {
      expect(syscallName(value as number)).toBe(name.slice('SYS_'.length));
      expect(syscallNumber(name.slice('SYS_'.length))).toBe(value);
    }
    expect(syscallName(SYSCALL_COUNT)).toBeUndefined();
    expect(syscallNumber('')).toBe(-1);
  });
});

/** Headers and C spelling of the layouts of each file; a C name that is no `struct NAME` is given. */
const LAYOUT_FILES: Readonly<
  Record<string, { readonly headers: readonly string[]; readonly declarations?: string }>
> = {
  time: { headers: ['time.h', 'sys/time.h', 'sys/times.h', 'sys/timex.h', 'utime.h'] },
  file: {
    headers: [
      'sys/stat.h',
      'sys/statfs.h',
      'dirent.h',
      'fcntl.h',
      'sys/uio.h',
      'linux/openat2.h',
      'linux/fs.h',
    ],
    declarations:
      'struct linux_dirent { unsigned long d_ino, d_off; unsigned short d_reclen; char d_name[]; };',
  },
  process: {
    headers: [
      'sys/resource.h',
      'sys/utsname.h',
      'sys/sysinfo.h',
      'linux/sched.h',
      'linux/futex.h',
      'linux/sched/types.h',
      'linux/capability.h',
      'linux/prctl.h',
      'linux/seccomp.h',
      'linux/filter.h',
      'linux/rseq.h',
      'sys/user.h',
    ],
  },
  signal: {
    headers: ['linux/signal.h', 'asm/sigcontext.h', 'asm/ucontext.h', 'linux/signalfd.h'],
    declarations:
      'struct rt_sigframe { char *pretcode; struct ucontext uc; siginfo_t info; };\n' +
      '#define si_timerid si_tid\n#define sigev_notify_thread_id _sigev_un._tid',
  },
  poll: {
    headers: ['poll.h', 'sys/epoll.h', 'sys/inotify.h'],
    declarations: 'struct sigset_argpack { void *p; unsigned long size; };',
  },
  socket: { headers: ['sys/socket.h', 'netinet/in.h', 'sys/un.h', 'linux/netlink.h', 'net/if.h'] },
  terminal: {
    headers: ['asm/termbits.h', 'asm/termios.h'],
  },
  elf: { headers: ['elf.h'] },
  ipc: { headers: ['linux/ipc.h', 'linux/shm.h', 'linux/sem.h', 'linux/msg.h', 'linux/mqueue.h'] },
};

/** Layouts whose C type is not `struct NAME`. */
const C_TYPES: Readonly<Record<string, string>> = {
  stack_t: 'stack_t',
  siginfo_t: 'siginfo_t',
  Elf64_Ehdr: 'Elf64_Ehdr',
  Elf64_Phdr: 'Elf64_Phdr',
  Elf64_Shdr: 'Elf64_Shdr',
  Elf64_Sym: 'Elf64_Sym',
  Elf64_Dyn: 'Elf64_Dyn',
  Elf64_Rela: 'Elf64_Rela',
  Elf64_Nhdr: 'Elf64_Nhdr',
};

/** Layouts that end where a flexible array member starts, which C pads. */
const FIXED_PARTS: Readonly<Record<string, string>> = {
  dirent64: 'd_name',
  linux_dirent: 'd_name',
  file_handle: 'f_handle',
};

const INTEGER_BYTES: Readonly<Record<string, number>> = { 8: 1, 16: 2, 32: 4, 64: 8 };

function fieldBytes(field: Field): number {
  const kind = field[0];
  if (typeof kind === 'object') return kind.size;
  if (kind === 'bytes' || kind === 'text') return field[2] ?? 0;
  return (INTEGER_BYTES[kind.slice(1)] ?? 0) * (field[2] ?? 1);
}

describe('layouts', () => {
  for (const [file, { headers, declarations }] of Object.entries(LAYOUT_FILES)) {
    test(file, async () => {
      const exports = (await import(/* @vite-ignore */ `./layout/${file}.ts`)) as Exports;
      const layouts = Object.entries(exports).filter(([, value]) => value instanceof Layout);
      const lines: string[] = [];
      const ours: string[] = [];
      for (const [key, value] of layouts) {
        const { name, size, fields } = value as Layout<Record<string, Field>>;
        const type = C_TYPES[name] ?? `struct ${name}`;
        const end = FIXED_PARTS[name];
        const sizeInC = end ? `offsetof(${type}, ${end})` : `sizeof(${type})`;
        lines.push(`printf("${key} %zu\\n", ${sizeInC});`);
        ours.push(`${key} ${size}`);
        for (const [fieldName, field] of Object.entries(fields)) {
          const width = `sizeof(((${type} *)0)->${fieldName})`;
          lines.push(
            `printf("${key}.${fieldName} %zu %zu\\n", offsetof(${type}, ${fieldName}), ${width});`,
          );
          ours.push(`${key}.${fieldName} ${field[1]} ${fieldBytes(field)}`);
        }
      }
      expect(layouts.length).toBeGreaterThan(0);
      expect(ours).toEqual(runC(headers, declarations ?? '', lines.join('\n')));
    });
  }
});
