/**
 * runsc update: changes the limits of a container while it runs. Only the host's cgroups change; what
 * the container's kernel tells of its memory and processors stays as it was when it began.
 */

import type { LinuxResources } from '../../spec/oci/config.ts';
import { validateResources } from '../../spec/oci/validate.ts';
import { Failure } from '../cli/failure.ts';
import { readJson } from '../container/bundle.ts';
import { currentStatus } from '../container/lifecycle.ts';
import { updateLimits } from '../container/limits.ts';
import { defineCommand, type FlagValues } from './command.ts';

const STDIN = 0;
const UNITS = ['', 'k', 'm', 'g', 't'];

const FLAGS = {
  resources: {
    kind: 'string',
    alias: 'r',
    help: 'file that holds linux.resources as JSON, - for stdin; no other flag counts then',
  },
  'blkio-weight': { kind: 'string', help: 'share of block I/O, 10 to 1000' },
  'cpu-period': { kind: 'string', help: 'length of a period, µs' },
  'cpu-quota': { kind: 'string', help: 'CPU time in each period, µs; -1 for no limit' },
  'cpu-burst': { kind: 'string', help: 'CPU time that may be saved up, µs' },
  'cpu-share': { kind: 'string', help: 'share of CPU time against others, 2 to 262144' },
  'cpu-rt-period': { kind: 'string', help: 'length of a real-time period, µs' },
  'cpu-rt-runtime': { kind: 'string', help: 'real-time CPU time in each period, µs' },
  'cpu-idle': { kind: 'string', help: '1: run only when nothing else does' },
  'cpuset-cpus': { kind: 'string', help: 'processors to use, such as 0-3,7' },
  'cpuset-mems': { kind: 'string', help: 'memory nodes to use' },
  memory: { kind: 'string', help: 'memory limit, bytes or with k, m, g; -1 for no limit' },
  'memory-reservation': { kind: 'string', help: 'memory that is kept longest, like --memory' },
  'memory-swap': { kind: 'string', help: 'limit of memory and swap together, like --memory' },
  'kernel-memory': { kind: 'string', help: 'accepted for runc callers: kernels ignore it' },
  'kernel-memory-tcp': { kind: 'string', help: 'limit of the memory of sockets, like --memory' },
  'pids-limit': { kind: 'string', help: 'most processes and threads on the host; -1 for no limit' },
} as const;

export const updateCommand = defineCommand({
  name: 'update',
  summary: 'change the limits of a container',
  positionals: ['id'],
  flags: FLAGS,
  run(context, { flags, positionals: [id = ''] }) {
    const resources = flags.resources === '' ? fromFlags(flags) : fromFile(flags.resources);
    const lock = context.store.lock(id);
    try {
      const state = context.store.load(id);
      const status = currentStatus(context, state);
      if (status === 'stopped') throw new Failure(`cannot update container "${id}": it is stopped`);
      if (state.cgroupPaths.length === 0) {
        throw new Failure(
          `cannot update container "${id}": it has no cgroup: give it linux.cgroupsPath`,
        );
      }
      updateLimits(context, state, resources);
    } finally {
      lock.release();
    }
    return 0;
  },
});

function fromFile(name: string): LinuxResources {
  const from = name === '-' ? STDIN : name;
  const value = readJson(name, 'name a file that holds resources', from);
  const problem = validateResources(value, '--resources');
  if (problem !== null) throw new Failure(problem);
  return value as LinuxResources;
}

type Given = FlagValues<typeof FLAGS>;

function fromFlags(flags: Given): LinuxResources {
  const number = (name: keyof Given) => numberOf(name, flags[name], false);
  const bytes = (name: keyof Given) => numberOf(name, flags[name], true);
  return without({
    blockIO: without({ weight: number('blkio-weight') }),
    cpu: without({
      period: number('cpu-period'),
      quota: number('cpu-quota'),
      burst: number('cpu-burst'),
      shares: number('cpu-share'),
      realtimePeriod: number('cpu-rt-period'),
      realtimeRuntime: number('cpu-rt-runtime'),
      idle: number('cpu-idle'),
      cpus: flags['cpuset-cpus'] || undefined,
      mems: flags['cpuset-mems'] || undefined,
    }),
    memory: without({
      limit: bytes('memory'),
      reservation: bytes('memory-reservation'),
      swap: bytes('memory-swap'),
      kernelTCP: bytes('kernel-memory-tcp'),
    }),
    pids: without({ limit: number('pids-limit') }),
  });
}

/** The fields that are there. */
function without<T extends Record<string, unknown>>(
  fields: T,
): { [K in keyof T]?: NonNullable<T[K]> } {
  const there = Object.entries(fields).filter(([, value]) => value !== undefined);
  return Object.fromEntries(there) as { [K in keyof T]?: NonNullable<T[K]> };
}

function numberOf(name: string, written: string, units: boolean): number | undefined {
  if (written === '') return undefined;
  const match = /^(-?\d+)([kmgt]?)b?$/i.exec(written);
  const [, digits = '', unit = ''] = match ?? [];
  const value = Number(digits) * 1024 ** UNITS.indexOf(unit.toLowerCase());
  const good =
    match !== null && (units || unit === '') && Number.isSafeInteger(value) && value >= -1;
  if (good) return value;
  throw new Failure(
    `--${name}: "${written}" must be ${units ? 'a size such as 64m' : 'a whole number'}`,
  );
}
