/**
 * timerfd_create(2): a timer whose expiries are read as a count. As in Linux a periodic timer stands still
 * after an expiry until somebody reads; the periods missed meanwhile are then added.
 */
import { EAGAIN, EFAULT, EINVAL } from '../../../spec/linux/errno.ts';
import { O_RDWR } from '../../../spec/linux/fcntl.ts';
import { putU64 } from '../../../spec/linux/little_endian.ts';
import { POLLIN, POLLRDNORM } from '../../../spec/linux/poll.ts';
import { NSEC_PER_SEC } from '../../../spec/linux/time.ts';
import { WaitQueue } from '../../base/wait_queue.ts';
import { IntervalTimer } from '../../kernel/interval_timer.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import { monotonicSource } from '../../kernel/posix_timers.ts';
import type { IoBuffer } from '../../mm/io_buffer.ts';
import type { FsCaller } from '../../vfs/caller.ts';
import { OpenFile } from '../../vfs/open_file.ts';
import { anonPath } from '../anon/anon_inode.ts';

export class TimerFile extends OpenFile {
  /** CLOCK_*. */
  readonly clock: number;
  private readonly timer: IntervalTimer;
  /** Expiries not read yet, without those that `rearm` will report. */
  private ticks = 0;
  private settimeFlags = 0;
  private readonly queue = new WaitQueue();

  constructor(kernel: Kernel, clock: number, flags: number) {
    const path = anonPath(kernel, 'anon_inode:[timerfd]');
    super(path, path.mount.fs.root, O_RDWR | flags);
    this.clock = clock;
    const monotonicNs = (): number => kernel.clock.monotonicNs();
    const source = monotonicSource(kernel);
    this.timer = new IntervalTimer(kernel.timers, monotonicNs, source, () => {
      this.ticks++;
      this.queue.notify(POLLIN | POLLRDNORM);
    });
  }

  /** `deadlineNs` on CLOCK_MONOTONIC, Infinity to disarm; `flags` are TFD_TIMER_*. */
  set(deadlineNs: number, intervalNs: number, flags: number): void {
    this.ticks = 0;
    this.settimeFlags = flags;
    this.timer.set(deadlineNs, intervalNs);
  }

  get intervalNs(): number {
    return this.timer.intervalNs;
  }

  /** To the next expiry; 0 when disarmed. */
  remainingNs(): number {
    this.catchUp();
    return this.timer.remainingNs();
  }

  private catchUp(): void {
    if (this.timer.expired) this.ticks += this.timer.rearm();
  }

  override get waitQueue(): WaitQueue {
    return this.queue;
  }

  override poll(): number {
    return this.ticks > 0 ? POLLIN | POLLRDNORM : 0;
  }

  override read(_caller: FsCaller, dst: IoBuffer): number {
    if (dst.remaining < 8) return -EINVAL;
    this.timer.check();
    if (this.ticks === 0) return -EAGAIN;
    this.catchUp();
    const count = new Uint8Array(8);
    putU64(count, 0, this.ticks);
    this.ticks = 0;
    return dst.write(count) < 8 ? -EFAULT : 8;
  }

  protected override release(): void {
    this.timer.disarm();
  }

  override fdinfo(): string {
    const time = (ns: number): string =>
      `(${Math.floor(ns / NSEC_PER_SEC)}, ${Math.floor(ns % NSEC_PER_SEC)})`;
    return (
      `clockid: ${this.clock}\nticks: ${this.ticks}\n` +
      `settime flags: 0${this.settimeFlags.toString(8)}\n` +
      `it_value: ${time(this.timer.remainingNs())}\nit_interval: ${time(this.timer.intervalNs)}\n`
    );
  }
}
