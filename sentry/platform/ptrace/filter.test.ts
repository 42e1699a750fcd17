/** What the filter of application processes holds when ptrace does not. */

import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { SIGSYS } from '../../../spec/linux/signal.ts';

const SCENARIO = fileURLToPath(new URL('filter.scenario.ts', import.meta.url));

it('a system call that is not stopped ends the process', () => {
  const args = ['--single-threaded', '--v8-pool-size=0', '--disable-sigusr1', SCENARIO];
  const env = { ...process.env, PLATFORM: 'ptrace' };
  const output = execFileSync(process.execPath, args, { encoding: 'utf8', timeout: 25_000, env });
  const signals = JSON.parse(output);
  expect(Object.keys(signals).length).toBe(9);
  for (const [call, signal] of Object.entries(signals))
    expect([call, signal]).toEqual([call, SIGSYS]);
});
