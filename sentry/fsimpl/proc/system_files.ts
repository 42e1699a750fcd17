/**
 * Files of /proc about the whole system (proc(5)): what a machine with this container's processors and
 * memory would say.
 */
import { NSEC_PER_SEC } from '../../../spec/linux/time.ts';
import type { Container } from '../../kernel/container.ts';
import { LINUX_RELEASE, LINUX_SYSNAME, LINUX_VERSION } from '../../kernel/linux_version.ts';
import { loadText } from '../../kernel/load_average.ts';
import { memoryInUseBytes } from '../../kernel/memory_in_use.ts';
import { TASK_KERNEL, TASK_RUNNING } from '../../kernel/task.ts';
import type { PseudoDirectory } from '../pseudo/pseudo_file_system.ts';
import { cpuinfoText } from './cpuinfo.ts';
import type { ProcFileSystem } from './proc_file_system.ts';
import { ticks } from './task_status.ts';

const CPU_COLUMNS = 10;

function uptimeNs(fs: ProcFileSystem): number {
  return fs.kernel.clock.monotonicNs() - fs.kernel.bootNs;
}

function runningCount(c: Container): number {
  let running = 0;
  for (const t of c.pids.tasks.values()) {
    if (t.state === TASK_RUNNING || t.state === TASK_KERNEL) running++;
  }
  return running;
}

/** CPU time of everything that runs or was reaped, nanoseconds. */
function cpuTimeNs(c: Container): number {
  let total = 0;
  for (const g of c.pids.groups.values()) {
    total += g.cpuTimeNs;
    // What the children of pid 1 used up is nobody else's any more.
    if (g === c.pids.init) total += g.childrenUsage.cpuNs;
  }
  return total;
}

function uptimeText(fs: ProcFileSystem): string {
  const up = uptimeNs(fs);
  const idle = Math.max(0, up * fs.container.cpuCount - cpuTimeNs(fs.container));
  return `${(up / NSEC_PER_SEC).toFixed(2)} ${(idle / NSEC_PER_SEC).toFixed(2)}\n`;
}

/** One "cpu" line: user time and idle time, the rest is not told apart. */
function cpuLine(name: string, userNs: number, totalNs: number): string {
  const columns = new Array<number>(CPU_COLUMNS).fill(0);
  columns[0] = ticks(userNs);
  columns[3] = ticks(Math.max(0, totalNs - userNs));
  return `${name} ${columns.join(' ')}\n`;
}

function statText(fs: ProcFileSystem): string {
  const { container, kernel } = fs;
  const up = uptimeNs(fs);
  const used = cpuTimeNs(container);
  const count = container.cpuCount;
  let text = cpuLine('cpu ', used, up * count);
  for (let cpu = 0; cpu < count; cpu++) text += cpuLine(`cpu${cpu}`, used / count, up);
  const booted = kernel.clock.realtime().sec - Math.floor(up / NSEC_PER_SEC);
  return (
    `${text}intr 0\nctxt 0\nbtime ${booted}\nprocesses ${container.pids.lastPid}\n` +
    `procs_running ${runningCount(container)}\nprocs_blocked 0\nsoftirq 0\n`
  );
}

function loadavgText(fs: ProcFileSystem): string {
  const { pids } = fs.container;
  const averages = fs.kernel.load.averages.map(loadText).join(' ');
  return `${averages} ${runningCount(fs.container)}/${pids.tasks.size} ${pids.lastPid}\n`;
}

function meminfoText(fs: ProcFileSystem): string {
  const total = fs.container.totalMemoryBytes;
  const used = memoryInUseBytes(fs.container);
  const rows: readonly (readonly [name: string, bytes: number])[] = [
    ['MemTotal', total],
    ['MemFree', total - used],
    ['MemAvailable', total - used],
    ['Buffers', 0],
    ['Cached', 0],
    ['SwapCached', 0],
    ['Active', used],
    ['Inactive', 0],
    ['Active(anon)', used],
    ['Inactive(anon)', 0],
    ['Active(file)', 0],
    ['Inactive(file)', 0],
    ['Unevictable', 0],
    ['Mlocked', 0],
    ['SwapTotal', 0],
    ['SwapFree', 0],
    ['Dirty', 0],
    ['Writeback', 0],
    ['AnonPages', used],
    ['Mapped', 0],
    ['Shmem', 0],
    ['Slab', 0],
    ['SReclaimable', 0],
    ['SUnreclaim', 0],
    ['CommitLimit', total],
    ['Committed_AS', used],
    ['VmallocTotal', 0],
    ['VmallocUsed', 0],
    ['VmallocChunk', 0],
  ];
  return rows
    .map(([name, bytes]) => {
      const kib = String(Math.floor(bytes / 1024));
      return `${`${name}:`.padEnd(16)}${kib.padStart(8)} kB\n`;
    })
    .join('');
}

function vmstatText(fs: ProcFileSystem): string {
  const total = fs.container.totalMemoryBytes;
  const used = memoryInUseBytes(fs.container);
  const pages = (bytes: number): number => Math.floor(bytes / 4096);
  return `nr_free_pages ${pages(total - used)}\nnr_anon_pages ${pages(used)}\n`;
}

function filesystemsText(fs: ProcFileSystem): string {
  return [...fs.kernel.vfs.fileSystemTypes.keys()].map((type) => `nodev\t${type}\n`).join('');
}

const DEVICES = `Character devices:
  1 mem
  5 /dev/tty
  5 /dev/ptmx
136 pts

Block devices:
`;

const TTY_DRIVERS = `/dev/tty             /dev/tty        5       0 system:/dev/tty
/dev/ptmx            /dev/ptmx       5       2 system
pty_slave            /dev/pts      136 0-1048575 pty:slave
pty_master           /dev/ptm      128 0-1048575 pty:master
`;

export function addSystemFiles(root: PseudoDirectory, fs: ProcFileSystem): void {
  root.addText('cgroups', () => '#subsys_name\thierarchy\tnum_cgroups\tenabled\n');
  root.addText('cmdline', () => '--single-threaded --no-regrets\n');
  root.addText('cpuinfo', () => cpuinfoText(fs.cpuInfo, fs.container.cpuCount));
  root.addText('devices', () => DEVICES);
  root.addText('filesystems', () => filesystemsText(fs));
  root.addText('loadavg', () => loadavgText(fs));
  root.addText('meminfo', () => meminfoText(fs));
  root.addText('partitions', () => 'major minor  #blocks  name\n\n');
  root.addText('stat', () => statText(fs));
  root.addText('swaps', () => 'Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n');
  root.addText('uptime', () => uptimeText(fs));
  root.addText('version', () => `${LINUX_SYSNAME} version ${LINUX_RELEASE} ${LINUX_VERSION}\n`);
  root.addText('vmstat', () => vmstatText(fs));
  root.addDirectory('tty').addText('drivers', () => TTY_DRIVERS);
}
