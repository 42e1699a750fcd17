/**
 * What the specification demands of a configuration beyond the shape of its JSON: names that must be
 * known, lists without duplicates, fields that need each other.
 *
 * Each check returns null or `field: must ... (got ...): fix`, on one line.
 */

import { capabilityNumber } from '../linux/capability.ts';
import { RLIMIT_NAMES } from '../linux/resource.ts';
import type {
  Capabilities,
  Config,
  Device,
  IdMapping,
  Linux,
  Mount,
  Process,
  Rlimit,
} from './config.ts';

export function checkConfig(config: Config): string | null {
  return (
    checkProcess(config.process, 'process.') ??
    checkMounts(config.mounts ?? []) ??
    checkLinux(config.linux ?? {})
  );
}

/** `prefix` goes before field names: `process.` in config.json. */
export function checkProcess(process: Process, prefix = ''): string | null {
  if (process.args[0] === '') {
    return `${prefix}args[0]: must not be empty (got ""): give the program to run`;
  }
  return (
    checkCapabilities(process.capabilities ?? {}, `${prefix}capabilities`) ??
    checkRlimits(process.rlimits ?? [], `${prefix}rlimits`)
  );
}

function checkCapabilities(capabilities: Capabilities, field: string): string | null {
  const sets = ['bounding', 'effective', 'inheritable', 'permitted', 'ambient'] as const;
  for (const set of sets) {
    for (const [index, name] of (capabilities[set] ?? []).entries()) {
      if (capabilityNumber(name) >= 0) continue;
      const fix = 'remove it, or spell it as capabilities(7) does';
      return `${field}.${set}[${index}]: must be a capability (got ${quote(name)}): ${fix}`;
    }
  }
  return null;
}

function checkRlimits(rlimits: readonly Rlimit[], field: string): string | null {
  const seen = new Set<string>();
  for (const [index, { type, soft, hard }] of rlimits.entries()) {
    const at = `${field}[${index}]`;
    if (!RLIMIT_NAMES.includes(type)) {
      return `${at}.type: must be one of ${RLIMIT_NAMES.join(', ')} (got ${quote(type)}): correct it`;
    }
    if (seen.has(type)) return `${at}.type: must be there once (got ${type} again): remove one`;
    if (soft > hard) {
      return `${at}.soft: must be at most the hard limit, ${hard} (got ${soft}): lower it`;
    }
    seen.add(type);
  }
  return null;
}

function checkMounts(mounts: readonly Mount[]): string | null {
  for (const [index, mount] of mounts.entries()) {
    const options = mount.options ?? [];
    const bind = mount.type === 'bind' || options.includes('bind') || options.includes('rbind');
    if (bind && (mount.source ?? '') === '') {
      const fix = `name the host path to mount at ${quote(mount.destination)}`;
      return `mounts[${index}].source: must be a path for a bind mount (got nothing): ${fix}`;
    }
    if (!bind && (mount.type ?? '') === '') {
      const fix = 'add "type", or the option "bind"';
      return `mounts[${index}].type: must be a file system type (got nothing): ${fix}`;
    }
  }
  return null;
}

function checkLinux(linux: Linux): string | null {
  const seen = new Set<string>();
  for (const [index, { type }] of (linux.namespaces ?? []).entries()) {
    if (seen.has(type)) {
      const at = `linux.namespaces[${index}].type`;
      return `${at}: must be there once (got ${quote(type)} again): remove one`;
    }
    seen.add(type);
  }
  for (const key of ['uidMappings', 'gidMappings'] as const) {
    const mappings = linux[key] ?? [];
    if (mappings.length > 0 && !seen.has('user')) {
      const fix = 'add {"type": "user"} to linux.namespaces';
      return `linux.${key}: must come with a user namespace (got none): ${fix}`;
    }
    const wrong = checkIdMappings(mappings, `linux.${key}`);
    if (wrong !== null) return wrong;
  }
  for (const file of Object.keys(linux.resources?.unified ?? {})) {
    if (/^[a-z_]+\.[\w.]+$/.test(file)) continue;
    const fix = 'name a file of cgroup v2, such as "memory.high"';
    return `linux.resources.unified: must name files without a path (got ${quote(file)}): ${fix}`;
  }
  for (const [index, device] of (linux.devices ?? []).entries()) {
    const wrong = checkDevice(device, `linux.devices[${index}]`);
    if (wrong !== null) return wrong;
  }
  return null;
}

/** Linux refuses a map whose ranges overlap on either side, or wrap around. */
function checkIdMappings(mappings: readonly IdMapping[], field: string): string | null {
  for (const [index, mapping] of mappings.entries()) {
    const at = `${field}[${index}]`;
    if (mapping.size === 0) return `${at}.size: must be at least 1 (got 0): correct or remove it`;
    for (const side of ['containerID', 'hostID'] as const) {
      const start = mapping[side];
      if (start + mapping.size > 2 ** 32) {
        return `${at}: must end below 4294967296 (got ${start} + ${mapping.size}): lower "size"`;
      }
      const other = mappings
        .slice(0, index)
        .findIndex((m) => start < m[side] + m.size && m[side] < start + mapping.size);
      if (other >= 0) {
        return `${at}.${side}: must not overlap ${field}[${other}] (got ${start}): separate them`;
      }
    }
  }
  return null;
}

function checkDevice(device: Device, field: string): string | null {
  if (device.type === 'p') return null;
  for (const key of ['major', 'minor'] as const) {
    if (device[key] === undefined) {
      return `${field}.${key}: must be given for type ${quote(device.type)} (got nothing): add it`;
    }
  }
  return null;
}

function quote(text: string): string {
  return JSON.stringify(text.slice(0, 60));
}
