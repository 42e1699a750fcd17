/**
 * What is kept about a container between commands, and the OCI runtime state made from it
 * (runtime-spec, "State"). The predicates that say which command may run in which status are here,
 * in one place.
 */

import type { Config } from '../../spec/oci/config.ts';
import type { State, Status } from '../../spec/oci/state.ts';
import type { Unit } from '../cgroup/systemd.ts';
import { Failure } from '../cli/failure.ts';

export const OCI_VERSION = '1.0.2';

export type { Status } from '../../spec/oci/state.ts';

/** A host process, told apart from a later one with the same pid by its start time. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Field 22 of /proc/PID/stat, clock ticks since boot. */
  readonly startTime: number;
}

/** The contents of state.json. */
export interface ContainerState {
  readonly id: string;
  /** The status last known: the Sentry is asked for the present one. */
  readonly status: Status;
  readonly bundle: string;
  /** RFC 3339. */
  readonly created: string;
  readonly owner: string;
  readonly spec: Config;
  /** Null while the sandbox is still being made. */
  readonly sentry: ProcessIdentity | null;
  readonly gofer: ProcessIdentity | null;
  /** Directories of the container's cgroups, all made by us; removed at delete. */
  readonly cgroupPaths: readonly string[];
  /** The scope of --systemd-cgroup; null with the cgroupfs driver. */
  readonly systemdUnit: Unit | null;
  /** The bundle was made by runsc (do) and goes with the container. */
  readonly temporaryBundle: boolean;
}

/** The OCI state, as `state` prints it and hooks read it. */
export function ociState(state: ContainerState, status: Status): State {
  const annotations = state.spec.annotations;
  return {
    ociVersion: OCI_VERSION,
    id: state.id,
    status,
    ...(state.sentry !== null && status !== 'stopped' ? { pid: state.sentry.pid } : {}),
    bundle: state.bundle,
    ...(annotations !== undefined ? { annotations } : {}),
  };
}

const MAX_ID_LENGTH = 1024;

/** Throws unless `id` can name a container: it becomes a directory's name. */
export function checkId(id: string): void {
  const good = /^[A-Za-z0-9_+.-]+$/.test(id) && id !== '.' && id !== '..';
  if (good && id.length <= Math.min(MAX_ID_LENGTH, 255)) return;
  throw new Failure(
    `invalid container id ${JSON.stringify(id)}: use letters, digits and _ + - . (no slash)`,
  );
}

export function canStart(status: Status): boolean {
  return status === 'created';
}

export function canExec(status: Status): boolean {
  return status === 'created' || status === 'running';
}

export function canSignal(status: Status): boolean {
  return status === 'created' || status === 'running' || status === 'paused';
}

export function canDelete(status: Status): boolean {
  return status === 'stopped';
}

/**
 * Parses the state.json of container `id`: null when it is not one (a half-written or foreign file).
 * Processes are killed and directories removed by what it says, so every field is looked at.
 */
export function parseState(text: string, id: string): ContainerState | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (typeof value !== 'object' || value === null) return null;
  const state = value as Partial<ContainerState>;
  const strings = [state.id, state.status, state.bundle, state.created, state.owner];
  if (!strings.every((field) => typeof field === 'string')) return null;
  if (state.id !== id || !isConfig(state.spec)) return null;
  const { cgroupPaths } = state;
  if (!Array.isArray(cgroupPaths) || !cgroupPaths.every(isAbsolute)) return null;
  if (!isUnitOrNull(state.systemdUnit)) return null;
  if (!isIdentityOrNull(state.sentry) || !isIdentityOrNull(state.gofer)) return null;
  return state as ContainerState;
}

/** Was validated before it was saved: only what a foreign file lacks. */
function isConfig(value: unknown): boolean {
  const config = value as Partial<Config> | null | undefined;
  return typeof config?.process === 'object' && config.process !== null;
}

function isAbsolute(path: unknown): boolean {
  return typeof path === 'string' && path.startsWith('/');
}

function isUnitOrNull(value: unknown): boolean {
  if (value === null) return true;
  const { name, socket, user } = (value ?? {}) as Partial<Unit>;
  return (
    typeof name === 'string' &&
    name.endsWith('.scope') &&
    isAbsolute(socket) &&
    typeof user === 'boolean'
  );
}

function isIdentityOrNull(value: unknown): boolean {
  if (value === null) return true;
  const identity = value as Partial<ProcessIdentity> | undefined;
  const { pid = 0, startTime } = identity ?? {};
  // kill(2) takes 0 and less for groups, and 1 is the host's init.
  return Number.isSafeInteger(pid) && pid > 1 && Number.isSafeInteger(startTime);
}
