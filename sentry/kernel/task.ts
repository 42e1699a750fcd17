/**
 * Task: one application thread (Linux's task_struct).
 *
 * A task is in exactly one TASK_* state. Kernel code runs for a task only from Kernel's loop, to
 * completion; a handler that must wait leaves a Wait behind and returns BLOCKED.
 */
import { EAGAIN, EBADF, EINTR, ENOTDIR, ERESTARTSYS } from '../../spec/linux/errno.ts';
import { AT_FDCWD } from '../../spec/linux/fcntl.ts';
import { RLIMIT_FSIZE } from '../../spec/linux/resource.ts';
import { SIGKILL } from '../../spec/linux/signal.ts';
import { Timer } from '../base/timer_queue.ts';
import { type Waitable, Waiter } from '../base/wait_queue.ts';
import type { MemoryManager } from '../mm/memory_manager.ts';
import type { Context } from '../platform/platform.ts';
import type { FsCaller } from '../vfs/caller.ts';
import type { Credentials } from '../vfs/credentials.ts';
import type { FsContext } from '../vfs/fs_context.ts';
import type { Path } from '../vfs/mount.ts';
import { OpenFile } from '../vfs/open_file.ts';
import type { Container } from './container.ts';
import type { FdTable } from './fd_table.ts';
import { IoAccounting } from './io_accounting.ts';
import type { Kernel } from './kernel.ts';
import { type AlternateStack, PendingSignals } from './signal.ts';
import { retargetSignals, sendToTask } from './signal_send.ts';
import { SignalSet } from './signal_set.ts';
import { BLOCKED } from './syscall_table.ts';
import type { ThreadGroup } from './thread_group.ts';

/** The host may be executing application code of the task. */
export const TASK_RUNNING = 0;
/** Owned by the kernel, on its run queue or being worked on. */
export const TASK_KERNEL = 1;
/** Waiting inside a system call. */
export const TASK_BLOCKED = 2;
/** Stopped by job control. */
export const TASK_STOPPED = 3;
/** Exited; the object may live on as a zombie thread-group leader. */
export const TASK_DEAD = 4;
/** Waits for a vfork child to exec or exit; only fatal signals interrupt it. */
export const TASK_VFORK = 5;

export type TaskState =
  | typeof TASK_RUNNING
  | typeof TASK_KERNEL
  | typeof TASK_BLOCKED
  | typeof TASK_STOPPED
  | typeof TASK_DEAD
  | typeof TASK_VFORK;

export interface WaitOptions {
  /** Tries the operation; -EAGAIN means not yet. Must not sleep itself. */
  readonly attempt: () => number;
  /** CLOCK_MONOTONIC nanoseconds; Infinity for none. */
  readonly deadlineNs?: number;
  /** The result when the deadline passes; default -EAGAIN. */
  readonly onTimeout?: () => number;
  /** The result when a signal arrives; default -ERESTARTSYS. */
  readonly onInterrupt?: () => number;
}

interface Wait extends WaitOptions {
  readonly waiters: Waiter[];
  /** Another thread may close the descriptor meanwhile: the call keeps its files. */
  readonly held: readonly OpenFile[];
  readonly timer: Timer | null;
  timedOut: boolean;
}

/** What restart_syscall(2) resumes after -ERESTART_RESTARTBLOCK. */
export type RestartBlock = () => number;

export interface TaskFields {
  readonly kernel: Kernel;
  readonly container: Container;
  readonly group: ThreadGroup;
  readonly tid: number;
  readonly mm: MemoryManager;
  readonly files: FdTable;
  readonly fs: FsContext;
  readonly creds: Credentials;
  readonly context: Context;
  readonly name: string;
}

export class Task implements FsCaller {
  readonly kernel: Kernel;
  readonly container: Container;
  readonly group: ThreadGroup;
  /** In the container's pid namespace. execve by a thread takes over the leader's. */
  tid: number;

  // What clone(2) shares or copies.
  mm: MemoryManager;
  files: FdTable;
  fs: FsContext;
  creds: Credentials;
  context: Context;

  /** comm, at most 15 bytes (prctl PR_SET_NAME). */
  name: string;
  state: TaskState = TASK_KERNEL;
  /** Kept from running because its container is paused. */
  frozen = false;
  /** On Kernel's run queue. */
  queued = false;
  private wait: Wait | null = null;

  // The system call in progress, for restarts and strace.
  syscallNumber = -1;
  syscallResult = 0;
  inSyscall = false;
  syscallStartNs = 0;
  restartBlock: RestartBlock | null = null;

  // Signals.
  readonly signalMask = new SignalSet();
  /** What sigsuspend and friends replaced; restored after the handler's frame is made. */
  savedMask: SignalSet | null = null;
  readonly pending = new PendingSignals();
  alternateStack: AlternateStack = { address: 0, size: 0, flags: 2 };

  // Threads' bits of state kept in application memory.
  clearChildTid = 0;
  robustList = 0;
  rseq: { readonly address: number; readonly length: number; readonly signature: number } | null =
    null;

  /** prctl PR_SET_PDEATHSIG. */
  parentDeathSignal = 0;
  /** The parent that sleeps until this vfork child execs or exits. */
  vforkParent: Task | null = null;
  /** This task sleeps for its vfork child. */
  vforking = false;
  /** nice(2) and scheduling policy are recorded, not enforced. */
  nice = 0;
  schedulingPolicy = 0;
  schedulingPriority = 0;
  /** sched_setaffinity(2): recorded, not enforced; null for all processors. */
  affinity: Uint8Array | null = null;
  /** ioprio_set(2): recorded, not enforced. */
  ioPriority = 0;
  timerSlackNs = 50000;
  readonly io = new IoAccounting();
  readonly startNs: number;

  constructor(f: TaskFields) {
    this.kernel = f.kernel;
    this.container = f.container;
    this.group = f.group;
    this.tid = f.tid;
    this.mm = f.mm;
    this.files = f.files;
    this.fs = f.fs;
    this.creds = f.creds;
    this.context = f.context;
    this.name = f.name;
    this.startNs = f.kernel.clock.monotonicNs();
    f.context.owner = this;
  }

  get pid(): number {
    return this.group.pid;
  }

  get fileSizeLimit(): number {
    return this.group.limits.soft(RLIMIT_FSIZE);
  }

  /** CPU time, nanoseconds. */
  get cpuTimeNs(): number {
    return this.state === TASK_DEAD ? 0 : this.context.cpuTimeNs();
  }

  /** Where a relative `name` of an *at call starts: AT_FDCWD or a directory descriptor. */
  startPath(fd: number, name: string): Path | number {
    if (fd === AT_FDCWD || name.charCodeAt(0) === 47) return this.fs.cwd;
    const file = this.files.get(fd);
    if (file === undefined) return -EBADF;
    if (name !== '' && !file.inode.isDirectory) return -ENOTDIR;
    return file.path;
  }

  raise(signo: number): void {
    sendToTask(this, { signo, code: 0x80 });
  }

  // Waiting ------------------------------------------------------------------------------------

  /**
   * Tries `attempt` now and, unless `nonblock`, again whenever `on` notifies one of `events`, until
   * it returns anything but -EAGAIN. Returns its result or BLOCKED.
   */
  waitUntil(on: Waitable, events: number, nonblock: boolean, attempt: () => number): number {
    const r = attempt();
    if (r !== -EAGAIN || nonblock) return r;
    return this.sleep([on], events, { attempt });
  }

  /** The same for calls with a time limit or an end of their own. */
  waitUntilDeadline(on: Waitable, events: number, nonblock: boolean, options: WaitOptions): number {
    const r = options.attempt();
    return r !== -EAGAIN || nonblock ? r : this.sleep([on], events, options);
  }

  /**
   * Sleeps until one of `queues` notifies `events`, the deadline passes or a signal arrives. The
   * attempt is made once more after registering, so no wake-up is lost. A task that waits for nothing
   * but time or signals passes no queues.
   */
  sleep(queues: readonly Waitable[], events: number, options: WaitOptions): number {
    if (this.wait !== null) throw new Error('task is already waiting');
    const wake = (): void => this.kernel.ready(this);
    const waiters: Waiter[] = [];
    const held: OpenFile[] = [];
    for (const q of queues) {
      if (q instanceof OpenFile) held.push(q.acquire());
      if (q.waitQueue === null) continue;
      const w = new Waiter(events, wake);
      q.waitQueue.add(w);
      waiters.push(w);
    }
    const deadlineNs = options.deadlineNs ?? Number.POSITIVE_INFINITY;
    const timer =
      deadlineNs === Number.POSITIVE_INFINITY ? null : new Timer(() => this.onDeadline());
    const wait: Wait = { ...options, waiters, held, timer, timedOut: false };
    this.wait = wait;
    const r = options.attempt();
    if (r !== -EAGAIN) {
      this.endWait(wait);
      return r;
    }
    if (this.signalPending) {
      this.endWait(wait);
      return this.interruptedResult(wait);
    }
    if (timer !== null) this.kernel.timers.start(timer, deadlineNs);
    this.state = TASK_BLOCKED;
    return BLOCKED;
  }

  private onDeadline(): void {
    if (this.wait === null) return;
    this.wait.timedOut = true;
    this.kernel.ready(this);
  }

  private endWait(wait: Wait): void {
    for (const w of wait.waiters) w.cancel();
    if (wait.timer !== null) this.kernel.timers.cancel(wait.timer);
    this.wait = null;
    for (const file of wait.held) file.close();
  }

  private interruptedResult(wait: Wait): number {
    return wait.onInterrupt ? wait.onInterrupt() : -ERESTARTSYS;
  }

  /** From the run queue: tries a blocked call again. The result, or BLOCKED to sleep on. */
  retry(): number {
    const wait = this.wait;
    if (wait === null) return -EINTR;
    const r = wait.attempt();
    if (r !== -EAGAIN) {
      this.endWait(wait);
      return r;
    }
    if (wait.timedOut) {
      this.endWait(wait);
      return wait.onTimeout ? wait.onTimeout() : -EAGAIN;
    }
    if (this.signalPending) {
      this.endWait(wait);
      return this.interruptedResult(wait);
    }
    return BLOCKED;
  }

  /** Drops the wait of a task that exits. */
  abandonWait(): void {
    if (this.wait !== null) this.endWait(this.wait);
  }

  // Signals ------------------------------------------------------------------------------------

  /** Whether a signal outside the mask waits, or the group is being killed. */
  get signalPending(): boolean {
    return (
      this.group.exiting ||
      this.pending.set.anyOutside(this.signalMask) ||
      this.group.pending.set.anyOutside(this.signalMask)
    );
  }

  /** Replaces the mask; SIGKILL and SIGSTOP cannot be blocked. */
  setSignalMask(lo: number, hi: number): void {
    this.signalMask.set(lo & ~((1 << (SIGKILL - 1)) | (1 << 18)), hi);
    if (!this.group.pending.set.empty) retargetSignals(this);
  }
}
