/**
 * Runs one scenario of where application threads run as a process of its own, for systrap.test.ts:
 * `placement.scenario.ts NAME`; without a name it lists them. See native/src/systrap/placement.cc.
 */

import { strict as assert } from 'node:assert';
import { readdirSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { monotonicNs } from '../../../native/index.ts';
import { REG_RIP, STOP_INTERRUPTED } from '../platform.ts';
import { CODE, load, platform, run, SPIN, SYSCALL_FOREVER } from '../stub/scenario.ts';
import type { StubContext } from '../stub/stub_context.ts';

/** Longer than a stopped thread spins. */
const LONG_CALL_NS = 200e3;
const MOST_CALLS = 1000;

function runLong(context: StubContext): void {
  run(context);
  for (const end = monotonicNs() + LONG_CALL_NS; monotonicNs() < end; );
}

/** On how many processors the application thread of the process may run; the memory thread has its number. */
function processors(pid: number): number {
  const tid = readdirSync(`/proc/${pid}/task`).find((each) => each !== `${pid}`);
  const status = readFileSync(`/proc/${pid}/task/${tid}/status`, 'latin1');
  const mask = /^Cpus_allowed:\s*([\da-f,]+)$/m.exec(status)?.[1] ?? '';
  let count = 0;
  for (const digit of mask.replaceAll(',', '')) {
    for (let bits = Number.parseInt(digit, 16); bits > 0; bits &= bits - 1) count++;
  }
  return count;
}

/** Makes long calls until the thread is bound to one processor. */
function bind(context: StubContext): void {
  const { pid } = context.space;
  let calls = 0;
  do {
    runLong(context);
    assert(++calls < MOST_CALLS, 'a thread with long calls is never bound');
  } while (processors(pid) !== 1);
}

const scenarios: Record<string, () => void> = {
  'a thread whose calls are long is with the Sentry, one that runs for long is not': () => {
    const { space, context } = load([...SYSCALL_FOREVER, ...SPIN]);
    run(context);
    const all = availableParallelism();
    if (all === 1) return;
    bind(context);
    context.regs.set(REG_RIP, CODE + SYSCALL_FOREVER.length);
    context.resume();
    assert.equal(platform.poll(monotonicNs() + 50e6), null);
    assert.equal(processors(space.pid), all);
    context.interrupt();
    assert.equal(platform.poll(monotonicNs() + 5e9), context);
    assert.equal(context.stop, STOP_INTERRUPTED);
  },

  'of two threads that run for long neither is': () => {
    const one = load([...SYSCALL_FOREVER, ...SPIN]);
    const two = load([...SYSCALL_FOREVER, ...SPIN]);
    const all = availableParallelism();
    if (all === 1) return;
    bind(one.context);
    bind(two.context);
    for (const { context } of [one, two]) {
      context.regs.set(REG_RIP, CODE + SYSCALL_FOREVER.length);
      context.resume();
    }
    assert.equal(platform.poll(monotonicNs() + 50e6), null);
    for (const { space } of [one, two]) {
      assert.equal(processors(space.pid), all);
    }
  },
};

const scenario = scenarios[process.argv[2] ?? ''];
if (scenario === undefined) console.log(JSON.stringify(Object.keys(scenarios)));
else scenario();
platform.destroy();
