/**
 * Thread groups: what users call processes (Linux's signal_struct), their process groups and sessions
 * (setpgid(2), setsid(2), credentials(7)).
 */
import { WaitQueue } from '../base/wait_queue.ts';
import type { OpenFile } from '../vfs/open_file.ts';
import { IoAccounting } from './io_accounting.ts';
import type { ResourceLimits } from './resource_limits.ts';
import { PendingSignals, type SignalHandlers } from './signal.ts';
import { TASK_DEAD, type Task } from './task.ts';
import type { Terminal } from './terminal.ts';

/** A session and its controlling terminal. */
export class Session {
  readonly id: number;
  readonly leader: ThreadGroup;
  terminal: Terminal | null = null;

  constructor(id: number, leader: ThreadGroup) {
    this.id = id;
    this.leader = leader;
  }
}

export class ProcessGroup {
  readonly id: number;
  readonly session: Session;
  readonly members = new Set<ThreadGroup>();

  constructor(id: number, session: Session) {
    this.id = id;
    this.session = session;
  }

  /** No member has a parent in another group of the same session (POSIX "orphaned"). */
  get orphaned(): boolean {
    for (const g of this.members) {
      const p = g.parent;
      if (g.zombie || p === null) continue;
      if (p.processGroup !== this && p.processGroup.session === this.session) return false;
    }
    return true;
  }
}

/** CPU time and counters of reaped children and dead threads (getrusage(2)). */
export interface Usage {
  cpuNs: number;
  minorFaults: number;
  majorFaults: number;
  voluntarySwitches: number;
  involuntarySwitches: number;
  maxRssBytes: number;
}

function noUsage(): Usage {
  return {
    cpuNs: 0,
    minorFaults: 0,
    majorFaults: 0,
    voluntarySwitches: 0,
    involuntarySwitches: 0,
    maxRssBytes: 0,
  };
}

export interface ThreadGroupFields {
  readonly pid: number;
  readonly parent: ThreadGroup | null;
  readonly handlers: SignalHandlers;
  readonly limits: ResourceLimits;
  /** Sent to the parent at exit; 0 for none. */
  readonly exitSignal: number;
}

export class ThreadGroup {
  readonly pid: number;
  parent: ThreadGroup | null;
  readonly children = new Set<ThreadGroup>();
  /** The live tasks, leader first as long as it lives. */
  readonly tasks = new Set<Task>();
  /** Stays after its exit while other threads run. */
  leader!: Task;

  handlers: SignalHandlers;
  readonly limits: ResourceLimits;
  readonly pending = new PendingSignals();
  /** Notified (POLLIN) when a signal is queued: signalfd and sigtimedwait. */
  readonly signalQueue = new WaitQueue();
  /** Notified when a child changes state: wait4. */
  readonly childQueue = new WaitQueue();

  processGroup!: ProcessGroup;
  exitSignal: number;
  /** Wait status (wait(2) encoding) once the group began to exit. */
  exitStatus = 0;
  exiting = false;
  /** All tasks are dead; waits to be reaped. */
  zombie = false;

  /** Job control: the signal that stopped the group, 0 when running. */
  stopSignal = 0;
  /** A stop or continuation that wait4 has not reported yet. */
  stopReported = true;
  continueReported = true;

  /** The program that runs: /proc/PID/exe. */
  executable: OpenFile | null = null;

  /** Started by `runsc exec`: it has no parent in the container. */
  fromOutside = false;
  /** prctl PR_SET_CHILD_SUBREAPER. */
  childSubreaper = false;
  dumpable = 1;
  executed = false;
  /** CPU time and faults of dead threads of this group. */
  readonly ownUsage = noUsage();
  readonly childrenUsage = noUsage();
  /** What dead threads and reaped children moved. */
  readonly pastIo = new IoAccounting();
  readonly startNs: number;
  /** POSIX timers, itimers: owned by sentry/kernel/posix_timers.ts. */
  timers: import('./posix_timers.ts').GroupTimers | null = null;
  oomScoreAdj = 0;

  constructor(f: ThreadGroupFields, startNs: number) {
    this.pid = f.pid;
    this.parent = f.parent;
    this.handlers = f.handlers;
    this.limits = f.limits;
    this.exitSignal = f.exitSignal;
    this.startNs = startNs;
  }

  /** Some task that is alive, the leader if it is. */
  get anyTask(): Task | null {
    if (this.leader.state !== TASK_DEAD) return this.leader;
    for (const t of this.tasks) return t;
    return null;
  }

  /** Takes over the reference. While a program runs nobody may write to its file (ETXTBSY). */
  setExecutable(file: OpenFile | null): void {
    if (file !== null) file.inode.writeCount--;
    if (this.executable !== null) {
      this.executable.inode.writeCount++;
      this.executable.close();
    }
    this.executable = file;
  }

  joinProcessGroup(pg: ProcessGroup): void {
    if (this.processGroup) this.leaveProcessGroup();
    this.processGroup = pg;
    pg.members.add(this);
  }

  leaveProcessGroup(): void {
    this.processGroup.members.delete(this);
  }

  get session(): Session {
    return this.processGroup.session;
  }

  /** CPU time of the whole group, live and dead threads, nanoseconds. */
  get cpuTimeNs(): number {
    let total = this.ownUsage.cpuNs;
    for (const t of this.tasks) total += t.cpuTimeNs;
    return total;
  }
}
