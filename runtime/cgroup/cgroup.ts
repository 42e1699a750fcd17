/**
 * The container's cgroups: makes them, sets their limits, names the files to join by, changes the
 * limits, removes them. A hierarchy that we may not write is skipped where nothing was asked of it;
 * a limit that cannot be set is an error that names it.
 */

import * as fs from 'node:fs';
import * as path from 'node:path';
import type { LinuxResources } from '../../spec/oci/config.ts';
import { codeOf, Failure, messageOf } from '../cli/failure.ts';
import { cgroupDirectory } from './cgroup_path.ts';
import type { Hierarchy } from './hierarchy.ts';
import { type Setting, settingsV1, settingsV2 } from './settings.ts';

const REMOVE_ATTEMPTS = 50;
const REMOVE_PAUSE_MS = 10;

export interface CgroupRequest {
  /** cgroupPath of what the configuration says; '' for none. */
  readonly cgroupsPath: string;
  /** Join also hierarchies that nothing is asked of: systemd's own must be among them. */
  readonly everyHierarchy: boolean;
  readonly resources: LinuxResources;
  readonly hierarchies: readonly Hierarchy[];
  /** A limit that cannot be set is told and left out, instead of an error: a plain user's. */
  readonly mayLack?: boolean;
  /** Told what an optional setting came to. */
  readonly warn: (message: string) => void;
}

/** Whether `resources` asks for anything that takes a cgroup. */
export function limitsAnything(resources: LinuxResources): boolean {
  return settingsV1(resources).length + settingsV2(resources).length > 0;
}

/** What createCgroup may make: to be remembered before it does, or a killed command would leak it. */
export function plannedCgroups(request: CgroupRequest): string[] {
  if (request.cgroupsPath === '') return [];
  return usedHierarchies(request).map((hierarchy) =>
    cgroupDirectory(hierarchy, request.cgroupsPath),
  );
}

/** Takes what a limit failed by: throws it, or goes on without. */
type Refuse = (problem: unknown) => void;

const strictly: Refuse = (problem) => {
  throw problem;
};

/** Makes the cgroups with their limits: their directories. Nothing is left behind when it fails. */
export function createCgroup(request: CgroupRequest): string[] {
  const paths: string[] = [];
  const mayLack = request.mayLack === true;
  const refuse: Refuse = (problem) => {
    if (!mayLack) throw problem;
    request.warn(messageOf(problem));
  };
  try {
    refuseHomeless(request, refuse);
    for (const hierarchy of usedHierarchies(request)) {
      const directory = cgroupDirectory(hierarchy, request.cgroupsPath);
      const settings = settingsFor(hierarchy, request.resources);
      if (!makeDirectory(hierarchy, directory, settings, mayLack, refuse)) continue;
      paths.push(directory);
      applyAll(directory, settings, request.warn, refuse);
    }
  } catch (thrown) {
    removeCgroup(paths, () => {});
    throw thrown;
  }
  return paths;
}

/** Changes the limits of cgroups that createCgroup made (`paths`), as `runsc update` asks. */
export function updateCgroup(
  paths: readonly string[],
  request: Omit<CgroupRequest, 'cgroupsPath' | 'everyHierarchy'>,
): void {
  const homes = request.hierarchies.flatMap((hierarchy) => {
    const directory = paths.find((one) => one.startsWith(`${hierarchy.mountPoint}/`));
    return directory === undefined ? [] : [{ hierarchy, directory }];
  });
  refuseHomeless({ ...request, hierarchies: homes.map((home) => home.hierarchy) }, strictly);
  for (const { hierarchy, directory } of homes) {
    applyAll(directory, settingsFor(hierarchy, request.resources), request.warn, strictly);
  }
}

function usedHierarchies(request: CgroupRequest): Hierarchy[] {
  return request.hierarchies.filter(
    (hierarchy) =>
      request.everyHierarchy ||
      !hierarchy.beside ||
      settingsFor(hierarchy, request.resources).length > 0,
  );
}

/** The settings that belong into one hierarchy. */
function settingsFor(hierarchy: Hierarchy, resources: LinuxResources): Setting[] {
  const all = hierarchy.version === 2 ? settingsV2(resources) : settingsV1(resources);
  return all.filter(({ controller }) => isHome(hierarchy, controller));
}

function isHome(hierarchy: Hierarchy, controller: string): boolean {
  // cgroup.max.depth and its kin belong to no controller.
  const core = hierarchy.version === 2 && !hierarchy.beside && controller === 'cgroup';
  return core || hierarchy.controllers.includes(controller);
}

/** A limit whose controller is mounted nowhere would silently not hold. */
function refuseHomeless(
  request: Pick<CgroupRequest, 'resources' | 'hierarchies' | 'warn'>,
  refuse: Refuse,
): void {
  const { hierarchies, resources } = request;
  const placed = new Set(
    hierarchies.flatMap((one) => settingsFor(one, resources)).map((setting) => setting.field),
  );
  // Where there is only v2, what only v1 knows (swappiness, real time) is ignored, as runc does.
  const unified = hierarchies.every((one) => one.version === 2) && hierarchies.length > 0;
  const asked = unified ? [] : settingsV1(resources);
  for (const { field, file, optional } of [...asked, ...settingsV2(resources)]) {
    if (placed.has(field)) continue;
    const problem = `linux.resources.${field}: no cgroup hierarchy of this host has ${file}`;
    if (optional) request.warn(problem);
    else {
      refuse(new Failure(`config.json: ${problem}: mount its controller or use --ignore-cgroups`));
    }
    placed.add(field);
  }
}

/** False when the hierarchy is not ours to write and nothing is asked of it, or it was told. */
function makeDirectory(
  hierarchy: Hierarchy,
  directory: string,
  settings: readonly Setting[],
  mayLack: boolean,
  refuse: Refuse,
): boolean {
  try {
    if (hierarchy.version === 2) enableControllers(hierarchy, directory, settings, mayLack);
    fs.mkdirSync(directory, { recursive: true, mode: 0o755 });
    if (hierarchy.controllers.includes('cpuset') && hierarchy.version === 1) {
      inheritCpuset(hierarchy.mountPoint, directory);
    }
    return true;
  } catch (thrown) {
    removeCgroup([directory], () => {});
    const first = settings[0];
    const denied = ['EACCES', 'EPERM', 'EROFS'].includes(codeOf(thrown));
    if (denied && first === undefined) return false;
    const wanted = first === undefined ? '' : ` (wanted for linux.resources.${first.field})`;
    refuse(
      new Failure(
        `cannot make cgroup ${directory}${wanted}: ${messageOf(thrown)}: give rights to it or use --ignore-cgroups`,
      ),
    );
    return false;
  }
}

/** Each ancestor must pass the controllers on before its children may use them. */
function enableControllers(
  hierarchy: Hierarchy,
  directory: string,
  settings: readonly Setting[],
  mayLack: boolean,
): void {
  const usual = ['cpu', 'cpuset', 'io', 'memory', 'pids', 'hugetlb'];
  const needed = new Set(settings.map((setting) => setting.controller));
  const wanted = hierarchy.controllers.filter((name) => usual.includes(name) || needed.has(name));
  let at = hierarchy.mountPoint;
  for (const part of path.relative(hierarchy.mountPoint, path.dirname(directory)).split('/')) {
    if (part !== '') at += `/${part}`;
    fs.mkdirSync(at, { recursive: true, mode: 0o755 });
    // Those above us may be somebody else's, who has passed on what he wanted to.
    const passed = passedOn(at);
    for (const controller of wanted) {
      if (passed.includes(controller)) continue;
      try {
        fs.writeFileSync(`${at}/cgroup.subtree_control`, `+${controller}`);
      } catch (thrown) {
        // Otherwise what needs it is told to be without.
        if (needed.has(controller) && !mayLack) throw thrown;
      }
    }
  }
}

function passedOn(directory: string): string[] {
  try {
    return fs.readFileSync(`${directory}/cgroup.subtree_control`, 'utf8').trim().split(' ');
  } catch {
    return [];
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

/**
 * The kernel checks some limits against each other (memory against memory+swap, quota against
 * period), so which order is right depends on what was there: what it refuses is tried again last.
 */
function applyAll(
  directory: string,
  settings: readonly Setting[],
  warn: (message: string) => void,
  refuse: Refuse,
): void {
  const attempt = (setting: Setting, before = ''): string => {
    try {
      return apply(directory, setting, before);
    } catch (thrown) {
      refuse(thrown);
      return '';
    }
  };
  const refused = settings.filter((setting) => attempt(setting) === 'EINVAL');
  for (const setting of refused) attempt(setting, 'EINVAL');
  for (const setting of settings) {
    if (setting.optional && !fs.existsSync(`${directory}/${setting.file}`)) {
      warn(`linux.resources.${setting.field}: this kernel has no ${setting.file}`);
    }
  }
}

/** '' or the code of the error that may be cured; throws on any other. */
function apply(directory: string, setting: Setting, before = ''): string {
  const file = `${directory}/${setting.file}`;
  try {
    fs.writeFileSync(file, setting.value);
    return '';
  } catch (thrown) {
    const code = codeOf(thrown);
    if (code === 'EINVAL' && before === '') return code;
    if (setting.optional && !fs.existsSync(file)) return '';
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
