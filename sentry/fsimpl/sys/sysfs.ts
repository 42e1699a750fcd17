/**
 * sysfs (sysfs(5)): what programs look for in /sys of a machine that has processors and memory and no
 * devices. Read-only.
 */
import { SYSFS_MAGIC } from '../../../spec/linux/statfs.ts';
import { type Container, containerOf } from '../../kernel/container.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import { memoryInUseBytes } from '../../kernel/memory_in_use.ts';
import { PseudoDirectory, PseudoFileSystem } from '../pseudo/pseudo_file_system.ts';
import { addCpuTree } from './cpu_tree.ts';

/** Bytes of a huge page of x86-64. */
const HUGE_PAGE_BYTES = 2 * 2 ** 20;
/** Directories that exist and are empty. */
const EMPTY = [
  'block',
  'bus',
  'class/block',
  'class/mem',
  'class/misc',
  'class/net',
  'class/power_supply',
  'class/thermal',
  'class/tty',
  'dev/block',
  'dev/char',
  'devices/virtual',
  'firmware',
  'fs/cgroup',
  'kernel/debug',
  'kernel/security',
  'kernel/tracing',
  'module',
  'power',
];

class SysFileSystem extends PseudoFileSystem {
  readonly type = 'sysfs';
  protected readonly magic = SYSFS_MAGIC;
  readonly root: PseudoDirectory;

  constructor(kernel: Kernel, container: Container) {
    super(kernel.clock, kernel.vfs.nextDevMinor());
    this.root = new PseudoDirectory(this);
    for (const path of EMPTY) directoryAt(this.root, path);
    addCpuTree(directoryAt(this.root, 'devices/system'), container.cpuCount, () => ({
      totalBytes: container.totalMemoryBytes,
      usedBytes: memoryInUseBytes(container),
    }));
    addKernel(directoryAt(this.root, 'kernel'));
  }
}

function directoryAt(root: PseudoDirectory, path: string): PseudoDirectory {
  let dir = root;
  for (const name of path.split('/')) {
    const found = dir.lookup(name);
    dir = found instanceof PseudoDirectory ? found : dir.addDirectory(name);
  }
  return dir;
}

function addKernel(kernel: PseudoDirectory): void {
  const huge = directoryAt(kernel, 'mm/transparent_hugepage');
  // Pages of the memory file are small ones: nothing is ever collapsed into huge pages.
  huge.addText('enabled', () => 'always madvise [never]\n');
  huge.addText('defrag', () => 'always defer defer+madvise madvise [never]\n');
  huge.addText('shmem_enabled', () => 'always within_size advise [never] deny force\n');
  huge.addText('use_zero_page', () => '0\n');
  huge.addText('hpage_pmd_size', () => `${HUGE_PAGE_BYTES}\n`);
  directoryAt(kernel, 'mm/hugepages');
  kernel.addText('profiling', () => '0\n');
  kernel.addText('uevent_seqnum', () => '0\n');
}

/** Registers the file system type. */
export function installSysfs(kernel: Kernel): void {
  kernel.vfs.fileSystemTypes.set(
    'sysfs',
    (caller) => new SysFileSystem(kernel, containerOf(caller)),
  );
}
