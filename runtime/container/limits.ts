/**
 * The limits of a container on the host, by either driver: cgroupfs, where we make the cgroups, and
 * --systemd-cgroup, where systemd makes a scope and we write into its cgroups what it has no
 * property for. A scope needs a process to begin with: one of ours that waits until the sandbox is
 * there.
 */

import type { Config, LinuxResources } from '../../spec/oci/config.ts';
import {
  type CgroupRequest,
  createCgroup,
  limitsAnything,
  plannedCgroups,
  removeCgroup,
  updateCgroup,
} from '../cgroup/cgroup.ts';
import { cgroupPath, systemdNames } from '../cgroup/cgroup_path.ts';
import { findHierarchies } from '../cgroup/hierarchy.ts';
import { busSocket, Systemd, type Unit } from '../cgroup/systemd.ts';
import type { Context } from '../cli/context.ts';
import { Failure, messageOf } from '../cli/failure.ts';
import type { CgroupEntry, Host } from '../host/host.ts';
import type { ContainerState } from './state.ts';

const FOREVER_MS = 2 ** 31 - 1;

/** Tells what is about to be made, or is made: kept at once, or a killed command would leak it. */
export type Remember = (made: Pick<ContainerState, 'cgroupPaths' | 'systemdUnit'>) => void;

/**
 * Makes what `spec` asks for. When that fails, what was remembered is to be removed. Returns what is
 * to be called once the sandbox is in it.
 */
export function makeLimits(
  context: Context,
  id: string,
  spec: Config,
  remember: Remember,
): () => void {
  const { ignoreCgroups, rootless, systemdCgroup } = context.config;
  const resources = spec.linux?.resources ?? {};
  const warn = (message: string) => context.log.warning(message);
  const request = { resources, hierarchies: findHierarchies(), warn };
  const written = spec.linux?.cgroupsPath ?? '';
  // As runc: limits hold also where no path is given.
  if (ignoreCgroups || (written === '' && !limitsAnything(resources))) return () => {};
  if (systemdCgroup) return makeScope(context, written || `:runsc:${id}`, request, remember);
  const full = {
    ...request,
    cgroupsPath: cgroupPath(written || `/${id}`),
    everyHierarchy: false,
    mayLack: rootless,
  };
  remember({ cgroupPaths: plannedCgroups(full), systemdUnit: null });
  remember({ cgroupPaths: createCgroup(full), systemdUnit: null });
  return () => {};
}

/** The scope is remembered once it is ours: its name might have been another's. */
function makeScope(
  { config, host }: Context,
  written: string,
  request: Omit<CgroupRequest, 'cgroupsPath' | 'everyHierarchy'>,
  remember: Remember,
): () => void {
  const user = config.rootless;
  const { slice, scope } = systemdNames(written, user ? 'user.slice' : 'system.slice');
  const systemdUnit = { name: scope, socket: busSocket(user, process.env), user };
  const holder = forkHolder(host);
  try {
    const cgroupsPath = withSystemd(host, systemdUnit, (systemd) =>
      systemd.start(slice, holder.pid, request.resources, isUnified(request)),
    );
    const full = { ...request, cgroupsPath, everyHierarchy: true };
    remember({ cgroupPaths: plannedCgroups(full), systemdUnit });
    remember({ cgroupPaths: createCgroup(full), systemdUnit });
    return holder.release;
  } catch (thrown) {
    holder.release();
    throw thrown;
  }
}

/** A process that does nothing until it is released. It goes with us, too. */
function forkHolder(host: Host): { readonly pid: number; readonly release: () => void } {
  const pair = host.socketPair();
  if (typeof pair === 'number') throw new Failure(`cannot make a socket pair: errno ${-pair}`);
  const [ours, theirs] = pair;
  const plan = {
    name: 'runsc-scope',
    keepFds: [theirs],
    stderrFd: -1,
    debugLogFd: -1,
    controllingTerminalFd: -1,
    cgroups: [],
    namespaces: [],
    userNamespace: false,
    pidNamespace: false,
    dieWithParent: true,
  };
  const pid = host.forkHelper(plan, () => {
    host.channel(theirs).receive(new Uint8Array(1), FOREVER_MS);
    return 0;
  });
  host.close(theirs);
  if (pid < 0) throw new Failure(`cannot fork: errno ${-pid}`);
  const release = () => {
    host.close(ours);
    host.reap(pid, true);
  };
  return { pid, release };
}

/** How a process of the container joins it. */
export function cgroupEntry(host: Host, state: ContainerState): CgroupEntry {
  const unit = state.systemdUnit;
  // Only its systemd may move a process from the user's session into the user's service.
  if (unit?.user) {
    const attach = (pid: number) => withSystemd(host, unit, (systemd) => systemd.attach(pid));
    return { cgroups: [], attach };
  }
  return { cgroups: state.cgroupPaths };
}

/** Changes the limits of a container that runs. */
export function updateLimits(
  context: Context,
  state: ContainerState,
  resources: LinuxResources,
): void {
  const request = {
    resources,
    hierarchies: findHierarchies(),
    warn: (message: string) => context.log.warning(message),
  };
  const unit = state.systemdUnit;
  if (unit !== null) {
    const unified = isUnified(request);
    withSystemd(context.host, unit, (systemd) => systemd.update(resources, unified));
  }
  updateCgroup(state.cgroupPaths, request);
}

/** Removes what was made, when the container's processes are gone. */
export function removeLimits(context: Context, state: ContainerState): void {
  const warn = (message: string) => context.log.warning(message);
  if (state.systemdUnit !== null) {
    try {
      withSystemd(context.host, state.systemdUnit, (systemd) => systemd.stop());
    } catch (thrown) {
      // systemd ends a scope by itself when nothing is left in it.
      warn(messageOf(thrown));
    }
  }
  removeCgroup(state.cgroupPaths, warn);
}

function withSystemd<T>(host: Host, unit: Unit, use: (systemd: Systemd) => T): T {
  const systemd = new Systemd(host, unit);
  try {
    return use(systemd);
  } finally {
    systemd.close();
  }
}

function isUnified({ hierarchies }: Pick<CgroupRequest, 'hierarchies'>): boolean {
  return hierarchies.every(({ version }) => version === 2);
}
