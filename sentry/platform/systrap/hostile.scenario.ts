/**
 * Runs one scenario of a hostile application as a process of its own, for systrap.test.ts:
 * `hostile.scenario.ts NAME`; without a name it lists them.
 */

import { strict as assert } from 'node:assert';
import { readFileSync } from 'node:fs';
import { fork, getpid, monotonicNs, syscall } from '../../../native/index.ts';
import { kill } from '../../../native/process.ts';
import { SIGKILL } from '../../../spec/linux/signal.ts';
import { SYS_getppid } from '../../../spec/linux/syscall_numbers.ts';
import { REG_RAX, REG_RBX, REG_RCX, REG_RDI, REG_RIP, REG_RSP, STOP_EXITED } from '../platform.ts';
import {
  COUNT,
  DATA,
  load,
  memory,
  PAGE,
  platform,
  READ_WRITE,
  run,
  STUB_RANGES,
  SYSCALL_FOREVER,
  soon,
} from '../stub/scenario.ts';
import type { StubAddressSpace } from '../stub/stub_address_space.ts';

const CODE_BYTES = 0x690;
const AREA = 0x7fffe0000000;
const AREA_BYTES = 0x4000;
const SYS_munmap = 11;
/** rep stosb; syscall; jmp back to the syscall. */
const FILL = [0xf3, 0xaa, 0x0f, 0x05, 0xeb, 0xfc];

function rangesOf(pid: number): string[] {
  const maps = readFileSync(`/proc/${pid}/maps`, 'latin1').trim().split('\n');
  return maps.map((line) => line.split(' ')[0] ?? '');
}

/** Another application is none the worse for it. */
function assertUnharmed(): void {
  const { space, context } = load(SYSCALL_FOREVER);
  for (let i = 0; i < 100; i++) assert.equal(run(context).stop, 1);
  space.release();
}

const KILLING_NS = 3e9;
const PATIENCE_NS = 10e9;

/** Kills whoever has just been copied: the older of two processes besides the template, and itself. */
function killOriginals(): never {
  const parent = syscall(SYS_getppid);
  for (;;) {
    const children = readFileSync(`/proc/${parent}/task/${parent}/children`, 'latin1');
    const stubs = children.trim().split(' ').slice(1).map(Number);
    const [original, copy] = stubs.filter((pid) => pid !== getpid());
    if (original !== undefined && copy !== undefined) kill(original, SIGKILL);
  }
}

/** A list that is told to be done has been made, unless its process has ended. */
function assertMaps(space: StubAddressSpace): void {
  space.map(0x70000, PAGE, memory, 0, READ_WRITE, true);
  if (space.flush() < 0) return;
  let maps = '';
  try {
    maps = readFileSync(`/proc/${space.pid}/maps`, 'latin1');
  } catch {}
  assert(maps === '' || maps.includes('00070000-00071000'), maps);
}

const scenarios: Record<string, () => void> = {
  'jumps into the stub': () => {
    let { space, context } = load(SYSCALL_FOREVER);
    for (let at = 0; at < CODE_BYTES; at++) {
      const { regs } = context;
      regs.set(REG_RAX, SYS_munmap);
      regs.set(REG_RDI, platform.taskSize);
      for (const reg of [4, 9, 8, 12, 13, 0, 1, 2, 3]) regs.set(reg, PAGE);
      regs.set(REG_RBX, DATA);
      // Where its own mailbox is, so that the handler's code works, and elsewhere.
      regs.set(REG_RSP, at % 2 === 0 ? AREA + 0x800 : DATA + 0x800);
      regs.set(REG_RIP, platform.taskSize + at);
      context.resume();
      if (platform.poll(monotonicNs() + 3e6) === null) context.interrupt();
      platform.poll(monotonicNs() + 3e6);
      const ranges = context.stop === STOP_EXITED ? STUB_RANGES : rangesOf(space.pid);
      for (const range of STUB_RANGES.slice(0, 3))
        assert(ranges.includes(range), `${at}: ${ranges}`);
      space.release();
      ({ space, context } = load(SYSCALL_FOREVER));
    }
    space.release();
    assertUnharmed();
  },

  'overwrites its mailbox and stack': () => {
    for (let value = 0; value < 16; value++) {
      const { space, context } = load(FILL);
      context.regs.set(REG_RAX, value < 8 ? value : 0xf0 + value);
      context.regs.set(REG_RDI, AREA);
      context.regs.set(REG_RCX, AREA_BYTES);
      for (let i = 0; i < 4; i++) {
        context.resume();
        if (platform.poll(soon()) === null) context.interrupt();
      }
      assert(platform.running <= 1);
      space.release();
      assert.equal(platform.running, 0);
    }
    assertUnharmed();
  },

  'forges what other threads have in their mailboxes': () => {
    const { space, context } = load(FILL);
    const others = [1, 2, 3].map(() => {
      const thread = space.newContext(context);
      assert(typeof thread === 'object', `thread: ${thread}`);
      thread.regs.set(REG_RCX, 0);
      return thread;
    });
    for (const thread of others) thread.resume();
    context.regs.set(REG_RDI, AREA + AREA_BYTES);
    context.regs.set(REG_RCX, 3 * AREA_BYTES);
    context.resume();
    for (let i = 0; i < 200; i++) platform.poll(monotonicNs() + 1e6)?.resume();
    space.release();
    assert.equal(platform.poll(0), null);
    assert.equal(platform.running, 0);
    assertUnharmed();
  },

  /** The copy may be about to tell of itself, when nobody waits for that any more. */
  'ends while it is copied': () => {
    const killer = fork(0);
    if (killer === 0) killOriginals();
    for (const end = monotonicNs() + KILLING_NS; monotonicNs() < end; ) {
      const { space, context } = load(SYSCALL_FOREVER);
      const forked = space.fork(context);
      // Now at the latest.
      assert.equal(platform.poll(monotonicNs() + PATIENCE_NS), context);
      assert.equal(context.stop, STOP_EXITED);
      space.release();
      if (typeof forked === 'object') forked.space.release();
      const next = load(SYSCALL_FOREVER);
      assertMaps(next.space);
      next.space.release();
    }
    kill(killer, SIGKILL);
    assertUnharmed();
  },

  'computes on whatever the Sentry asks': () => {
    const { space, context } = load(COUNT);
    context.resume();
    assert.equal(platform.poll(soon()), null);
    for (let i = 0; i < 50; i++) context.interrupt();
    assert.equal(platform.poll(monotonicNs() + 1e9), context);
    space.release();
    assertUnharmed();
  },
};

const scenario = scenarios[process.argv[2] ?? ''];
if (scenario === undefined) console.log(JSON.stringify(Object.keys(scenarios)));
else scenario();
platform.destroy();
