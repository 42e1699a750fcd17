/**
 * The timers of a process: setitimer(2), alarm(2), timer_create(2), and the CPU time limit of
 * setrlimit(2). As in Linux, a periodic timer whose signal has not been taken yet stands still; when it
 * is taken, what was missed becomes the overrun count.
 */
import { EAGAIN, EINVAL } from '../../spec/linux/errno.ts';
import {
  ITIMER_PROF,
  ITIMER_REAL,
  ITIMER_VIRTUAL,
  RLIMIT_CPU,
  RLIMIT_SIGPENDING,
} from '../../spec/linux/resource.ts';
import {
  SI_KERNEL,
  SI_TIMER,
  SIGALRM,
  SIGEV_NONE,
  SIGKILL,
  SIGPROF,
  SIGVTALRM,
  SIGXCPU,
} from '../../spec/linux/signal.ts';
import { NSEC_PER_MSEC, NSEC_PER_SEC } from '../../spec/linux/time.ts';
import { IntervalTimer, type TimeSource } from './interval_timer.ts';
import type { Kernel } from './kernel.ts';
import type { SigInfo } from './signal.ts';
import { sendToGroup, sendToTask } from './signal_send.ts';
import { TASK_DEAD, type Task } from './task.ts';
import type { ThreadGroup } from './thread_group.ts';

/** Linux's DELAYTIMER_MAX: overruns are not counted beyond it. */
const OVERRUN_MAX = 0x7fffffff;
/** A periodic timer whose signal is ignored goes on no faster than this. */
const IGNORED_PERIOD_NS = NSEC_PER_MSEC;

/** What timer_create(2) was told to do at expiry. */
export interface TimerNotification {
  /** SIGEV_SIGNAL, SIGEV_NONE, SIGEV_THREAD_ID (SIGEV_THREAD is the C library's). */
  readonly kind: number;
  readonly signo: number;
  readonly valueLo: number;
  readonly valueHi: number;
  /** With SIGEV_THREAD_ID. */
  readonly target: Task | null;
}

export function monotonicSource(kernel: Kernel): TimeSource {
  return { nowNs: () => kernel.clock.monotonicNs(), speed: 1, isMonotonic: true };
}

/** CPU time of a whole process. */
export function groupCpuSource(g: ThreadGroup): TimeSource {
  return {
    nowNs: () => g.cpuTimeNs,
    get speed() {
      return Math.max(1, g.tasks.size);
    },
    isMonotonic: false,
  };
}

export function taskCpuSource(t: Task): TimeSource {
  return { nowNs: () => t.cpuTimeNs, speed: 1, isMonotonic: false };
}

/** One timer of timer_create(2). */
export class PosixTimer {
  readonly id: number;
  readonly clock: number;
  readonly source: TimeSource;
  readonly interval: IntervalTimer;
  private readonly group: ThreadGroup;
  private readonly notify: TimerNotification;
  /** The signal that is queued and not taken yet. */
  queued: SigInfo | null = null;
  /** Of the signal taken last. */
  overrun = 0;

  constructor(
    kernel: Kernel,
    group: ThreadGroup,
    id: number,
    clock: number,
    source: TimeSource,
    notify: TimerNotification,
  ) {
    this.id = id;
    this.clock = clock;
    this.source = source;
    this.group = group;
    this.notify = notify;
    const monotonicNs = (): number => kernel.clock.monotonicNs();
    this.interval = new IntervalTimer(kernel.timers, monotonicNs, source, () => this.expired());
  }

  /** A new setting makes a signal still queued an ordinary one. */
  set(deadlineNs: number, intervalNs: number): void {
    this.queued = null;
    this.overrun = 0;
    this.interval.set(deadlineNs, intervalNs);
  }

  private expired(): void {
    const n = this.notify;
    if (n.kind === SIGEV_NONE) return;
    const info: SigInfo = {
      signo: n.signo,
      code: SI_TIMER,
      timerId: this.id,
      overrun: 0,
      valueLo: n.valueLo,
      valueHi: n.valueHi,
    };
    const { target } = n;
    if (target === null) sendToGroup(this.group, info);
    else if (target.state !== TASK_DEAD) sendToTask(target, info);
    const pending = target === null ? this.group.pending : target.pending;
    if (pending.holds(info)) {
      this.queued = info;
      return;
    }
    // Ignored or lost: nobody will take it, so the next period starts here.
    const period = this.interval.intervalNs;
    if (period > 0 && period < IGNORED_PERIOD_NS) {
      this.interval.set(this.source.nowNs() + IGNORED_PERIOD_NS, period);
    } else {
      this.interval.rearm();
    }
  }

  /** The queued signal is being delivered. */
  taken(info: SigInfo): void {
    this.queued = null;
    this.overrun = Math.min(this.interval.rearm(), OVERRUN_MAX);
    info.overrun = this.overrun;
  }
}

export class GroupTimers {
  private readonly kernel: Kernel;
  private readonly group: ThreadGroup;
  private readonly itimers: readonly IntervalTimer[];
  private readonly posix = new Map<number, PosixTimer>();
  private nextId = 0;
  private readonly cpuLimit: IntervalTimer;

  constructor(kernel: Kernel, group: ThreadGroup) {
    this.kernel = kernel;
    this.group = group;
    const monotonicNs = (): number => kernel.clock.monotonicNs();
    const cpu = groupCpuSource(group);
    const make = (source: TimeSource, onExpiry: () => void): IntervalTimer =>
      new IntervalTimer(kernel.timers, monotonicNs, source, onExpiry);
    const itimers: IntervalTimer[] = [];
    itimers[ITIMER_REAL] = make(monotonicSource(kernel), () => this.alarm());
    itimers[ITIMER_VIRTUAL] = make(cpu, () => this.cpuAlarm(ITIMER_VIRTUAL, SIGVTALRM));
    itimers[ITIMER_PROF] = make(cpu, () => this.cpuAlarm(ITIMER_PROF, SIGPROF));
    this.itimers = itimers;
    this.cpuLimit = make(cpu, () => this.cpuLimitReached());
  }

  /** The timers of `g`, made on first use. */
  static of(kernel: Kernel, g: ThreadGroup): GroupTimers {
    g.timers ??= new GroupTimers(kernel, g);
    return g.timers;
  }

  /** One of ITIMER_*; undefined for another number. */
  itimer(which: number): IntervalTimer | undefined {
    return this.itimers[which];
  }

  /** Sets an itimer in nanoseconds from now; 0 turns it off. */
  setItimer(timer: IntervalTimer, valueNs: number, intervalNs: number): void {
    if (valueNs === 0) {
      timer.disarm();
      return;
    }
    const isReal = timer === this.itimers[ITIMER_REAL];
    const now = isReal ? this.kernel.clock.monotonicNs() : this.group.cpuTimeNs;
    timer.set(now + valueNs, intervalNs);
  }

  private alarm(): void {
    sendToGroup(this.group, { signo: SIGALRM, code: SI_KERNEL });
  }

  /** SIGALRM was taken from the queue: a periodic ITIMER_REAL goes on. */
  alarmTaken(): void {
    this.itimers[ITIMER_REAL]?.rearm();
  }

  private cpuAlarm(which: number, signo: number): void {
    this.itimers[which]?.rearm();
    sendToGroup(this.group, { signo, code: SI_KERNEL });
  }

  // timer_create(2) ---------------------------------------------------------------------------

  /** The new timer, or -EAGAIN when there are as many as RLIMIT_SIGPENDING allows. */
  create(clock: number, source: TimeSource, notify: TimerNotification | null): PosixTimer | number {
    if (this.posix.size >= this.group.limits.soft(RLIMIT_SIGPENDING)) return -EAGAIN;
    const id = this.nextId++;
    const how = notify ?? { kind: 0, signo: SIGALRM, valueLo: id, valueHi: 0, target: null };
    const timer = new PosixTimer(this.kernel, this.group, id, clock, source, how);
    this.posix.set(id, timer);
    return timer;
  }

  get(id: number): PosixTimer | undefined {
    return this.posix.get(id);
  }

  /** 0 or -EINVAL. */
  delete(id: number): number {
    const timer = this.posix.get(id);
    if (timer === undefined) return -EINVAL;
    timer.interval.disarm();
    this.posix.delete(id);
    return 0;
  }

  /** A timer's signal was taken from the queue. */
  signalTaken(info: SigInfo): void {
    const timer = this.posix.get(info.timerId ?? -1);
    if (timer !== undefined && timer.queued === info) timer.taken(info);
  }

  // RLIMIT_CPU --------------------------------------------------------------------------------

  /** To be called when RLIMIT_CPU is set, and for a new process that has one. */
  watchCpuLimit(): void {
    const limit = this.group.limits.get(RLIMIT_CPU);
    if (limit === undefined) return;
    // A limit of 0 counts as one second.
    const seconds = Math.max(1, Math.min(limit.soft, limit.hard));
    this.cpuLimit.set(seconds * NSEC_PER_SEC, 0);
  }

  private cpuLimitReached(): void {
    const { hard } = this.group.limits.get(RLIMIT_CPU) ?? { hard: Number.POSITIVE_INFINITY };
    const used = this.group.cpuTimeNs;
    if (used >= hard * NSEC_PER_SEC) {
      sendToGroup(this.group, { signo: SIGKILL, code: SI_KERNEL });
      return;
    }
    sendToGroup(this.group, { signo: SIGXCPU, code: SI_KERNEL });
    const next = (Math.floor(used / NSEC_PER_SEC) + 1) * NSEC_PER_SEC;
    this.cpuLimit.set(Math.min(next, hard * NSEC_PER_SEC), 0);
  }

  // Ends --------------------------------------------------------------------------------------

  /** execve(2) deletes timer_create's timers and keeps the others. */
  releaseForExec(): void {
    for (const timer of this.posix.values()) timer.interval.disarm();
    this.posix.clear();
  }

  /** The process is gone. */
  release(): void {
    this.releaseForExec();
    for (const timer of this.itimers) timer.disarm();
    this.cpuLimit.disarm();
  }
}
