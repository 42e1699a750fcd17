/**
 * A host for unit tests: records what it is asked and does none of it. Processes are numbers that
 * live until they are killed; the Sentry at the other end of every channel is `answer`.
 */

import type { BootConfig, GoferConfig } from '../../spec/control/boot.ts';
import { encodeFrame, FrameReader } from '../../spec/control/frame.ts';
import type { ControlError } from '../../spec/control/protocol.ts';
import { EAGAIN, ECONNREFUSED, EPIPE, ESRCH } from '../../spec/linux/errno.ts';
import type { Hook } from '../../spec/oci/config.ts';
import type { State } from '../../spec/oci/state.ts';
import type { ProcessIdentity } from '../container/state.ts';
import type { ChildPlan, ControlChannel, Host, SignalSource, Winsize } from './host.ts';

const FIRST_PID = 1000;
const FIRST_FD = 100;
const SIGKILL = 9;

type Answer = { readonly result: object } | { readonly error: ControlError };

export class FakeHost implements Host {
  /** What was asked, one short line each, in order. */
  readonly calls: string[] = [];
  readonly alive = new Set<number>();
  readonly openFds = new Set<number>();
  readonly hookStates: State[] = [];
  /** Hook paths that fail. */
  readonly failingHooks = new Set<string>();
  /** Set to make forkSentry give a Sentry that dies before its hello. */
  sentryDies = false;
  sentryPlan: ChildPlan | null = null;
  goferConfig: GoferConfig | null = null;
  bootConfig: BootConfig | null = null;
  status = 'created';
  private nextPid = FIRST_PID;
  private nextFd = FIRST_FD;

  /** What the Sentry answers; a test may replace it. */
  answer: (method: string, params: Record<string, unknown>) => Answer = (method) => {
    if (method === 'start') this.status = 'running';
    return { result: method === 'state' ? { status: this.status } : {} };
  };

  shedCapabilities(): void {}

  lockExclusive(): number {
    return 0;
  }

  identify(pid: number): ProcessIdentity | null {
    return this.alive.has(pid) ? { pid, startTime: pid } : null;
  }

  kill(pid: number, signo: number): number {
    this.calls.push(`kill ${this.nameOf(pid)} ${signo}`);
    if (signo === SIGKILL) return this.alive.delete(pid) ? 0 : -ESRCH;
    return 0;
  }

  reap(pid: number): number {
    return this.alive.has(pid) ? -EAGAIN : 0;
  }

  async prepareFork(): Promise<void> {}

  forkSentry(plan: ChildPlan, config: BootConfig): number {
    this.sentryPlan = plan;
    this.bootConfig = config;
    return this.fork(plan);
  }

  forkGofer(plan: ChildPlan, config: GoferConfig): number {
    this.goferConfig = config;
    return this.fork(plan);
  }

  forkHelper(plan: ChildPlan): number {
    return this.fork(plan);
  }

  private readonly names = new Map<number, string>();

  private fork(plan: ChildPlan): number {
    const pid = this.nextPid++;
    this.names.set(pid, plan.name);
    this.calls.push(`fork ${plan.name}`);
    this.alive.add(pid);
    return pid;
  }

  private nameOf(pid: number): string {
    return this.names.get(pid) ?? String(pid);
  }

  socketPair(): readonly [number, number] {
    return [this.newFd(), this.newFd()];
  }

  limitWaits(): void {
    // Nothing waits here.
  }

  listen(): number {
    return this.newFd();
  }

  connect(): ControlChannel | number {
    if (this.alive.size === 0) return -ECONNREFUSED;
    return new FakeChannel(this, this.newFd(), false);
  }

  channel(fd: number): ControlChannel {
    return new FakeChannel(this, fd, !this.sentryDies);
  }

  memoryFile(): number {
    return -1;
  }

  duplicate(): number {
    return this.newFd();
  }

  useAsStdin(): void {}

  close(fd: number): void {
    this.openFds.delete(fd);
  }

  private newFd(): number {
    this.openFds.add(this.nextFd);
    return this.nextFd++;
  }

  reopenTerminal(): number {
    return this.newFd();
  }

  openTerminal(): readonly [number, number] {
    return [this.newFd(), this.newFd()];
  }

  sendTerminal(socketPath: string): number {
    this.calls.push(`terminal to ${socketPath}`);
    return socketPath.endsWith('.missing') ? -2 : 0;
  }

  isTerminal(): boolean {
    return false;
  }

  windowSize(): Winsize | null {
    return null;
  }

  setWindowSize(): number {
    return 0;
  }

  saveTerminal(): Uint8Array | null {
    return null;
  }

  restoreTerminal(): void {}

  takeSignals(): SignalSource {
    return { fd: -1, next: () => 0, close: () => {} };
  }

  watchSignals(): () => void {
    return () => {};
  }

  poll(): number {
    return 0;
  }

  awaitEnd(): void {}

  runHook(hook: Hook, state: State, namespaceOf: number): string {
    this.calls.push(`hook ${hook.path} ${state.status}${namespaceOf > 0 ? ' inside' : ''}`);
    this.hookStates.push(state);
    return this.failingHooks.has(hook.path) ? 'exit status 1' : '';
  }
}

class FakeChannel implements ControlChannel {
  readonly fd: number;
  private readonly host: FakeHost;
  private readonly requests = new FrameReader();
  private readonly waiting: Uint8Array[] = [];

  constructor(host: FakeHost, fd: number, hello: boolean) {
    this.host = host;
    this.fd = fd;
    if (hello) this.push({ hello: 'sentry' });
  }

  private push(message: object): void {
    const frame = encodeFrame(message);
    if (frame !== null) this.waiting.push(frame);
  }

  send(bytes: Uint8Array, fds: readonly number[]): number {
    if (this.host.sentryDies) return -EPIPE;
    this.requests.push(bytes, bytes.length);
    const request = this.requests.next() as {
      id: number;
      method: string;
      params: Record<string, unknown>;
    };
    this.host.calls.push(fds.length > 0 ? `${request.method} +${fds.length}` : request.method);
    this.push({ id: request.id, ...this.host.answer(request.method, request.params) });
    return bytes.length;
  }

  receive(buffer: Uint8Array): number {
    const frame = this.waiting.shift();
    if (frame === undefined) return 0;
    buffer.set(frame);
    return frame.length;
  }

  close(): void {
    this.host.close(this.fd);
  }
}
