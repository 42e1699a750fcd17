/**
 * Scenarios for ptrace.test.ts, each run as a process of its own: `ptrace.scenario.ts NAME`.
 * Application code is a few hand-assembled instructions in a memfd.
 */

import { strict as assert } from 'node:assert';
import { readdirSync, readFileSync } from 'node:fs';
import * as fs from '../../../native/fs.ts';
import { fork, getpid, monotonicNs, syscall } from '../../../native/index.ts';
import { exit, kill } from '../../../native/process.ts';
import * as socket from '../../../native/socket.ts';
import {
  REG_CS,
  REG_EFLAGS,
  REG_FS_BASE,
  REG_R8,
  REG_R9,
  REG_R10,
  REG_R15,
  REG_RAX,
  REG_RBX,
  REG_RCX,
  REG_RDI,
  REG_RDX,
  REG_RIP,
  REG_RSI,
  REG_RSP,
  REG_SS,
  STOP_EXITED,
  STOP_FAULT,
  STOP_INTERRUPTED,
  STOP_SYSCALL,
} from '../platform.ts';
import type { PtraceAddressSpace } from './ptrace_address_space.ts';
import type { PtraceContext } from './ptrace_context.ts';
import { PtracePlatform } from './ptrace_platform.ts';

const CODE = 0x10000;
const DATA = 0x20000;
const PAGE = 4096;
const READ_EXECUTE = 5;
const READ_WRITE = 3;

const SYSCALL_FOREVER = [0x0f, 0x05, 0xeb, 0xfc];
const SPIN = [0xeb, 0xfe];
/** incq (%rdi); jmp back. */
const COUNT = [0x48, 0xff, 0x07, 0xeb, 0xfb];
/** mov %rax,(%rdi); syscall. */
const STORE = [0x48, 0x89, 0x07, 0x0f, 0x05];

const platform = PtracePlatform.create() as PtracePlatform;
assert(typeof platform === 'object', `the platform does not start: ${platform}`);

/** Application memory: one page of code at CODE, one of data at DATA, as the MemoryFile is. */
const memory = fs.memfdCreate('memory', 1);
fs.ftruncate(memory, 1024 * PAGE);
const data = new Float64Array(8);
const readData = (): BigInt64Array => {
  const into = new BigInt64Array(8);
  fs.pread(memory, new Uint8Array(into.buffer), PAGE);
  return into;
};

function load(code: readonly number[]): { space: PtraceAddressSpace; context: PtraceContext } {
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
function run(context: PtraceContext): PtraceContext {
  context.resume();
  assert.equal(platform.poll(monotonicNs() + 5e9), context);
  return context;
}

function assertFault(context: PtraceContext, signal: number, code: number, address?: number) {
  run(context);
  assert.deepEqual(
    [context.stop, context.faultSignal, context.faultCode],
    [STOP_FAULT, signal, code],
  );
  if (address !== undefined) assert.equal(context.faultAddress, address);
}

const soon = () => monotonicNs() + 20e6;

const scenarios: Record<string, () => void> = {
  'stops at system calls with all registers': () => {
    const { context } = load(SYSCALL_FOREVER);
    const { regs } = context;
    for (let reg = REG_R15; reg <= REG_RDI; reg++) regs.set(reg, 0x1000_0000_0000 + reg);
    regs.set(REG_RAX, 110);
    regs.set(REG_RBX, -2);
    run(context);
    assert.equal(context.stop, STOP_SYSCALL);
    assert.equal(regs.get(REG_RAX), 110);
    for (const reg of [REG_RSI, REG_RDX, REG_R10, REG_R8, REG_R9, REG_R15]) {
      assert.equal(regs.get(reg), 0x1000_0000_0000 + reg);
    }
    assert.equal(regs.get(REG_RCX), CODE + 2);
    assert.equal(regs.get(REG_RIP), CODE + 2);
    assert.equal(regs.words[regs.base + 2 * REG_RBX], 0xfffffffe);
    // Results that mean "restart" to the host must come through as they are.
    for (const result of [0, -4, -512, -513, -514, -516]) {
      regs.set(REG_RAX, result);
      run(context);
      assert.equal(context.stop, STOP_SYSCALL);
      assert.equal((regs.words[regs.base + 2 * REG_RAX] as number) | 0, result);
      assert.equal(regs.get(REG_RIP), CODE + 2);
    }
  },

  'reports foreign system call entries as number -1': () => {
    const { context } = load([0xcd, 0x80, ...SYSCALL_FOREVER]);
    context.regs.set(REG_RAX, 20);
    run(context);
    assert.deepEqual([context.stop, context.regs.words[context.regs.base + 20]], [1, 0xffffffff]);
    context.regs.set(REG_RAX, 0x40000000 + 39);
    run(context);
    assert.deepEqual([context.stop, context.regs.words[context.regs.base + 20]], [1, 0xffffffff]);
  },

  'reports faults and goes on where they are mended': () => {
    const { space, context } = load(STORE);
    context.regs.set(REG_RAX, 77);
    context.regs.set(REG_RDI, 0x50008);
    assertFault(context, 11, 1, 0x50008);
    space.map(0x50000, PAGE, memory, PAGE, 1, true);
    assertFault(context, 11, 2, 0x50008);
    space.protect(0x50000, PAGE, READ_WRITE);
    assert.equal(run(context).stop, STOP_SYSCALL);
    assert.equal(readData()[1], 77n);
    const at = (code: number[]) => {
      fs.pwrite(memory, Uint8Array.from(code), 0);
      context.regs.set(REG_RIP, CODE);
    };
    at([0x0f, 0x0b]);
    assertFault(context, 4, 2, CODE);
    at([0x31, 0xc9, 0xf7, 0xf1]);
    assertFault(context, 8, 1, CODE + 2);
    at([0xcc]);
    assertFault(context, 5, 0x80);
    assert.equal(context.regs.get(REG_RIP), CODE + 1);
    at(STORE);
    space.map(0x60000, PAGE, memory, 2000 * PAGE, READ_WRITE, true);
    context.regs.set(REG_RDI, 0x60000);
    assertFault(context, 7, 2, 0x60000);
    context.regs.set(REG_RIP, 0xdead0000);
    assertFault(context, 11, 1, 0xdead0000);
  },

  'single-steps': () => {
    const { context } = load([0x90, 0x90, 0xff, 0xc0, 0x0f, 0x05]);
    context.singleStep = true;
    for (let i = 1; i <= 2; i++) {
      assertFault(context, 5, 2);
      assert.equal(context.regs.get(REG_RIP), CODE + i);
    }
    context.singleStep = false;
    assert.equal(run(context).stop, STOP_SYSCALL);
    // The application's own trap flag.
    context.regs.set(REG_RIP, CODE);
    context.regs.set(REG_EFLAGS, 0x302);
    assertFault(context, 5, 2);
  },

  'survives hostile registers': () => {
    const { context } = load(SYSCALL_FOREVER);
    const { regs } = context;
    regs.set(REG_FS_BASE, -4096);
    assertFault(context, 11, 0x80);
    regs.set(REG_FS_BASE, 0x8000_0000_0000);
    assertFault(context, 11, 0x80);
    regs.set(REG_FS_BASE, 0x7000);
    for (const [cs, ss] of [
      [0x10, 0x18],
      [0, 0],
      [0xffff, 0xffff],
      [7, 7],
    ] as const) {
      regs.set(REG_CS, cs);
      regs.set(REG_SS, ss);
      regs.set(REG_EFLAGS, 0x3fffff & ~0x100);
      regs.set(REG_RIP, CODE);
      run(context);
      assert.equal(context.stop, STOP_SYSCALL);
      assert.deepEqual([regs.get(REG_CS), regs.get(REG_FS_BASE)], [0x33, 0x7000]);
      assert.equal(regs.get(REG_EFLAGS) & 0x3000, 0);
    }
    for (const rip of [0x8000_0000_0000, 2 ** 63, -1, platform.taskSize + 0x100000, 0]) {
      regs.set(REG_RIP, rip);
      regs.set(REG_RSP, rip);
      run(context);
      assert.deepEqual([context.stop, context.faultSignal], [STOP_FAULT, 11]);
    }
  },

  'keeps the stub out of reach': () => {
    const { space, context } = load(SYSCALL_FOREVER);
    run(context);
    const maps = readFileSync(`/proc/${space.pid}/maps`, 'latin1').trim().split('\n');
    const ranges = maps
      .map((line) => line.split(' ')[0])
      .filter((range) => !/^ffff/.test(`${range}`));
    assert.deepEqual(ranges, [
      '00010000-00011000',
      '00020000-00021000',
      '7fffffe00000-7fffffe01000',
      '7fffffe01000-7fffffe11000',
    ]);
    assert.throws(() => space.unmap(platform.taskSize, PAGE));
    assert.throws(() => space.map(platform.taskSize - PAGE, 2 * PAGE, memory, 0, 3, true));
    // Its code makes system calls of the application, nothing else.
    context.regs.set(REG_RIP, platform.taskSize);
    context.regs.set(REG_RBX, DATA);
    assert.equal(run(context).stop, STOP_FAULT);
    fs.pwrite(memory, Uint8Array.from(STORE), 0);
    context.regs.set(REG_RIP, CODE);
    context.regs.set(REG_RDI, platform.taskSize + PAGE);
    assertFault(context, 11, 2, platform.taskSize + PAGE);
  },

  forks: () => {
    const { space, context } = load([...SYSCALL_FOREVER, ...STORE]);
    context.regs.set(REG_RBX, 1234);
    run(context);
    const made = space.fork(context);
    assert(typeof made === 'object', `fork: ${made}`);
    const child = made.context;
    assert.equal(child.regs.get(REG_RBX), 1234);
    made.space.map(0x30000, PAGE, memory, 2 * PAGE, READ_WRITE, true);
    child.regs.set(REG_RIP, CODE + 4);
    child.regs.set(REG_RDI, 0x30000);
    child.regs.set(REG_RAX, 5);
    assert.equal(run(child).stop, STOP_SYSCALL);
    context.regs.set(REG_RIP, CODE + 4);
    context.regs.set(REG_RDI, 0x30000);
    assertFault(context, 11, 1, 0x30000);
    const fork2 = made.space.fork(child);
    assert(typeof fork2 === 'object');
    space.release();
    made.space.release();
    fork2.context.regs.set(REG_RIP, CODE);
    assert.equal(run(fork2.context).stop, STOP_SYSCALL);
  },

  'forks and starts quickly, and leaves no zombies': () => {
    const { space, context } = load(SYSCALL_FOREVER);
    run(context);
    const rounds = 300;
    const begin = monotonicNs();
    for (let i = 0; i < rounds; i++) {
      const made = space.fork(context);
      assert(typeof made === 'object', `fork ${i}: ${made}`);
      run(made.context);
      made.space.release();
    }
    const middle = monotonicNs();
    for (let i = 0; i < rounds; i++) {
      const made = platform.newAddressSpace();
      assert(typeof made === 'object', `new ${i}: ${made}`);
      made.space.map(CODE, PAGE, memory, 0, READ_EXECUTE, true);
      made.context.regs.set(REG_RIP, CODE);
      run(made.context);
      made.space.release();
    }
    const end = monotonicNs();
    for (let i = 0; i < 5; i++) platform.poll(soon());
    const children = readFileSync('/proc/self/task/' + getpid() + '/children', 'latin1');
    assert.equal(children.trim().split(' ').length, 2, `left: ${children}`);
    const us = (ns: number) => Math.round(ns / rounds / 1000);
    console.log(`fork ${us(middle - begin)} µs, new space ${us(end - middle)} µs`);
  },

  'runs threads in parallel': () => {
    const { space, context } = load(COUNT);
    const second = space.newContext(context);
    assert(typeof second === 'object', `thread: ${second}`);
    second.regs.set(REG_RDI, DATA + 8);
    context.resume();
    second.resume();
    assert.equal(platform.running, 2);
    assert.equal(platform.poll(monotonicNs() + 300e6), null);
    assert.equal(platform.running, 2);
    const counts = readData();
    assert(counts[0]! > 1_000_000n && counts[1]! > 1_000_000n, `${counts}`);
    assert(second.cpuTimeNs() > 50e6);
    second.interrupt();
    assert.equal(platform.poll(soon()), second);
    assert.equal(second.stop, STOP_INTERRUPTED);
    assert.equal(platform.running, 1);
    context.interrupt();
    assert.equal(platform.poll(soon()), context);
  },

  interrupts: () => {
    const { context } = load([...SPIN, ...SYSCALL_FOREVER]);
    const { regs } = context;
    regs.set(REG_RBX, 42);
    for (let i = 0; i < 200; i++) {
      context.resume();
      if (i % 2 === 0) platform.poll(0);
      context.interrupt();
      assert.equal(platform.poll(monotonicNs() + 1e9), context);
      assert.equal(context.stop, STOP_INTERRUPTED);
      assert.deepEqual([regs.get(REG_RIP), regs.get(REG_RBX)], [CODE, 42]);
    }
    context.interrupt();
    // An interrupt that meets a system call stop must not come out later.
    regs.set(REG_RIP, CODE + 2);
    for (let i = 0; i < 200; i++) {
      context.resume();
      platform.poll(0);
      const first = context.stop;
      context.interrupt();
      if (platform.running > 0) assert.equal(platform.poll(monotonicNs() + 1e9), context);
      assert(context.stop === STOP_SYSCALL || context.stop === STOP_INTERRUPTED, `${first}`);
    }
    for (let i = 0; i < 20; i++) assert.equal(run(context).stop, STOP_SYSCALL);
  },

  'applies a thousand operations at once': () => {
    const { space, context } = load(COUNT);
    context.resume();
    assert.equal(platform.poll(soon()), null);
    const begin = monotonicNs();
    for (let i = 0; i < 1000; i++) {
      space.map(0x100000 + 2 * i * PAGE, PAGE, memory, (i % 100) * PAGE, READ_WRITE, true);
    }
    assert.equal(space.flush(), 0);
    const took = monotonicNs() - begin;
    assert.equal(readFileSync(`/proc/${space.pid}/maps`, 'latin1').trim().split('\n').length, 1005);
    for (let i = 0; i < 3000; i++) space.unmap(0x100000 + i * PAGE, PAGE);
    assert.equal(space.flush(), 0);
    assert.equal(readFileSync(`/proc/${space.pid}/maps`, 'latin1').trim().split('\n').length, 5);
    space.map(0x100000, PAGE, 9999, 0, READ_WRITE, true);
    space.map(0x200000, PAGE, memory, 0, READ_WRITE, true);
    assert.equal(space.flush(), -9);
    assert.equal(space.flush(), 0);
    // It was running all the time, as far as the kernel could tell.
    assert.equal(platform.running, 1);
    const before = readData()[0]!;
    assert.equal(platform.poll(soon()), null);
    assert(readData()[0]! > before);
    console.log(`1000 maps in ${Math.round(took / 1000)} µs`);
  },

  'wakes for descriptors and deadlines': () => {
    const { context } = load(SPIN);
    const [left, right] = socket.socketpair(1) as [number, number];
    let events = 0;
    assert.equal(
      platform.hostPoller.add(right, () => events++),
      0,
    );
    platform.hostPoller.drain();
    const bell = fork();
    if (bell === 0) {
      for (let i = 0; i < 20; i++) {
        syscall(35, new Float64Array(new BigInt64Array([0n, 10_000_000n]).buffer), null);
        socket.send(left, Uint8Array.of(i));
      }
      exit(0);
    }
    const into = new Uint8Array(8);
    const limit = monotonicNs() + 10e9;
    for (let i = 0; i < 20; ) {
      assert(monotonicNs() < limit, `only ${i} of 20 came`);
      // Half of them while an application thread runs, half while none does.
      if (i === 10) context.resume();
      const before = events;
      assert.equal(platform.poll(monotonicNs() + 2e9), null);
      platform.hostPoller.drain();
      if (events === before) continue;
      i += socket.recv(right, into, 0x40);
    }
    for (const wait of [1e6, 5e6, 50e6]) {
      const begin = monotonicNs();
      assert.equal(platform.poll(begin + wait), null);
      const late = monotonicNs() - begin - wait;
      assert(late >= 0 && late < 20e6, `late by ${late}`);
    }
    platform.hostPoller.remove(right);
    context.interrupt();
    assert.equal(platform.poll(soon()), context);
    const begin = monotonicNs();
    assert.equal(platform.poll(begin + 30e6), null);
    assert(monotonicNs() - begin >= 30e6);
  },

  'uses no processor while idle': () => {
    load(SYSCALL_FOREVER);
    // Node's own thread may still be compiling what started it.
    platform.poll(monotonicNs() + 500e6);
    const before = process.cpuUsage();
    assert.equal(platform.poll(monotonicNs() + 1e9), null);
    const used = process.cpuUsage(before);
    assert(used.user + used.system < 3000, `${used.user + used.system} µs in a second`);
  },

  'hears of killed threads': () => {
    for (const state of ['running', 'stopped', 'lent']) {
      const { space, context } = load(SPIN);
      if (state !== 'stopped') context.resume();
      assert.equal(platform.poll(soon()), null);
      kill(space.pid, 9);
      if (state === 'lent') {
        space.map(0x70000, PAGE, memory, 0, 1, true);
        assert.equal(space.flush(), -3);
      }
      assert.equal(platform.poll(monotonicNs() + 1e9), context);
      assert.equal(context.stop, STOP_EXITED);
      context.resume();
      assert.equal(platform.running, 0);
      assert.equal(typeof space.fork(context), 'number');
      context.release();
    }
  },

  'releases threads one by one': () => {
    const { space, context } = load(SPIN);
    const threads = [context];
    for (let i = 0; i < 50; i++) {
      const thread = space.newContext(context);
      assert(typeof thread === 'object', `thread ${i}: ${thread}`);
      threads.push(thread);
      if (i % 2 === 0) thread.resume();
    }
    platform.poll(soon());
    for (const thread of threads.slice(0, 50)) thread.release();
    for (let i = 0; i < 5; i++) platform.poll(soon());
    const left = readdirSync(`/proc/${space.pid}/task`);
    assert.equal(left.length, 2, `the ended leader and the last thread: ${left}`);
    const last = threads[50] as PtraceContext;
    assert.equal(run2(last).stop, STOP_INTERRUPTED);
    last.release();
    for (let i = 0; i < 5; i++) platform.poll(soon());
    assert.throws(() => readdirSync(`/proc/${space.pid}/task`));
  },

  'keeps floating-point state': () => {
    // movd %xmm3,%eax; syscall
    const { space, context } = load([0x66, 0x0f, 0x7e, 0xd8, ...SYSCALL_FOREVER]);
    const state = new Uint8Array(context.fpStateSize);
    assert.equal(context.getFpState(state), 0);
    assert.equal(new DataView(state.buffer).getUint32(24, true), 0x1f80);
    state[160 + 16 * 3] = 99;
    state[512] = 3;
    assert.equal(context.setFpState(state), 0);
    assert.equal(run(context).regs.get(REG_RAX), 99);
    const made = space.fork(context);
    const thread = space.newContext(context);
    assert(typeof made === 'object' && typeof thread === 'object');
    for (const other of [made.context, thread]) {
      other.regs.set(REG_RIP, CODE);
      assert.equal(run(other).regs.get(REG_RAX), 99);
    }
    state[512 + 7] = 0x80;
    assert.equal(context.setFpState(state), -22);
    assert.equal(context.setFpState(new Uint8Array(10)), -22);
    context.resetFpState();
    context.regs.set(REG_RIP, CODE);
    assert.equal(run(context).regs.get(REG_RAX), 0);
  },

  'swallows signals from the host': () => {
    const { space, context } = load(COUNT);
    context.resume();
    platform.poll(0);
    for (const signal of [1, 2, 10, 11, 15, 5, 19, 18, 20]) kill(space.pid, signal);
    assert.equal(platform.poll(soon()), null);
    kill(space.pid, 18);
    const before = readData()[0]!;
    assert.equal(platform.poll(soon()), null);
    assert(readData()[0]! > before);
  },

  /** The test kills this process and looks whether the stub goes too. */
  'waits to be killed': () => {
    const { space, context } = load(SPIN);
    context.resume();
    platform.poll(0);
    console.log(`stubs ${space.pid}`);
    for (;;) platform.poll(Infinity);
  },
};

/** Interrupts a context whether or not it was running, and takes its stop. */
function run2(context: PtraceContext): PtraceContext {
  context.resume();
  context.interrupt();
  assert.equal(platform.poll(monotonicNs() + 1e9), context);
  return context;
}

const name = process.argv[2] ?? '';
const scenario = scenarios[name];
if (scenario === undefined) {
  console.log(JSON.stringify(Object.keys(scenarios)));
} else {
  scenario();
}
platform.destroy();
