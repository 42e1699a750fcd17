/**
 * linux.resources as the files to write, per cgroup version, converted as runc converts them. Data
 * only: cgroup.ts writes them. A value that says "not given" (0, "", null) gives no setting.
 *
 * Not here: the device rules (a sandbox opens no device of the host, so there is nothing to allow or to
 * deny), and memory.kernel, memory.useHierarchy and memory.checkBeforeUpdate, which runc ignores too.
 */

import type { LinuxResources } from '../../spec/oci/config.ts';

export interface Setting {
  /** v1: the controller whose hierarchy holds the file; v2: the controller to enable. */
  readonly controller: string;
  readonly file: string;
  readonly value: string;
  readonly field: string;
  /** A kernel without the feature lacks the file, and Docker sets it all the same: warn and go on. */
  readonly optional: boolean;
}

type Value = string | number | undefined;

/** The kernel's default period: what quota alone is measured against. */
export const DEFAULT_PERIOD_US = 100_000;
const MOST_SWAPPINESS = 100;

class Settings {
  readonly out: Setting[] = [];

  put(field: string, file: string, value: Value, optional = false): void {
    if (value === undefined || value === '') return;
    const controller = file.split('.')[0] ?? '';
    this.out.push({ controller, file, value: String(value), field, optional });
  }
}

/** cgroup v1 files. */
export function settingsV1(resources: LinuxResources): Setting[] {
  const to = new Settings();
  const { memory, pids, network } = resources;
  const swap = memory?.swap || (memory?.limit === -1 ? -1 : undefined);
  to.put('memory.limit', 'memory.limit_in_bytes', memory?.limit || undefined);
  to.put('memory.swap', 'memory.memsw.limit_in_bytes', swap, true);
  to.put('memory.reservation', 'memory.soft_limit_in_bytes', memory?.reservation || undefined);
  to.put('memory.kernelTCP', 'memory.kmem.tcp.limit_in_bytes', memory?.kernelTCP || undefined);
  const swappiness = memory?.swappiness;
  if (swappiness !== undefined && swappiness <= MOST_SWAPPINESS) {
    to.put('memory.swappiness', 'memory.swappiness', swappiness);
  }
  if (memory?.disableOOMKiller) to.put('memory.disableOOMKiller', 'memory.oom_control', 1);
  cpuV1(to, resources);
  to.put('pids.limit', 'pids.max', limitText(pids?.limit));
  blockIoV1(to, resources);
  for (const { pageSize, limit } of resources.hugepageLimits ?? []) {
    const field = `hugepageLimits[${pageSize}]`;
    to.put(field, `hugetlb.${pageSize}.limit_in_bytes`, limit);
    to.put(field, `hugetlb.${pageSize}.rsvd.limit_in_bytes`, limit, true);
  }
  to.put('network.classID', 'net_cls.classid', network?.classID || undefined);
  for (const { name, priority } of network?.priorities ?? []) {
    to.put('network.priorities', 'net_prio.ifpriomap', `${name} ${priority}`);
  }
  rdma(to, resources);
  return to.out;
}

function cpuV1(to: Settings, { cpu }: LinuxResources): void {
  to.put('cpu.shares', 'cpu.shares', cpu?.shares || undefined);
  to.put('cpu.period', 'cpu.cfs_period_us', cpu?.period || undefined);
  to.put('cpu.burst', 'cpu.cfs_burst_us', cpu?.burst);
  to.put('cpu.quota', 'cpu.cfs_quota_us', cpu?.quota || undefined);
  to.put('cpu.realtimePeriod', 'cpu.rt_period_us', cpu?.realtimePeriod || undefined);
  to.put('cpu.realtimeRuntime', 'cpu.rt_runtime_us', cpu?.realtimeRuntime || undefined);
  to.put('cpu.idle', 'cpu.idle', cpu?.idle);
  to.put('cpu.cpus', 'cpuset.cpus', cpu?.cpus);
  to.put('cpu.mems', 'cpuset.mems', cpu?.mems);
}

function blockIoV1(to: Settings, { blockIO }: LinuxResources): void {
  to.put('blockIO.weight', 'blkio.bfq.weight', blockIO?.weight || undefined, true);
  for (const { major, minor, weight } of blockIO?.weightDevice ?? []) {
    const value = weight ? `${major}:${minor} ${weight}` : undefined;
    to.put('blockIO.weightDevice', 'blkio.bfq.weight_device', value, true);
  }
  for (const [field, , v1] of THROTTLES) {
    for (const { major, minor, rate } of blockIO?.[field] ?? []) {
      to.put(`blockIO.${field}`, `blkio.throttle.${v1}_device`, `${major}:${minor} ${rate}`);
    }
  }
}

/** The field, and what it is called in io.max and in v1. */
const THROTTLES = [
  ['throttleReadBpsDevice', 'rbps', 'read_bps'],
  ['throttleWriteBpsDevice', 'wbps', 'write_bps'],
  ['throttleReadIOPSDevice', 'riops', 'read_iops'],
  ['throttleWriteIOPSDevice', 'wiops', 'write_iops'],
] as const;

/** cgroup v2 files. */
export function settingsV2(resources: LinuxResources): Setting[] {
  const to = new Settings();
  const { memory, cpu, pids, blockIO } = resources;
  to.put('memory.limit', 'memory.max', limitText(memory?.limit));
  to.put('memory.swap', 'memory.swap.max', swapMax(memory?.limit, memory?.swap), true);
  to.put('memory.reservation', 'memory.low', limitText(memory?.reservation));
  if (cpu?.shares) to.put('cpu.shares', 'cpu.weight', weightOfShares(cpu.shares));
  if (cpu?.quota || cpu?.period) {
    const quota = cpu.quota && cpu.quota > 0 ? cpu.quota : 'max';
    to.put('cpu.quota', 'cpu.max', `${quota} ${cpu.period || DEFAULT_PERIOD_US}`);
  }
  to.put('cpu.burst', 'cpu.max.burst', cpu?.burst);
  to.put('cpu.idle', 'cpu.idle', cpu?.idle);
  to.put('cpu.cpus', 'cpuset.cpus', cpu?.cpus);
  to.put('cpu.mems', 'cpuset.mems', cpu?.mems);
  to.put('pids.limit', 'pids.max', limitText(pids?.limit));
  const weight = blockIO?.weight ? `default ${blockIO.weight}` : undefined;
  to.put('blockIO.weight', 'io.bfq.weight', weight, true);
  for (const device of blockIO?.weightDevice ?? []) {
    const value = device.weight ? `${device.major}:${device.minor} ${device.weight}` : undefined;
    to.put('blockIO.weightDevice', 'io.bfq.weight', value, true);
  }
  for (const [field, v2] of THROTTLES) {
    for (const { major, minor, rate } of blockIO?.[field] ?? []) {
      to.put(`blockIO.${field}`, 'io.max', `${major}:${minor} ${v2}=${rate || 'max'}`);
    }
  }
  for (const { pageSize, limit } of resources.hugepageLimits ?? []) {
    const field = `hugepageLimits[${pageSize}]`;
    to.put(field, `hugetlb.${pageSize}.max`, limit);
    to.put(field, `hugetlb.${pageSize}.rsvd.max`, limit, true);
  }
  rdma(to, resources);
  for (const [file, value] of Object.entries(resources.unified ?? {})) {
    to.put(`unified["${file}"]`, file, value);
  }
  return to.out;
}

function rdma(to: Settings, resources: LinuxResources): void {
  for (const [device, { hcaHandles, hcaObjects }] of Object.entries(resources.rdma ?? {})) {
    const handles = hcaHandles === undefined ? '' : ` hca_handle=${hcaHandles}`;
    const objects = hcaObjects === undefined ? '' : ` hca_object=${hcaObjects}`;
    to.put(`rdma["${device}"]`, 'rdma.max', `${device}${handles}${objects}`);
  }
}

/** The memory limit that the guest should see, bytes; 0 for none. */
export function memoryLimitBytes(resources: LinuxResources | undefined): number {
  return Math.max(resources?.memory?.limit ?? 0, 0);
}

function limitText(limit: number | undefined): Value {
  return !limit ? undefined : limit < 0 ? 'max' : limit;
}

/** v1 counts memory and swap together, v2 swap alone. */
export function swapMax(limit: number | undefined, swap: number | undefined): Value {
  if (!swap) return limit === -1 ? 'max' : undefined;
  if (swap < 0) return 'max';
  return !limit || limit < 0 ? undefined : Math.max(0, swap - limit);
}

/** Maps [2, 262144] to [1, 10000] linearly, as the kernel's and systemd's documents do. */
export function weightOfShares(shares: number): number {
  const bounded = Math.min(262144, Math.max(2, shares));
  return 1 + Math.floor(((bounded - 2) * 9999) / 262142);
}
