/**
 * Process ids of one container (pid_namespaces(7)).
 */
import { EAGAIN } from '../../spec/linux/errno.ts';
import type { Task } from './task.ts';
import type { ProcessGroup, Session, ThreadGroup } from './thread_group.ts';

const PID_MAX = 32768;
/** Linux restarts here after wrapping around. */
const RESERVED_PIDS = 300;

export class PidNamespace {
  readonly tasks = new Map<number, Task>();
  readonly groups = new Map<number, ThreadGroup>();
  readonly processGroups = new Map<number, ProcessGroup>();
  readonly sessions = new Map<number, Session>();
  private last = 0;
  /** Told of each thread whose id is free again. */
  readonly listeners = new Set<(pid: number, tid: number) => void>();
  /** Pid 1, who inherits orphans; null before the first process. */
  init: ThreadGroup | null = null;

  /** A free id, or -EAGAIN. */
  allocate(): number {
    for (let tries = 0; tries < PID_MAX; tries++) {
      this.last = this.last + 1 >= PID_MAX ? RESERVED_PIDS : this.last + 1;
      if (!this.inUse(this.last)) return this.last;
    }
    return -EAGAIN;
  }

  /** Thread `tid` of process `pid` is found no more. */
  remove(pid: number, tid: number): void {
    this.tasks.delete(tid);
    for (const listener of this.listeners) listener(pid, tid);
  }

  get lastPid(): number {
    return this.last;
  }

  private inUse(id: number): boolean {
    return (
      this.tasks.has(id) ||
      this.groups.has(id) ||
      this.processGroups.has(id) ||
      this.sessions.has(id)
    );
  }
}
