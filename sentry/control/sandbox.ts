/**
 * The sandbox as its CLI sees it: carries out the methods of spec/control/protocol.ts.
 */

import { textOf } from '../../native/bytes.ts';
import { close } from '../../native/fs.ts';
import { accept } from '../../native/socket.ts';
import { fstat } from '../../native/stat.ts';
import type { BootConfig } from '../../spec/control/boot.ts';
import {
  type ControlError,
  MESSAGES,
  type Params,
  type ProcessInfo,
  type Request,
} from '../../spec/control/protocol.ts';
import { EINTR } from '../../spec/linux/errno.ts';
import { SOCK_CLOEXEC, SOCK_NONBLOCK } from '../../spec/linux/socket.ts';
import { validateConfig, validateProcess } from '../../spec/oci/validate.ts';
import type { Container } from '../kernel/container.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { SIGNAL_MAX } from '../kernel/signal.ts';
import { sendToGroup, sendToProcessGroup } from '../kernel/signal_send.ts';
import type { ThreadGroup } from '../kernel/thread_group.ts';
import { Connection } from './connection.ts';
import { buildContainer } from './container_builder.ts';
import { startProcess } from './process_start.ts';
import { type Stdio, StdioFiles } from './stdio.ts';

const NS_PER_MS = 1e6;
/** More than all commands that anybody runs at once. */
const MAX_CONNECTIONS = 1024;

/** A container with what only the control side knows of it. */
interface Managed {
  readonly container: Container;
  readonly init: ThreadGroup;
  /** Terminals of processes, for `resize`. */
  readonly terminals: Map<ThreadGroup, Stdio>;
  started: boolean;
}

/** The exit status a shell would see: 0-255, or 128 + signal. */
export function shellStatus(waitStatus: number): number {
  const signal = waitStatus & 0x7f;
  return signal === 0 ? (waitStatus >> 8) & 0xff : 128 + signal;
}

export class Sandbox {
  private readonly kernel: Kernel;
  private readonly config: BootConfig;
  private readonly managed = new Map<string, Managed>();
  private readonly connections = new Set<Connection>();
  /** The container whose end is the sandbox's end. */
  private rootId: string | null = null;
  /** What the Sentry process exits with. */
  exitStatus = 1;

  constructor(kernel: Kernel, config: BootConfig) {
    this.kernel = kernel;
    this.config = config;
    const first = this.connect(config.connectionFd, { hello: 'sentry' });
    const abandoned = (): void => {
      if (this.rootId === null) this.stop(1);
    };
    first.onClose.push(abandoned);
    if (first.closed) abandoned();
    kernel.poller.add(config.listenerFd, () => this.acceptAll());
    this.acceptAll();
  }

  private connect(fd: number, greeting: object | null = null): Connection {
    const handle = (from: Connection, r: Request, fds: number[]) => this.handle(from, r, fds);
    const c = new Connection(fd, this.kernel.poller, handle, greeting);
    if (c.closed) return c;
    this.connections.add(c);
    c.onClose.push(() => this.connections.delete(c));
    return c;
  }

  private acceptAll(): void {
    for (;;) {
      const fd = accept(this.config.listenerFd, SOCK_CLOEXEC | SOCK_NONBLOCK);
      if (fd >= 0 && this.connections.size >= MAX_CONNECTIONS) close(fd);
      else if (fd >= 0) this.connect(fd);
      else if (fd !== -EINTR) return;
    }
  }

  private stop(status: number): void {
    this.exitStatus = status;
    this.kernel.stopping = true;
  }

  // Requests -----------------------------------------------------------------------------------

  private handle(from: Connection, r: Request, fds: number[]): void {
    const done = (result: object): void => from.reply(r.id, result);
    const failed = (error: ControlError): void => from.replyError(r.id, error);
    switch (r.method) {
      case 'create':
        return answer(this.create(r.params, fds), done, failed);
      case 'exec':
        return answer(this.exec(r.params, fds, from), done, failed);
      case 'wait':
        return this.wait(r.params, from, r.id);
    }
    const m = this.managed.get(r.params.cid);
    if (m === undefined) {
      failed({ message: `container ${r.params.cid} ${MESSAGES.doesNotExist}` });
      return;
    }
    switch (r.method) {
      case 'start':
        return answer(this.start(m), done, failed);
      case 'signal':
        return answer(this.signal(m, r.params), done, failed);
      case 'processes':
        return done({ processes: this.processes(m.container) });
      case 'pause':
        return answer(this.pause(m, true), done, failed);
      case 'resume':
        return answer(this.pause(m, false), done, failed);
      case 'resize':
        return answer(this.resize(m, r.params), done, failed);
      case 'state':
        return done({ status: m.container.state, exitStatus: shellStatus(m.container.exitStatus) });
      case 'stats':
        return done(this.stats(m.container));
      case 'destroy':
        return answer(this.destroy(m), done, failed);
    }
  }

  private create(p: Params<'create'>, fds: number[]): object | ControlError {
    const problem = this.managed.has(p.cid)
      ? `container ${p.cid} exists already in this sandbox`
      : validateConfig(p.spec);
    if (problem !== null) {
      for (const fd of fds) close(fd);
      return { message: problem };
    }
    const [stdin = -1, stdout = -1, stderr = -1, ...goferFds] = fds;
    const container = buildContainer(this.kernel, this.config, p, goferFds);
    if (!('pids' in container)) {
      for (const fd of [stdin, stdout, stderr]) close(fd);
      return container;
    }
    const terminal = p.spec.process.terminal === true;
    const stdio = new StdioFiles(this.kernel, container, [stdin, stdout, stderr], terminal);
    stdio.controlling = p.consoleIsControlling;
    const init = startProcess(container, p.spec.process, true, stdio.install);
    if (!('pid' in init)) {
      stdio.release();
      container.onDestroy?.();
      return init;
    }
    const m: Managed = { container, init, terminals: new Map([[init, stdio]]), started: false };
    this.managed.set(p.cid, m);
    this.kernel.containers.set(p.cid, container);
    this.rootId ??= p.cid;
    const isRoot = this.rootId === p.cid;
    container.onExit(init, (status) => {
      if (isRoot) this.rootEnded(shellStatus(status));
    });
    return {};
  }

  /** Lets terminal output drain, then ends the sandbox. */
  private rootEnded(status: number): void {
    for (const m of this.managed.values()) {
      for (const stdio of m.terminals.values()) stdio.drain();
    }
    this.stop(status);
  }

  private start(m: Managed): object | ControlError {
    if (m.started) return { message: `container ${m.container.id} was started already` };
    m.started = true;
    m.container.state = 'running';
    this.kernel.ready(m.init.leader);
    return {};
  }

  private exec(p: Params<'exec'>, fds: number[], from: Connection): object | ControlError {
    const m = this.managed.get(p.cid);
    const problem = this.execProblem(m, p);
    if (m === undefined || problem !== null) {
      for (const fd of fds) close(fd);
      return problem ?? { message: MESSAGES.doesNotExist };
    }
    const terminal = p.process.terminal === true;
    const stdio = new StdioFiles(this.kernel, m.container, fds, terminal);
    const g = startProcess(m.container, p.process, false, stdio.install);
    if (!('pid' in g)) {
      stdio.release();
      return g;
    }
    m.terminals.set(g, stdio);
    m.container.onExit(g, () => {
      stdio.drain();
      m.terminals.delete(g);
    });
    if (p.killOnClose) {
      from.onClose.push(() => {
        if (!g.zombie) sendToGroup(g, { signo: 9, code: 0x80 });
      });
    }
    this.kernel.ready(g.leader);
    return { pid: g.pid };
  }

  private execProblem(m: Managed | undefined, p: Params<'exec'>): ControlError | null {
    const { cid } = p;
    if (m === undefined) return { message: `container ${cid} ${MESSAGES.doesNotExist}` };
    if (m.container.state === 'stopped') return { message: MESSAGES.notRunning };
    if (m.container.state === 'paused') {
      return { message: `container ${cid} is paused: resume it first` };
    }
    const invalid = validateProcess(p.process, 'process');
    if (invalid !== null) return { message: invalid };
    return null;
  }

  private wait(p: Params<'wait'>, from: Connection, id: number): void {
    const m = this.managed.get(p.cid);
    if (m === undefined) {
      from.replyError(id, { message: `container ${p.cid} ${MESSAGES.doesNotExist}` });
      return;
    }
    const ended = p.pid === undefined ? undefined : m.container.exitStatuses.get(p.pid);
    const g = p.pid === undefined ? m.init : m.container.pids.groups.get(p.pid);
    if (ended !== undefined) from.reply(id, { exitStatus: shellStatus(ended) });
    else if (g === undefined) from.replyError(id, { message: MESSAGES.noSuchProcess });
    else m.container.onExit(g, (s) => from.reply(id, { exitStatus: shellStatus(s) }));
  }

  private signal(m: Managed, p: Params<'signal'>): object | ControlError {
    if (p.signo > SIGNAL_MAX) return { message: `signal ${p.signo} is not between 1 and 64` };
    const { container } = m;
    if (container.state === 'stopped') {
      return p.all ? {} : { message: MESSAGES.alreadyFinished };
    }
    const info = { signo: p.signo, code: 0, pid: 0, uid: 0 };
    if (p.all) {
      for (const g of [...container.pids.groups.values()]) sendToGroup(g, info);
      return {};
    }
    const g = p.pid === undefined ? m.init : container.pids.groups.get(p.pid);
    if (g === undefined || g.zombie) return { message: MESSAGES.noSuchProcess };
    const foreground = g.session.terminal?.foreground;
    if (p.foreground === true && foreground) sendToProcessGroup(foreground, info, null);
    else if (p.signo !== 0) sendToGroup(g, info);
    if (p.signo === 9 && !m.started) this.start(m);
    return {};
  }

  private processes(container: Container): ProcessInfo[] {
    const nowNs = this.kernel.clock.monotonicNs();
    const now = this.kernel.clock.realtime();
    const nowMs = now.sec * 1000 + now.nsec / NS_PER_MS;
    const list: ProcessInfo[] = [];
    for (const g of container.pids.groups.values()) {
      const ageNs = nowNs - g.startNs;
      const cpuNs = g.cpuTimeNs;
      list.push({
        uid: g.leader.creds.uid,
        pid: g.pid,
        ppid: g.parent?.pid ?? 0,
        startTimeMs: Math.floor(nowMs - ageNs / NS_PER_MS),
        cpuTimeMs: Math.floor(cpuNs / NS_PER_MS),
        cpuPercent: ageNs > 0 ? Math.floor((100 * cpuNs) / ageNs) : 0,
        tty: g.session.terminal === null ? '?' : `pts/${g.session.terminal.devMinor}`,
        command: textOf(g.leader.name),
      });
    }
    return list;
  }

  private pause(m: Managed, on: boolean): object | ControlError {
    const { container } = m;
    const wanted = on ? 'running' : 'paused';
    if (container.state !== wanted) {
      return { message: `container ${container.id} is ${container.state}, not ${wanted}` };
    }
    if (on) container.pause();
    else container.resume();
    return {};
  }

  private resize(m: Managed, p: Params<'resize'>): object | ControlError {
    const g = p.pid === undefined ? m.init : m.container.pids.groups.get(p.pid);
    const stdio = g === undefined ? undefined : m.terminals.get(g);
    if (stdio === undefined) return { message: MESSAGES.noSuchProcess };
    if (!stdio.resize(p.rows, p.columns)) return { message: 'the process has no terminal' };
    return {};
  }

  private stats(container: Container): object {
    let cpuTimeNs = 0;
    let memoryBytes = 0;
    for (const fd of this.kernel.memory.fds) {
      const file = fstat(fd);
      if (typeof file !== 'number') memoryBytes += file.blocks * 512;
    }
    for (const g of container.pids.groups.values()) cpuTimeNs += g.cpuTimeNs;
    return {
      memoryBytes,
      cpuTimeNs,
      processes: container.pids.groups.size,
    };
  }

  private destroy(m: Managed): object | ControlError {
    const { container } = m;
    if (container.state !== 'stopped') container.kill();
    this.managed.delete(container.id);
    this.kernel.containers.delete(container.id);
    if (container.id === this.rootId) this.stop(shellStatus(container.exitStatus));
    else container.onDestroy?.();
    return {};
  }

  /** Sends what is still owed and closes every connection. */
  release(): void {
    for (const c of [...this.connections]) c.finish();
  }
}

function answer(
  r: object | ControlError,
  done: (result: object) => void,
  failed: (error: ControlError) => void,
): void {
  if ('message' in r) failed(r);
  else done(r);
}
