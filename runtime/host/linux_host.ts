/** The real host: Linux, through the addon. */

import * as fs from 'node:fs';
import * as os from 'node:os';
import { byteString } from '../../native/bytes.ts';
import * as native from '../../native/fs.ts';
import { loadAddon } from '../../native/index.ts';
import * as proc from '../../native/process.ts';
import * as socket from '../../native/socket.ts';
import * as tty from '../../native/tty.ts';
import type { BootConfig, GoferConfig, GoferMain, SentryMain } from '../../spec/control/boot.ts';
import { EAGAIN, EINTR, ESRCH } from '../../spec/linux/errno.ts';
import {
  F_DUPFD_CLOEXEC,
  LOCK_EX,
  O_CLOEXEC,
  O_NOCTTY,
  O_NONBLOCK,
  O_RDONLY,
  O_RDWR,
} from '../../spec/linux/fcntl.ts';
import { MFD_CLOEXEC } from '../../spec/linux/mman.ts';
import { POLLIN } from '../../spec/linux/poll.ts';
import { CLONE_NEWPID, CLONE_NEWUSER } from '../../spec/linux/sched.ts';
import { AF_UNIX, MSG_NOSIGNAL, SOCK_CLOEXEC, SOCK_STREAM } from '../../spec/linux/socket.ts';
import { WNOHANG } from '../../spec/linux/wait.ts';
import type { Hook } from '../../spec/oci/config.ts';
import type { State } from '../../spec/oci/state.ts';
import { Failure } from '../cli/failure.ts';
import type { ProcessIdentity } from '../container/state.ts';
import { connectIn, listenIn, SocketChannel } from './control_socket.ts';
import { runChild } from './forked_child.ts';
import { runHookProcess } from './hook_process.ts';
import type { ChildPlan, ControlChannel, Host, SignalSource, Winsize } from './host.ts';
import { shedCapabilities } from './privileges.ts';
import { HostSignals } from './signal_source.ts';

const LOWEST_DUPLICATE = 3;
const POLL_PAUSE_MS = 2;
const LONGEST_TIMER_MS = 2 ** 31 - 1;
/**
 * Node keeps these whatever the flags: its main thread, one that schedules delayed tasks and one
 * worker, both asleep. More mean that V8 may hold a lock at the moment of the fork.
 */
const MOST_THREADS = 3;

/** What the forked children run. A test may put something simpler in their place. */
export interface ChildMains {
  readonly sentryMain: SentryMain;
  readonly goferMain: GoferMain;
}

export class LinuxHost implements Host {
  private mains: ChildMains | null;

  constructor(mains: ChildMains | null = null) {
    loadAddon();
    this.mains = mains;
  }

  shedCapabilities(): void {
    shedCapabilities();
  }

  lockExclusive(fd: number): number {
    for (;;) {
      const result = native.flock(fd, LOCK_EX);
      if (result !== -EINTR) return result;
    }
  }

  identify(pid: number): ProcessIdentity | null {
    let text: string;
    try {
      text = fs.readFileSync(`/proc/${pid}/stat`, 'latin1');
    } catch {
      return null;
    }
    // The command may hold spaces and parentheses: the fields count from the last one.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    if (fields[0] === 'Z' || fields[0] === 'X') return null;
    return { pid, startTime: Number(fields[19]) };
  }

  kill(pid: number, signo: number): number {
    return proc.kill(pid, signo);
  }

  reap(pid: number, block: boolean): number {
    for (;;) {
      const ended = proc.wait4(pid, block ? 0 : WNOHANG);
      if (ended === -EINTR) continue;
      if (typeof ended === 'number') return ended;
      if (ended.pid === 0) return -EAGAIN;
      const signo = ended.status & 0x7f;
      return signo !== 0 ? 128 + signo : (ended.status >> 8) & 0xff;
    }
  }

  async prepareFork(): Promise<void> {
    const threads = fs.readdirSync('/proc/self/task').length;
    if (threads > MOST_THREADS) {
      throw new Failure(
        `node runs ${threads} threads, too many to fork: start it with --single-threaded --v8-pool-size=0 --disable-sigusr1`,
      );
    }
    if (this.mains !== null) return;
    const { goferMain } = await import('../../gofer/main.ts');
    const { sentryMain } = await import('../../sentry/main.ts');
    this.mains = { goferMain, sentryMain };
  }

  forkSentry(plan: ChildPlan, config: BootConfig): number {
    const mains = this.prepared();
    return this.fork(plan, () => mains.sentryMain(config));
  }

  forkGofer(plan: ChildPlan, config: GoferConfig): number {
    const mains = this.prepared();
    const mounts = config.mounts.map((mount) => ({ ...mount, source: byteString(mount.source) }));
    return this.fork(plan, () => mains.goferMain({ ...config, mounts }));
  }

  forkHelper(plan: ChildPlan, main: () => number): number {
    return this.fork(plan, main);
  }

  private prepared(): ChildMains {
    if (this.mains === null) throw new Error('a fork before prepareFork');
    return this.mains;
  }

  private fork(plan: ChildPlan, main: () => number): number {
    const self = { parentPid: proc.getpid(), uid: proc.geteuid(), gid: proc.getegid() };
    const gate = plan.attach === undefined ? null : this.socketPair();
    if (typeof gate === 'number') return gate;
    const [pid, entered] = forkInto(plan);
    if (pid === 0) {
      if (gate !== null && !passGate(gate)) proc.exit(1);
      runChild(plan, { ...self, entered }, main);
    }
    if (gate !== null) this.admit(plan, gate, pid);
    return pid;
  }

  /** Has the child attached, then lets it go on; if that fails it ends. */
  private admit(plan: ChildPlan, [ours, theirs]: readonly [number, number], pid: number): void {
    native.close(theirs);
    try {
      if (pid > 0) plan.attach?.(pid);
      native.write(ours, new Uint8Array(1));
    } finally {
      native.close(ours);
    }
  }

  socketPair(): readonly [number, number] | number {
    return socket.socketpair(SOCK_STREAM | SOCK_CLOEXEC);
  }

  limitWaits(fd: number, seconds: number): void {
    socket.limitWaits(fd, seconds);
  }

  listen(directory: string, name: string): number {
    return listenIn(directory, name);
  }

  connect(directory: string, name: string): ControlChannel | number {
    const fd = connectIn(directory, name);
    return fd < 0 ? fd : new SocketChannel(fd);
  }

  channel(fd: number): ControlChannel {
    return new SocketChannel(fd);
  }

  memoryFile(name: string): number {
    return native.memfdCreate(name, MFD_CLOEXEC);
  }

  duplicate(fd: number): number {
    return native.fcntl(fd, F_DUPFD_CLOEXEC, LOWEST_DUPLICATE);
  }

  useAsStdin(fd: number): void {
    if (fd >= 0) native.dup3(fd, 0, 0);
  }

  close(fd: number): void {
    native.close(fd);
  }

  reopenTerminal(fd: number): number {
    return native.open(`/proc/self/fd/${fd}`, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
  }

  openTerminal(): readonly [number, number] | number {
    const pair = tty.openpty();
    return typeof pair === 'number' ? pair : [pair.master, pair.slave];
  }

  sendTerminal(socketPath: string, master: number): number {
    const fd = socket.socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC);
    if (fd < 0) return fd;
    const connected = socket.connectUnix(fd, byteString(socketPath));
    // The receiver may read the terminal's name from the message, as runc sends it.
    const name = Buffer.from('/dev/ptmx');
    const sent = connected < 0 ? connected : socket.sendWithFds(fd, name, [master], MSG_NOSIGNAL);
    native.close(fd);
    return sent;
  }

  isTerminal(fd: number): boolean {
    return tty.isTty(fd);
  }

  windowSize(fd: number): Winsize | null {
    const size = tty.getWindowSize(fd);
    return typeof size === 'number' ? null : { rows: size.rows, columns: size.columns };
  }

  setWindowSize(fd: number, size: Winsize): number {
    return tty.setWindowSize(fd, { ...size, xPixels: 0, yPixels: 0 });
  }

  saveTerminal(fd: number): Uint8Array | null {
    const settings = tty.getTermios(fd);
    return typeof settings === 'number' ? null : settings;
  }

  restoreTerminal(fd: number, settings: Uint8Array): void {
    tty.setTermios(fd, settings);
  }

  takeSignals(signos: readonly number[]): SignalSource {
    return new HostSignals(signos);
  }

  watchSignals(signos: readonly number[], onSignal: (signo: number) => void): () => void {
    const stops = signos.map((signo) => {
      const name = signalName(signo);
      const listener = () => onSignal(signo);
      process.on(name, listener);
      return () => process.off(name, listener);
    });
    // Watching a signal does not keep Node running; a timer does.
    const alive = setInterval(() => {}, LONGEST_TIMER_MS);
    return () => {
      clearInterval(alive);
      for (const stop of stops) stop();
    };
  }

  poll(fds: readonly number[], timeoutMs: number): number {
    const entries = fds.map((fd) => ({ fd, events: POLLIN, revents: 0 }));
    const ready = socket.poll(entries, timeoutMs);
    return ready === -EINTR ? 0 : ready;
  }

  awaitEnd(pid: number, timeoutMs: number): void {
    const fd = proc.pidfdOpen(pid);
    if (fd >= 0) {
      this.poll([fd], timeoutMs);
      native.close(fd);
    } else if (fd !== -ESRCH) {
      // Before Linux 5.3.
      this.poll([], Math.min(timeoutMs, POLL_PAUSE_MS));
    }
  }

  runHook(hook: Hook, state: State, namespaceOf: number): string {
    return runHookProcess(hook, state, namespaceOf);
  }
}

/** In the child: false when the parent has given up. */
function passGate([theirs, ours]: readonly [number, number]): boolean {
  native.close(theirs);
  return native.read(ours, new Uint8Array(1)) === 1;
}

/** Forks into as many of the namespaces wanted as the host gives: the result of fork, and which. */
function forkInto(plan: ChildPlan): readonly [number, number] {
  const user = plan.userNamespace ? CLONE_NEWUSER : 0;
  const pid = plan.pidNamespace ? CLONE_NEWPID : 0;
  for (const namespaces of new Set([user | pid, user])) {
    const forked = namespaces === 0 ? -1 : proc.fork(namespaces);
    if (forked >= 0) return [forked, namespaces];
  }
  return [proc.fork(0), 0];
}

function signalName(signo: number): NodeJS.Signals {
  for (const [name, number] of Object.entries(os.constants.signals)) {
    if (number === signo) return name as NodeJS.Signals;
  }
  throw new Error(`no signal ${signo}`);
}
