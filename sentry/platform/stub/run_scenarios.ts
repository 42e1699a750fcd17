/**
 * Runs scenarios, each in a process of its own: a platform wants a process with one thread and no other
 * children, which a test runner is not.
 */

import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { promisify } from 'node:util';
import { it } from 'vitest';

/** The scenario that waits for its end. */
const KILLED = 'waits to be killed';

function command(path: string): string[] {
  return ['--single-threaded', '--v8-pool-size=0', '--disable-sigusr1', path];
}

function environment(platform: string) {
  return { ...process.env, PLATFORM: platform };
}

/** A test for each scenario of the file `path`, on `platform`. */
export function runScenarios(path: string, platform: string): void {
  const env = environment(platform);
  const args = command(path);
  const listed = execFileSync(process.execPath, args, { encoding: 'utf8', env });
  for (const name of JSON.parse(listed).filter((each: string) => each !== KILLED)) {
    it(name, async () => {
      await promisify(execFile)(process.execPath, [...args, name], { timeout: 25_000, env });
    });
  }
}

/** The scenario that waits, and the process of its application. */
export async function startWaiting(
  path: string,
  platform: string,
): Promise<{ sentry: ChildProcess; pid: number }> {
  const env = environment(platform);
  const sentry = spawn(process.execPath, [...command(path), KILLED], { env });
  const line = await new Promise<string>((resolve) => {
    sentry.stdout.on('data', (chunk) => resolve(String(chunk)));
  });
  return { sentry, pid: Number(line.trim().split(' ')[1]) };
}
