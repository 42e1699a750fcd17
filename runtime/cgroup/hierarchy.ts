/**
 * Which cgroup hierarchies the host has (cgroups(7)): one unified one (v2), or one per controller
 * (v1, /proc/self/mountinfo tells where). Reads only; the file system root is a parameter so that
 * a test can hand it a tree of its own.
 */

import * as fs from 'node:fs';

export interface Hierarchy {
  readonly version: 1 | 2;
  /** v1: the controllers (and name=systemd) mounted together here; v2: empty. */
  readonly controllers: readonly string[];
  /** Where it is mounted. */
  readonly mountPoint: string;
  /** Our own cgroup in it, from /proc/self/cgroup; '/' at the top. */
  readonly ownPath: string;
}

const CGROUP2_FILE = 'cgroup.controllers';

/** The hierarchies to use: the unified one alone where /sys/fs/cgroup is it, else all of v1. */
export function findHierarchies(hostRoot = ''): Hierarchy[] {
  const own = ownPaths(read(`${hostRoot}/proc/self/cgroup`));
  const top = `${hostRoot}/sys/fs/cgroup`;
  if (fs.existsSync(`${top}/${CGROUP2_FILE}`)) {
    return [{ version: 2, controllers: [], mountPoint: top, ownPath: own.get('') ?? '/' }];
  }
  const found: Hierarchy[] = [];
  for (const line of read(`${hostRoot}/proc/self/mountinfo`).split('\n')) {
    const [before, after] = line.split(' - ');
    const mountPoint = before?.split(' ')[4];
    const [type, , options] = after?.split(' ') ?? [];
    if (mountPoint === undefined || type !== 'cgroup' || options === undefined) continue;
    const controllers = options.split(',').filter((option) => own.has(option));
    if (controllers.length === 0) continue;
    const ownPath = own.get(controllers[0] ?? '') ?? '/';
    found.push({ version: 1, controllers, mountPoint: hostRoot + mountPoint, ownPath });
  }
  return found;
}

/** Maps each controller (v2: '') to this process's cgroup. */
function ownPaths(text: string): Map<string, string> {
  const paths = new Map<string, string>();
  for (const line of text.split('\n')) {
    const match = /^\d+:([^:]*):(.*)$/.exec(line);
    if (match === null) continue;
    for (const controller of (match[1] ?? '').split(',')) paths.set(controller, match[2] ?? '/');
  }
  return paths;
}

function read(file: string): string {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
