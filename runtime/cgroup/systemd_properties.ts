/**
 * linux.resources as unit properties (systemd.resource-control(5)), as runc converts them. Whatever
 * has no property here is written into the cgroup's files alone.
 */

import type { LinuxResources } from '../../spec/oci/config.ts';
import type { Value } from '../dbus/message.ts';
import { DEFAULT_PERIOD_US, swapMax, weightOfShares } from './settings.ts';

export interface UnitProperty {
  readonly name: string;
  readonly signature: string;
  readonly value: Value;
}

const INFINITY = 0xffff_ffff_ffff_ffffn;
const US_PER_S = 1_000_000;
/** systemd rounds the quota up to whole milliseconds of a 100 ms period. */
const QUOTA_STEP_US = 10_000;
const MOST_CPU = 8191;

/** `unified`: systemd is on cgroup v2 only. */
export function systemdProperties(
  { memory, cpu, pids }: LinuxResources,
  unified: boolean,
): UnitProperty[] {
  const properties: UnitProperty[] = [];
  const put = (name: string, signature: string, value: Value) =>
    properties.push({ name, signature, value });
  const bytes = (name: string, value: number | undefined) => {
    if (value) put(name, 't', value < 0 ? INFINITY : value);
  };
  bytes(unified ? 'MemoryMax' : 'MemoryLimit', memory?.limit);
  if (unified) {
    bytes('MemoryLow', memory?.reservation);
    const swap = swapMax(memory?.limit, memory?.swap);
    if (swap !== undefined) put('MemorySwapMax', 't', swap === 'max' ? INFINITY : Number(swap));
  }
  if (cpu?.shares) {
    put(
      unified ? 'CPUWeight' : 'CPUShares',
      't',
      unified ? weightOfShares(cpu.shares) : cpu.shares,
    );
  }
  if (cpu?.quota || cpu?.period) {
    const period = cpu.period || DEFAULT_PERIOD_US;
    const perSecond = ((cpu.quota ?? -1) * US_PER_S) / period;
    const rounded = Math.ceil(perSecond / QUOTA_STEP_US) * QUOTA_STEP_US;
    put('CPUQuotaPerSecUSec', 't', (cpu.quota ?? -1) > 0 ? rounded : INFINITY);
    put('CPUQuotaPeriodUSec', 't', period);
  }
  if (unified && cpu?.cpus) put('AllowedCPUs', 'ay', cpuMask(cpu.cpus));
  if (unified && cpu?.mems) put('AllowedMemoryNodes', 'ay', cpuMask(cpu.mems));
  if (pids?.limit) put('TasksMax', 't', pids.limit < 0 ? INFINITY : pids.limit);
  return properties;
}

/** "0-2,5" as bytes of bits, the lowest first. What is no such list, the kernel will refuse. */
export function cpuMask(list: string): Uint8Array {
  const bits: number[] = [];
  for (const range of list.split(',')) {
    const [first = '', last = first] = range.split('-');
    const end = Math.min(Number(last), MOST_CPU);
    for (let cpu = Number(first); cpu <= end; cpu++) bits.push(cpu);
  }
  const mask = new Uint8Array(Math.floor(Math.max(0, ...bits) / 8) + 1);
  for (const cpu of bits) mask[cpu >> 3] = (mask[cpu >> 3] ?? 0) | (1 << (cpu & 7));
  return mask;
}
