/**
 * A Sentry without a kernel: speaks the control protocol as spec/control says, so that the CLI's
 * lifecycle can be tested by itself. Its programs are pretended: args[0] is `exit N`'s "exit",
 * "sleep", "cat-env", or "missing" (not found).
 */

import * as native from '../../native/fs.ts';
import * as proc from '../../native/process.ts';
import * as socket from '../../native/socket.ts';
import type { BootConfig } from '../../spec/control/boot.ts';
import { encodeFrame, FrameReader } from '../../spec/control/frame.ts';
import {
  type ControlError,
  MESSAGES,
  parseRequest,
  type Request,
} from '../../spec/control/protocol.ts';
import { POLLIN } from '../../spec/linux/poll.ts';
import { SOCK_CLOEXEC } from '../../spec/linux/socket.ts';
import type { Process } from '../../spec/oci/config.ts';

interface Connection {
  readonly fd: number;
  readonly reader: FrameReader;
  fds: number[];
}

interface Waiter {
  readonly connection: Connection;
  readonly id: number;
}

class Program {
  readonly waiters: Waiter[] = [];
  readonly owner: Connection | null;
  readonly args: readonly string[];
  status = -1;

  constructor(process: Process, owner: Connection | null) {
    this.args = process.args;
    this.owner = owner;
  }

  start(): void {
    if (this.args[0] === 'exit') this.end(Number(this.args[1]));
  }

  end(status: number): void {
    if (this.status >= 0) return;
    this.status = status;
    for (const { connection, id } of this.waiters) reply(connection, id, { exitStatus: status });
  }
}

function reply(connection: Connection, id: number, result: object): void {
  sendFrame(connection.fd, { id, result });
}

function fail(connection: Connection, id: number, error: ControlError): void {
  sendFrame(connection.fd, { id, error });
}

function sendFrame(fd: number, message: unknown): void {
  const frame = encodeFrame(message);
  if (frame !== null) socket.send(fd, frame, 0x4000);
}

class Double {
  private readonly programs = new Map<number, Program>();
  private readonly connections: Connection[] = [];
  private started = false;
  private paused = false;
  private nextPid = 2;
  private gofers: number[] = [];

  run(config: BootConfig): never {
    this.connections.push({ fd: config.connectionFd, reader: new FrameReader(), fds: [] });
    sendFrame(config.connectionFd, { hello: 'sentry' });
    const buffer = new Uint8Array(65536);
    for (;;) {
      const entries = [config.listenerFd, ...this.connections.map((c) => c.fd)].map((fd) => ({
        fd,
        events: POLLIN,
        revents: 0,
      }));
      socket.poll(entries, -1);
      if (entries[0]?.revents) {
        const fd = socket.accept(config.listenerFd, SOCK_CLOEXEC);
        if (fd >= 0) this.connections.push({ fd, reader: new FrameReader(), fds: [] });
      }
      for (const entry of entries.slice(1)) {
        const connection = this.connections.find((c) => c.fd === entry.fd);
        if (entry.revents && connection !== undefined) this.receive(connection, buffer);
      }
      const init = this.programs.get(1);
      if (init !== undefined && init.status >= 0) proc.exit(init.status);
    }
  }

  private receive(connection: Connection, buffer: Uint8Array): void {
    const received = socket.recvWithFds(connection.fd, buffer);
    if (typeof received === 'number' || received.length === 0) {
      this.connections.splice(this.connections.indexOf(connection), 1);
      native.close(connection.fd);
      for (const program of this.programs.values()) {
        if (program.owner === connection) program.end(137);
      }
      if (!this.programs.has(1)) proc.exit(1);
      return;
    }
    connection.fds.push(...received.fds);
    connection.reader.push(buffer, received.length);
    for (let m = connection.reader.next(); m !== undefined; m = connection.reader.next()) {
      const request = parseRequest(m, connection.fds.length);
      if (typeof request === 'string') {
        fail(connection, (m as { id: number }).id, { message: request });
      } else {
        this.answer(connection, request);
      }
      connection.fds = [];
    }
  }

  private answer(connection: Connection, request: Request): void {
    const { id } = request;
    switch (request.method) {
      case 'create':
      case 'exec': {
        const isInit = request.method === 'create';
        const { args } = isInit ? request.params.spec.process : request.params.process;
        if (isInit) this.gofers = connection.fds.slice(3);
        if (args[0] === 'missing') {
          const message = `exec: "${args[0]}": ${MESSAGES.notInPath}`;
          fail(connection, id, { message, exitCode: 127 });
          break;
        }
        const pid = isInit ? 1 : this.nextPid++;
        const owner = !isInit && request.params.killOnClose ? connection : null;
        const program = new Program({ args, cwd: '/' }, owner);
        this.programs.set(pid, program);
        reply(connection, id, isInit ? {} : { pid });
        if (!isInit) program.start();
        break;
      }
      case 'start':
        this.started = true;
        reply(connection, id, {});
        this.programs.get(1)?.start();
        break;
      case 'wait': {
        const program = this.programs.get(request.params.pid ?? 1);
        if (program === undefined) fail(connection, id, { message: MESSAGES.noSuchProcess });
        else if (program.status >= 0) reply(connection, id, { exitStatus: program.status });
        else program.waiters.push({ connection, id });
        break;
      }
      case 'signal':
        this.programs.get(request.params.pid ?? 1)?.end(128 + request.params.signo);
        reply(connection, id, {});
        break;
      case 'pause':
      case 'resume':
        this.paused = request.method === 'pause';
        reply(connection, id, {});
        break;
      case 'state': {
        const status = this.paused ? 'paused' : this.started ? 'running' : 'created';
        reply(connection, id, { status });
        break;
      }
      case 'processes':
        reply(connection, id, { processes: [...this.programs.entries()].map(processInfo) });
        break;
      default:
        fail(connection, id, { message: `no ${request.method} (${this.gofers.length} gofers)` });
    }
  }
}

function processInfo([pid, program]: [number, Program]): object {
  return {
    uid: 0,
    pid,
    ppid: 0,
    startTimeMs: 0,
    cpuTimeMs: 10,
    cpuPercent: 0,
    tty: '?',
    command: program.args[0],
  };
}

export function doubleMain(config: BootConfig): never {
  return new Double().run(config);
}
