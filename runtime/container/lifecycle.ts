/**
 * The OCI lifecycle (runtime-spec, "Lifecycle"): create, start, kill, delete. Each step is in the
 * order the specification gives; a step that fails undoes the ones before it.
 */

import * as fs from 'node:fs';
import * as os from 'node:os';
import { MESSAGES } from '../../spec/control/protocol.ts';
import type { Config } from '../../spec/oci/config.ts';
import { memoryLimitBytes } from '../cgroup/settings.ts';
import type { Context } from '../cli/context.ts';
import { Failure, messageOf } from '../cli/failure.ts';
import type { Host } from '../host/host.ts';
import { confinedProcesses, confinementTable } from '../sandbox/confinement_report.ts';
import { closeStdio, openStdio, type Stdio } from '../sandbox/console.ts';
import { ControlClient } from '../sandbox/control_client.ts';
import { type GoferMounts, resolveGoferMounts } from '../sandbox/gofer_mounts.ts';
import { CONTROL_SOCKET, type LaunchedSandbox, launchSandbox } from '../sandbox/launch.ts';
import type { Bundle } from './bundle.ts';
import { hooksOf, runHooks, runHooksWarning } from './hooks.ts';
import { cgroupEntry, makeLimits, removeLimits } from './limits.ts';
import {
  type ContainerState,
  canDelete,
  canSignal,
  canStart,
  type ProcessIdentity,
  type Status,
} from './state.ts';
import { type Lock, writeAtomically } from './store.ts';

const SIGKILL = 9;
const ESRCH = -3;
const STATE_TIMEOUT_MS = 5_000;
const SIGNAL_TIMEOUT_MS = 5_000;
/** More than a Sentry takes that is well. One that is slow loses nothing: mapped files are the host's. */
const KILL_PATIENCE_MS = 1_000;
const END_TIMEOUT_MS = 10_000;

export interface CreateOptions {
  readonly id: string;
  readonly bundle: Bundle;
  readonly consoleSocket: string;
  readonly pidFile: string;
  readonly temporaryBundle: boolean;
  /** run in the foreground: the sandbox does not outlive us. */
  readonly foreground: boolean;
}

/** Makes a container, ready to start. */
export async function createContainer(
  context: Context,
  options: CreateOptions,
): Promise<ContainerState> {
  const spec = options.bundle.config;
  const mounts = resolveGoferMounts(spec, options.bundle.path);
  const lock = context.store.claim(options.id);
  let state: ContainerState = {
    id: options.id,
    status: 'creating',
    bundle: options.bundle.path,
    created: new Date().toISOString(),
    owner: ownerName(),
    spec,
    sentry: null,
    gofer: null,
    cgroupPaths: [],
    systemdUnit: null,
    temporaryBundle: options.temporaryBundle,
  };
  const hooksRan = { any: false };
  try {
    await context.host.prepareFork();
    context.store.save(state);
    const releaseLimits = makeLimits(context, options.id, spec, (made) => {
      state = { ...state, ...made };
      context.store.save(state);
    });
    try {
      state = await bootContainer(context, options, state, mounts, hooksRan);
    } finally {
      releaseLimits();
    }
    state = { ...state, status: 'created' };
    context.store.save(state);
    if (context.config.debug) logConfinement(context, state);
    if (options.pidFile !== '') writePidFile(options.pidFile, state.sentry?.pid ?? 0);
    return state;
  } catch (thrown) {
    const latest = context.store.tryLoad(options.id) ?? state;
    destroy(context, latest);
    if (hooksRan.any) {
      runHooksWarning(context.host, latest, 'poststop', 'stopped', (m) => context.log.warning(m));
    }
    throw thrown;
  } finally {
    lock.release();
  }
}

function logConfinement(context: Context, { sentry, gofer }: ContainerState): void {
  const processes = confinedProcesses(sentry?.pid ?? 0, gofer?.pid ?? 0);
  for (const line of confinementTable(processes).trimEnd().split('\n')) context.log.debug(line);
}

/** Our user's name; his number where /etc/passwd does not know him. */
function ownerName(): string {
  try {
    return os.userInfo().username;
  } catch {
    return String(process.geteuid?.() ?? 0);
  }
}

/** Launches the sandbox and makes the container in it, hooks included. */
async function bootContainer(
  context: Context,
  options: CreateOptions,
  before: ContainerState,
  mounts: GoferMounts,
  hooksRan: { any: boolean },
): Promise<ContainerState> {
  const { host } = context;
  const spec = before.spec;
  const terminal = spec.process.terminal ?? false;
  const size = spec.process.consoleSize;
  const stdio = openStdio(host, {
    terminal,
    consoleSocket: options.consoleSocket,
    ...(size !== undefined ? { size } : {}),
  });
  let sandbox: LaunchedSandbox | null = null;
  let state = before;
  let request = 0;
  const plan = {
    id: options.id,
    directory: context.store.directoryOf(options.id),
    config: context.config,
    spec,
    mounts,
    cgroupEntry: cgroupEntry(host, before),
    memoryLimitBytes: memoryLimitBytes(spec.linux?.resources),
    debugFd: context.debugFdFor(options.foreground),
    controllingTerminalFd: stdio.replica,
    foreground: options.foreground,
  };
  try {
    sandbox = await launchSandbox(host, plan, (forked) => {
      state = { ...before, sentry: forked.sentry, gofer: forked.gofer };
      context.store.save(state);
      // Nobody has to run before: the Sentry finds its first request waiting.
      if (spec.hooks === undefined) request = sendCreate(options, spec, mounts, stdio, forked);
    });
    if (spec.hooks !== undefined) {
      hooksRan.any = true;
      runHooks(host, state, 'prestart', 'creating');
      runHooks(host, state, 'createRuntime', 'creating');
      request = sendCreate(options, spec, mounts, stdio, sandbox);
    }
    sandbox.client.result('create', request);
    runHooks(host, state, 'createContainer', 'creating', sandbox.sentry.pid);
    return state;
  } finally {
    closeStdio(host, stdio);
    for (const fd of sandbox?.goferFds ?? []) host.close(fd);
    sandbox?.client.close();
  }
}

/** The number of the request. */
function sendCreate(
  options: CreateOptions,
  spec: Config,
  mounts: GoferMounts,
  stdio: Stdio,
  sandbox: LaunchedSandbox,
): number {
  const params = {
    cid: options.id,
    spec,
    bundle: options.bundle.path,
    goferMounts: mounts.bindIndices,
    consoleIsControlling: stdio.replica >= 0,
  };
  return sandbox.client.send('create', params, [...stdio.fds, ...sandbox.goferFds]);
}

export function writePidFile(file: string, pid: number): void {
  try {
    writeAtomically(file, String(pid));
  } catch (thrown) {
    const reason = thrown instanceof Error ? thrown.message : String(thrown);
    throw new Failure(`--pid-file: cannot write ${file}: ${reason}`);
  }
}

/** The container's status now. */
export function currentStatus(context: Context, state: ContainerState): Status {
  if (!alive(context, state)) return 'stopped';
  if (state.status === 'creating') return 'creating';
  const client = tryConnect(context, state);
  if (client === null) return alive(context, state) ? state.status : 'stopped';
  try {
    return client.call('state', { cid: state.id }, [], STATE_TIMEOUT_MS).status;
  } catch {
    return alive(context, state) ? state.status : 'stopped';
  } finally {
    client.close();
  }
}

function alive(context: Context, state: ContainerState): boolean {
  return state.sentry !== null && isThere(context.host, state.sentry);
}

function tryConnect(context: Context, state: ContainerState): ControlClient | null {
  const channel = context.host.connect(context.store.directoryOf(state.id), CONTROL_SOCKET);
  return typeof channel === 'number' ? null : new ControlClient(channel);
}

/** A connection to the container's Sentry. */
export function connect(context: Context, state: ContainerState): ControlClient {
  const client = alive(context, state) ? tryConnect(context, state) : null;
  if (client !== null) return client;
  throw new Failure(`container "${state.id}": ${MESSAGES.notRunning}`);
}

/** Lets a created container's program run. `status`: its status, when the caller has just made it. */
export function startContainer(
  context: Context,
  state: ContainerState,
  status: Status = currentStatus(context, state),
): ContainerState {
  if (!canStart(status)) {
    const reason = status === 'stopped' ? `: ${MESSAGES.notRunning}` : '';
    throw new Failure(
      `cannot start container "${state.id}": it is ${status}, not created${reason}`,
    );
  }
  const client = connect(context, state);
  try {
    return letRun(context, client, state);
  } finally {
    client.close();
  }
}

/** The same of a container known to be created, over a connection that the caller has. */
export function letRun(
  context: Context,
  client: ControlClient,
  state: ContainerState,
): ContainerState {
  runStartHooks(context, client, state);
  client.call('start', { cid: state.id });
  const running: ContainerState = { ...state, status: 'running' };
  context.store.save(running);
  runHooksWarning(context.host, running, 'poststart', 'running', (m) => context.log.warning(m));
  return running;
}

/** startContainer hooks are programs of the container: they run inside it, before its own. */
function runStartHooks(context: Context, client: ControlClient, state: ContainerState): void {
  hooksOf(state, 'startContainer').forEach((hook, index) => {
    const problem = context.runHookInside(client, state, hook);
    if (problem !== '') {
      throw new Failure(`config.json: hooks.startContainer[${index}]: ${hook.path}: ${problem}`);
    }
  });
}

export interface SignalRequest {
  readonly signo: number;
  readonly all: boolean;
  readonly pid: number;
}

/**
 * kill: signals the container's init, one process of it, or all. Whether there is anybody to be signalled
 * the Sentry says, in the same answer.
 */
export function signalContainer(
  context: Context,
  state: ContainerState,
  request: SignalRequest,
): void {
  const status = alive(context, state) ? state.status : 'stopped';
  if (status === 'stopped' && request.all) return;
  if (!canSignal(status)) {
    const reason = status === 'stopped' ? MESSAGES.notRunning : `it is ${status}`;
    throw new Failure(`cannot signal container "${state.id}": ${reason}`);
  }
  const client = connect(context, state);
  const pid = request.pid > 0 ? { pid: request.pid } : {};
  const params = { cid: state.id, signo: request.signo, all: request.all, ...pid };
  const isEnd = request.signo === SIGKILL && request.pid <= 0;
  try {
    client.call('signal', params, [], isEnd ? KILL_PATIENCE_MS : SIGNAL_TIMEOUT_MS);
  } catch (thrown) {
    const over = messageOf(thrown).endsWith(MESSAGES.alreadyFinished);
    if (!isEnd || over) throw thrown;
    // A Sentry that cannot answer, as it waits for its Gofer, must still be killable.
    killSandbox(context, state);
  } finally {
    client.close();
  }
}

/** delete: removes a stopped container, or with `force` any, also a half-made one. */
export function deleteContainer(context: Context, id: string, force: boolean): void {
  const { host, store } = context;
  const lock: Lock = store.lock(id);
  try {
    const state = store.tryLoad(id);
    if (state === null) {
      if (!force) store.load(id);
      store.remove(id);
      return;
    }
    if (!force) {
      const status = currentStatus(context, state);
      if (!canDelete(status) && status !== 'created') {
        throw new Failure(
          `cannot delete container "${id}": it is ${status}: stop it first or use --force`,
        );
      }
    }
    destroy(context, state);
    runHooksWarning(host, state, 'poststop', 'stopped', (m) => context.log.warning(m));
  } finally {
    lock.release();
  }
}

/** Ends whatever is left of a container and removes all that was made for it. */
function destroy(context: Context, state: ContainerState): void {
  killSandbox(context, state);
  removeLimits(context, state);
  context.store.remove(state.id);
  if (state.temporaryBundle) fs.rmSync(state.bundle, { recursive: true, force: true });
}

/** Kills Sentry and Gofer and waits until they are gone: the stubs die with the Sentry. */
function killSandbox({ host }: Context, state: ContainerState): void {
  for (const process of [state.sentry, state.gofer]) {
    if (process === null) continue;
    if (isThere(host, process) && host.kill(process.pid, SIGKILL) === ESRCH) continue;
    const deadline = Date.now() + END_TIMEOUT_MS;
    while (isThere(host, process)) {
      if (Date.now() > deadline) {
        throw new Failure(`process ${process.pid} of container "${state.id}" does not end`);
      }
      host.awaitEnd(process.pid, deadline - Date.now());
    }
    host.reap(process.pid, false);
  }
}

function isThere(host: Host, process: ProcessIdentity): boolean {
  return host.identify(process.pid)?.startTime === process.startTime;
}
