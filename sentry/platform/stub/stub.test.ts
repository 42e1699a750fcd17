/** What both platforms promise: the same scenarios on each. */

import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { runScenarios, startWaiting } from './run_scenarios.ts';

const SCENARIOS = fileURLToPath(new URL('stub.scenario.ts', import.meta.url));

/** Whether the process runs; a zombie that init has yet to reap does not. */
function isAlive(pid: number): boolean {
  try {
    return !/\) [ZX]/.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    return false;
  }
}

describe.each(['ptrace', 'systrap'])('%s', (platform) => {
  runScenarios(SCENARIOS, platform);

  it('leaves nothing behind when the Sentry is killed', async () => {
    const { sentry, pid } = await startWaiting(SCENARIOS, platform);
    const children = readFileSync(`/proc/${sentry.pid}/task/${sentry.pid}/children`, 'latin1');
    const stubs = children.trim().split(' ').map(Number);
    expect(stubs).toContain(pid);
    sentry.kill('SIGKILL');
    for (let i = 0; i < 100 && stubs.some(isAlive); i++) await sleep(20);
    expect(stubs.filter(isAlive)).toEqual([]);
  });
});
