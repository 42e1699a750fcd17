/** fork() of a whole Node process, under load. */

import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const scenario = fileURLToPath(new URL('fork.scenario.ts', import.meta.url));

it('forks a Node process whose children collect, compile and allocate', () => {
  const flags = ['--single-threaded', '--v8-pool-size=0', '--disable-sigusr1'];
  const output = execFileSync(process.execPath, [...flags, scenario, '40'], { encoding: 'utf8' });
  expect(JSON.parse(output)).toMatchObject({ rounds: 40 });
});
