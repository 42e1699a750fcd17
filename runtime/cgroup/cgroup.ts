/**
 * The container's cgroups: makes them, sets their limits, names the files to join by, removes them.
 * A hierarchy that we may not write is skipped where nothing was asked of it; a limit that cannot
 * be set is an error that names it.
 */

import * as fs from 'node:fs';
import * as path from 'node:path';
import type { LinuxResources } from '../../spec/oci/config.ts';
import { codeOf, Failure, messageOf } from '../cli/failure.ts';
import { cgroupDirectory, cgroupPath } from './cgroup_path.ts';
import type { Hierarchy } from './hierarchy.ts';
import { type Setting, settingsV1, settingsV2 } from './resources.ts';

export interface Cgroup {
  /** Directories that we made for the container, to be removed with it. */
  readonly paths: readonly string[];
  /** The files a process writes itself into to join. */
  readonly procs: readonly string[];
}

export const NO_CGROUP: Cgroup = { paths: [], procs: [] };

const REMOVE_ATTEMPTS = 50;
const REMOVE_PAUSE_MS = 10;

export interface CgroupRequest {
  readonly cgroupsPath: string;
  readonly systemd: boolean;
  readonly resources: LinuxResources;
  readonly hierarchies: readonly Hierarchy[];
}

/** What createCgroup may make: to be remembered before it does, or a killed command would leak it. */
export function plannedCgroups(request: CgroupRequest): string[] {
  const below = cgroupPath(request.cgroupsPath, request.systemd);
  if (below === '') return [];
  return request.hierarchies.map((hierarchy) => cgroupDirectory(hierarchy, below));
}

/** Makes the cgroups with their limits. Nothing is left behind when it fails. */
export function createCgroup(request: CgroupRequest): Cgroup {
  const below = cgroupPath(request.cgroupsPath, request.systemd);
  if (below === '') return NO_CGROUP;
  const paths: string[] = [];
  const procs: string[] = [];
  try {
    for (const hierarchy of request.hierarchies) {
      const directory = cgroupDirectory(hierarchy, below);
      const settings = settingsFor(hierarchy, request.resources);
      if (!makeDirectory(hierarchy, directory, settings)) continue;
      paths.push(directory);
      for (const setting of settings) apply(directory, setting);
      procs.push(`${directory}/cgroup.procs`);
    }
  } catch (thrown) {
    removeCgroup(paths, () => {});
    throw thrown;
  }
  return { paths, procs };
}

/** The settings that belong into one hierarchy. */
function settingsFor(hierarchy: Hierarchy, resources: LinuxResources): Setting[] {
  if (hierarchy.version === 2) return settingsV2(resources);
  return settingsV1(resources).filter((setting) =>
    hierarchy.controllers.includes(setting.controller),
  );
}

/** False when the hierarchy is not ours to write and nothing is asked of it. */
function makeDirectory(
  hierarchy: Hierarchy,
  directory: string,
  settings: readonly Setting[],
): boolean {
  try {
    if (hierarchy.version === 2) enableControllers(hierarchy, directory, settings);
    fs.mkdirSync(directory, { recursive: true, mode: 0o755 });
    if (hierarchy.controllers.includes('cpuset')) inheritCpuset(hierarchy.mountPoint, directory);
    return true;
  } catch (thrown) {
    const first = settings[0];
    const denied = ['EACCES', 'EPERM', 'EROFS'].includes(codeOf(thrown));
    if (denied && first === undefined) return false;
    const wanted = first === undefined ? '' : ` (wanted for linux.resources.${first.field})`;
    throw new Failure(
      `cannot make cgroup ${directory}${wanted}: ${messageOf(thrown)}: give rights to it or use --ignore-cgroups`,
    );
  }
}

/** Each ancestor must pass the controllers on before its children may use them. */
function enableControllers(
  hierarchy: Hierarchy,
  directory: string,
  settings: readonly Setting[],
): void {
  const available = new Set(
    fs.readFileSync(`${hierarchy.mountPoint}/cgroup.controllers`, 'utf8').trim().split(' '),
  );
  const wanted = ['cpu', 'cpuset', 'io', 'memory', 'pids'].filter((name) => available.has(name));
  const needed = new Set(settings.map((setting) => setting.controller));
  let at = hierarchy.mountPoint;
  for (const part of path.relative(hierarchy.mountPoint, path.dirname(directory)).split('/')) {
    if (part !== '') at += `/${part}`;
    fs.mkdirSync(at, { recursive: true, mode: 0o755 });
    for (const controller of wanted) {
      try {
        fs.writeFileSync(`${at}/cgroup.subtree_control`, `+${controller}`);
      } catch (thrown) {
        if (needed.has(controller)) throw thrown;
      }
    }
  }
}

/** A v1 cpuset starts empty, and an empty one takes no process. */
function inheritCpuset(mountPoint: string, directory: string): void {
  let at = mountPoint;
  for (const part of path.relative(mountPoint, directory).split('/')) {
    const parent = at;
    at += `/${part}`;
    for (const file of ['cpuset.cpus', 'cpuset.mems']) {
      if (fs.readFileSync(`${at}/${file}`, 'utf8').trim() !== '') continue;
      fs.writeFileSync(`${at}/${file}`, fs.readFileSync(`${parent}/${file}`));
    }
  }
}

function apply(directory: string, setting: Setting): void {
  const file = `${directory}/${setting.file}`;
  try {
    fs.writeFileSync(file, setting.value);
  } catch (thrown) {
    // Kernels without swap accounting and hosts without the BFQ scheduler lack these files, and
    // Docker sets them all the same.
    const optional = /memsw|swap\.max|blkio\.weight|bfq/.test(setting.file);
    if (optional && codeOf(thrown) !== 'EINVAL') return;
    throw new Failure(
      `config.json: linux.resources.${setting.field}: cannot write "${setting.value}" to ${file}: ${messageOf(thrown)}`,
    );
  }
}

/** Removes the directories; processes that are about to be gone get half a second. */
export function removeCgroup(paths: readonly string[], warn: (message: string) => void): void {
  for (const directory of [...paths].reverse()) {
    for (let attempt = 0; ; attempt++) {
      try {
        fs.rmdirSync(directory);
        break;
      } catch (thrown) {
        if (codeOf(thrown) === 'ENOENT') break;
        if (codeOf(thrown) !== 'EBUSY' || attempt >= REMOVE_ATTEMPTS) {
          warn(`cannot remove cgroup ${directory}: ${messageOf(thrown)}`);
          break;
        }
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, REMOVE_PAUSE_MS);
      }
    }
  }
}
