/**
 * The systrap platform: the scenarios of ptrace.test.ts, patched call sites and hostile applications, each in a process
 * of its own.
 */

import { execFile, execFileSync, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';

const FLAGS = ['--single-threaded', '--v8-pool-size=0', '--disable-sigusr1'];
const KILLED = 'waits to be killed';
const env = { ...process.env, PLATFORM: 'systrap' };

function command(path: string): string[] {
  return [...FLAGS, fileURLToPath(new URL(path, import.meta.url))];
}

function runAll(path: string): void {
  const args = command(path);
  const listed = execFileSync(process.execPath, args, { encoding: 'utf8', env });
  for (const name of JSON.parse(listed).filter((each: string) => each !== KILLED)) {
    it(name, async () => {
      await promisify(execFile)(process.execPath, [...args, name], { timeout: 25_000, env });
    });
  }
}

describe('systrap', () => runAll('../ptrace/ptrace.scenario.ts'));
describe('reuse', () => runAll('reuse.scenario.ts'));
describe('patched', () => runAll('patched.scenario.ts'));
describe('hostile', () => runAll('hostile.scenario.ts'));

/** Whether the process runs; a zombie that init has yet to reap does not. */
function isAlive(pid: number): boolean {
  try {
    return !/\) [ZX]/.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    return false;
  }
}

it('leaves nothing behind when the Sentry is killed', async () => {
  const args = command('../ptrace/ptrace.scenario.ts');
  const sentry = spawn(process.execPath, [...args, KILLED], { env });
  const line = await new Promise<string>((resolve) => {
    sentry.stdout.on('data', (chunk) => resolve(String(chunk)));
  });
  const pid = Number(line.trim().split(' ')[1]);
  const children = readFileSync(`/proc/${sentry.pid}/task/${sentry.pid}/children`, 'latin1');
  const stubs = children.trim().split(' ').map(Number);
  expect(stubs).toContain(pid);
  sentry.kill('SIGKILL');
  for (let i = 0; i < 100 && stubs.some(isAlive); i++) await sleep(20);
  expect(stubs.filter(isAlive)).toEqual([]);
});
