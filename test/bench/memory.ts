/**
 * Memory and processor time of an idle sandbox: a detached `sleep`, looked at through /proc. Private
 * memory is PSS without pages of files, over every process that the runtime left running.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../harness/command.ts';
import { bundle } from '../harness/runtime.ts';
import { scratch } from '../harness/tree.ts';

export interface IdleSandbox {
  readonly privateMegabytes: number;
  readonly processes: number;
  /** Share of one core over the time watched. */
  readonly cpuPercent: number;
}

const WATCH_MS = 3000;
const TICKS_PER_SECOND = 100;

/** All processes whose environment carries `marker`, or that descend from one that does. */
function marked(marker: string): number[] {
  const parents = new Map<number, number>();
  const found = new Set<number>();
  for (const name of readdirSync('/proc')) {
    const pid = Number(name);
    if (!Number.isInteger(pid)) continue;
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
      parents.set(pid, Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]));
      const text =
        readFileSync(`/proc/${pid}/cmdline`, 'latin1') +
        readFileSync(`/proc/${pid}/environ`, 'latin1');
      if (text.includes(marker)) found.add(pid);
    } catch {
      // Gone meanwhile.
    }
  }
  for (let grown = true; grown; ) {
    grown = false;
    for (const [pid, parent] of parents) {
      if (found.has(parent) && !found.has(pid)) {
        found.add(pid);
        grown = true;
      }
    }
  }
  return [...found];
}

/** PSS without pages of files. */
export function privateKilobytes(pid: number): number {
  try {
    const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1');
    const field = (name: string) =>
      Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(text)?.[1] ?? 0);
    return field('Pss_Anon') + field('Pss_Shmem');
  } catch {
    return 0;
  }
}

function cpuTicks(pid: number): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return Number(fields[11]) + Number(fields[12]);
  } catch {
    return 0;
  }
}

/** `argv` is the runtime and its global flags. */
export async function idleSandbox(argv: readonly string[], root: string): Promise<IdleSandbox> {
  const id = `idle${process.pid}`;
  const marker = `RUNSC_BENCH_MARKER=${id}`;
  const state = join(scratch(), 'state');
  const path = bundle(root, { args: ['/bin/sleep', '1000'] });
  const env = { ...process.env, RUNSC_BENCH_MARKER: id } as Record<string, string>;
  const flags = [...argv, '--root', state];
  const pidFile = join(path, 'pid');
  await run(
    [
      'sh',
      '-c',
      `exec "$@" > /dev/null 2>&1 < /dev/null`,
      'sh',
      ...flags,
      'create',
      '--pid-file',
      pidFile,
      '--bundle',
      path,
      id,
    ],
    { env },
  );
  await run([...flags, 'start', id], { env });
  await new Promise((resolve) => setTimeout(resolve, 1500));
  const pids = [
    ...new Set([
      Number(readFileSync(pidFile, 'utf8')),
      ...marked(marker),
      ...marked(`${state}\0`),
      ...marked(id),
    ]),
  ].filter((pid) => pid !== process.pid);
  const before = pids.reduce((sum, pid) => sum + cpuTicks(pid), 0);
  await new Promise((resolve) => setTimeout(resolve, WATCH_MS));
  const after = pids.reduce((sum, pid) => sum + cpuTicks(pid), 0);
  const kilobytes = pids.reduce((sum, pid) => sum + privateKilobytes(pid), 0);
  await run([...flags, 'kill', id, 'KILL'], { timeoutMs: 10_000 });
  await run([...flags, 'delete', '--force', id], { timeoutMs: 10_000 });
  return {
    privateMegabytes: kilobytes / 1024,
    processes: pids.length,
    cpuPercent: ((after - before) / TICKS_PER_SECOND / (WATCH_MS / 1000)) * 100,
  };
}
