/**
 * Runs one scenario of an application whose futex calls are answered by the stub as a process of its
 * own, for systrap.test.ts: `futex.scenario.ts NAME`; without a name it lists them.
 */

import { strict as assert } from 'node:assert';
import * as fs from '../../../native/fs.ts';
import { monotonicNs } from '../../../native/index.ts';
import { EAGAIN } from '../../../spec/linux/errno.ts';
import { SIGSEGV, SIGTRAP } from '../../../spec/linux/signal.ts';
import { SYS_futex } from '../../../spec/linux/syscall_numbers.ts';
import { JUMP_BYTES, jump, trampoline } from '../../arch/call_site.ts';
import {
  REG_R8,
  REG_R9,
  REG_R10,
  REG_RAX,
  REG_RBP,
  REG_RBX,
  REG_RCX,
  REG_RDI,
  REG_RDX,
  REG_RIP,
  REG_RSI,
  REG_RSP,
  STOP_FAULT,
  STOP_SYSCALL,
} from '../platform.ts';
import { assertFault, CODE, DATA, load, memory, PAGE, platform, run } from '../stub/scenario.ts';
import type { StubContext } from '../stub/stub_context.ts';

const SITE = CODE + 3;
const BACK = SITE + 7;
const TRAMPOLINE = CODE + 0x100;
const WAIT = 0x80;
const WAKE = 0x81;
const WAIT_BITSET = 0x89;
const WORD = DATA + 8;
const VALUE = 5;
const WAITERS = 0x7fff00004000;
const KEPT = [REG_RDI, REG_RSI, REG_RDX, REG_R10, REG_R8, REG_R9, REG_RSP];

/** 1: inc %rbx; jmp trampoline; syscall; dec %rbp; jnz 1b; int3. */
const CALLS = [0x48, 0xff, 0xc3, ...jump(TRAMPOLINE - SITE - JUMP_BYTES), 0x0f, 0x05].concat([
  0x48, 0xff, 0xcd, 0x75, 0xf1, 0xcc,
]);

function loadCalls() {
  platform.answerFutexes();
  const loaded = load(CALLS);
  const move = Uint8Array.of(0xb8, SYS_futex, 0, 0, 0);
  fs.pwrite(memory, trampoline(move, BACK - TRAMPOLINE, platform.callEntry), TRAMPOLINE - CODE);
  fs.pwrite(memory, new Uint8Array(Uint32Array.of(VALUE).buffer), PAGE + 8);
  return loaded;
}

type Loaded = ReturnType<typeof loadCalls>;

/** Arguments of futex(2), and how often to call. */
function set(c: StubContext, addr: number, op: number, value: number, timeout = 0, times = 100) {
  const { regs } = c;
  regs.set(REG_RIP, CODE);
  regs.set(REG_RSP, DATA + 0x800);
  regs.set(REG_RDI, addr);
  regs.set(REG_RSI, op);
  regs.set(REG_RDX, value);
  regs.set(REG_R10, timeout);
  regs.set(REG_R8, 0x12345678876543);
  regs.set(REG_R9, 1);
  regs.set(REG_RBX, 0);
  regs.set(REG_RBP, times);
}

function kept(c: StubContext): number[] {
  return KEPT.map((reg) => c.regs.get(reg));
}

/** All calls are answered by the stub, with `result`. */
function assertAnswered({ context }: Loaded, result: number): void {
  const before = kept(context);
  run(context);
  assert.deepEqual([context.stop, context.faultSignal], [STOP_FAULT, SIGTRAP]);
  assert.deepEqual(kept(context), before);
  const { regs } = context;
  assert.equal((regs.words[regs.base + 2 * REG_RAX] as number) | 0, result);
  assert.equal(regs.get(REG_RBX), 100);
  assert.equal(regs.get(REG_RCX), BACK);
}

/** The first call is the kernel's. */
function assertAsked({ context }: Loaded): void {
  const before = kept(context);
  run(context);
  assert.equal(context.stop, STOP_SYSCALL);
  assert.deepEqual(kept(context), before);
  const { regs } = context;
  assert.deepEqual(
    [REG_RAX, REG_RIP, REG_RBX].map((r) => regs.get(r)),
    [SYS_futex, BACK, 1],
  );
}

const scenarios: Record<string, () => void> = {
  'wakes nobody': () => {
    const loaded = loadCalls();
    const { space, context } = loaded;
    const ask = (addr: number, op = WAKE) => set(context, addr, op, 1);
    ask(WORD);
    assertAnswered(loaded, 0);
    space.countWaiter(WORD, 1);
    ask(WORD + 4);
    assertAnswered(loaded, 0);
    // Those that share a count are asked for in vain.
    for (const addr of [WORD, WORD + 64 * PAGE]) {
      ask(addr);
      assertAsked(loaded);
    }
    space.countWaiter(WORD, 1);
    space.countWaiter(WORD, -1);
    ask(WORD);
    assertAsked(loaded);
    space.countWaiter(WORD, -1);
    ask(WORD);
    assertAnswered(loaded, 0);
    for (const [addr, op] of [
      [WORD + 2, WAKE],
      [WORD, 1],
      [WORD, WAKE | 0x100],
      [WAITERS, WAKE],
    ]) {
      ask(addr as number, op);
      assertAsked(loaded);
    }
    space.release();
  },

  'finds the word changed': () => {
    const loaded = loadCalls();
    const { space, context } = loaded;
    for (const op of [WAIT, WAIT_BITSET, WAIT_BITSET | 0x100]) {
      set(context, WORD, op, VALUE + 1);
      assertAnswered(loaded, -EAGAIN);
      set(context, WORD, op, VALUE + 1, DATA + 0x100);
      assertAnswered(loaded, -EAGAIN);
      set(context, WORD, op, VALUE);
      assertAsked(loaded);
      // Misaligned, not there, the stub's own; a timeout that is none, or not there.
      for (const addr of [WORD + 1, 0, DATA + PAGE, WAITERS, 2 ** 47, -4096]) {
        set(context, addr, op, VALUE + 1);
        assertAsked(loaded);
      }
      for (const timeout of [8, DATA + PAGE - 8, WAITERS, WAITERS - 8, -8]) {
        set(context, WORD, op, VALUE + 1, timeout);
        assertAsked(loaded);
      }
    }
    set(context, WORD, WAIT_BITSET, VALUE + 1);
    context.regs.set(REG_R9, 0);
    assertAsked(loaded);
    space.release();
  },

  'sees only its own counts': () => {
    const loaded = loadCalls();
    const other = loaded.space.fork(loaded.context);
    assert(typeof other === 'object');
    loaded.space.countWaiter(WORD, 1);
    set(loaded.context, WORD, WAKE, 1);
    assertAsked(loaded);
    set(other.context, WORD, WAKE, 1);
    assertAnswered({ ...loaded, context: other.context }, 0);
    loaded.space.countWaiter(WORD, -1);
    loaded.space.release();
    other.space.release();
  },

  'cannot forge a count': () => {
    // mov %eax,(%rdi)
    const { space, context } = load([0x89, 0x07, 0xeb, 0xfc]);
    for (const at of [WAITERS, WAITERS + PAGE - 4, WAITERS - 4]) {
      context.regs.set(REG_RDI, at);
      assertFault(context, SIGSEGV, 2, at);
    }
    space.release();
  },

  /** Every interrupt leads to a stop, no call is lost or made twice, and no register. */
  'is interrupted anywhere': () => {
    const loaded = loadCalls();
    const { space, context } = loaded;
    const { regs } = context;
    const stops = [0, 0, 0, 0, 0];
    const asked = () => stops[STOP_SYSCALL] as number;
    const times = 1e9;
    for (const [op, result] of [
      [WAKE, 0],
      [WAIT, -EAGAIN],
    ] as const) {
      set(context, WORD, op, VALUE + 1, 0, times);
      const before = kept(context);
      // On a busy machine few interrupts find the thread within the stub.
      const wanted = asked() + 20;
      for (let i = 0; i < 10_000 || asked() < wanted; i++) {
        context.resume();
        assert.equal(platform.poll(0) ?? context, context);
        if (platform.running > 0) {
          for (const end = monotonicNs() + (i % 64) * 50; monotonicNs() < end; );
          context.interrupt();
          assert.equal(platform.poll(monotonicNs() + 5e9), context, `interrupt ${i} was lost`);
        }
        stops[context.stop] = (stops[context.stop] as number) + 1;
        assert.deepEqual(kept(context), before);
        const rip = regs.get(REG_RIP);
        const made = regs.get(REG_RBX);
        const counted = rip > CODE && rip < BACK + 3 ? made - 1 : made;
        if (context.stop === STOP_SYSCALL) {
          assert.deepEqual([rip, regs.get(REG_RAX)], [BACK, SYS_futex]);
          regs.set(REG_RAX, result);
        } else if (rip >= CODE && rip < CODE + CALLS.length) {
          assert.equal(counted + regs.get(REG_RBP), times);
        } else {
          assert(rip >= TRAMPOLINE && rip < CODE + PAGE, `stopped at ${rip.toString(16)}`);
        }
      }
      assert(regs.get(REG_RBX) > 1000);
    }
    space.release();
  },
};

const scenario = scenarios[process.argv[2] ?? ''];
if (scenario === undefined) console.log(JSON.stringify(Object.keys(scenarios)));
else scenario();
platform.destroy();
