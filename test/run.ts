/**
 * Runs the test suites and ends with one line: `N passed, N failed, N skipped`.
 *
 *   run.ts [--runtime=NAME,NAME] [--filter=TEXT] [SUITE...]
 *
 * Suites: check unit guest fuzz escape confinement minimality conformance terminal oci docker (default:
 * all). Runtimes: ours on one platform, `ptrace` or `systrap` (default: both), or `ours`, which leaves the platform to runsc. With
 * native, runc, crun or debian the harness tests itself against another implementation. VERBOSE=1 names
 * what passes.
 */
import { parseArgs } from 'node:util';
import { runCheck } from './check.ts';
import { runConfinement } from './confinement/confinement.ts';
import { runMinimality } from './confinement/minimality.ts';
import { runConformance } from './conformance/conformance.ts';
import { runTerminal } from './conformance/terminal.ts';
import { runDocker } from './docker/docker.ts';
import { runEscape } from './escape/escape.ts';
import { runFuzz } from './fuzz/fuzz.ts';
import { runGuest } from './guest/guest.ts';
import { Tally } from './harness/tally.ts';
import { runOci } from './oci/real/oci.ts';
import { runUnit } from './unit.ts';

/** What does not depend on the runtime is done once, for the first. */
type Suite = (runtimes: readonly string[], filter: string) => Promise<Tally>;

const SUITES: Readonly<Record<string, Suite>> = {
  check: runCheck,
  unit: runUnit,
  guest: runGuest,
  fuzz: runFuzz,
  escape: runEscape,
  confinement: runConfinement,
  minimality: runMinimality,
  conformance: runConformance,
  terminal: runTerminal,
  oci: runOci,
  docker: runDocker,
};

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    runtime: { type: 'string', default: 'ptrace,systrap' },
    filter: { type: 'string', default: '' },
  },
});

const total = new Tally('all');
const chosen = positionals.length > 0 ? positionals : Object.keys(SUITES);
for (const name of chosen) {
  const suite = SUITES[name];
  if (!suite) throw new Error(`unknown suite ${name}: ${Object.keys(SUITES).join(', ')}`);
  const started = performance.now();
  let tally: Tally;
  try {
    tally = await suite(values.runtime.split(','), values.filter);
  } catch (error) {
    tally = new Tally(name);
    tally.fail(
      '(the harness)',
      error instanceof Error ? (error.stack ?? error.message) : `${error}`,
    );
  }
  console.log(`${name}: ${tally}, ${((performance.now() - started) / 1000).toFixed(1)} s`);
  total.add(tally);
}
if (total.failures.length > 0) console.log(`\nFailed:\n  ${total.failures.join('\n  ')}`);
console.log(`\n${total}`);
process.exitCode = total.failed > 0 ? 1 : 0;
