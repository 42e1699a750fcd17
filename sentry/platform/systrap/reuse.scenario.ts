/**
 * Runs one scenario of processes and threads that serve again as a process of its own, for
 * systrap.test.ts: `reuse.scenario.ts NAME`; without a name it lists them.
 */

import { strict as assert } from 'node:assert';
import { readFileSync } from 'node:fs';
import { monotonicNs } from '../../../native/index.ts';
import { kill } from '../../../native/process.ts';
import { REG_RAX, REG_RBX, REG_RCX, REG_RDI, REG_RIP, STOP_SYSCALL } from '../platform.ts';
import {
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
  SPIN,
  STUB_RANGES,
  SYSCALL_FOREVER,
  soon,
} from '../stub/scenario.ts';
import type { StubContext } from '../stub/stub_context.ts';

const AREA = 0x7fffe0000000;
/** movb $1,(%rbx); then COUNT: looks stopped while it runs. */
const FORGE = [0xc6, 0x03, 1, ...COUNT];

/** Ends a space of `owner`, which has made a call. */
function end(owner: string, code = SYSCALL_FOREVER): number {
  const { space, context } = load(code);
  context.regs.set(REG_RBX, 77);
  run(context);
  space.owner = owner;
  space.release();
  return space.pid;
}

function made(result: ReturnType<typeof platform.newAddressSpace>) {
  assert(typeof result === 'object', `no address space: ${result}`);
  return result;
}

/** Maps what `load` has, for a space that is empty. */
function start(context: StubContext): void {
  const { space } = context;
  space.map(CODE, PAGE, memory, 0, READ_EXECUTE, true);
  space.map(DATA, PAGE, memory, PAGE, READ_WRITE, true);
  context.regs.set(REG_RIP, CODE);
  context.regs.set(REG_RDI, DATA);
}

const scenarios: Record<string, () => void> = {
  'a process serves another space of its owner, empty': () => {
    const pid = end('a');
    const { space, context } = made(platform.newAddressSpace('a'));
    assert.equal(space.pid, pid);
    assert.equal(context.regs.get(REG_RBX), 0);
    const maps = readFileSync(`/proc/${pid}/maps`, 'latin1').trim().split('\n');
    const ranges = maps.map((line) => line.split(' ')[0] ?? '');
    const own = ranges.filter((range) => range < 'f');
    assert.deepEqual(own, STUB_RANGES);
    const fresh = new Uint8Array(context.fpStateSize);
    assert.equal(context.getFpState(fresh), 0);
    assert.equal(new DataView(fresh.buffer).getUint32(24, true), 0x1f80);
    start(context);
    for (let i = 0; i < 100; i++) assert.equal(run(context).stop, STOP_SYSCALL);
    assert(context.cpuTimeNs() < 1e9);
  },

  'nobody else gets it': () => {
    const pid = end('a');
    assert.notEqual(made(platform.newAddressSpace('b')).space.pid, pid);
    assert.notEqual(made(platform.newAddressSpace('')).space.pid, pid);
    assert.equal(made(platform.newAddressSpace('a')).space.pid, pid);
    const unowned = end('');
    for (let i = 0; i < 3; i++) {
      assert.notEqual(made(platform.newAddressSpace('')).space.pid, unowned);
    }
  },

  'a fork takes it, and leaves the mappings to the caller': () => {
    const { space, context } = load(SYSCALL_FOREVER);
    run(context);
    const pid = end('a');
    context.regs.set(REG_RBX, 99);
    space.owner = 'a';
    const forked = space.fork(context, 3);
    assert(typeof forked === 'object' && forked.empty);
    assert.equal(forked.space.pid, pid);
    assert.equal(forked.space.owner, 'a');
    assert.equal(forked.context.regs.get(REG_RBX), 99);
    start(forked.context);
    assert.equal(run(forked.context).stop, STOP_SYSCALL);
    // With many mappings a copy is cheaper.
    end('a');
    const copied = space.fork(context, 100_000);
    assert(typeof copied === 'object' && !copied.empty);
  },

  'a process with a running thread is not kept': () => {
    const { space, context } = load(SPIN);
    context.resume();
    platform.poll(soon());
    space.owner = 'a';
    space.release();
    assert.notEqual(made(platform.newAddressSpace('a')).space.pid, space.pid);
  },

  'a dead process is not used': () => {
    const pid = end('a');
    kill(pid, 9);
    platform.poll(monotonicNs() + 50e6);
    const { space, context } = made(platform.newAddressSpace('a'));
    assert.notEqual(space.pid, pid);
    start(context);
    assert.equal(run(context).stop, STOP_SYSCALL);
  },

  'a few are kept': () => {
    const spaces = Array.from({ length: 40 }, () => load(SYSCALL_FOREVER));
    for (const { context } of spaces) run(context);
    for (const { space } of spaces) {
      space.owner = 'a';
      space.release();
    }
    const children = readFileSync(`/proc/self/task/${process.pid}/children`, 'latin1');
    assert(children.trim().split(' ').length <= 10, children);
  },

  'a thread serves its space again': () => {
    const { space, context } = load(SYSCALL_FOREVER);
    run(context);
    space.owner = 'a';
    const first = space.newContext(context);
    assert(typeof first === 'object');
    run(first);
    first.release();
    context.regs.set(REG_RBX, 5);
    for (let i = 0; i < 50; i++) {
      const next = space.newContext(context);
      assert(typeof next === 'object');
      assert.equal(next.slot, first.slot);
      assert.equal(next.regs.get(REG_RBX), 5);
      assert.equal(run(next).stop, STOP_SYSCALL);
      next.release();
    }
    space.release();
    const again = made(platform.newAddressSpace('a'));
    assert.equal(again.space.pid, space.pid);
    start(again.context);
    run(again.context);
  },

  'a thread that only looks stopped harms its owner at most': () => {
    for (let i = 0; i < 10; i++) {
      const { space, context } = load(FORGE);
      context.regs.set(REG_RBX, AREA + 0x4000 * context.slot);
      context.resume();
      // Nobody rings for such a stop.
      while (platform.poll(monotonicNs() + 1e6) === null);
      assert.equal(platform.running, 0);
      space.owner = 'a';
      space.release();
      const before = readData();
      platform.poll(monotonicNs() + 5e6);
      assert.deepEqual(readData(), before, 'it has no memory any more');
      const mine = made(platform.newAddressSpace('a'));
      start(mine.context);
      mine.context.resume();
      platform.poll(soon());
      mine.space.release();
      const other = load(SYSCALL_FOREVER);
      other.context.regs.set(REG_RAX, 39);
      other.context.regs.set(REG_RCX, 0);
      for (let k = 0; k < 20; k++) assert.equal(run(other.context).stop, STOP_SYSCALL);
      other.space.release();
    }
  },
};

const scenario = scenarios[process.argv[2] ?? ''];
if (scenario === undefined) console.log(JSON.stringify(Object.keys(scenarios)));
else scenario();
platform.destroy();
