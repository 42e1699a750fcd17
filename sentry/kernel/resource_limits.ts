/**
 * Resource limits of a thread group (getrlimit(2)).
 */

import { CAP_IPC_LOCK } from '../../spec/linux/capability.ts';
import {
  RLIMIT_AS,
  RLIMIT_CORE,
  RLIMIT_CPU,
  RLIMIT_DATA,
  RLIMIT_FSIZE,
  RLIMIT_LOCKS,
  RLIMIT_MEMLOCK,
  RLIMIT_MSGQUEUE,
  RLIMIT_NICE,
  RLIMIT_NOFILE,
  RLIMIT_NPROC,
  RLIMIT_RSS,
  RLIMIT_RTPRIO,
  RLIMIT_RTTIME,
  RLIMIT_SIGPENDING,
  RLIMIT_STACK,
} from '../../spec/linux/resource.ts';
import type { MemoryLimits } from '../mm/memory_manager.ts';
import type { Credentials } from '../vfs/credentials.ts';

/** Infinity stands for RLIM_INFINITY. Bytes, counts, seconds or microseconds by resource. */
export interface ResourceLimit {
  readonly soft: number;
  readonly hard: number;
}

const INF = Number.POSITIVE_INFINITY;
export const RLIMIT_COUNT = 16;

const DEFAULTS: readonly (readonly [number, number, number])[] = [
  [RLIMIT_CPU, INF, INF],
  [RLIMIT_FSIZE, INF, INF],
  [RLIMIT_DATA, INF, INF],
  [RLIMIT_STACK, 8 * 2 ** 20, INF],
  [RLIMIT_CORE, 0, INF],
  [RLIMIT_RSS, INF, INF],
  [RLIMIT_NPROC, INF, INF],
  [RLIMIT_NOFILE, 1024 * 1024, 1024 * 1024],
  [RLIMIT_MEMLOCK, 64 * 1024, 64 * 1024],
  [RLIMIT_AS, INF, INF],
  [RLIMIT_LOCKS, INF, INF],
  [RLIMIT_SIGPENDING, 31000, 31000],
  [RLIMIT_MSGQUEUE, 819200, 819200],
  [RLIMIT_NICE, 0, 0],
  [RLIMIT_RTPRIO, 0, 0],
  [RLIMIT_RTTIME, INF, INF],
];

export class ResourceLimits {
  private readonly limits: ResourceLimit[];

  constructor(from?: ResourceLimits) {
    if (from) {
      this.limits = [...from.limits];
      return;
    }
    this.limits = new Array<ResourceLimit>(RLIMIT_COUNT).fill({ soft: INF, hard: INF });
    for (const [resource, soft, hard] of DEFAULTS) this.limits[resource] = { soft, hard };
  }

  get(resource: number): ResourceLimit | undefined {
    return this.limits[resource];
  }

  soft(resource: number): number {
    return this.limits[resource]?.soft ?? INF;
  }

  set(resource: number, limit: ResourceLimit): void {
    this.limits[resource] = limit;
  }
}

/** What an address space of a process with these limits obeys. */
export function memoryLimits(limits: ResourceLimits, creds: Credentials): MemoryLimits {
  return { rlimit: (resource) => limits.soft(resource), mayLock: creds.has(CAP_IPC_LOCK) };
}
