/**
 * Credentials after execve(2): set-user-ID files and the transformation of capabilities
 * (capabilities(7), "Transformation of capabilities during execve()").
 *
 * File capabilities (security.capability) are not honoured: the sandbox's root file system rarely has
 * them and a set-user-ID program covers the case.
 */
import { CAP_SETUID, SECBIT_KEEP_CAPS } from '../../spec/linux/capability.ts';
import {
  ALL_CAPABILITIES,
  type Credentials,
  intersectCapabilities,
  NO_CAPABILITIES,
  uniteCapabilities,
} from '../vfs/credentials.ts';

/** Ids taken from a set-ID file; -1 for none. */
export interface SetIds {
  readonly setUid: number;
  readonly setGid: number;
}

const SECBIT_NOROOT = 1;

/**
 * `observed`: somebody else can change root and working directory of the new program, who must not do so
 * to one with more rights than it had before (Linux: LSM_UNSAFE_SHARE).
 */
export function credentialsForExec(c: Credentials, ids: SetIds, observed: boolean): Credentials {
  let euid = ids.setUid >= 0 ? ids.setUid : c.euid;
  let egid = ids.setGid >= 0 ? ids.setGid : c.egid;
  const changed = ids.setUid >= 0 || ids.setGid >= 0;
  const ambient = changed ? NO_CAPABILITIES : c.ambient;
  const rootful = (c.securebits & SECBIT_NOROOT) === 0 && (euid === 0 || c.uid === 0);
  const fileSet = rootful ? ALL_CAPABILITIES : NO_CAPABILITIES;
  const fileEffective = rootful && euid === 0;
  let permitted = uniteCapabilities(
    uniteCapabilities(
      intersectCapabilities(c.inheritable, fileSet),
      intersectCapabilities(fileSet, c.bounding),
    ),
    ambient,
  );
  const gains =
    euid !== c.uid || egid !== c.gid || intersectCapabilities(permitted, c.permitted) !== permitted;
  if (observed && gains) {
    permitted = intersectCapabilities(permitted, c.permitted);
    if (!c.has(CAP_SETUID)) {
      euid = c.uid;
      egid = c.gid;
    }
  }
  return c.with({
    euid,
    egid,
    suid: euid,
    sgid: egid,
    fsuid: euid,
    fsgid: egid,
    ambient,
    permitted,
    effective: fileEffective ? permitted : ambient,
    securebits: c.securebits & ~SECBIT_KEEP_CAPS,
  });
}
