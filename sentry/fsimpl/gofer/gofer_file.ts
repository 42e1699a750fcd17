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

  override write(caller: FsCaller, src: IoBuffer): number {
    if (!this.append || this.inode.fs.exclusive) return super.write(caller, src);
    // Others append to the file too, beyond this kernel: only the host knows where its end is.
    const size = this.size();
    if (size < 0) return size;
    const room = this.room(caller, src, size);
    if (room <= 0) return room;
    const n = this.inode.append(room < src.remaining ? src.take(room) : src);
    if (n > 0) this.offset = this.size();
    return n;
  }

  /** How many bytes of `src` may be written at `offset` (RLIMIT_FSIZE), or -EFBIG. */
  private room(caller: FsCaller, src: IoBuffer, offset: number): number {
    if (src.remaining === 0) return 0;
    const limit = Math.min(caller.fileSizeLimit, MAX_FILE_SIZE);
    if (offset < limit) return Math.min(src.remaining, limit - offset);
    if (limit !== MAX_FILE_SIZE) caller.raise(SIGXFSZ);
    return -EFBIG;
  }

  override pwrite(caller: FsCaller, src: IoBuffer, offset: number): number {
    const room = this.room(caller, src, offset);
    if (room <= 0) return room;
    return this.inode.writeAt(room < src.remaining ? src.take(room) : src, offset);
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
