import { execFile, execFileSync, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
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

it('leaves nothing behind when the Sentry is killed', async () => {
  const sentry = spawn(process.execPath, [...FLAGS, KILLED]);
  const line = await new Promise<string>((resolve) => {
    sentry.stdout.on('data', (chunk) => resolve(String(chunk)));
  });
  const stub = `/proc/${line.trim().split(' ')[1]}`;
  expect(existsSync(stub)).toBe(true);
  sentry.kill('SIGKILL');
  for (let i = 0; i < 100 && existsSync(stub); i++) await sleep(20);
  expect(existsSync(stub)).toBe(false);
});
