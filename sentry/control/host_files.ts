/**
 * The one HostFileSystem of each kernel.
 */
import { HostFileSystem } from '../fsimpl/host/host_inode.ts';
import type { Kernel } from '../kernel/kernel.ts';

const systems = new WeakMap<Kernel, HostFileSystem>();

export function hostFiles(kernel: Kernel): HostFileSystem {
  let fs = systems.get(kernel);
  if (fs === undefined) {
    fs = new HostFileSystem(kernel.clock, kernel.poller);
    systems.set(kernel, fs);
  }
  return fs;
}
