/**
 * /dev/null, zero, full, random and urandom (null(4), full(4), random(4)).
 */
import { EINVAL, ENODEV, ENOSPC } from '../../../spec/linux/errno.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import { FilePages } from '../../mm/file_pages.ts';
import type { IoBuffer } from '../../mm/io_buffer.ts';
import type { Mappable } from '../../mm/mappable.ts';
import type { MemoryFile } from '../../mm/memory_file.ts';
import type { FsCaller } from '../../vfs/caller.ts';
import type { DeviceOpener } from '../../vfs/device.ts';
import type { Inode } from '../../vfs/inode.ts';
import type { Path } from '../../vfs/mount.ts';
import { OpenFile } from '../../vfs/open_file.ts';

export const MEM_MAJOR = 1;
export const NULL_MINOR = 3;
export const ZERO_MINOR = 5;
export const FULL_MINOR = 7;
export const RANDOM_MINOR = 8;
export const URANDOM_MINOR = 9;

const RANDOM_CHUNK = 4096;

/** Always at offset 0, always ready. */
abstract class MemoryDevice extends OpenFile {
  override seek(): number {
    return 0;
  }
  override pread(caller: FsCaller, dst: IoBuffer): number {
    return this.read(caller, dst);
  }
  override pwrite(caller: FsCaller, src: IoBuffer): number {
    return this.write(caller, src);
  }
  override write(_caller: FsCaller, src: IoBuffer): number {
    const n = src.remaining;
    src.skip(n);
    return n;
  }
  override fsync(): number {
    return -EINVAL;
  }
}

class NullDevice extends MemoryDevice {
  override read(): number {
    return 0;
  }
}

class ZeroDevice extends MemoryDevice {
  private readonly memory: MemoryFile;

  constructor(path: Path, inode: Inode, flags: number, memory: MemoryFile) {
    super(path, inode, flags);
    this.memory = memory;
  }

  override read(_caller: FsCaller, dst: IoBuffer): number {
    return dst.fill(0, dst.remaining);
  }
  /** Private mappings of it are anonymous memory; shared ones, a file of their own. */
  override mappable(): Mappable | number {
    return FilePages.anonymous(this.memory, Number.MAX_SAFE_INTEGER - 4095);
  }
}

class FullDevice extends ZeroDevice {
  override write(): number {
    return -ENOSPC;
  }
  override mappable(): Mappable | number {
    return -ENODEV;
  }
}

class RandomDevice extends MemoryDevice {
  private readonly random: (into: Uint8Array) => void;

  constructor(path: Path, inode: Inode, flags: number, random: (into: Uint8Array) => void) {
    super(path, inode, flags);
    this.random = random;
  }

  override read(_caller: FsCaller, dst: IoBuffer): number {
    const chunk = new Uint8Array(Math.min(RANDOM_CHUNK, dst.remaining));
    let total = 0;
    while (dst.remaining > 0 && !dst.faulted) {
      this.random(chunk);
      total += dst.write(chunk, 0, Math.min(chunk.length, dst.remaining));
    }
    return total;
  }
}

/** Makes the memory devices openable in `kernel`. */
export function installMemoryDevices(kernel: Kernel): void {
  const open =
    (make: (path: Path, inode: Inode, flags: number) => OpenFile): DeviceOpener =>
    (_caller, path, flags) =>
      path.dentry.inode === null ? -ENODEV : make(path, path.dentry.inode, flags);
  const { devices } = kernel.vfs;
  const { memory, random } = kernel;
  devices.register(
    MEM_MAJOR,
    NULL_MINOR,
    open((p, i, f) => new NullDevice(p, i, f)),
  );
  devices.register(
    MEM_MAJOR,
    ZERO_MINOR,
    open((p, i, f) => new ZeroDevice(p, i, f, memory)),
  );
  devices.register(
    MEM_MAJOR,
    FULL_MINOR,
    open((p, i, f) => new FullDevice(p, i, f, memory)),
  );
  devices.register(
    MEM_MAJOR,
    RANDOM_MINOR,
    open((p, i, f) => new RandomDevice(p, i, f, random)),
  );
  devices.register(
    MEM_MAJOR,
    URANDOM_MINOR,
    open((p, i, f) => new RandomDevice(p, i, f, random)),
  );
}
