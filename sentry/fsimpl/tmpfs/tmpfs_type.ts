/** Makes tmpfs mountable in a kernel: mount(2) with type "tmpfs" or "ramfs". */
import type { Kernel } from '../../kernel/kernel.ts';
import type { FileSystem } from '../../vfs/inode.ts';
import { parseOptions } from './options.ts';
import { Tmpfs } from './tmpfs.ts';

export function installTmpfs(kernel: Kernel, totalMemoryBytes: number): void {
  const make = (data: string, type: string): FileSystem | number => {
    const options = parseOptions(data, totalMemoryBytes);
    if (typeof options === 'number') return options;
    const parts = {
      memory: kernel.memory,
      clock: kernel.clock,
      devMajor: 0,
      devMinor: kernel.vfs.nextDevMinor(),
    };
    return new Tmpfs(parts, options, type);
  };
  kernel.vfs.fileSystemTypes.set('tmpfs', (_caller, _source, data) => make(data, 'tmpfs'));
  // Without limits, as Linux's is; the sandbox's memory bounds it.
  kernel.vfs.fileSystemTypes.set('ramfs', () => make('size=0,nr_inodes=0,mode=755', 'ramfs'));
}
