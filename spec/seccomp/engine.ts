/**
 * The host system calls that V8 and libc make, in the Sentry and in the Gofer. Nothing becomes executable:
 * V8's code range is so from the beginning.
 */

import { ENOMEM } from '../linux/errno.ts';
import * as mman from '../linux/mman.ts';
import * as nr from '../linux/syscall_numbers.ts';
import type { SyscallRule } from './rule.ts';

const READ_WRITE = mman.PROT_READ | mman.PROT_WRITE;
const PRIVATE_ANONYMOUS =
  mman.MAP_PRIVATE | mman.MAP_ANONYMOUS | mman.MAP_NORESERVE | mman.MAP_FIXED | mman.MAP_STACK;

const FUTEX_WAIT = 0;
const FUTEX_WAKE = 1;
const FUTEX_WAIT_BITSET = 9;
const FUTEX_PRIVATE = 128;
const FUTEX_CLOCK_REALTIME = 256;
const FUTEX_OPERATIONS = [FUTEX_WAIT, FUTEX_WAKE, FUTEX_WAIT_BITSET].flatMap((operation) =>
  [0, FUTEX_PRIVATE, FUTEX_CLOCK_REALTIME, FUTEX_PRIVATE | FUTEX_CLOCK_REALTIME].map(
    (flags) => operation | flags,
  ),
);

export const ENGINE_RULES: readonly SyscallRule[] = [
  { nr: nr.SYS_brk, why: 'malloc: the heap that it began with; libc believes no refusal' },
  {
    nr: nr.SYS_mmap,
    why: 'malloc and V8: anonymous memory, never executable',
    when: [
      [
        { arg: 2, bits: READ_WRITE },
        { arg: 3, bits: PRIVATE_ANONYMOUS },
      ],
    ],
  },
  { nr: nr.SYS_munmap, why: 'malloc and V8' },
  {
    nr: nr.SYS_madvise,
    why: 'V8 and malloc give pages back',
    when: [
      [
        {
          arg: 2,
          is: [mman.MADV_DONTNEED, mman.MADV_FREE, mman.MADV_DONTFORK, mman.MADV_NOHUGEPAGE],
        },
      ],
    ],
  },
  { nr: nr.SYS_mremap, why: 'malloc copies a large block that it cannot grow', refuse: ENOMEM },
  { nr: nr.SYS_mprotect, why: 'seen in no run; V8 says so when it is', refuse: ENOMEM },
  {
    nr: nr.SYS_futex,
    why: 'V8; threads of the Sentry and of stubs',
    when: [[{ arg: 1, is: FUTEX_OPERATIONS }]],
  },
  { nr: nr.SYS_getpid, why: 'V8 at each garbage collection' },
  { nr: nr.SYS_exit_group, why: 'the end' },
];
