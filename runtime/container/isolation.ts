/**
 * What a configuration may ask for and a sandbox cannot give: a part of the host, or of another
 * container. Such a container is refused, with the field's name, rather than run in another way than
 * was asked. docs/security.md lists what is accepted without effect instead, and why.
 */

import type { Config, Device, Linux, NamespaceType } from '../../spec/oci/config.ts';

/** Namespaces that docker leaves out of the list to ask for the host's. */
const OWN_ALWAYS: readonly NamespaceType[] = ['pid', 'ipc', 'mount'];

/** The devices that every sandbox has, at their usual places: major and minor. */
const DEVICES: Readonly<Record<string, readonly [number, number]>> = {
  '/dev/null': [1, 3],
  '/dev/zero': [1, 5],
  '/dev/full': [1, 7],
  '/dev/random': [1, 8],
  '/dev/urandom': [1, 9],
  '/dev/tty': [5, 0],
  '/dev/console': [5, 1],
  '/dev/ptmx': [5, 2],
};

/** Null, or one line that names the field, the reason and what to do. */
export function refusal(config: Config): string | null {
  const linux = config.linux ?? {};
  return (
    refusedNamespace(linux) ??
    refusedMapping(linux) ??
    refusedDevice(linux) ??
    refusedPropagation(config) ??
    refusedRest(linux)
  );
}

/** A list that names no namespace at all leaves the choice to us. */
function refusedNamespace({ namespaces = [] }: Linux): string | null {
  for (const [index, { type, path }] of namespaces.entries()) {
    if (path === undefined || path === '' || type === 'network') continue;
    const got = `linux.namespaces[${index}].path: cannot join the ${type} namespace ${path}`;
    return `${got}: a sandbox has a kernel of its own, and no other container's: remove the path`;
  }
  if (namespaces.length === 0) return null;
  for (const type of OWN_ALWAYS) {
    if (namespaces.some((namespace) => namespace.type === type)) continue;
    const flag = type === 'mount' ? '' : ` (docker: leave out --${type}=host)`;
    const fix = `add {"type": "${type}"}${flag}`;
    return `linux.namespaces: cannot share the host's ${type} namespace with a sandbox: ${fix}`;
  }
  return null;
}

function refusedMapping(linux: Linux): string | null {
  for (const key of ['uidMappings', 'gidMappings'] as const) {
    for (const [index, { containerID, hostID }] of (linux[key] ?? []).entries()) {
      if (containerID === hostID) continue;
      const got = `linux.${key}[${index}]: cannot map ${containerID} to ${hostID}`;
      return `${got}: owners of files are shown as they are: leave the mapping out (docker: --userns=host)`;
    }
  }
  return null;
}

function refusedDevice({ devices = [] }: Linux): string | null {
  for (const [index, device] of devices.entries()) {
    if (isOwn(device)) continue;
    const number = `${device.type} ${device.major ?? 0}:${device.minor ?? 0}`;
    const got = `linux.devices[${index}]: cannot give ${device.path} (${number})`;
    return `${got}: a sandbox reaches no device of the host: leave it out (docker: no --device, no --privileged)`;
  }
  return null;
}

function isOwn({ type, path, major, minor }: Device): boolean {
  const known = Object.hasOwn(DEVICES, path) ? DEVICES[path] : undefined;
  const character = type === 'c' || type === 'u';
  return character && known !== undefined && known[0] === major && known[1] === minor;
}

/** What is mounted in a sandbox never shows on the host. */
function refusedPropagation({ linux, mounts = [] }: Config): string | null {
  const fix = 'ask for "private" or "slave"';
  const root = linux?.rootfsPropagation ?? '';
  if (/^r?shared$/.test(root)) {
    return `linux.rootfsPropagation: cannot be "${root}": the host sees no mount of a sandbox: ${fix}`;
  }
  for (const [index, { options = [] }] of mounts.entries()) {
    const shared = options.find((option) => /^r?shared$/.test(option));
    if (shared === undefined) continue;
    return `mounts[${index}].options: cannot be "${shared}": the host sees no mount of a sandbox: ${fix}`;
  }
  return null;
}

function refusedRest(linux: Linux): string | null {
  if ((linux.seccomp?.listenerPath ?? '') !== '') {
    return 'linux.seccomp.listenerPath: cannot be served: no system call of a sandbox reaches the host: remove it';
  }
  if (linux.intelRdt !== undefined) {
    return 'linux.intelRdt: cannot be applied: remove it';
  }
  for (const [clock, { secs = 0, nanosecs = 0 }] of Object.entries(linux.timeOffsets ?? {})) {
    if (secs !== 0 || nanosecs !== 0) {
      return `linux.timeOffsets.${clock}: cannot be applied: a sandbox has the host's clocks: remove it`;
    }
  }
  return null;
}
