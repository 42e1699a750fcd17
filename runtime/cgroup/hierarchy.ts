/**
 * Which cgroup hierarchies the host has (cgroups(7)): one unified one (v2), one per controller (v1),
 * or both, each controller in one of them. /proc/self/mountinfo tells where. Reads only; the file
 * system root is a parameter so that a test can hand it a tree of its own.
 */

import * as fs from 'node:fs';

export interface Hierarchy {
  readonly version: 1 | 2;
  /** v1: the controllers (and name=systemd) mounted together here; v2: those it offers. */
  readonly controllers: readonly string[];
  /** Where it is mounted. */
  readonly mountPoint: string;
  /** Our own cgroup, as a path below the mount point, from /proc/self/cgroup; '/' at the top. */
  readonly ownPath: string;
  /** v2 beside v1: used only where a limit asks for a controller of it. */
  readonly beside: boolean;
}

/** All hierarchies that are mounted, v1 before v2, each once. */
export function findHierarchies(hostRoot = ''): Hierarchy[] {
  const own = ownPaths(read(`${hostRoot}/proc/self/cgroup`));
  const v1: Hierarchy[] = [];
  const v2: Hierarchy[] = [];
  const seen = new Set<string>();
  for (const line of read(`${hostRoot}/proc/self/mountinfo`).split('\n')) {
    const [before, after] = line.split(' - ');
    const [, , device = '', top = '/', mounted] = before?.split(' ') ?? [];
    const [type, , options = ''] = after?.split(' ') ?? [];
    if (mounted === undefined || (type !== 'cgroup' && type !== 'cgroup2')) continue;
    // The same hierarchy, or a part of it, may be mounted in several places: the first counts.
    if (seen.has(device)) continue;
    const mountPoint = hostRoot + unescapeOctal(mounted);
    const version = type === 'cgroup2' ? 2 : 1;
    const controllers =
      version === 2
        ? read(`${mountPoint}/cgroup.controllers`).split(/\s+/).filter(Boolean)
        : options.split(',').filter((option) => own.has(option));
    if (version === 1 && controllers.length === 0) continue;
    seen.add(device);
    const ownPath = below(top, own.get(version === 2 ? '' : (controllers[0] ?? '')) ?? '/');
    const found: Hierarchy = { version, controllers, mountPoint, ownPath, beside: false };
    (version === 2 ? v2 : v1).push(found);
  }
  return [...v1, ...v2.map((hierarchy) => ({ ...hierarchy, beside: v1.length > 0 }))];
}

/** In a container the mount's top is not the hierarchy's. */
function below(top: string, own: string): string {
  if (top === '/' || !`${own}/`.startsWith(`${top}/`)) return own;
  return own.slice(top.length) || '/';
}

/** mountinfo writes blanks and backslashes as \ooo. */
function unescapeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
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
