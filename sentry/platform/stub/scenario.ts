/**
 * What the scenarios of stub.test.ts and systrap.test.ts share: a platform, which the environment
 * variable PLATFORM names, and applications for it, which are a few hand-assembled instructions in a
 * memfd.
 */

import { strict as assert } from 'node:assert';
import * as fs from '../../../native/fs.ts';
import { monotonicNs } from '../../../native/index.ts';
import { REG_RDI, REG_RIP, STOP_FAULT } from '../platform.ts';
import { PtracePlatform } from '../ptrace/ptrace_platform.ts';
import { SystrapPlatform } from '../systrap/systrap_platform.ts';
import type { StubContext } from './stub_context.ts';
import type { MadeSpace, StubPlatform } from './stub_platform.ts';

export const CODE = 0x10000;
export const DATA = 0x20000;
export const PAGE = 4096;
export const READ_EXECUTE = 5;
export const READ_WRITE = 3;

export const SYSCALL_FOREVER = [0x0f, 0x05, 0xeb, 0xfc];
export const SPIN = [0xeb, 0xfe];
/** incq (%rdi); jmp back. */
export const COUNT = [0x48, 0xff, 0x07, 0xeb, 0xfb];
/** mov %rax,(%rdi); syscall. */
export const STORE = [0x48, 0x89, 0x07, 0x0f, 0x05];

const isSystrap = process.env.PLATFORM === 'systrap';
const created = (isSystrap ? SystrapPlatform : PtracePlatform).create();
assert(typeof created === 'object', `the platform does not start: ${created}`);
export const platform: StubPlatform = created;

/** What the platform has mapped in every process. */
export const STUB_RANGES = isSystrap
  ? [
      '7fff00000000-7fff00001000',
      '7fff00001000-7fff00002000',
      '7fff00002000-7fff00005000',
      '7fffe0000000-7fffe0004000',
    ]
  : ['7fffffe00000-7fffffe01000', '7fffffe01000-7fffffe11000'];

/** Application memory: one page of code at CODE, one of data at DATA, as the MemoryFile is. */
export const memory = fs.memfdCreate('memory', 1);
fs.ftruncate(memory, 1024 * PAGE);
export const data = new Float64Array(8);
export const readData = (): BigInt64Array => {
  const into = new BigInt64Array(8);
  fs.pread(memory, new Uint8Array(into.buffer), PAGE);
  return into;
};

export function load(code: readonly number[]): MadeSpace {
  const made = platform.newAddressSpace();
  assert(typeof made === 'object', `no address space: ${made}`);
  fs.pwrite(memory, Uint8Array.from(code), 0);
  fs.pwrite(memory, new Uint8Array(data.buffer), PAGE);
  made.space.map(CODE, PAGE, memory, 0, READ_EXECUTE, true);
  made.space.map(DATA, PAGE, memory, PAGE, READ_WRITE, true);
  made.context.regs.set(REG_RIP, CODE);
  made.context.regs.set(REG_RDI, DATA);
  return made;
}

/** Runs until the next stop, which must be `context`'s. */
export function run(context: StubContext): StubContext {
  context.resume();
  assert.equal(platform.poll(monotonicNs() + 5e9), context);
  return context;
}

export function assertFault(context: StubContext, signal: number, code: number, address?: number) {
  run(context);
  assert.deepEqual(
    [context.stop, context.faultSignal, context.faultCode],
    [STOP_FAULT, signal, code],
  );
  if (address !== undefined) assert.equal(context.faultAddress, address);
}

export const soon = () => monotonicNs() + 20e6;

/** Interrupts a context whether or not it was running, and takes its stop. */
export function runInterrupted(context: StubContext): StubContext {
  context.resume();
  context.interrupt();
  assert.equal(platform.poll(monotonicNs() + 1e9), context);
  return context;
}
