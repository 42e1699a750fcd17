/** What a sandbox takes in which nothing happens (docs/decisions/start_up.md says of what). */
import { privateKilobytes } from '../../bench/memory.ts';
import type { Check } from './check.ts';
import { check, sleep, type World } from './world.ts';

const MOST_MEGABYTES = 14.5;
const SETTLED_MS = 3000;

async function memory(w: World): Promise<void> {
  await w.running('a', ['/bin/sleep', '1000']);
  await sleep(SETTLED_MS);
  const taken = w.processes().map(({ name, pid }) => ({ name, kilobytes: privateKilobytes(pid) }));
  const sum = taken.reduce((total, { kilobytes }) => total + kilobytes, 0);
  const parts = taken.map(({ name, kilobytes }) => `${name} ${kilobytes}`).join(', ');
  check(sum > 0 && sum < MOST_MEGABYTES * 1024, `private memory in kB: ${sum}: ${parts}`);
}

export const IDLE: readonly Check[] = [{ name: 'memory of an idle sandbox', body: memory }];
