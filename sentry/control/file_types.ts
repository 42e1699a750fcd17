/**
 * Wires into one kernel what lives in names but belongs to different parts of it: file system types
 * that can be mounted, devices, fifos.
 */
import { installDevtmpfs } from '../fsimpl/dev/devtmpfs.ts';
import { installDevpts } from '../fsimpl/devpts/tty_devices.ts';
import { installPipes } from '../fsimpl/pipe/pipe_file.ts';
import { installProc } from '../fsimpl/proc/proc_file_system.ts';
import { installSysfs } from '../fsimpl/sys/sysfs.ts';
import { installTmpfs } from '../fsimpl/tmpfs/tmpfs_type.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { hostCpu } from './host_cpu.ts';

export function installFileTypes(kernel: Kernel, totalMemoryBytes: number): void {
  installPipes(kernel);
  installTmpfs(kernel, totalMemoryBytes);
  installDevtmpfs(kernel, totalMemoryBytes);
  installDevpts(kernel);
  installSysfs(kernel);
  installProc(kernel, hostCpu());
}
