/**
 * What changing user ids does to capabilities (capabilities(7), "Effect of user ID changes on
 * capabilities"), and putting new credentials into force.
 */
import {
  CAP_CHOWN,
  CAP_DAC_OVERRIDE,
  CAP_DAC_READ_SEARCH,
  CAP_FOWNER,
  CAP_FSETID,
  CAP_LINUX_IMMUTABLE,
  CAP_MAC_OVERRIDE,
  CAP_MKNOD,
  SECBIT_KEEP_CAPS,
  SECBIT_NO_SETUID_FIXUP,
} from '../../spec/linux/capability.ts';
import {
  ALL_CAPABILITIES,
  type CapabilitySet,
  type CredentialFields,
  type Credentials,
  intersectCapabilities,
  NO_CAPABILITIES,
  uniteCapabilities,
} from '../vfs/credentials.ts';
import { memoryLimits } from './resource_limits.ts';
import type { Task } from './task.ts';

/** Those that follow the file-system user id. */
const FILE_CAPABILITIES: CapabilitySet = [
  CAP_CHOWN,
  CAP_DAC_OVERRIDE,
  CAP_DAC_READ_SEARCH,
  CAP_FOWNER,
  CAP_FSETID,
  CAP_LINUX_IMMUTABLE,
  CAP_MKNOD,
  CAP_MAC_OVERRIDE,
].reduce((set, cap) => set + 2 ** cap, 0);

export function withoutCapabilities(set: CapabilitySet, gone: CapabilitySet): CapabilitySet {
  return intersectCapabilities(set, ALL_CAPABILITIES - gone);
}

type UserIds = Partial<Pick<CredentialFields, 'uid' | 'euid' | 'suid' | 'fsuid'>>;

/** `c` with other user ids and the capabilities that go with them. */
export function withUserIds(c: Credentials, ids: UserIds): Credentials {
  const next = c.with(ids);
  if ((c.securebits & SECBIT_NO_SETUID_FIXUP) !== 0) return next;
  let { permitted, effective, ambient } = next;
  const wasRoot = c.uid === 0 || c.euid === 0 || c.suid === 0;
  const isRoot = next.uid === 0 || next.euid === 0 || next.suid === 0;
  if (wasRoot && !isRoot) {
    if ((c.securebits & SECBIT_KEEP_CAPS) === 0) {
      permitted = NO_CAPABILITIES;
      effective = NO_CAPABILITIES;
    }
    ambient = NO_CAPABILITIES;
  }
  if (c.euid === 0 && next.euid !== 0) effective = NO_CAPABILITIES;
  else if (c.euid !== 0 && next.euid === 0) effective = permitted;
  else if (c.fsuid === 0 && next.fsuid !== 0) {
    effective = withoutCapabilities(effective, FILE_CAPABILITIES);
  } else if (c.fsuid !== 0 && next.fsuid === 0) {
    const raised = intersectCapabilities(permitted, FILE_CAPABILITIES);
    effective = uniteCapabilities(effective, raised);
  }
  return next.with({ permitted, effective, ambient });
}

/** Gives `t` new credentials; a process that changed who it is can no longer be dumped. */
export function adoptCredentials(t: Task, next: Credentials): void {
  const old = t.creds;
  const changed =
    old.euid !== next.euid ||
    old.egid !== next.egid ||
    old.fsuid !== next.fsuid ||
    old.fsgid !== next.fsgid;
  const gained = withoutCapabilities(next.permitted, old.permitted) !== NO_CAPABILITIES;
  if (changed || gained) {
    t.group.dumpable = 0;
    t.parentDeathSignal = 0;
  }
  t.creds = next;
  t.mm.limits = memoryLimits(t.group.limits, next);
}
