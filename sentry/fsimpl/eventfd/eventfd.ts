/**
 * eventfd(2): a 64-bit counter that can be waited for. The counter is two 32-bit halves, because values
 * up to 2^64 - 2 count.
 */
import { EAGAIN, EFAULT, EINVAL } from '../../../spec/linux/errno.ts';
import { O_RDWR } from '../../../spec/linux/fcntl.ts';
import { getU32, putU32 } from '../../../spec/linux/little_endian.ts';
import { POLLERR, POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM } from '../../../spec/linux/poll.ts';
import { WaitQueue } from '../../base/wait_queue.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import type { IoBuffer } from '../../mm/io_buffer.ts';
import type { FsCaller } from '../../vfs/caller.ts';
import { OpenFile } from '../../vfs/open_file.ts';
import { anonPath } from '../anon/anon_inode.ts';

const TWO_32 = 2 ** 32;
const ALL_ONES = 0xffffffff;

export class EventFile extends OpenFile {
  private lo: number;
  private hi = 0;
  private readonly semaphore: boolean;
  private readonly queue = new WaitQueue();
  private readonly word = new Uint8Array(8);

  /** `flags` may hold O_NONBLOCK. */
  constructor(kernel: Kernel, initial: number, semaphore: boolean, flags: number) {
    const path = anonPath(kernel, 'anon_inode:[eventfd]');
    super(path, path.mount.fs.root, O_RDWR | flags);
    this.lo = initial >>> 0;
    this.semaphore = semaphore;
  }

  override get waitQueue(): WaitQueue {
    return this.queue;
  }

  private get zero(): boolean {
    return this.lo === 0 && this.hi === 0;
  }

  override poll(): number {
    const readable = this.zero ? 0 : POLLIN | POLLRDNORM;
    if (this.hi === ALL_ONES && this.lo === ALL_ONES) return readable | POLLERR;
    const full = this.hi === ALL_ONES && this.lo === ALL_ONES - 1;
    return readable | (full ? 0 : POLLOUT | POLLWRNORM);
  }

  override read(_caller: FsCaller, dst: IoBuffer): number {
    if (dst.remaining < 8) return -EINVAL;
    if (this.zero) return -EAGAIN;
    if (this.semaphore) {
      putU32(this.word, 0, 1);
      putU32(this.word, 4, 0);
      if (this.lo === 0) this.hi--;
      this.lo = (this.lo - 1) >>> 0;
    } else {
      putU32(this.word, 0, this.lo);
      putU32(this.word, 4, this.hi);
      this.lo = 0;
      this.hi = 0;
    }
    this.queue.notify(POLLOUT | POLLWRNORM);
    return dst.write(this.word) < 8 ? -EFAULT : 8;
  }

  override write(_caller: FsCaller, src: IoBuffer): number {
    if (src.remaining < 8) return -EINVAL;
    // A retry must find the bytes again, so they are read through a second cursor.
    if (src.copy().read(this.word) < 8) return -EFAULT;
    const lo = getU32(this.word, 0);
    const hi = getU32(this.word, 4);
    if (lo === ALL_ONES && hi === ALL_ONES) return -EINVAL;
    const sumLo = this.lo + lo;
    const sumHi = this.hi + hi + (sumLo >= TWO_32 ? 1 : 0);
    const newLo = sumLo >>> 0;
    if (sumHi >= TWO_32 || (sumHi === ALL_ONES && newLo === ALL_ONES)) return -EAGAIN;
    src.skip(8);
    this.lo = newLo;
    this.hi = sumHi;
    if (lo !== 0 || hi !== 0) this.queue.notify(POLLIN | POLLRDNORM);
    return 8;
  }

  override fdinfo(): string {
    const value = this.hi * TWO_32 + this.lo;
    return `eventfd-count: ${value.toString(16).padStart(16)}\n`;
  }
}
