/**
 * For filter.test.ts: application threads that run without being stopped at system calls, as nobody lets
 * them. Prints by which signal each ended.
 */

import { strict as assert } from 'node:assert';
import * as fs from '../../../native/fs.ts';
import { syscall } from '../../../native/index.ts';
import {
  SYS_clone,
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
import { DATA, load, memory, PAGE, platform, run } from '../stub/scenario.ts';

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

/** `syscall` of the stub, in front of which it takes the call from a list at rbx that ends at rbp. */
const STUB_LOOP = 0x7fffffe00000;
const CLONE_NEWUSER_SIGCHLD = 0x10000011n;
const bytesOf = (value: number, length: number) =>
  Array.from({ length }, (_, i) => Math.floor(value / 256 ** i) & 0xff);

const signals: Record<string, number> = {};
/** Lets the thread go on behind the call it has stopped at. */
function letGo(name: string, { space, context }: ReturnType<typeof load>): void {
  assert.equal(run(context).stop, STOP_SYSCALL);
  assert.equal(syscall(SYS_ptrace, PTRACE_CONT, space.pid, 0, 0), 0);
  const status = new Uint32Array(1);
  assert.equal(syscall(SYS_wait4, space.pid, status, ALL_CHILDREN, null), space.pid);
  signals[name] = (status[0] ?? 0) & 0x7f;
}

for (const [name, number] of Object.entries(CALLS)) {
  // mov $number,%eax; syscall; jmp to the beginning
  letGo(name, load([0xb8, number & 0xff, number >> 8, 0, 0, 0x0f, 0x05, 0xeb, 0xf7]));
}
// syscall; mov $DATA,%rbx; mov $DATA + 56,%rbp; mov $STUB_LOOP,%r11; jmp *%r11
const intoStub = load([
  ...[
    0x0f,
    0x05,
    0x48,
    0xc7,
    0xc3,
    ...bytesOf(DATA, 4),
    0x48,
    0xc7,
    0xc5,
    ...bytesOf(DATA + 56, 4),
  ],
  ...[0x49, 0xbb, ...bytesOf(STUB_LOOP, 8), 0x41, 0xff, 0xe3],
]);
const operation = new BigUint64Array([
  BigInt(SYS_clone),
  CLONE_NEWUSER_SIGCHLD,
  0n,
  0n,
  0n,
  0n,
  0n,
]);
fs.pwrite(memory, new Uint8Array(operation.buffer), PAGE);
letGo('clone into a user namespace by the stub', intoStub);
console.log(JSON.stringify(signals));
platform.destroy();
