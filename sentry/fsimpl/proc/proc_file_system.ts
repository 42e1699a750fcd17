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
    container.pids.listeners.add(this.forgetTask);
  }

  /** What the name cache has of a thread that is gone would keep it, and its memory's bookkeeping. */
  private readonly forgetTask = (pid: number, tid: number): void => {
    const { dentries } = this.kernel.vfs;
    for (const { fs, root } of this.container.mounts.mounts) {
      if (fs !== this || root.inode !== this.root) continue;
      const inProcess = root.cached(`${pid}`)?.cached('task')?.cached(`${tid}`);
      for (const d of [root.cached(`${tid}`), inProcess]) {
        if (d !== undefined) dentries.removeTree(d);
      }
    }
  };

  override destroy(): void {
    this.container.pids.listeners.delete(this.forgetTask);
  }
}

/** Registers the file system type. */
export function installProc(kernel: Kernel, cpuInfo: CpuInfo): void {
  kernel.vfs.fileSystemTypes.set(
    'proc',
    (caller) => new ProcFileSystem(kernel, containerOf(caller), cpuInfo),
  );
}
