/**
 * /sys/devices/system/{cpu,node} (Linux's Documentation/ABI/stable/sysfs-devices-system-cpu): one package
 * of cores without siblings, all memory on one node.
 */
import type { PseudoDirectory } from '../pseudo/pseudo_file_system.ts';

/** Linux's list format: '0-3', or '0' for one. */
export function cpuList(count: number): string {
  return count === 1 ? '0' : `0-${count - 1}`;
}

/** Linux's mask format: hexadecimal words of 32 processors, the highest first. */
export function cpuMask(cpus: readonly number[], count: number): string {
  const words = new Uint32Array(Math.ceil(count / 32));
  for (const cpu of cpus) words[cpu >>> 5] = (words[cpu >>> 5] as number) | (1 << (cpu & 31));
  const [top = 0, ...rest] = [...words].reverse();
  const digits = Math.ceil((((count - 1) & 31) + 1) / 4);
  const text = [top.toString(16).padStart(digits, '0')];
  for (const word of rest) text.push(word.toString(16).padStart(8, '0'));
  return text.join(',');
}

function line(text: string | number): () => string {
  return () => `${text}\n`;
}

function addCpu(cpus: PseudoDirectory, cpu: number, count: number): void {
  const all = Array.from({ length: count }, (_, i) => i);
  const dir = cpus.addDirectory(`cpu${cpu}`);
  // The boot processor cannot be switched off and has no such file.
  if (cpu > 0) dir.addText('online', line(1));
  const topology = dir.addDirectory('topology');
  topology.addText('physical_package_id', line(0));
  topology.addText('core_id', line(cpu));
  topology.addText('thread_siblings', line(cpuMask([cpu], count)));
  topology.addText('thread_siblings_list', line(cpu));
  topology.addText('core_siblings', line(cpuMask(all, count)));
  topology.addText('core_siblings_list', line(cpuList(count)));
  dir.addSymlink('node0', '../../node/node0');
}

export interface NodeMemory {
  readonly totalBytes: number;
  readonly usedBytes: number;
}

function nodeMeminfo({ totalBytes, usedBytes }: NodeMemory): string {
  const row = (name: string, bytes: number): string => {
    const kib = `${Math.floor(bytes / 1024)}`;
    return `Node 0 ${`${name}:`.padEnd(15)}${kib.padStart(8)} kB\n`;
  };
  const freeBytes = totalBytes - usedBytes;
  return row('MemTotal', totalBytes) + row('MemFree', freeBytes) + row('MemUsed', usedBytes);
}

/** Fills `system` (/sys/devices/system) for `count` processors. */
export function addCpuTree(system: PseudoDirectory, count: number, memory: () => NodeMemory): void {
  const cpus = system.addDirectory('cpu');
  for (const name of ['online', 'possible', 'present']) cpus.addText(name, line(cpuList(count)));
  cpus.addText('offline', line(''));
  cpus.addText('isolated', line(''));
  cpus.addText('kernel_max', line(Math.max(count, 64) - 1));
  for (let cpu = 0; cpu < count; cpu++) addCpu(cpus, cpu, count);

  const nodes = system.addDirectory('node');
  for (const name of ['online', 'possible', 'has_cpu', 'has_memory', 'has_normal_memory']) {
    nodes.addText(name, line(0));
  }
  const node = nodes.addDirectory('node0');
  const all = Array.from({ length: count }, (_, i) => i);
  node.addText('cpulist', line(cpuList(count)));
  node.addText('cpumap', line(cpuMask(all, count)));
  node.addText('distance', line(10));
  node.addText('meminfo', () => nodeMeminfo(memory()));
  for (const cpu of all) node.addSymlink(`cpu${cpu}`, `../../cpu/cpu${cpu}`);
}
