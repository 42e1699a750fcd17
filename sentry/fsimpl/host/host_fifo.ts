/**
 * Fifos of the host as open files (fifo(7)): --host-fifo=open. The descriptor is our own description and does
 * not wait, so what the host says to read, write and poll is what Linux says to the application.
 *
 * Only open(2) is made up: who waits for the other end looks again every now and then. A writer that
 * waits is not yet one for the host. Nothing tells of a writer that came but poll(2) when it wrote or
 * left; otherwise read(2) tells: 0 without one, -EAGAIN with one. The byte that may come is kept.
 */
import { close, readv, writev } from '../../../native/fs.ts';
import { EAGAIN, ENXIO } from '../../../spec/linux/errno.ts';
import { O_ACCMODE, O_RDONLY } from '../../../spec/linux/fcntl.ts';
import { POLLHUP, POLLIN, POLLOUT, POLLRDNORM } from '../../../spec/linux/poll.ts';
import type { Clock } from '../../base/clock.ts';
import { Timer, type TimerQueue } from '../../base/timer_queue.ts';
import { WaitQueue } from '../../base/wait_queue.ts';
import type { IoBuffer } from '../../mm/io_buffer.ts';
import type { HostPoller } from '../../platform/platform.ts';
import type { FsCaller } from '../../vfs/caller.ts';
import type { HostFifoSource, HostFifos } from '../../vfs/host_fifo.ts';
import type { Inode } from '../../vfs/inode.ts';
import type { Path } from '../../vfs/mount.ts';
import { OpenFile } from '../../vfs/open_file.ts';
import { moved, readiness, views } from './host_file.ts';

const FIRST_RETRY_NS = 10e6;
const MAX_RETRY_NS = 100e6;

interface FifoKernel {
  readonly clock: Clock;
  readonly timers: TimerQueue;
  readonly poller: HostPoller;
}

export class HostFifo extends OpenFile {
  private readonly kernel: FifoKernel;
  private readonly source: HostFifoSource;
  /** -1 until a writer has found a reader, and once closed. */
  private fd = -1;
  private readonly queue = new WaitQueue();
  private readonly retry = new Timer(() => this.queue.notify(POLLIN | POLLOUT));
  private retryNs = FIRST_RETRY_NS;
  /** Read while looking for a writer. */
  private early: Uint8Array | null = null;

  constructor(kernel: FifoKernel, source: HostFifoSource, path: Path, inode: Inode, flags: number) {
    super(path, inode, flags);
    this.kernel = kernel;
    this.source = source;
  }

  override get waitQueue(): WaitQueue {
    return this.queue;
  }

  override openStatus(): number {
    if (this.fd < 0) {
      if (this.retry.armed) return -EAGAIN;
      const fd = this.source.openHostFifo(this.flags & O_ACCMODE);
      if (fd === -ENXIO && !this.nonblock) return this.lookAgain();
      if (fd < 0) return fd;
      this.fd = fd;
      this.kernel.poller.add(fd, (events) => this.queue.notify(events));
    }
    const waits = (this.flags & O_ACCMODE) === O_RDONLY && !this.nonblock;
    if (waits && !this.hasSeenWriter()) return this.lookAgain();
    this.kernel.timers.cancel(this.retry);
    return 0;
  }

  private lookAgain(): number {
    if (this.retry.armed) return -EAGAIN;
    const { clock, timers } = this.kernel;
    timers.start(this.retry, clock.monotonicNs() + this.retryNs);
    this.retryNs = Math.min(this.retryNs * 2, MAX_RETRY_NS);
    return -EAGAIN;
  }

  private hasSeenWriter(): boolean {
    if ((this.poll() & (POLLIN | POLLHUP)) !== 0) return true;
    const byte = new Uint8Array(1);
    const n = readv(this.fd, [byte]);
    if (n > 0) this.early = byte;
    return n !== 0;
  }

  override poll(): number {
    return readiness(this.fd) | (this.early === null ? 0 : POLLIN | POLLRDNORM);
  }

  override read(_caller: FsCaller, dst: IoBuffer): number {
    const before = this.early === null ? 0 : dst.write(this.early);
    if (before > 0) this.early = null;
    const into = views(dst, Number.MAX_SAFE_INTEGER);
    if (into.length === 0) return before;
    const n = moved(dst, readv(this.fd, into));
    return before > 0 ? before + Math.max(n, 0) : n;
  }

  override write(_caller: FsCaller, src: IoBuffer): number {
    return moved(src, writev(this.fd, views(src, Number.MAX_SAFE_INTEGER)));
  }

  protected override release(): void {
    this.kernel.timers.cancel(this.retry);
    if (this.fd < 0) return;
    this.kernel.poller.remove(this.fd);
    close(this.fd);
    this.fd = -1;
  }
}

/** Makes them. */
export class HostFifoFiles implements HostFifos {
  private readonly kernel: FifoKernel;

  constructor(kernel: FifoKernel) {
    this.kernel = kernel;
  }

  open(source: HostFifoSource, path: Path, flags: number): OpenFile | number {
    const inode = path.dentry.inode;
    if (inode === null) return -ENXIO;
    const file = new HostFifo(this.kernel, source, path, inode, flags);
    const status = file.openStatus();
    if (status === 0 || status === -EAGAIN) return file;
    file.close();
    return status;
  }
}
