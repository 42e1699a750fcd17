/** Filters as compiled: what a small machine for classic BPF makes of them, and what the host does. */

import { expect, it } from 'vitest';
import { syscallNumber } from '../spec/linux/syscall_numbers.ts';
import { GOFER_RULES, goferSocketRules } from '../spec/seccomp/gofer.ts';
import type { SyscallRule } from '../spec/seccomp/rule.ts';
import { sentryRules, sentrySocketRules } from '../spec/seccomp/sentry.ts';
import { compileFilter } from './seccomp.ts';

const X86_64 = 0xc000003e;
const ALLOW = 0x7fff0000;
const KILL_PROCESS = 0x80000000;

/** What the host's interpreter returns for a call. */
function run(program: Uint8Array, nr: number, args: readonly number[], arch = X86_64): number {
  const data = new DataView(new ArrayBuffer(64));
  data.setUint32(0, nr, true);
  data.setUint32(4, arch, true);
  args.forEach((value, i) => {
    data.setBigInt64(16 + i * 8, BigInt(value), true);
  });
  const code = new DataView(program.buffer);
  let a = 0;
  for (let at = 0; ; at++) {
    const operation = code.getUint16(at * 8, true);
    const k = code.getUint32(at * 8 + 4, true);
    const branch = (taken: boolean) => code.getUint8(at * 8 + (taken ? 2 : 3));
    if (operation === 0x20) a = data.getUint32(k, true);
    else if (operation === 0x05) at += k;
    else if (operation === 0x15) at += branch(a === k);
    else if (operation === 0x35) at += branch(a >= k);
    else if (operation === 0x45) at += branch((a & k) !== 0);
    else if (operation === 0x06) return k;
    else throw new Error(`operation ${operation}`);
  }
}

const rules: readonly SyscallRule[] = [
  { nr: 0, why: '' },
  { nr: 1, why: '', when: [[{ arg: 0, is: [3, 5] }]] },
  {
    nr: 9,
    why: '',
    when: [
      [
        { arg: 1, bits: 0b101 },
        { arg: 2, equals: 2 ** 32 + 1 },
      ],
      [{ arg: 0, positive: true }],
    ],
  },
  { nr: 231, why: '' },
  { nr: 232, why: '', refuse: 12 },
];
const program = compileFilter(rules);
const allowed = (nr: number, ...args: number[]) => run(program, nr, args) === ALLOW;

it('allows what is in the list and kills for the rest', () => {
  const numbers = Array.from({ length: 500 }, (_, nr) => nr);
  expect(numbers.filter((nr) => allowed(nr, 5))).toEqual([0, 1, 9, 231]);
  expect(run(program, 60, [])).toBe(KILL_PROCESS);
});

it('refuses with an error what may fail', () => {
  expect(run(program, 232, [])).toBe(0x0005000c);
});

it('looks at arguments', () => {
  expect([3, 5, 4, 2 ** 32 + 3].map((value) => allowed(1, value))).toEqual([
    true,
    true,
    false,
    true,
  ]);
  expect(allowed(9, -1, 4, 2 ** 32 + 1)).toBe(true);
  expect(allowed(9, -1, 4, 1)).toBe(false);
  expect(allowed(9, -1, 6, 2 ** 32 + 1)).toBe(false);
  expect(allowed(9, -1, 2 ** 32, 2 ** 32 + 1)).toBe(false);
  expect(allowed(9, 0)).toBe(false);
  expect(allowed(9, 1)).toBe(true);
});

it('knows one architecture and no x32 number', () => {
  expect(run(program, 0, [], 0x40000003)).toBe(KILL_PROCESS);
  expect(allowed(0x40000000)).toBe(false);
  expect(allowed(2 ** 32 - 1)).toBe(false);
});

it('allows each rule of the Sentry, and nothing that opens, starts or changes', () => {
  for (const platform of ['ptrace', 'systrap']) {
    const list = sentryRules(platform);
    expect(new Set(list.map(({ nr }) => nr)).size).toBe(list.length);
    expect(list.length).toBeLessThanOrEqual(45);
    const filter = compileFilter(list);
    for (const { nr, when, refuse } of list) {
      if (when === undefined && refuse === undefined) expect(run(filter, nr, [])).toBe(ALLOW);
    }
    const forbidden =
      'open openat openat2 creat socket socketpair connect bind listen execve execveat fork vfork clone ' +
      'clone3 mount umount2 pivot_root chroot setns unshare bpf perf_event_open keyctl add_key io_uring_setup ' +
      'io_uring_enter io_uring_register pidfd_open pidfd_getfd memfd_create userfaultfd setuid setresuid capset ' +
      'seccomp prctl arch_prctl process_vm_readv process_vm_writev finit_module kexec_load reboot swapon link ' +
      'unlink rename mkdir chmod chown truncate stat statx readlink getdents64 sendmsg ptrace';
    for (const name of forbidden.split(' ')) {
      if (name === 'ptrace' && platform === 'ptrace') continue;
      expect([name, run(filter, syscallNumber(name), [])]).toEqual([name, KILL_PROCESS]);
    }
  }
});

it('adds little for sockets of the host, and only where they are asked for', () => {
  const names = ['socket', 'connect', 'bind', 'listen', 'accept4', 'shutdown'];
  const may = (filter: Uint8Array) =>
    names.filter((name) => run(filter, syscallNumber(name), [1]) === ALLOW).join(' ');
  const gofer = ['none', 'open', 'create', 'all'] as const;
  const filters = gofer.map((mode) => {
    const rules = [...GOFER_RULES, ...goferSocketRules(mode)];
    const sentry = [...sentryRules('ptrace'), ...sentrySocketRules(mode)];
    for (const list of [rules, sentry]) {
      expect(list.filter(({ refuse }) => refuse === undefined).length).toBeLessThanOrEqual(45);
    }
    return [may(compileFilter(rules)), may(compileFilter(sentry))];
  });
  expect(filters).toEqual([
    ['', 'accept4'],
    ['socket connect', 'accept4 shutdown'],
    ['socket bind', 'listen accept4 shutdown'],
    ['socket connect bind', 'listen accept4 shutdown'],
  ]);
  const all = compileFilter([...GOFER_RULES, ...goferSocketRules('all')]);
  const AF_INET = 2;
  expect(run(all, syscallNumber('socket'), [AF_INET])).toBe(KILL_PROCESS);
});

it('lets the Sentry map nothing executable and signal nobody else', () => {
  const filter = compileFilter(sentryRules('systrap'));
  const call = (name: string, ...args: number[]) =>
    run(filter, syscallNumber(name), args) === ALLOW;
  const PRIVATE_ANONYMOUS = 0x22;
  expect(call('mmap', 0, 4096, 3, PRIVATE_ANONYMOUS, -1, 0)).toBe(true);
  expect(call('mmap', 0, 4096, 7, PRIVATE_ANONYMOUS, -1, 0)).toBe(false);
  expect(call('mmap', 0, 4096, 1, 1, 3, 0)).toBe(false);
  expect(call('mprotect', 0, 4096, 3)).toBe(false);
  expect(call('mprotect', 0, 4096, 5)).toBe(false);
  expect(call('kill', 7, 9)).toBe(true);
  expect([0, -1, -7].map((pid) => call('kill', pid, 9))).toEqual([false, false, false]);
  expect(call('kill', 7, 15)).toBe(false);
  expect(call('tgkill', 7, 8, 23)).toBe(true);
  expect(call('tgkill', 7, 8, 9)).toBe(false);
  expect(call('ioctl', 0, 0x5412, 0)).toBe(false);
  expect(call('fcntl', 0, 4, 0)).toBe(false);
  expect(call('sendto', 3, 0, 1, 0, 0, 0)).toBe(true);
  expect(call('sendto', 3, 0, 1, 0, 0x1000, 16)).toBe(false);
});
