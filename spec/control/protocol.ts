/**
 * The control protocol between the CLI (or shim) and the Sentry, over a unix stream socket in the
 * sandbox's state directory (frame.ts has the framing).
 *
 *     request   {id, method, params}           + descriptors
 *     reply     {id, result} | {id, error: {message, errno?, exitCode?}}
 *
 * A connection may have many requests under way; replies come in any order (`wait` replies when
 * its process ends). Closing the connection abandons its waits.
 *
 * METHODS is the table that types, validation and documentation are made from. A field's kind is
 * 'string', 'int' (a safe integer >= 0), 'boolean', 'ints' or 'object'; a trailing '?' makes it
 * optional. Text is JavaScript text; where it becomes bytes in the guest it does so as UTF-8.
 */

import type { Config, Process } from '../oci/config.ts';

export const METHODS = {
  /**
   * Makes a container, ready to start: root mounted, mounts mounted, program found and loadable.
   * Descriptors: stdin, stdout, stderr, the root's gofer connection, then one gofer connection for
   * each index in `goferMounts`.
   */
  create: {
    cid: 'string',
    /** The OCI configuration, already validated by the CLI. */
    spec: 'object',
    bundle: 'string',
    /** Indices into spec.mounts of the mounts a gofer serves, in the order of their connections. */
    goferMounts: 'ints',
    /**
     * With spec.process.terminal: stdin is the controlling terminal of the Sentry's own session, so
     * SIGWINCH and SIGHUP arrive as host signals. False: `resize` tells the window's size.
     */
    consoleIsControlling: 'boolean',
  },
  /** Lets the container's first process run. */
  start: { cid: 'string' },
  /**
   * Starts another process (also in a created container: startContainer hooks are run so).
   * Descriptors: stdin, stdout, stderr. With `killOnClose` the process is killed when this
   * connection closes before it has ended.
   */
  exec: { cid: 'string', process: 'object', killOnClose: 'boolean' },
  /** Replies when `pid` (the container's own number; default its init) has ended. */
  wait: { cid: 'string', pid: 'int?' },
  /** kill(2) on `pid` (default init), or with `all` on every process of the container. */
  signal: { cid: 'string', signo: 'int', all: 'boolean', pid: 'int?', foreground: 'boolean?' },
  /** The container's processes. */
  processes: { cid: 'string' },
  pause: { cid: 'string' },
  resume: { cid: 'string' },
  /** The terminal of `pid` (default init) has a new window size. */
  resize: { cid: 'string', pid: 'int?', rows: 'int', columns: 'int' },
  state: { cid: 'string' },
  /** Kills and forgets a container. The Sentry ends when the root container is destroyed. */
  destroy: { cid: 'string' },
  stats: { cid: 'string' },
} as const satisfies Record<string, Record<string, FieldKind>>;

type Kind = 'string' | 'int' | 'boolean' | 'ints' | 'object';
export type FieldKind = Kind | `${Kind}?`;
export type Method = keyof typeof METHODS;

/** How many descriptors a request carries: [least, most]. */
export const METHOD_FDS: Partial<Record<Method, readonly [number, number]>> = {
  create: [4, 4 + 240],
  exec: [3, 3],
};

interface KindTypes {
  string: string;
  int: number;
  boolean: boolean;
  ints: readonly number[];
  object: object;
}
type Fields = Record<string, FieldKind>;
type Shape<F extends Fields> = {
  readonly [K in keyof F as F[K] extends `${string}?` ? never : K]: F[K] extends Kind
    ? KindTypes[F[K]]
    : never;
} & {
  readonly [K in keyof F as F[K] extends `${string}?` ? K : never]?: F[K] extends `${infer T}?`
    ? T extends Kind
      ? KindTypes[T]
      : never
    : never;
};

/** The parameters of a method. */
export type Params<M extends Method> = Shape<(typeof METHODS)[M]> &
  (M extends 'create' ? { readonly spec: Config } : unknown) &
  (M extends 'exec' ? { readonly process: Process } : unknown);

export type ContainerStatus = 'created' | 'running' | 'paused' | 'stopped';

/** One line of `runsc ps`. Times are of the sandbox's clock. */
export interface ProcessInfo {
  readonly uid: number;
  readonly pid: number;
  readonly ppid: number;
  /** Start, milliseconds since the epoch. */
  readonly startTimeMs: number;
  readonly cpuTimeMs: number;
  /** Share of one CPU since the start, percent. */
  readonly cpuPercent: number;
  readonly tty: string;
  readonly command: string;
}

export interface Results {
  create: Record<string, never>;
  start: Record<string, never>;
  /** `pid` in the container's pid namespace. */
  exec: { readonly pid: number };
  /** 0-255: exit code, or 128 + signal. */
  wait: { readonly exitStatus: number };
  signal: Record<string, never>;
  processes: { readonly processes: readonly ProcessInfo[] };
  pause: Record<string, never>;
  resume: Record<string, never>;
  resize: Record<string, never>;
  state: { readonly status: ContainerStatus; readonly exitStatus?: number };
  destroy: Record<string, never>;
  stats: {
    readonly memoryBytes: number;
    readonly cpuTimeNs: number;
    readonly processes: number;
  };
}

export type Request = {
  readonly [M in Method]: {
    readonly id: number;
    readonly method: M;
    readonly params: Params<M>;
  };
}[Method];

export interface ControlError {
  /** One line for the user. Docker recognises some of these texts: see MESSAGES. */
  readonly message: string;
  /** Positive errno, where one is the cause. */
  readonly errno?: number;
  /** What the CLI should exit with when it is not 128: 126 or 127 for a program that cannot run. */
  readonly exitCode?: number;
}

export type Reply<M extends Method = Method> =
  | { readonly id: number; readonly result: Results[M] }
  | { readonly id: number; readonly error: ControlError };

/** Texts that Docker and containerd look for in an error: keep the words. */
export const MESSAGES = {
  notInPath: 'executable file not found in $PATH',
  noSuchFile: 'no such file or directory',
  permissionDenied: 'permission denied',
  notRunning: 'container not running',
  alreadyFinished: 'process already finished',
  noSuchProcess: 'no such process',
  doesNotExist: 'does not exist',
} as const;

/** Checks a received request. A string says what is wrong with it. */
export function parseRequest(message: unknown, fdCount: number): Request | string {
  if (!isRecord(message)) return 'a request must be an object';
  const { id, method, params } = message;
  if (!isCount(id)) return 'request.id must be a whole number';
  if (typeof method !== 'string' || !Object.hasOwn(METHODS, method)) {
    return `unknown method: known are ${Object.keys(METHODS).join(', ')}`;
  }
  if (!isRecord(params)) return `${method}: params must be an object`;
  const fields: Fields = METHODS[method as Method];
  for (const name of Object.keys(params)) {
    if (!Object.hasOwn(fields, name)) return `${method}: unknown parameter`;
  }
  for (const [name, kind] of Object.entries(fields)) {
    const optional = kind.endsWith('?');
    const value = params[name];
    if (value === undefined && optional) continue;
    if (!hasKind(value, (optional ? kind.slice(0, -1) : kind) as Kind)) {
      return `${method}: ${name} must be of kind ${kind}`;
    }
  }
  const [least, most] = METHOD_FDS[method as Method] ?? [0, 0];
  if (fdCount < least || fdCount > most) {
    return `${method}: ${fdCount} descriptors, want ${least} to ${most}`;
  }
  return { id, method, params } as unknown as Request;
}

/** Checks a received reply. Null: not a reply. The result's fields are not checked. */
export function parseReply(message: unknown): Reply | null {
  if (!isRecord(message) || !isCount(message.id)) return null;
  if (isRecord(message.error)) {
    return typeof message.error.message === 'string' ? (message as unknown as Reply) : null;
  }
  return isRecord(message.result) ? (message as unknown as Reply) : null;
}

function hasKind(value: unknown, kind: Kind): boolean {
  switch (kind) {
    case 'int':
      return isCount(value);
    case 'ints':
      return Array.isArray(value) && value.every(isCount);
    case 'object':
      return isRecord(value);
    default:
      return typeof value === kind;
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
