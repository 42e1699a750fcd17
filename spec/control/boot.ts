/**
 * What the CLI hands to the Sentry and the Gofer at the fork: plain data, complete, with every
 * descriptor already open and every other one closed. Both mains run in a forked child of the CLI
 * (one thread, no event loop) and leave only through the addon's `exit`.
 *
 * Boot of a sandbox:
 *  1. CLI: state directory, control listener, cgroup; forks the Sentry, then the Gofer.
 *  2. Child: setsid, cgroup, namespaces, descriptors; then sentryMain / goferMain.
 *  3. Sentry: sends one `hello` frame on `connectionFd` when its kernel stands.
 *  4. CLI: prestart and createRuntime hooks, then the request `create` on the same connection; without
 *     hooks it is there before the hello.
 *  5. `start`, now or by another CLI process through `listenerFd`.
 * The Sentry ends by itself with the root container's exit status (128 + signal) when the root
 * container has ended and every reply about it is sent, or with status 1 when `connectionFd`
 * closes before `create` succeeded.
 */

export type PlatformName = 'ptrace' | 'systrap';
/** `auto`: systrap where the host allows it, else ptrace. */
export type PlatformChoice = PlatformName | 'auto';
export type NetworkName = 'none';
/** Writable layer: none, over the root only, or over the root and every gofer mount. */
export type OverlayScope = 'none' | 'root' | 'all';
/** exclusive: nobody else writes the root file system, so it may be cached without limit. */
export type FileAccess = 'exclusive' | 'shared';

/**
 * Unix sockets of the host in volumes: `open` ones may be connected to, with `create` the application's
 * are bound on the host; all is both.
 */
export type HostUds = 'none' | 'open' | 'create' | 'all';

export function connectsToHost(sockets: HostUds): boolean {
  return sockets === 'open' || sockets === 'all';
}

export function bindsOnHost(sockets: HostUds): boolean {
  return sockets === 'create' || sockets === 'all';
}

/** Fifos of the host in volumes: the application may open them, or has fifos of its own in their place. */
export type HostFifo = 'none' | 'open';

export interface BootConfig {
  readonly sandboxId: string;
  readonly platform: PlatformChoice;
  readonly network: NetworkName;
  readonly overlay: OverlayScope;
  readonly fileAccess: FileAccess;
  readonly hostUds: HostUds;
  readonly hostFifo: HostFifo;
  /** Listening control socket (SOCK_STREAM, nonblocking). */
  readonly listenerFd: number;
  /** The first, already connected control connection: that of the CLI that boots. */
  readonly connectionFd: number;
  /** Where debug messages and strace lines go; -1: nowhere. */
  readonly debugLogFd: number;
  readonly debug: boolean;
  readonly strace: boolean;
  /** Only these system calls are logged; empty: all. */
  readonly straceSyscalls: readonly string[];
  /** Bytes of a buffer that strace shows. */
  readonly straceLogSize: number;
  /** The sandbox's memory as sysinfo and /proc/meminfo tell it, bytes: its limit or the host's all. */
  readonly totalMemoryBytes: number;
  /** CPUs the guest sees. */
  readonly cpuCount: number;
  /** The CLI is not root: it made a user namespace, in which we are. */
  readonly rootless: boolean;
  /** The CLI made or joined the network namespace that the configuration names. */
  readonly namedNetwork: boolean;
  /** A foreground command's sandbox ends with it. */
  readonly dieWithParent: boolean;
  /**
   * Becomes descriptor 2 when the kernel stands; -1: 2 stays. Until then 2 goes to the CLI, which makes
   * one line of what it finds there.
   */
  readonly stderrFd: number;
}

/** The frame by which a Sentry says that it is up. */
export interface Hello {
  readonly hello: 'sentry';
}

/** The Sentry looks up from waiting for the Gofer after this long, and says so. */
export const GOFER_PATIENCE_SEC = 10;

export interface GoferMount {
  /** Host path, absolute, existing; or a descriptor's path. */
  readonly source: string;
  readonly readonly: boolean;
  /** The Gofer's end of this mount's 9P connection. */
  readonly fd: number;
}

export interface GoferConfig {
  /** [0] is the container's root file system. */
  readonly mounts: readonly GoferMount[];
  readonly hostUds: HostUds;
  readonly hostFifo: HostFifo;
  /** Namespaces were not to be had: serve without them and report which layers are missing. */
  readonly rootless: boolean;
  readonly debugLogFd: number;
  /** Becomes descriptor 2 when it serves; -1: 2 stays. */
  readonly stderrFd: number;
}

/** sentry/main.ts exports this. */
export type SentryMain = (config: BootConfig) => never;
/** gofer/main.ts exports this. */
export type GoferMain = (config: GoferConfig) => never;
