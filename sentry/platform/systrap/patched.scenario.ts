/**
 * Runs one scenario of an application with patched call sites as a process of its own, for
 * systrap.test.ts: `patched.scenario.ts NAME`; without a name it lists them.
 */

import { strict as assert } from 'node:assert';
import { readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import * as fs from '../../../native/fs.ts';
import { monotonicNs } from '../../../native/index.ts';
import { kill, schedSetaffinity } from '../../../native/process.ts';
import { SIGKILL } from '../../../spec/linux/signal.ts';
import { JUMP_BYTES, jump, trampoline } from '../../arch/call_site.ts';
import {
  REG_EFLAGS,
  REG_FS_BASE,
  REG_GS_BASE,
  REG_R11,
  REG_RAX,
  REG_RBX,
  REG_RCX,
  REG_RDI,
  REG_RIP,
  REG_RSI,
  REG_RSP,
  STOP_EXITED,
  STOP_FAULT,
  STOP_INTERRUPTED,
  STOP_SYSCALL,
} from '../platform.ts';
import { HEADER_SPIN_NS, HEADER_WAKE_NS } from '../stub/record.ts';
import { CODE, DATA, load, memory, platform, run, SYSCALL_FOREVER } from '../stub/scenario.ts';

const SITE = CODE + 3;
const BACK = SITE + 7;
const TRAMPOLINE = CODE + 0x100;
const AREA = 0x7fffe0000000;
const AREA_BYTES = 0x4000;
const SYS_getppid = 110;
const FILL_AT = 0x200;
/** 1: mov $0x4000,%ecx; lea (%rdx),%rdi; rep stosb; jmp 1b. */
const FILL_FOREVER = [0xb9, 0, 0x40, 0, 0, 0x48, 0x8d, 0x3a, 0xf3, 0xaa, 0xeb, 0xf4];

/** 1: mov $4000000,%ecx; 2: dec %ecx; jnz 2b; syscall; jmp 1b. */
const COMPUTE = [0xb9, 0x00, 0x09, 0x3d, 0, 0xff, 0xc9, 0x75, 0xfc, 0x0f, 0x05, 0xeb, 0xf3];

/** 1: inc %rbx; jmp trampoline; syscall; jmp 1b. */
function loadPatched() {
  const loaded = load([
    0x48,
    0xff,
    0xc3,
    ...jump(TRAMPOLINE - SITE - JUMP_BYTES),
    0x0f,
    0x05,
    0xeb,
    0xf4,
  ]);
  const move = Uint8Array.of(0xb8, SYS_getppid, 0, 0, 0);
  fs.pwrite(memory, trampoline(move, BACK - TRAMPOLINE, platform.callEntry), TRAMPOLINE - CODE);
  fs.pwrite(memory, Uint8Array.from(FILL_FOREVER), FILL_AT);
  loaded.context.regs.set(REG_RSP, DATA + 0x800);
  return loaded;
}

function assertCall(context: ReturnType<typeof loadPatched>['context'], count: number): void {
  const { regs } = context;
  assert.equal(context.stop, STOP_SYSCALL);
  assert.deepEqual(
    [REG_RAX, REG_RIP, REG_RCX, REG_RBX, REG_RSP, REG_RDI, REG_GS_BASE].map((r) => regs.get(r)),
    [SYS_getppid, BACK, BACK, count, DATA + 0x800, DATA, 0],
  );
  assert.equal(regs.get(REG_R11), regs.get(REG_EFLAGS));
}

const scenarios: Record<string, () => void> = {
  'has all registers': () => {
    const { space, context } = loadPatched();
    for (let i = 1; i <= 1000; i++) {
      assertCall(run(context), i);
      context.regs.set(REG_RAX, i);
    }
    space.release();
  },

  'has only the call until more is asked for': () => {
    const { space, context } = loadPatched();
    const { regs } = context;
    for (let i = 1; i <= 100; i++) {
      run(context);
      assert(regs.callOnly);
      assert.equal(regs.words[regs.base + 2 * REG_RAX], SYS_getppid);
      assert.equal(regs.words[regs.base + 2 * REG_RDI], DATA);
      regs.set(REG_RAX, i);
      assert(regs.callOnly);
      if (i % 3 === 0) regs.set(REG_RDI, DATA);
      if (i % 7 === 0) {
        regs.fetch();
        assert.equal(regs.words[regs.base + 2 * REG_RBX], i);
        assert.equal(regs.get(REG_RAX), i);
      }
    }
    const forked = space.fork(context);
    assert(typeof forked === 'object');
    assertCall(run(forked.context as typeof context), 101);
    run(context);
    assert.equal(context.getFpState(new Uint8Array(context.fpStateSize)), 0);
    assertCall(context, 101);
    assertCall(run(context), 102);
    forked.space.release();
    space.release();
  },

  'takes other registers than the result': () => {
    const { space, context } = loadPatched();
    for (let i = 1; i <= 100; i++) {
      assertCall(run(context), i);
      context.regs.set(REG_RAX, 7);
      if (i % 3 === 0) context.regs.set(REG_FS_BASE, DATA + i);
      if (i % 5 === 0) context.regs.set(REG_RIP, BACK);
      if (i % 7 === 0) context.regs.set(REG_RBX, i);
    }
    assert.equal(run(context).regs.get(REG_FS_BASE), DATA + 99);
    context.regs.set(REG_RIP, 0x800000000000);
    assert.equal(run(context).stop, STOP_FAULT);
    space.release();
  },

  'gives up floating-point state': () => {
    const { space, context } = loadPatched();
    const state = new Uint8Array(context.fpStateSize);
    for (let i = 1; i <= 200; i++) {
      assertCall(run(context), i);
      if (i % 3 === 0) {
        assert.equal(context.getFpState(state), 0);
        if (i > 3) assert.equal(state[160], i - 3);
        state[160] = i;
        state[512] = (state[512] as number) | 2;
        assert.equal(context.setFpState(state), 0);
      }
    }
    space.release();
  },

  'is forked and cloned from': () => {
    const { space, context } = loadPatched();
    for (let i = 1; i <= 10; i++) assertCall(run(context), i);
    const forked = space.fork(context);
    assert(typeof forked === 'object');
    assertCall(run(forked.context as typeof context), 11);
    const thread = space.newContext(context);
    assert(typeof thread === 'object');
    assertCall(run(thread), 11);
    assertCall(run(context), 11);
    forked.space.release();
    space.release();
  },

  /** Every interrupt leads to a stop, and no stop changes what the application computes. */
  'is interrupted anywhere': () => {
    const { space, context } = loadPatched();
    const { regs } = context;
    const stops = [0, 0, 0, 0, 0];
    const fewest = () => Math.min(stops[STOP_INTERRUPTED] as number, stops[STOP_SYSCALL] as number);
    let calls = 0;
    // On a busy host most calls have come before the interrupt, on an idle one few have.
    for (let i = 0; i < 20_000 || (i < 400_000 && fewest() <= 100); i++) {
      context.resume();
      assert.equal(platform.poll(0) ?? context, context);
      if (platform.running > 0) {
        for (const end = monotonicNs() + (i % 64) * 50; monotonicNs() < end; );
        context.interrupt();
        assert.equal(platform.poll(monotonicNs() + 5e9), context, `interrupt ${i} was lost`);
      }
      stops[context.stop] = (stops[context.stop] as number) + 1;
      // Every other stop leaves the registers where they are.
      if (context.stop === STOP_SYSCALL && ++calls % 2 === 0) continue;
      const rip = regs.get(REG_RIP);
      if (context.stop === STOP_SYSCALL) assertCall(context, calls);
      else
        assert(rip >= CODE && rip < CODE + 0x1000, `stop ${context.stop} at ${rip.toString(16)}`);
    }
    assert(fewest() > 100, `${stops}`);
    space.release();
  },

  'has its mailbox forged by another thread': () => {
    for (let value = 0; value < 8; value++) {
      const { space, context } = loadPatched();
      const other = space.newContext(context);
      assert(typeof other === 'object');
      other.regs.set(REG_RIP, CODE + FILL_AT);
      other.regs.set(REG_RAX, value);
      // rdx: the first area of this platform.
      other.regs.set(12, AREA);
      other.resume();
      const state = new Uint8Array(context.fpStateSize);
      for (let i = 0; i < 50; i++) {
        context.resume();
        const stopped = platform.poll(monotonicNs() + 1e6);
        if (stopped === context && i % 5 === 0) context.getFpState(state);
        if (stopped === null) context.interrupt();
        else if (stopped.stop === STOP_EXITED) break;
      }
      space.release();
      assert.equal(platform.running, 0);
      assert((platform.words[HEADER_WAKE_NS] as number) <= 100_000);
    }
    const { space, context } = load(SYSCALL_FOREVER);
    assert.equal(run(context).stop, STOP_SYSCALL);
    space.release();
  },

  /** Where stops come late the Sentry soon sleeps almost at once, instead of looking out for each. */
  'computes for long between its calls': () => {
    if (availableParallelism() < 2) return;
    const { space, context } = load(COMPUTE);
    const { pid } = space;
    const tid = Number(readdirSync(`/proc/${pid}/task`).find((each) => each !== `${pid}`));
    let spinNs = Number.POSITIVE_INFINITY;
    for (let i = 0; i < 1000 && spinNs > 2000; i++) {
      schedSetaffinity(0, Uint32Array.of(1, 0));
      schedSetaffinity(tid, Uint32Array.of(2, 0));
      run(context);
      spinNs = (platform.words[HEADER_SPIN_NS] as number) || spinNs;
    }
    assert.equal(spinNs, 2000);
    space.release();
  },

  /** It is measured in sleeps, from the doorbell of a thread on another processor on. */
  'learns what waking costs': () => {
    if (availableParallelism() < 2) return;
    // 1: mov %esi,%ecx; 2: dec %ecx; jnz 2b; syscall; jmp 1b.
    const { space, context } = load([0x89, 0xf1, 0xff, 0xc9, 0x75, 0xfc, 0x0f, 0x05, 0xeb, 0xf6]);
    const { pid } = space;
    const tid = Number(readdirSync(`/proc/${pid}/task`).find((each) => each !== `${pid}`));
    const seen = new Set<number>();
    for (let i = 0; i < 1000 && seen.size < 4; i++) {
      schedSetaffinity(0, Uint32Array.of(1, 0));
      schedSetaffinity(tid, Uint32Array.of(2, 0));
      for (let short = 0; short < 10; short++) {
        context.regs.set(REG_RSI, 1);
        run(context);
      }
      context.regs.set(REG_RSI, 1_000_000);
      run(context);
      seen.add(platform.words[HEADER_WAKE_NS] as number);
    }
    assert(seen.size === 4, 'nothing is learnt');
    seen.delete(0);
    for (const ns of seen) assert(ns >= 20_000 && ns <= 100_000, `${ns} ns`);
    space.release();
  },

  'dies before it has made a frame': () => {
    const { space, context } = loadPatched();
    assertCall(run(context), 1);
    kill(space.pid, SIGKILL);
    assert(context.getFpState(new Uint8Array(context.fpStateSize)) < 0);
    context.resume();
    assert.equal(platform.poll(monotonicNs() + 5e9), context);
    assert.equal(context.stop, STOP_EXITED);
    space.release();
  },

  'enters with a gs base of its own': () => {
    const { space, context } = loadPatched();
    for (const gsBase of [DATA, 1, 0x7fff00000000, AREA + 64 * AREA_BYTES, AREA - 1]) {
      context.regs.set(REG_GS_BASE, gsBase);
      run(context);
      if (gsBase < platform.taskSize) {
        assert.equal(context.stop, STOP_SYSCALL);
        assert.equal(context.regs.get(REG_GS_BASE), gsBase);
      } else {
        assert.equal(context.stop, STOP_FAULT);
        context.regs.set(REG_RIP, CODE);
        context.regs.set(REG_RSP, DATA + 0x800);
      }
    }
    context.regs.set(REG_GS_BASE, 0);
    assertCall(run(context), context.regs.get(REG_RBX));
    space.release();
  },
};

const scenario = scenarios[process.argv[2] ?? ''];
if (scenario === undefined) console.log(JSON.stringify(Object.keys(scenarios)));
else scenario();
platform.destroy();
