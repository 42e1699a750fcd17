/** Scenarios: address spaces, threads, sleeping and dying. */

import { strict as assert } from 'node:assert';
import { readdirSync, readFileSync } from 'node:fs';
import { fork, getpid, monotonicNs, syscall } from '../../../native/index.ts';
import { exit, kill } from '../../../native/process.ts';
import * as socket from '../../../native/socket.ts';
import { SIGSTOP } from '../../../spec/linux/signal.ts';
import { SYS_getppid, SYS_nanosleep } from '../../../spec/linux/syscall_numbers.ts';
import {
  REG_RAX,
  REG_RBX,
  REG_RDI,
  REG_RIP,
  STOP_EXITED,
  STOP_INTERRUPTED,
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
  READ_EXECUTE,
  READ_WRITE,
  readData,
  run,
  runInterrupted,
  SPIN,
  STORE,
  SYSCALL_FOREVER,
  soon,
} from './scenario.ts';
import type { StubContext } from './stub_context.ts';

function threadIds(pid: number): number[] {
  return readdirSync(`/proc/${pid}/task`).map(Number);
}

/** Whether a thread has gone through exit, where it gave up its memory. */
function isAtEnd(pid: number, tid: number): boolean {
  try {
    return /\) [ZX]/.test(readFileSync(`/proc/${pid}/task/${tid}/stat`, 'latin1'));
  } catch {
    return true;
  }
}

const KILLING_NS = 3e9;

/** Kills children of the parent, but for the first, which is the platform's template, and itself. */
function killStubs(): never {
  const parent = syscall(SYS_getppid);
  const pause = new Float64Array(2);
  for (;;) {
    const children = readFileSync(`/proc/${parent}/task/${parent}/children`, 'latin1');
    const victims = children.trim().split(' ').map(Number).slice(1);
    const victim = victims[Math.floor(Math.random() * victims.length)];
    if (victim !== undefined && victim !== getpid()) kill(victim, 9);
    new BigInt64Array(pause.buffer)[1] = BigInt(Math.floor(Math.random() * 5e6));
    syscall(SYS_nanosleep, pause, null);
  }
}

/** Makes processes and threads and runs them. Whether nothing went wrong. */
function outlive(): boolean {
  const made = platform.newAddressSpace();
  if (typeof made === 'number') return false;
  const { space, context } = made;
  space.map(CODE, PAGE, memory, 0, READ_EXECUTE, true);
  let isWell = space.flush() === 0;
  context.regs.set(REG_RIP, CODE);
  const thread = isWell ? space.newContext(context) : -1;
  const forked = isWell ? space.fork(context) : -1;
  const contexts = [context];
  if (typeof thread === 'object') contexts.push(thread);
  if (typeof forked === 'object') contexts.push(forked.context);
  isWell &&= contexts.length === 3;
  for (const each of contexts) each.resume();
  for (let i = 0; i < 30; i++) {
    const stopped = platform.poll(soon());
    if (stopped === null || !contexts.includes(stopped)) return endAll();
    if (stopped.stop === STOP_EXITED) isWell = false;
    else stopped.resume();
  }
  return endAll() && isWell;

  function endAll(): boolean {
    space.release();
    if (typeof forked === 'object') forked.space.release();
    return contexts.length === 3;
  }
}

export const processScenarios: Record<string, () => void> = {
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
    const mappings = () =>
      readFileSync(`/proc/${space.pid}/maps`, 'latin1').trim().split('\n').length;
    const others = mappings() - 1000;
    for (let i = 0; i < 3000; i++) space.unmap(0x100000 + i * PAGE, PAGE);
    assert.equal(space.flush(), 0);
    assert.equal(mappings(), others);
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
    const bell = fork(0);
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

  'touches nothing after its release': () => {
    for (let i = 0; i < 40; i++) {
      const { space, context } = load(COUNT);
      const others = [1, 2].map((index) => {
        const thread = space.newContext(context);
        assert(typeof thread === 'object', `thread: ${thread}`);
        thread.regs.set(REG_RDI, DATA + 8 * index);
        thread.resume();
        return thread;
      });
      if (i % 2 === 0) context.resume();
      // Long enough for those that compute to be on other processors, and to have been there.
      for (let wait = 0; wait < 100 && (wait === 0 || readData()[1] === 0n); wait++) {
        platform.poll(soon());
      }
      const threads = threadIds(space.pid);
      // One that was let go alone and has yet to stop counts too.
      if (i % 4 >= 2) others[1]!.release();
      // The first runs every other time; the last may be seen at its stop, still on its way out.
      const ran = threads.slice(i % 2, i % 4 >= 2 ? 2 : 3);
      space.release();
      const before = readData();
      assert(ran.every((tid) => isAtEnd(space.pid, tid)));
      assert(before[1]! > 0n, 'it ran');
      platform.poll(monotonicNs() + 2e6);
      assert.deepEqual(readData(), before);
    }
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

  'goes on when somebody stops its processes': () => {
    const { space, context } = load(COUNT);
    context.resume();
    assert.equal(platform.poll(soon()), null);
    for (let i = 0; i < 3; i++) {
      kill(space.pid, SIGSTOP);
      const begin = monotonicNs();
      if (i === 0) space.map(0x70000, PAGE, memory, 0, 1, true);
      assert.equal(space.flush(), 0);
      context.interrupt();
      assert.equal(platform.poll(monotonicNs() + 1e9), context);
      assert(monotonicNs() - begin < 1e9);
      context.resume();
      assert.equal(platform.poll(soon()), null);
    }
    kill(space.pid, SIGSTOP);
    space.release();
  },

  'outlives processes killed at any moment': () => {
    load(SYSCALL_FOREVER).space.release();
    const killer = fork(0);
    if (killer === 0) killStubs();
    const limit = monotonicNs() + KILLING_NS;
    let rounds = 0;
    let hit = 0;
    for (; monotonicNs() < limit; rounds++) hit += outlive() ? 0 : 1;
    kill(killer, 9);
    assert(hit > 10 && hit < rounds, `${hit} of ${rounds} were hit`);
    for (let i = 0; i < 5; i++) platform.poll(soon());
    assert.equal(platform.running, 0);
    for (let i = 0; i < 20; i++) assert(outlive());
    console.log(`${hit} of ${rounds} were hit`);
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
    const last = threads[50] as StubContext;
    assert.equal(runInterrupted(last).stop, STOP_INTERRUPTED);
    last.release();
    for (let i = 0; i < 5; i++) platform.poll(soon());
    assert.throws(() => readdirSync(`/proc/${space.pid}/task`));
  },

  /** The test kills this process and looks whether the stub goes too. */
  'waits to be killed': () => {
    const spare = load(SYSCALL_FOREVER);
    run(spare.context);
    spare.space.owner = 'a';
    spare.space.release();
    const { space, context } = load(SPIN);
    context.resume();
    platform.poll(0);
    console.log(`stubs ${space.pid}`);
    for (;;) platform.poll(Infinity);
  },
};
