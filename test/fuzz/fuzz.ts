/**
 * The fuzz suite: random system calls in a sandbox, and every decoder that hostile bytes come to, each in
 * a process of its own, two at a time. RUNSC_FUZZ_SECONDS says how long each, RUNSC_TEST_SEED begins
 * where another run began, RUNSC_FUZZ_KEEP adds to the corpus what reaches new code.
 */
import { join } from 'node:path';
import { runRandomCalls } from '../guest/guest.ts';
import { run } from '../harness/command.ts';
import { ROOT } from '../harness/runtime.ts';
import type { Tally } from '../harness/tally.ts';

const TARGETS = ['p9_server', 'p9_client', 'elf', 'config', 'control', 'dbus'];
const NODE_FLAGS = [
  '--expose-gc',
  '--max-old-space-size=1024',
  '--disable-warning=ExperimentalWarning',
];
const SECONDS = Number(process.env['RUNSC_FUZZ_SECONDS'] ?? 60);
/** A run that hangs has a second more than any run may take, and the machine may be slow. */
const GRACE_MS = 60_000;
const AT_ONCE = 2;

async function fuzz(tally: Tally, target: string): Promise<void> {
  const argv = [process.execPath, ...NODE_FLAGS, join(import.meta.dirname, 'main.ts'), target];
  argv.push(`--seconds=${SECONDS}`);
  const seed = process.env['RUNSC_TEST_SEED'];
  if (seed !== undefined) argv.push(`--seed=${seed}`);
  if (process.env['RUNSC_FUZZ_KEEP'] !== undefined) argv.push('--keep');
  const { status, stdout, stderr, timedOut } = await run(argv, {
    cwd: ROOT,
    timeoutMs: SECONDS * 1000 + GRACE_MS,
  });
  const ran = /^\w+: [1-9]\d* inputs.*$/m.exec(stdout);
  if (status === 0 && ran !== null) {
    console.log(ran[0]);
    tally.pass(target);
  } else {
    const why = timedOut ? 'an input hangs' : `status ${status}`;
    tally.fail(target, `${why}\n${stdout.slice(-3000)}\n${stderr.slice(-2000)}`);
  }
}

export async function runFuzz(runtimes: readonly string[], filter: string): Promise<Tally> {
  const tally = await runRandomCalls(runtimes, filter);
  const queue = TARGETS.filter((target) => target.includes(filter));
  const worker = async (): Promise<void> => {
    for (let target = queue.shift(); target !== undefined; target = queue.shift()) {
      await fuzz(tally, target);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return tally;
}
