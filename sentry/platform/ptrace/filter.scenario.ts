/**
 * For filter.test.ts: application threads that run without being stopped at system calls, as nobody lets
 * them. Prints by which signal each ended.
 */

import { strict as assert } from 'node:assert';
import { syscall } from '../../../native/index.ts';
import {
  SYS_execve,
  SYS_getpid,
  SYS_kill,
  SYS_mmap,
  SYS_openat,
  SYS_ptrace,
  SYS_socket,
  SYS_wait4,
  SYS_write,
} from '../../../spec/linux/syscall_numbers.ts';
import { STOP_SYSCALL } from '../platform.ts';
import { load, platform, run } from '../stub/scenario.ts';

const PTRACE_CONT = 7;
const ALL_CHILDREN = 0x40000000;
/** The stub itself makes the last one. */
const CALLS = {
  SYS_getpid,
  SYS_openat,
  SYS_write,
  SYS_kill,
  SYS_execve,
  SYS_ptrace,
  SYS_socket,
  SYS_mmap,
};

const signals: Record<string, number> = {};
for (const [name, number] of Object.entries(CALLS)) {
  // mov $number,%eax; syscall; jmp to the beginning
  const { space, context } = load([0xb8, number & 0xff, number >> 8, 0, 0, 0x0f, 0x05, 0xeb, 0xf7]);
  assert.equal(run(context).stop, STOP_SYSCALL);
  assert.equal(syscall(SYS_ptrace, PTRACE_CONT, space.pid, 0, 0), 0);
  const status = new Uint32Array(1);
  assert.equal(syscall(SYS_wait4, space.pid, status, ALL_CHILDREN, null), space.pid);
  signals[name] = (status[0] ?? 0) & 0x7f;
}
console.log(JSON.stringify(signals));
platform.destroy();
