/**
 * Runs one scenario of where threads and the Sentry may run as a process of its own, for systrap.test.ts:
 * `placement.scenario.ts NAME`; without a name it lists them. See native/src/systrap/placement.cc. Where the
 * host has them run is its own affair; what must hold is that nobody stays bound.
 */

import { strict as assert } from 'node:assert';
import { readdirSync, readFileSync } from 'node:fs';
import { monotonicNs } from '../../../native/index.ts';
import { REG_RIP, STOP_INTERRUPTED } from '../platform.ts';
import { CODE, load, platform, run, SPIN, SYSCALL_FOREVER } from '../stub/scenario.ts';
import type { StubContext } from '../stub/stub_context.ts';

/** Longer than a stopped thread spins, and enough of them to be woken beside the Sentry. */
const LONG_CALL_NS = 200e3;
const LONG_CALLS = 100;

const processorsOf = (status: string) =>
  /^Cpus_allowed:\s*(.*)$/m.exec(readFileSync(status, 'latin1'))?.[1];
const all = processorsOf('/proc/self/status');

/** Where the application thread of the process may run; the memory thread has its number. */
function processors(context: StubContext): string | undefined {
  const { pid } = context.space;
  const tid = readdirSync(`/proc/${pid}/task`).find((each) => each !== `${pid}`);
  return processorsOf(`/proc/${pid}/task/${tid}/status`);
}

function callLong(context: StubContext): void {
  for (let i = 0; i < LONG_CALLS; i++) {
    run(context);
    for (const end = monotonicNs() + LONG_CALL_NS; monotonicNs() < end; );
  }
}

function loadCaller(): StubContext {
  const { context } = load([...SYSCALL_FOREVER, ...SPIN]);
  callLong(context);
  return context;
}

function letSpin(context: StubContext): void {
  context.regs.set(REG_RIP, CODE + SYSCALL_FOREVER.length);
  context.resume();
}

const scenarios: Record<string, () => void> = {
  'a thread whose calls were long may run anywhere once it runs on': () => {
    const context = loadCaller();
    letSpin(context);
    assert.equal(platform.poll(monotonicNs() + 20e6), null);
    assert.equal(processors(context), all);
    context.interrupt();
    assert.equal(platform.poll(monotonicNs() + 5e9), context);
    assert.equal(context.stop, STOP_INTERRUPTED);
  },

  'so may two': () => {
    const both = [loadCaller(), loadCaller()];
    for (const context of both) letSpin(context);
    assert.equal(platform.poll(monotonicNs() + 20e6), null);
    for (const context of both) assert.equal(processors(context), all);
  },

  'the Sentry is bound to nothing while it waits for nobody': () => {
    loadCaller();
    assert.equal(platform.poll(monotonicNs() + 20e6), null);
    assert.equal(processorsOf('/proc/self/status'), all);
  },
};

const scenario = scenarios[process.argv[2] ?? ''];
if (scenario === undefined) console.log(JSON.stringify(Object.keys(scenarios)));
else scenario();
platform.destroy();
