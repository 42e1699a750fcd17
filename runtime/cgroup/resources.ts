/**
 * linux.resources as the files to write, per cgroup version. Data only: cgroup.ts writes them. The
 * order matters where the kernel checks one limit against another (memory before memory+swap).
 */

import type { LinuxResources } from '../../spec/oci/config.ts';

export interface Setting {
  /** v1: the controller whose hierarchy holds the file; v2: the controller to enable. */
  readonly controller: string;
  readonly file: string;
  readonly value: string;
  readonly field: string;
}

/** cgroup v1 files. */
export function settingsV1(resources: LinuxResources): Setting[] {
  const out: Setting[] = [];
  const put = (controller: string, file: string, value: unknown, field: string) => {
    if (value === undefined || value === null || value === '') return;
    out.push({ controller, file: `${controller}.${file}`, value: String(value), field });
  };
  const { memory, cpu, pids, blockIO } = resources;
  put('memory', 'limit_in_bytes', memory?.limit, 'memory.limit');
  put('memory', 'memsw.limit_in_bytes', memory?.swap, 'memory.swap');
  put('memory', 'soft_limit_in_bytes', memory?.reservation, 'memory.reservation');
  if (memory?.disableOOMKiller) put('memory', 'oom_control', 1, 'memory.disableOOMKiller');
  put('cpu', 'shares', cpu?.shares || undefined, 'cpu.shares');
  put('cpu', 'cfs_period_us', cpu?.period || undefined, 'cpu.period');
  put('cpu', 'cfs_quota_us', cpu?.quota || undefined, 'cpu.quota');
  put('cpuset', 'cpus', cpu?.cpus, 'cpu.cpus');
  put('cpuset', 'mems', cpu?.mems, 'cpu.mems');
  put('pids', 'max', pidsLimit(pids?.limit), 'pids.limit');
  put('blkio', 'weight', blockIO?.weight || undefined, 'blockIO.weight');
  return out;
}

/** cgroup v2 files. */
export function settingsV2(resources: LinuxResources): Setting[] {
  const out: Setting[] = [];
  const put = (controller: string, file: string, value: unknown, field: string) => {
    if (value === undefined || value === null || value === '') return;
    out.push({ controller, file, value: String(value), field });
  };
  const { memory, cpu, pids, blockIO } = resources;
  put('memory', 'memory.max', maxOr(memory?.limit), 'memory.limit');
  put('memory', 'memory.swap.max', swapMax(memory?.limit, memory?.swap), 'memory.swap');
  put('memory', 'memory.low', maxOr(memory?.reservation), 'memory.reservation');
  if (cpu?.shares) put('cpu', 'cpu.weight', weightOfShares(cpu.shares), 'cpu.shares');
  if (cpu?.quota || cpu?.period) {
    const quota = cpu.quota && cpu.quota > 0 ? cpu.quota : 'max';
    put('cpu', 'cpu.max', cpu.period ? `${quota} ${cpu.period}` : quota, 'cpu.quota');
  }
  put('cpuset', 'cpuset.cpus', cpu?.cpus, 'cpu.cpus');
  put('cpuset', 'cpuset.mems', cpu?.mems, 'cpu.mems');
  put('pids', 'pids.max', maxOr(pids?.limit), 'pids.limit');
  if (blockIO?.weight) {
    put('io', 'io.bfq.weight', `default ${blockIO.weight}`, 'blockIO.weight');
  }
  for (const [file, value] of Object.entries(resources.unified ?? {})) {
    put(file.split('.')[0] ?? '', file, value, `unified.${file}`);
  }
  return out;
}

/** The memory limit that the guest should see, bytes; 0 for none. */
export function memoryLimitBytes(resources: LinuxResources | undefined): number {
  return Math.max(resources?.memory?.limit ?? 0, 0);
}

function pidsLimit(limit: number | undefined): string | undefined {
  return limit === undefined || limit === 0 ? undefined : limit < 0 ? 'max' : String(limit);
}

function maxOr(limit: number | undefined): string | undefined {
  return limit === undefined || limit === 0 ? undefined : limit < 0 ? 'max' : String(limit);
}

/** v1 counts memory and swap together, v2 swap alone. */
function swapMax(limit: number | undefined, swap: number | undefined): string | undefined {
  if (swap === undefined || swap === 0) return undefined;
  if (swap < 0) return 'max';
  return limit === undefined || limit <= 0 ? undefined : String(Math.max(0, swap - limit));
}

/** Maps [2, 262144] to [1, 10000] linearly, as the kernel's and systemd's documents do. */
function weightOfShares(shares: number): number {
  const bounded = Math.min(262144, Math.max(2, shares));
  return 1 + Math.floor(((bounded - 2) * 9999) / 262142);
}
