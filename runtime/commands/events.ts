/**
 * runsc events: prints, one JSON object per line as runc does, the container's statistics at
 * intervals and an event for each time the host's kernel killed a process of it for want of memory;
 * ends with the container. With --stats: the statistics once.
 */

import { oomKills, readStatistics } from '../cgroup/statistics.ts';
import type { Context } from '../cli/context.ts';
import { Failure } from '../cli/failure.ts';
import { print } from '../cli/output.ts';
import { currentStatus } from '../container/lifecycle.ts';
import type { ContainerState } from '../container/state.ts';
import { defineCommand } from './command.ts';

/** How soon an OOM event is noticed: the cgroup files of v1 and v2 alike are read that often. */
const LOOK_MS = 50;
const UNITS_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

export const eventsCommand = defineCommand({
  name: 'events',
  summary: "print a container's statistics and out-of-memory events, as JSON",
  positionals: ['id'],
  flags: {
    stats: { kind: 'boolean', help: 'print the statistics once' },
    interval: { kind: 'string', default: '5s', help: 'how often to print statistics' },
  },
  run(context, { flags, positionals: [id = ''] }) {
    const intervalMs = duration(flags.interval);
    const state = context.store.load(id);
    if (currentStatus(context, state) === 'stopped') {
      throw new Failure(`container "${id}": container not running`);
    }
    if (flags.stats) printStatistics(state);
    else follow(context, state, intervalMs);
    return 0;
  },
});

function follow(context: Context, state: ContainerState, intervalMs: number): void {
  const { sentry } = state;
  let told = 0;
  let nextMs = Date.now() + intervalMs;
  for (let alive = sentry !== null; alive; ) {
    context.host.awaitEnd(sentry?.pid ?? 0, LOOK_MS);
    // Looked at before the kills are counted: the last one may be what ended it.
    alive = context.host.identify(sentry?.pid ?? 0)?.startTime === sentry?.startTime;
    const kills = oomKills(state.cgroupPaths);
    for (; told < kills; told++) print(`${JSON.stringify({ type: 'oom', id: state.id })}\n`);
    if (alive && Date.now() >= nextMs) {
      printStatistics(state);
      nextMs += intervalMs;
    }
  }
}

function printStatistics(state: ContainerState): void {
  const data = readStatistics(state.cgroupPaths);
  print(`${JSON.stringify({ type: 'stats', id: state.id, data })}\n`);
}

function duration(written: string): number {
  const [, digits = '', unit = ''] = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(written) ?? [];
  const ms = Number(digits) * (UNITS_MS[unit] ?? 0);
  if (ms > 0) return ms;
  throw new Failure(`--interval: "${written}" must be a duration such as 5s`);
}
