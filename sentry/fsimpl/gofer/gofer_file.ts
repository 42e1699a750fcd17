/**
 * An open regular file of a gofer (open(2)): an offset over what its inode shares with all openings.
 */
import { EFBIG, ENODEV } from '../../../spec/linux/errno.ts';
import { SIGXFSZ } from '../../../spec/linux/signal.ts';
import type { IoBuffer } from '../../mm/io_buffer.ts';
import type { Mappable } from '../../mm/mappable.ts';
import type { FsCaller } from '../../vfs/caller.ts';
import { SeekableFile } from '../../vfs/open_file.ts';
import type { GoferRegular } from './gofer_regular.ts';

const MAX_FILE_SIZE = Number.MAX_SAFE_INTEGER - 4096;

export class GoferFile extends SeekableFile {
  declare readonly inode: GoferRegular;

  override get pollable(): boolean {
    return false;
  }

  protected override size(): number {
    return this.inode.size();
  }

  override pread(_caller: FsCaller, dst: IoBuffer, offset: number): number {
    return this.inode.readAt(dst, offset);
  }

  override pwrite(caller: FsCaller, src: IoBuffer, offset: number): number {
    if (src.remaining === 0) return 0;
    const limit = Math.min(caller.fileSizeLimit, MAX_FILE_SIZE);
    if (offset >= limit) {
      if (limit !== MAX_FILE_SIZE) caller.raise(SIGXFSZ);
      return -EFBIG;
    }
    const fits = offset + src.remaining <= limit;
    return this.inode.writeAt(fits ? src : src.take(limit - offset), offset);
  }

  protected override seekSparse(offset: number, whence: number): number {
    const to = this.inode.seekSparse(offset, whence);
    if (to >= 0) this.offset = to;
    return to;
  }

  override fsync(dataOnly: boolean): number {
    return this.inode.fsync(dataOnly);
  }

  override truncate(length: number): number {
    return this.inode.setattr({ size: length });
  }

  override fallocate(mode: number, offset: number, length: number): number {
    return this.inode.fallocate(mode, offset, length);
  }

  override mappable(): Mappable | number {
    return this.inode.mappable ? this.inode : -ENODEV;
  }

  protected override release(): void {
    this.inode.closed();
  }
}
