/**
 * signalfd(2): takes pending signals by reading. Whose signals depends on who reads, polls or registers
 * with epoll, as in Linux: each operation looks at the task that is in the kernel now.
 */
import { EAGAIN, EFAULT, EINVAL } from '../../../spec/linux/errno.ts';
import { O_RDWR } from '../../../spec/linux/fcntl.ts';
import { SIGNALFD_SIGINFO } from '../../../spec/linux/layout/signal.ts';
import { POLLIN, POLLRDNORM } from '../../../spec/linux/poll.ts';
import type { WaitQueue } from '../../base/wait_queue.ts';
import { encodeSignalfdSigInfo } from '../../kernel/siginfo.ts';
import { UNBLOCKABLE } from '../../kernel/signal.ts';
import { SignalSet } from '../../kernel/signal_set.ts';
import { complement, dequeueSignal } from '../../kernel/signal_take.ts';
import type { Task } from '../../kernel/task.ts';
import type { IoBuffer } from '../../mm/io_buffer.ts';
import type { FsCaller } from '../../vfs/caller.ts';
import { OpenFile } from '../../vfs/open_file.ts';
import { anonPath } from '../anon/anon_inode.ts';

const RECORD_BYTES = SIGNALFD_SIGINFO.size;

export class SignalFile extends OpenFile {
  /** All signals but those it takes. */
  private readonly others = new SignalSet();
  private readonly creator: Task;

  constructor(t: Task, signals: SignalSet, flags: number) {
    const path = anonPath(t.kernel, 'anon_inode:[signalfd]');
    super(path, path.mount.fs.root, O_RDWR | flags);
    this.creator = t;
    this.setSignals(signals);
  }

  /** signalfd(2) on an existing descriptor. SIGKILL and SIGSTOP are left out silently. */
  setSignals(signals: SignalSet): void {
    this.others.copyFrom(complement(signals));
    this.others.addAll(UNBLOCKABLE);
    this.waitQueue.notify(POLLIN | POLLRDNORM);
  }

  private get task(): Task {
    return this.creator.kernel.current ?? this.creator;
  }

  override get waitQueue(): WaitQueue {
    return this.task.group.signalQueue;
  }

  override poll(): number {
    const t = this.task;
    const pending =
      t.pending.set.anyOutside(this.others) || t.group.pending.set.anyOutside(this.others);
    return pending ? POLLIN | POLLRDNORM : 0;
  }

  override read(caller: FsCaller, dst: IoBuffer): number {
    if (dst.remaining < RECORD_BYTES) return -EINVAL;
    const t = caller as Task;
    let done = 0;
    while (dst.remaining >= RECORD_BYTES) {
      const info = dequeueSignal(t, this.others);
      if (info === null) break;
      if (dst.write(encodeSignalfdSigInfo(info)) < RECORD_BYTES) return done || -EFAULT;
      done += RECORD_BYTES;
    }
    return done || -EAGAIN;
  }

  override fdinfo(): string {
    const { lo, hi } = complement(this.others);
    const hex = (word: number): string => word.toString(16).padStart(8, '0');
    return `sigmask:\t${hex(hi)}${hex(lo)}\n`;
  }
}
