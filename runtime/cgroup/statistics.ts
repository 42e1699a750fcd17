/**
 * What the container's cgroups tell of its use of the host, in the shape in which `runc events` prints
 * it. A file that is not there counts as zero: no controller, no figures.
 */

import * as fs from 'node:fs';

const NS_PER_US = 1000;
/** USER_HZ: what cpuacct.stat counts in. */
const NS_PER_TICK = 10_000_000;

export interface Statistics {
  readonly cpu: {
    /** Nanoseconds. */
    readonly usage: { total: number; percpu?: readonly number[]; kernel: number; user: number };
    readonly throttling: { periods: number; throttledPeriods: number; throttledTime: number };
  };
  readonly memory: {
    readonly cache: number;
    /** Bytes. */
    readonly usage: MemoryUse;
    readonly swap: MemoryUse;
    readonly raw: Readonly<Record<string, number>>;
  };
  /** `limit` 0: none. */
  readonly pids: { readonly current: number; readonly limit: number };
}

export interface MemoryUse {
  readonly limit: number;
  readonly usage: number;
  readonly max: number;
  readonly failcnt: number;
}

/** The figures of the cgroup that lies at `paths`, one directory per hierarchy. */
export function readStatistics(paths: readonly string[]): Statistics {
  const files = new Files(paths);
  return {
    cpu: files.has('cpuacct.usage') ? cpuV1(files) : cpuV2(files),
    memory: files.has('memory.usage_in_bytes') ? memoryV1(files) : memoryV2(files),
    pids: { current: files.number('pids.current'), limit: files.number('pids.max') },
  };
}

/** How many of its processes the kernel has killed for want of memory. */
export function oomKills(paths: readonly string[]): number {
  const files = new Files(paths);
  return (
    files.table('memory.events')['oom_kill'] ?? files.table('memory.oom_control')['oom_kill'] ?? 0
  );
}

class Files {
  private readonly paths: readonly string[];

  constructor(paths: readonly string[]) {
    this.paths = paths;
  }

  has(name: string): boolean {
    return this.paths.some((path) => fs.existsSync(`${path}/${name}`));
  }

  text(name: string): string {
    for (const path of this.paths) {
      try {
        return fs.readFileSync(`${path}/${name}`, 'utf8').trim();
      } catch {
        // In another hierarchy, or nowhere.
      }
    }
    return '';
  }

  /** 0 for "max" and for nothing. */
  number(name: string): number {
    return Number(this.text(name)) || 0;
  }

  /** Lines of `name number`. */
  table(name: string): Record<string, number> {
    const rows = this.text(name)
      .split('\n')
      .map((line) => line.split(' '));
    return Object.fromEntries(rows.map(([key = '', value]) => [key, Number(value) || 0]));
  }
}

function cpuV1(files: Files): Statistics['cpu'] {
  const ticks = files.table('cpuacct.stat');
  const stat = files.table('cpu.stat');
  const percpu = files.text('cpuacct.usage_percpu').split(/\s+/).filter(Boolean).map(Number);
  return {
    usage: {
      total: files.number('cpuacct.usage'),
      percpu,
      kernel: (ticks['system'] ?? 0) * NS_PER_TICK,
      user: (ticks['user'] ?? 0) * NS_PER_TICK,
    },
    throttling: {
      periods: stat['nr_periods'] ?? 0,
      throttledPeriods: stat['nr_throttled'] ?? 0,
      throttledTime: stat['throttled_time'] ?? 0,
    },
  };
}

function cpuV2(files: Files): Statistics['cpu'] {
  const stat = files.table('cpu.stat');
  const ns = (name: string) => (stat[name] ?? 0) * NS_PER_US;
  return {
    usage: { total: ns('usage_usec'), kernel: ns('system_usec'), user: ns('user_usec') },
    throttling: {
      periods: stat['nr_periods'] ?? 0,
      throttledPeriods: stat['nr_throttled'] ?? 0,
      throttledTime: ns('throttled_usec'),
    },
  };
}

function memoryV1(files: Files): Statistics['memory'] {
  const raw = files.table('memory.stat');
  const use = (kind: string): MemoryUse => ({
    limit: files.number(`memory.${kind}limit_in_bytes`),
    usage: files.number(`memory.${kind}usage_in_bytes`),
    max: files.number(`memory.${kind}max_usage_in_bytes`),
    failcnt: files.number(`memory.${kind}failcnt`),
  });
  return { cache: raw['cache'] ?? 0, usage: use(''), swap: use('memsw.'), raw };
}

function memoryV2(files: Files): Statistics['memory'] {
  const raw = files.table('memory.stat');
  const use = (kind: string): MemoryUse => ({
    limit: files.number(`memory.${kind}max`),
    usage: files.number(`memory.${kind}current`),
    max: files.number(`memory.${kind}peak`),
    failcnt: files.table(`memory.${kind}events`)['max'] ?? 0,
  });
  return { cache: raw['file'] ?? 0, usage: use(''), swap: use('swap.'), raw };
}
