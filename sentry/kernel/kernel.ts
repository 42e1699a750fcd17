/**
 * The kernel: one thread, one loop, no locks.
 *
 * Everything that happens is one of four things: a context stopped, a task on the run queue can go
 * on, a timer expired, a host descriptor became ready. Each is worked off to completion before the
 * next; only then does the platform sleep.
 */
import { ENOSYS } from '../../spec/linux/errno.ts';
import { SIGKILL } from '../../spec/linux/signal.ts';
import type { Clock } from '../base/clock.ts';
import { TimerQueue } from '../base/timer_queue.ts';
import type { VdsoPages } from '../loader/load.ts';
import type { MemoryFile } from '../mm/memory_file.ts';
import { type MemoryLimits, MemoryManager } from '../mm/memory_manager.ts';
import { PatchedTexts } from '../mm/patched_text.ts';
import type { HostFileAccess } from '../mm/user_memory.ts';
import {
  type Context,
  type HostPoller,
  type Platform,
  REG_RAX,
  STOP_EXITED,
  STOP_FAULT,
  STOP_INTERRUPTED,
  STOP_SYSCALL,
} from '../platform/platform.ts';
import { Vfs } from '../vfs/vfs.ts';
import type { Container } from './container.ts';
import { beginGroupExit, exitTask } from './exit.ts';
import { enterReplacedSyscall, handleFault } from './fault.ts';
import { FutexTable } from './futex.ts';
import { IdleWatch } from './idle_watch.ts';
import { LoadAverage } from './load_average.ts';
import { DELIVER_RESUME, type DeliveryResult, deliverSignals } from './signal_delivery.ts';
import { fatalSignalPending } from './signal_send.ts';
import { SyscallArgs } from './syscall_args.ts';
import { BLOCKED, NO_RESULT, type SyscallTable } from './syscall_table.ts';
import {
  TASK_BLOCKED,
  TASK_DEAD,
  TASK_KERNEL,
  TASK_RUNNING,
  TASK_STOPPED,
  TASK_VFORK,
  type Task,
} from './task.ts';

/** Calls out to strace and the debug log; absent means off. */
export interface SyscallObserver {
  enter(t: Task, number: number, args: SyscallArgs): void;
  exit(t: Task, number: number, result: number): void;
}

export interface KernelParts {
  readonly platform: Platform;
  readonly poller: HostPoller;
  readonly memory: MemoryFile;
  /** How the memory manager reaches pages of host files. */
  readonly hostFiles: HostFileAccess;
  /** Of the auxiliary vector what is about the processor (AT_HWCAP, AT_HWCAP2, AT_MINSIGSTKSZ), each and its value. */
  readonly hardware: readonly number[];
  /** Null: programs run without a vDSO. */
  readonly vdso: VdsoPages | null;
  readonly clock: Clock;
  readonly syscalls: SyscallTable;
  readonly random: (into: Uint8Array) => void;
  readonly log: (message: string) => void;
  readonly warn?: (message: string) => void;
  /** Called when the sandbox has come to rest (idle_watch.ts). */
  readonly atRest?: () => void;
  /** Called when threads have stopped as often as it has asked for, at first 0 times. */
  readonly atWork?: (stops: number) => number;
}

export class Kernel {
  readonly platform: Platform;
  readonly poller: HostPoller;
  readonly memory: MemoryFile;
  /** How the memory manager reaches pages of host files. */
  readonly hostFiles: HostFileAccess;
  /** Of the auxiliary vector what is about the processor (AT_HWCAP, AT_HWCAP2, AT_MINSIGSTKSZ), each and its value. */
  readonly hardware: readonly number[];
  /** Null: programs run without a vDSO. */
  readonly vdso: VdsoPages | null;
  readonly clock: Clock;
  readonly syscalls: SyscallTable;
  readonly random: (into: Uint8Array) => void;
  /** The debug log. */
  readonly log: (message: string) => void;
  /** The debug log and stderr: what whoever runs the sandbox must know. */
  readonly warn: (message: string) => void;

  readonly patchedTexts: PatchedTexts;
  readonly timers = new TimerQueue();
  readonly vfs = new Vfs();
  readonly futexes = new FutexTable();
  readonly containers = new Map<string, Container>();
  /** The task whose call or fault is being handled; null between. */
  current: Task | null = null;
  observer: SyscallObserver | null = null;
  /** Set by the control server to end the loop. */
  stopping = false;
  readonly bootNs: number;
  readonly load: LoadAverage;
  /** Counts what is worked off; what was seen of the host in this turn need not be looked at again. */
  turn = 0;

  private readonly idleWatch: IdleWatch;
  private readonly atWork: (stops: number) => number;
  /** How often a thread has stopped. */
  private stops = 0;
  private workDue: number;
  /** Of tasks that have ended: given back when those that go on do. */
  private endings: { readonly t: Task; readonly context: Context; readonly mm: MemoryManager }[] =
    [];
  private readonly args = new SyscallArgs();
  private readonly runQueue: Task[] = [];
  private runHead = 0;
  private readonly missingReported = new Set<number>();

  constructor(parts: KernelParts) {
    this.platform = parts.platform;
    this.poller = parts.poller;
    this.memory = parts.memory;
    this.hostFiles = parts.hostFiles;
    this.patchedTexts = new PatchedTexts(parts.memory);
    this.vdso = parts.vdso;
    this.hardware = parts.hardware;
    this.clock = parts.clock;
    this.syscalls = parts.syscalls;
    this.random = parts.random;
    this.log = parts.log;
    this.warn = parts.warn ?? parts.log;
    this.load = new LoadAverage(this.timers, this.clock, () => this.countActive());
    this.idleWatch = new IdleWatch(this.timers, this.clock, () => {
      parts.atRest?.();
      if (this.platform.running === 0) this.load.atRest();
    });
    this.atWork = parts.atWork ?? (() => Number.POSITIVE_INFINITY);
    this.workDue = this.atWork(0);
    this.bootNs = this.clock.monotonicNs();
  }

  /** Puts a task on the run queue; it is worked on from the loop, never from here. */
  ready(t: Task): void {
    if (t.queued || t.state === TASK_DEAD) return;
    t.queued = true;
    this.runQueue.push(t);
  }

  /** Runs until `stopping`. */
  loop(): void {
    while (!this.stopping) {
      this.runReady();
      if (this.stopping) return;
      if (this.endings.length > 0) this.endContexts();
      if (this.platform.running === 0) {
        this.memory.reclaim();
        this.idleWatch.nothingRuns(this.stops);
      }
      const stopped = this.platform.poll(this.timers.nextDeadlineNs);
      this.turn++;
      if (stopped !== null) this.handleStop(stopped);
      else this.poller.drain();
      if (this.timers.nextDeadlineNs !== Number.POSITIVE_INFINITY) {
        this.timers.runExpired(this.clock.monotonicNs());
      }
    }
  }

  /**
   * Releases a context of `t`, which is stopped, and its share of `mm`, before anything else happens but
   * after whoever waits for the task goes on.
   */
  endLater(t: Task, context: Context, mm: MemoryManager): void {
    this.endings.push({ t, context, mm });
  }

  private endContexts(): void {
    this.platform.letGo();
    const { endings } = this;
    this.endings = [];
    for (const { t, context, mm } of endings) {
      this.current = t;
      context.release();
      mm.release();
    }
    this.current = null;
  }

  /** Tasks that run, want to, or wait in a way that Linux counts as work. */
  private countActive(): number {
    let active = 0;
    for (const c of this.containers.values()) {
      for (const t of c.pids.tasks.values()) {
        const runs = t.state === TASK_RUNNING || (t.state === TASK_KERNEL && !t.frozen);
        if (runs || t.state === TASK_VFORK) active++;
      }
    }
    return active;
  }

  private runReady(): void {
    if (this.runQueue.length === 0) return;
    while (this.runHead < this.runQueue.length) {
      const t = this.runQueue[this.runHead++] as Task;
      t.queued = false;
      this.runTask(t);
    }
    this.runQueue.length = 0;
    this.runHead = 0;
  }

  /** Something happened to a task that is not on the host. */
  private runTask(t: Task): void {
    this.turn++;
    switch (t.state) {
      case TASK_DEAD:
        return;
      case TASK_RUNNING:
        if (t.group.exiting) exitTask(t);
        else t.context.interrupt();
        return;
      case TASK_BLOCKED: {
        this.current = t;
        const r = t.retry();
        if (r === BLOCKED) {
          this.current = null;
          return;
        }
        t.state = TASK_KERNEL;
        this.finishSyscall(t, r);
        this.returnToUser(t);
        return;
      }
      case TASK_VFORK:
        if (t.group.exiting || !t.vforking || fatalSignalPending(t)) {
          t.state = TASK_KERNEL;
          this.finishSyscall(t, t.syscallResult);
          this.returnToUser(t);
        }
        return;
      case TASK_STOPPED:
      case TASK_KERNEL:
        t.state = TASK_KERNEL;
        this.returnToUser(t);
    }
  }

  private handleStop(context: Context): void {
    const t = context.owner as Task;
    if (++this.stops === this.workDue) this.workDue = this.atWork(this.stops);
    if (t.state === TASK_DEAD) return;
    this.current = t;
    t.state = TASK_KERNEL;
    switch (context.stop) {
      case STOP_SYSCALL:
        if (t.mm.callsBeforePatches > 0) t.mm.countCall();
        if (context.hotCallSite) this.patchCallSite(t);
        if (this.syscall(t)) break;
        this.current = null;
        return;
      case STOP_FAULT:
        if (!enterReplacedSyscall(t)) {
          handleFault(t);
          break;
        }
        if (this.syscall(t)) break;
        this.current = null;
        return;
      case STOP_INTERRUPTED:
        break;
      case STOP_EXITED:
        this.log(`task ${t.tid} (${t.name}) lost its host thread`);
        beginGroupExit(t.group, SIGKILL);
        break;
    }
    this.returnToUser(t);
  }

  /** Handles a system call. False when the task does not go on now. */
  private syscall(t: Task): boolean {
    const regs = t.context.regs;
    const number = regs.words[regs.base + 2 * REG_RAX] as number;
    this.args.attach(regs);
    t.syscallNumber = number;
    t.inSyscall = true;
    this.observer?.enter(t, number, this.args);
    const entry = this.syscalls[number];
    const r = entry === undefined ? this.missing(t, number) : entry.fn(t, this.args);
    if (r === BLOCKED) return false;
    if (r === NO_RESULT) {
      t.inSyscall = false;
      return (t as { state: number }).state !== TASK_DEAD;
    }
    this.finishSyscall(t, r);
    return true;
  }

  private patchCallSite(t: Task): void {
    const patched = t.mm.patchCallSite(t.context.regs, this.platform.callEntry);
    if (patched !== '') this.log(`call site ${patched} is patched`);
  }

  private finishSyscall(t: Task, r: number): void {
    t.syscallResult = r;
    t.context.regs.set(REG_RAX, r);
    this.observer?.exit(t, t.syscallNumber, r);
  }

  private missing(t: Task, number: number): number {
    if (!this.missingReported.has(number)) {
      this.missingReported.add(number);
      this.log(`system call ${number} is not implemented; first made by ${t.name} (${t.tid})`);
    }
    return -ENOSYS;
  }

  /** The only way back to the application: exits, signals and stops come first. */
  private returnToUser(t: Task): void {
    if (t.signalPending || t.group.stopSignal !== 0 || t.inSyscall) {
      const r: DeliveryResult = deliverSignals(t);
      if (r !== DELIVER_RESUME) {
        this.current = null;
        return;
      }
    }
    this.current = null;
    t.frozen = t.container.state === 'paused';
    if (t.frozen) return;
    t.state = TASK_RUNNING;
    this.load.busy();
    t.context.resume();
  }

  /**
   * An empty address space with one stopped context, or -errno. The loader sets its layout. `owner`:
   * see AddressSpace.
   */
  newMemory(
    limits: MemoryLimits,
    owner: string,
  ): { readonly mm: MemoryManager; readonly context: Context } | number {
    const made = this.platform.newAddressSpace(owner);
    if (typeof made === 'number') return made;
    const { taskSize } = this.platform;
    const layout = { mmapBase: taskSize, minAddress: 65536 };
    const { memory, hostFiles, patchedTexts } = this;
    const mm = new MemoryManager(
      made.space,
      memory,
      hostFiles,
      taskSize,
      layout,
      limits,
      patchedTexts,
    );
    return { mm, context: made.context };
  }
}
