/**
 * The seam between the runtime and the host kernel: everything that Node's file calls cannot do,
 * and everything a unit test of the lifecycle must not really do. linux_host.ts is the real one,
 * fake_host.ts records. Results are >= 0 or -errno.
 */

import type { BootConfig, GoferConfig } from '../../spec/control/boot.ts';
import type { Hook, NamespaceType } from '../../spec/oci/config.ts';
import type { State } from '../../spec/oci/state.ts';
import type { ProcessIdentity } from '../container/state.ts';

/** How a child comes into the container's cgroups, before it does anything else. */
export interface CgroupEntry {
  /** Directories of cgroups that it joins. */
  readonly cgroups: readonly string[];
  /** Done by the parent, while the child waits; it throws where that fails. */
  readonly attach?: (pid: number) => void;
}

/** What a forked child does before its main runs. */
export interface ChildPlan extends CgroupEntry {
  /** Becomes the process name (comm). */
  readonly name: string;
  /** Descriptors to keep; 0, 1 and 2 become /dev/null, everything else is closed. */
  readonly keepFds: readonly number[];
  /** Becomes descriptor 2: what V8 or the addon prints when it dies. */
  readonly stderrFd: number;
  /** Where the child says which layers the host refused; -1: nowhere. */
  readonly debugLogFd: number;
  /** A terminal that becomes the child's session's controlling terminal, or -1. */
  readonly controllingTerminalFd: number;
  /** Namespaces to make (no path) or join. Not pid: a process cannot move itself into one, hence: */
  readonly namespaces: readonly { readonly type: NamespaceType; readonly path?: string }[];
  /** Fork it as the first process of a new pid namespace, where the host lets us. */
  readonly pidNamespace: boolean;
  /** Without root: make a user namespace first, in which we are root, where the host allows it. */
  readonly userNamespace: boolean;
  /** oom_score_adj to set; undefined: the parent's. */
  readonly oomScoreAdj?: number;
  /** Die with the parent (foreground commands). */
  readonly dieWithParent: boolean;
}

/** One connection to a Sentry's control socket, in bytes and descriptors. */
export interface ControlChannel {
  readonly fd: number;
  /** Sends all of `bytes`, `fds` with the first of them. */
  send(bytes: Uint8Array, fds: readonly number[]): number;
  /** Receives into `buffer`; 0 at the end of the stream; -EAGAIN when `timeoutMs` has passed. */
  receive(buffer: Uint8Array, timeoutMs: number): number;
  close(): void;
}

/** Signals taken as events instead of being delivered. */
export interface SignalSource {
  readonly fd: number;
  /** The next pending signal's number, or 0. */
  next(): number;
  /** Gives the signals back. */
  close(): void;
}

export interface Winsize {
  readonly rows: number;
  readonly columns: number;
}

export interface Host {
  /** Gives up the capabilities that no command needs. */
  shedCapabilities(): void;
  /** flock(fd, LOCK_EX). */
  lockExclusive(fd: number): number;
  /** The process with that pid now, or null when it is gone or a zombie. */
  identify(pid: number): ProcessIdentity | null;
  /** kill(2). */
  kill(pid: number, signo: number): number;
  /** Waits for a child: its exit status (128 + signal), or -EAGAIN when it still runs. */
  reap(pid: number, block: boolean): number;

  /** Loads what the children run, so that nothing need be loaded after the fork. */
  prepareFork(): Promise<void>;
  /** Forks the Sentry: its pid. */
  forkSentry(plan: ChildPlan, config: BootConfig): number;
  /** Forks the Gofer: its pid. */
  forkGofer(plan: ChildPlan, config: GoferConfig): number;
  /** Forks a helper of the CLI that runs `main` and exits with what it returns. */
  forkHelper(plan: ChildPlan, main: () => number): number;

  /** A connected pair of stream sockets. */
  socketPair(): readonly [number, number] | number;
  /** Lets no call on a socket wait for longer: it fails with EAGAIN then. */
  limitWaits(fd: number, seconds: number): void;
  /** A listening socket at DIRECTORY/NAME, however long the path is. */
  listen(directory: string, name: string): number;
  /** Connects to the socket DIRECTORY/NAME. */
  connect(directory: string, name: string): ControlChannel | number;
  /** A channel over one end of a socket pair. */
  channel(fd: number): ControlChannel;
  /** An anonymous file: its descriptor, or -errno. */
  memoryFile(name: string): number;
  /** A copy of a descriptor, above the standard ones. */
  duplicate(fd: number): number;
  /** Makes `fd` descriptor 0 too, if it is not -1. */
  useAsStdin(fd: number): void;
  close(fd: number): void;

  /** A description of our own, nonblocking, of the terminal that `fd` is. */
  reopenTerminal(fd: number): number;
  /** A new pseudo-terminal: [master, replica], the replica nonblocking. */
  openTerminal(): readonly [number, number] | number;
  /** Sends a pty master to the unix socket at `socketPath` (console-socket). */
  sendTerminal(socketPath: string, master: number): number;
  isTerminal(fd: number): boolean;
  windowSize(fd: number): Winsize | null;
  setWindowSize(fd: number, size: Winsize): number;
  /** The terminal's settings, to be put back with `restoreTerminal`; null when it is none. */
  saveTerminal(fd: number): Uint8Array | null;
  restoreTerminal(fd: number, settings: Uint8Array): void;

  /**
   * Takes these signals as events from now on. Only in a forked helper: Node's own process has
   * threads that do not block them.
   */
  takeSignals(signos: readonly number[]): SignalSource;
  /** Has `onSignal` called by the event loop for each of these signals, until the result is. */
  watchSignals(signos: readonly number[], onSignal: (signo: number) => void): () => void;
  /** Waits until one of `fds` is readable or hung up; 0 on time-out, else a positive number. */
  poll(fds: readonly number[], timeoutMs: number): number;
  /** Waits until a process, our child or not, has ended; at most so long, and maybe less. */
  awaitEnd(pid: number, timeoutMs: number): void;

  /**
   * Runs a hook with the state on stdin, in the network namespace of `namespaceOf` if not 0.
   * Returns '' or what went wrong.
   */
  runHook(hook: Hook, state: State, namespaceOf: number): string;
}
