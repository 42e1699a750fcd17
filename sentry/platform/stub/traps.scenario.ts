/** Scenarios: how application threads stop, and what of their registers is seen and set. */

import { strict as assert } from 'node:assert';
import { readFileSync } from 'node:fs';
import * as fs from '../../../native/fs.ts';
import { getpid, kill, signalfd, sigprocmask, tgkill } from '../../../native/process.ts';
import { SFD_NONBLOCK, SIG_BLOCK, SIGWINCH } from '../../../spec/linux/signal.ts';
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
  STOP_FAULT,
  STOP_SYSCALL,
} from '../platform.ts';
import {
  assertFault,
  CODE,
  COUNT,
  DATA,
  load,
  memory,
  PAGE,
  platform,
  READ_WRITE,
  readData,
  run,
  STORE,
  STUB_RANGES,
  SYSCALL_FOREVER,
  soon,
} from './scenario.ts';

export const trapScenarios: Record<string, () => void> = {
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
    assert.deepEqual(ranges, ['00010000-00011000', '00020000-00021000', ...STUB_RANGES]);
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

  'keeps a signal that was blocked after its start for a signalfd': () => {
    const set: [number, number] = [2 ** (SIGWINCH - 1), 0];
    assert.equal(sigprocmask(SIG_BLOCK, set), 0);
    const fd = signalfd(-1, set, SFD_NONBLOCK);
    assert(fd >= 0);
    tgkill(getpid(), getpid(), SIGWINCH);
    assert.equal(platform.poll(soon()), null);
    const told = new Uint8Array(128);
    assert.equal(fs.read(fd, told), told.length);
  },
};
