/**
 * proc (proc(5)): what the kernel tells about itself and its processes. One instance shows one container's
 * pid namespace.
 */
import { PROC_SUPER_MAGIC } from '../../../spec/linux/statfs.ts';
import { type Container, containerOf } from '../../kernel/container.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import { PseudoFileSystem } from '../pseudo/pseudo_file_system.ts';
import type { CpuInfo } from './cpuinfo.ts';
import { ProcRoot } from './proc_root.ts';

export class ProcFileSystem extends PseudoFileSystem {
  readonly type = 'proc';
  protected readonly magic = PROC_SUPER_MAGIC;
  readonly kernel: Kernel;
  readonly container: Container;
  readonly cpuInfo: CpuInfo;
  readonly root: ProcRoot;

  constructor(kernel: Kernel, container: Container, cpuInfo: CpuInfo) {
    super(kernel.clock, kernel.vfs.nextDevMinor());
    this.kernel = kernel;
    this.container = container;
    this.cpuInfo = cpuInfo;
    this.root = new ProcRoot(this);
  }
}

/** Registers the file system type. */
export function installProc(kernel: Kernel, cpuInfo: CpuInfo): void {
  kernel.vfs.fileSystemTypes.set(
    'proc',
    (caller) => new ProcFileSystem(kernel, containerOf(caller), cpuInfo),
  );
}
