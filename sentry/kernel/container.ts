/**
 * A container: what a group of processes has to itself inside a sandbox. A pod's sandbox holds
 * several, so nothing of this is global.
 */
import { SIGKILL } from '../../spec/linux/signal.ts';
import type { FsCaller } from '../vfs/caller.ts';
import type { MountNamespace } from '../vfs/mount.ts';
import type { Kernel } from './kernel.ts';
import { MessageQueues } from './message_queues.ts';
import { PidNamespace } from './pid_namespace.ts';
import { PipeLimits } from './pipe_limits.ts';
import { Semaphores } from './semaphores.ts';
import { SharedMemory } from './shared_memory.ts';
import { sendToGroup, wakeTask } from './signal_send.ts';
import { TASK_RUNNING, TASK_STOPPED } from './task.ts';
import type { ThreadGroup } from './thread_group.ts';

export type ContainerState = 'created' | 'running' | 'paused' | 'stopped';

/** Whoever calls file code at run time: a Task, or the container's builder before there is one. */
export interface ContainerCaller extends FsCaller {
  readonly container: Container;
}

export function containerOf(caller: FsCaller): Container {
  return (caller as ContainerCaller).container;
}

/** uname(2) names that the container may change. */
export interface UtsNames {
  hostname: string;
  domainname: string;
}

export interface ContainerFields {
  readonly id: string;
  readonly kernel: Kernel;
  readonly mounts: MountNamespace;
  readonly hostname: string;
  readonly domainname: string;
  /** Bytes that sysinfo and /proc/meminfo report. */
  readonly totalMemoryBytes: number;
  readonly cpuCount: number;
}

export class Container {
  readonly id: string;
  readonly kernel: Kernel;
  readonly mounts: MountNamespace;
  readonly uts: UtsNames;
  readonly totalMemoryBytes: number;
  readonly cpuCount: number;
  readonly pids = new PidNamespace();
  readonly sharedMemory = new SharedMemory();
  readonly messageQueues = new MessageQueues();
  readonly semaphores = new Semaphores();
  readonly pipeLimits = new PipeLimits();
  /** Abstract unix socket names (unix(7)), by name; sentry/socket/unix owns the values. */
  readonly unixNames = new Map<string, object>();
  state: ContainerState = 'created';
  /** Wait status of init once it died. */
  exitStatus = 0;
  /** Runs once per process whose end somebody outside waits for. */
  private readonly exitCallbacks = new Map<ThreadGroup, ((status: number) => void)[]>();
  /** How processes that `exec` started ended, for a `wait` that comes late. */
  readonly exitStatuses = new Map<number, number>();
  /** Frees what the container holds: file systems, gofer connections. */
  onDestroy: (() => void) | null = null;

  constructor(f: ContainerFields) {
    this.id = f.id;
    this.kernel = f.kernel;
    this.mounts = f.mounts;
    this.uts = { hostname: f.hostname, domainname: f.domainname };
    this.totalMemoryBytes = f.totalMemoryBytes;
    this.cpuCount = f.cpuCount;
  }

  /** Calls `done` with the wait status when `g` ends; at once if it has. */
  onExit(g: ThreadGroup, done: (status: number) => void): void {
    if (g.zombie) {
      done(g.exitStatus);
      return;
    }
    const list = this.exitCallbacks.get(g);
    if (list === undefined) this.exitCallbacks.set(g, [done]);
    else list.push(done);
  }

  /** From exit.ts: a process is gone. */
  groupExited(g: ThreadGroup): void {
    if (g === this.pids.init) {
      this.state = 'stopped';
      this.exitStatus = g.exitStatus;
    }
    if (g.fromOutside) this.exitStatuses.set(g.pid, g.exitStatus);
    const callbacks = this.exitCallbacks.get(g);
    if (callbacks === undefined) return;
    this.exitCallbacks.delete(g);
    for (const done of callbacks) done(g.exitStatus);
  }

  /** Stops every process from running without their noticing (the cgroup freezer's effect). */
  pause(): void {
    this.state = 'paused';
    for (const t of this.pids.tasks.values()) if (t.state === TASK_RUNNING) t.context.interrupt();
  }

  resume(): void {
    this.state = 'running';
    for (const t of this.pids.tasks.values()) {
      if (t.state === TASK_STOPPED || t.frozen) this.kernel.ready(t);
      else wakeTask(t);
    }
  }

  /** SIGKILL for everything, init last so that it cannot reap. */
  kill(): void {
    for (const g of this.pids.groups.values()) sendToGroup(g, { signo: SIGKILL, code: 0x80 });
  }
}
