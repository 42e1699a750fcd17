/**
 * devtmpfs: a tmpfs that comes with the device nodes every container has (OCI runtime spec,
 * "Default Devices").
 */
import { S_IFCHR } from '../../../spec/linux/stat.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import type { FileSystem } from '../../vfs/inode.ts';
import { parseOptions } from '../tmpfs/options.ts';
import { Tmpfs } from '../tmpfs/tmpfs.ts';
import {
  FULL_MINOR,
  installMemoryDevices,
  MEM_MAJOR,
  NULL_MINOR,
  RANDOM_MINOR,
  URANDOM_MINOR,
  ZERO_MINOR,
} from './memory_devices.ts';

const TTY_MAJOR = 5;
const NODES: readonly (readonly [name: string, major: number, minor: number])[] = [
  ['null', MEM_MAJOR, NULL_MINOR],
  ['zero', MEM_MAJOR, ZERO_MINOR],
  ['full', MEM_MAJOR, FULL_MINOR],
  ['random', MEM_MAJOR, RANDOM_MINOR],
  ['urandom', MEM_MAJOR, URANDOM_MINOR],
  ['tty', TTY_MAJOR, 0],
  ['console', TTY_MAJOR, 1],
];
const LINKS: readonly (readonly [name: string, target: string])[] = [
  ['fd', '/proc/self/fd'],
  ['stdin', '/proc/self/fd/0'],
  ['stdout', '/proc/self/fd/1'],
  ['stderr', '/proc/self/fd/2'],
  ['ptmx', 'pts/ptmx'],
];
const DIRECTORIES: readonly (readonly [name: string, mode: number])[] = [
  ['shm', 0o1777],
  ['pts', 0o755],
  ['mqueue', 0o1777],
];

function makeDevtmpfs(kernel: Kernel, totalMemoryBytes: number, data: string): FileSystem | number {
  const options = parseOptions(data === '' ? 'mode=755' : data, totalMemoryBytes);
  if (typeof options === 'number') return options;
  const { memory, clock } = kernel;
  const devMinor = kernel.vfs.nextDevMinor();
  const parts = { memory, clock, devMajor: 0, devMinor };
  const fs = new Tmpfs(parts, options, 'devtmpfs');
  const owner = { uid: 0, gid: 0 };
  for (const [name, major, minor] of NODES) {
    fs.root.mknod(name, S_IFCHR, { ...owner, mode: 0o666 }, major, minor);
  }
  for (const [name, target] of LINKS) fs.root.symlink(name, target, { ...owner, mode: 0o777 });
  for (const [name, mode] of DIRECTORIES) fs.root.mkdir(name, { ...owner, mode });
  return fs;
}

/** Registers the file system type and its devices. */
export function installDevtmpfs(kernel: Kernel, totalMemoryBytes: number): void {
  installMemoryDevices(kernel);
  kernel.vfs.fileSystemTypes.set('devtmpfs', (_caller, _source, data) =>
    makeDevtmpfs(kernel, totalMemoryBytes, data),
  );
}
