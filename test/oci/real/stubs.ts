/**
 * What the host does to the processes that hold the applications' memory: kills them, as when it is
 * out of memory, or stops them. The application concerned ends as if killed; the sandbox lives on.
 */
import * as fs from 'node:fs';
import type { Check } from './check.ts';
import { check, type HostProcess, STUB, same, sleep, until, type World } from './world.ts';

const LOOP = 'i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done';

function cpuTicks(pid: number): number {
  try {
    const stat = fs.readFileSync(`/proc/${pid}/stat`, 'latin1');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return Number(fields[11]) + Number(fields[12]);
  } catch {
    return 0;
  }
}

/** The stub that has computed most. */
function busiest(w: World): HostProcess {
  const stubs = w.processes().filter((p) => p.name === STUB);
  stubs.sort((a, b) => cpuTicks(b.pid) - cpuTicks(a.pid));
  const [first] = stubs;
  check(first !== undefined && cpuTicks(first.pid) > 0, 'no stub has computed');
  return first;
}

/** A container whose shell tells how its child ends, which has computed and then does `script`. */
async function child(w: World, script: string): Promise<() => Promise<string>> {
  const text = `mkfifo /tmp/f; (${LOOP}; echo > /tmp/ready; ${script}) & echo $! > /tmp/child; wait $!; echo "ended $?" > /tmp/end; exec sleep 1000`;
  await w.running('a', ['/bin/sh', '-c', text]);
  const read = (name: string) => w.runsc(['exec', 'a', '/bin/cat', `/tmp/${name}`]);
  await until('it has computed', async () => (await read('ready')).status === 0);
  return async () => {
    await until('the end is told', async () => (await read('end')).stdout !== '');
    return (await read('end')).stdout;
  };
}

function killed(what: string, script: string): Check {
  return {
    name: `the host kills a process ${what}`,
    body: async (w) => {
      const end = await child(w, script);
      await sleep(50);
      process.kill(busiest(w).pid, 'SIGKILL');
      same(await end(), 'ended 137\n');
      same(await w.ok('exec', 'a', '/bin/echo', 'well'), 'well\n');
    },
  };
}

async function stopped(w: World): Promise<void> {
  const end = await child(w, 'while :; do echo > /dev/null; done');
  const { pid } = busiest(w);
  process.kill(pid, 'SIGSTOP');
  // The others do not wait for it, and it can be killed from inside.
  for (let i = 0; i < 5; i++) same(await w.ok('exec', 'a', '/bin/echo', 'well'), 'well\n');
  await w.ok('exec', 'a', '/bin/sh', '-c', 'kill -9 $(cat /tmp/child)');
  same(await end(), 'ended 137\n');
}

async function all(w: World): Promise<void> {
  await w.running('a', ['/bin/sh', '-c', `${LOOP}; sleep 1000`]);
  for (const p of w.processes().filter((each) => each.name === STUB))
    process.kill(p.pid, 'SIGKILL');
  await until('it has ended', async () => (await w.status('a')) === 'stopped');
  await w.ok('delete', 'a');
}

export const STUBS: readonly Check[] = [
  killed('that computes', 'while :; do :; done'),
  killed('that makes calls', 'while :; do echo > /dev/null; done'),
  killed('that sleeps', 'read x < /tmp/f'),
  killed('that waits for its own child', 'sleep 1000 & wait'),
  killed('that makes processes', 'while :; do /bin/true; done'),
  { name: 'the host stops a process', body: stopped },
  { name: 'the host kills all processes', body: all },
];
