/**
 * Capabilities of a thread (capget(2), capset(2)).
 */

import {
  _LINUX_CAPABILITY_VERSION_1,
  _LINUX_CAPABILITY_VERSION_2,
  _LINUX_CAPABILITY_VERSION_3,
  CAP_SETPCAP,
} from '../../spec/linux/capability.ts';
import { EFAULT, EINVAL, EPERM, ESRCH } from '../../spec/linux/errno.ts';
import { USER_CAP_DATA, USER_CAP_HEADER } from '../../spec/linux/layout/process.ts';
import { SYS_capget, SYS_capset } from '../../spec/linux/syscall_numbers.ts';
import { adoptCredentials } from '../kernel/credential_changes.ts';
import type { SyscallArgs } from '../kernel/syscall_args.ts';
import type { SyscallFragment } from '../kernel/syscall_table.ts';
import type { Task } from '../kernel/task.ts';
import {
  ALL_CAPABILITIES,
  type CapabilitySet,
  type Credentials,
  intersectCapabilities,
  uniteCapabilities,
} from '../vfs/credentials.ts';

const TWO_32 = 2 ** 32;

interface Header {
  readonly pid: number;
  /** How many USER_CAP_DATA follow: 1 or 2. */
  readonly words: number;
}

/** The header; an unknown version is answered with the preferred one written back, -EINVAL. */
function readHeader(t: Task, addr: number): Header | number {
  const bytes = new Uint8Array(USER_CAP_HEADER.size);
  if (t.mm.copyIn(addr, bytes) < 0) return -EFAULT;
  const { version, pid } = USER_CAP_HEADER.decode(bytes);
  if (version === _LINUX_CAPABILITY_VERSION_1) return { pid, words: 1 };
  if (version === _LINUX_CAPABILITY_VERSION_2 || version === _LINUX_CAPABILITY_VERSION_3) {
    return { pid, words: 2 };
  }
  return t.mm.writeU32(addr, _LINUX_CAPABILITY_VERSION_3) < 0 ? -EFAULT : -EINVAL;
}

function word(set: CapabilitySet, i: number): number {
  return i === 0 ? set % TWO_32 : Math.floor(set / TWO_32);
}

/** capget(2). */
export function sysCapget(t: Task, a: SyscallArgs): number {
  const dataAddr = a.addr(1);
  const header = readHeader(t, a.addr(0));
  if (typeof header === 'number') return dataAddr === 0 && header === -EINVAL ? 0 : header;
  if (header.pid < 0) return -EINVAL;
  const target = header.pid === 0 ? t : t.container.pids.tasks.get(header.pid);
  if (target === undefined) return -ESRCH;
  if (dataAddr === 0) return 0;
  const bytes = new Uint8Array(USER_CAP_DATA.size * header.words);
  const c = target.creds;
  for (let i = 0; i < header.words; i++) {
    const at = i * USER_CAP_DATA.size;
    USER_CAP_DATA.encode(
      {
        effective: word(c.effective, i),
        permitted: word(c.permitted, i),
        inheritable: word(c.inheritable, i),
      },
      bytes,
      at,
    );
  }
  return t.mm.copyOut(dataAddr, bytes);
}

function isSubset(set: CapabilitySet, of: CapabilitySet): boolean {
  return intersectCapabilities(set, of) === set;
}

/** capset(2). */
export function sysCapset(t: Task, a: SyscallArgs): number {
  const header = readHeader(t, a.addr(0));
  if (typeof header === 'number') return header;
  if (header.pid !== 0 && header.pid !== t.tid) return -EPERM;
  const bytes = new Uint8Array(USER_CAP_DATA.size * header.words);
  if (t.mm.copyIn(a.addr(1), bytes) < 0) return -EFAULT;
  const sets = { effective: 0, permitted: 0, inheritable: 0 };
  for (let i = 0; i < header.words; i++) {
    const data = USER_CAP_DATA.decode(bytes, i * USER_CAP_DATA.size);
    sets.effective += data.effective * TWO_32 ** i;
    sets.permitted += data.permitted * TWO_32 ** i;
    sets.inheritable += data.inheritable * TWO_32 ** i;
  }
  return setCapabilities(
    t,
    intersectCapabilities(sets.effective, ALL_CAPABILITIES),
    intersectCapabilities(sets.permitted, ALL_CAPABILITIES),
    intersectCapabilities(sets.inheritable, ALL_CAPABILITIES),
  );
}

function setCapabilities(
  t: Task,
  effective: CapabilitySet,
  permitted: CapabilitySet,
  inheritable: CapabilitySet,
): number {
  const c: Credentials = t.creds;
  const inheritsOwn = isSubset(inheritable, uniteCapabilities(c.inheritable, c.permitted));
  if (!c.has(CAP_SETPCAP) && !inheritsOwn) return -EPERM;
  if (!isSubset(inheritable, uniteCapabilities(c.inheritable, c.bounding))) return -EPERM;
  if (!isSubset(permitted, c.permitted) || !isSubset(effective, permitted)) return -EPERM;
  const both = intersectCapabilities(permitted, inheritable);
  const ambient = intersectCapabilities(c.ambient, both);
  adoptCredentials(t, c.with({ effective, permitted, inheritable, ambient }));
  return 0;
}

export const capabilitySyscalls: SyscallFragment = {
  [SYS_capget]: { name: 'capget', args: 'hex hex', fn: sysCapget },
  [SYS_capset]: { name: 'capset', args: 'hex hex', fn: sysCapset },
};
