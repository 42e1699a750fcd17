/** The ptrace platform, each scenario in a process of its own. */

import { execFile, execFileSync, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

// The platform wants a process with one thread and no other children, which a test runner is not.
const scenario = fileURLToPath(new URL('ptrace.scenario.ts', import.meta.url));
const FLAGS = ['--single-threaded', '--v8-pool-size=0', '--disable-sigusr1', scenario];
const KILLED = 'waits to be killed';

const names: string[] = JSON.parse(execFileSync(process.execPath, FLAGS, { encoding: 'utf8' }));

for (const name of names.filter((each) => each !== KILLED)) {
  it(name, async () => {
    await promisify(execFile)(process.execPath, [...FLAGS, name], { timeout: 20_000 });
  });
}

/** Whether the process runs; a zombie that init has yet to reap does not. */
function isAlive(pid: number): boolean {
  try {
    return !/\) [ZX]/.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    return false;
  }
}

it('leaves nothing behind when the Sentry is killed', async () => {
  const sentry = spawn(process.execPath, [...FLAGS, KILLED]);
  const line = await new Promise<string>((resolve) => {
    sentry.stdout.on('data', (chunk) => resolve(String(chunk)));
  });
  const pid = Number(line.trim().split(' ')[1]);
  expect(isAlive(pid)).toBe(true);
  sentry.kill('SIGKILL');
  for (let i = 0; i < 100 && isAlive(pid); i++) await sleep(20);
  expect(isAlive(pid)).toBe(false);
});
