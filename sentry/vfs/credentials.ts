/**
 * Credentials of a task: ids, groups and capabilities (credentials(7), capabilities(7)).
 *
 * Immutable: changes make a new object, so a file opened long ago keeps its opener's credentials.
 * A capability set holds at most 41 bits and is one Number: exact, and tested by division.
 */

/** Bit set over CAP_* as a Number below 2^41. */
export type CapabilitySet = number;

export const NO_CAPABILITIES: CapabilitySet = 0;
export const ALL_CAPABILITIES: CapabilitySet = 2 ** 41 - 1;

export function hasCapability(set: CapabilitySet, cap: number): boolean {
  return Math.floor(set / 2 ** cap) % 2 === 1;
}

/** Set operations bit by bit on two 32-bit halves, because JavaScript's operators stop at 32. */
export function intersectCapabilities(a: CapabilitySet, b: CapabilitySet): CapabilitySet {
  return ((a & b) >>> 0) + ((a / 2 ** 32) & (b / 2 ** 32)) * 2 ** 32;
}

export function uniteCapabilities(a: CapabilitySet, b: CapabilitySet): CapabilitySet {
  return ((a | b) >>> 0) + ((a / 2 ** 32) | (b / 2 ** 32)) * 2 ** 32;
}

export interface CredentialFields {
  readonly uid: number;
  readonly euid: number;
  readonly suid: number;
  readonly fsuid: number;
  readonly gid: number;
  readonly egid: number;
  readonly sgid: number;
  readonly fsgid: number;
  /** Supplementary groups, sorted. */
  readonly groups: readonly number[];
  readonly permitted: CapabilitySet;
  readonly effective: CapabilitySet;
  readonly inheritable: CapabilitySet;
  readonly bounding: CapabilitySet;
  readonly ambient: CapabilitySet;
  /** SECBIT_* of prctl(PR_SET_SECUREBITS). */
  readonly securebits: number;
  readonly noNewPrivs: boolean;
}

export class Credentials implements CredentialFields {
  readonly uid: number;
  readonly euid: number;
  readonly suid: number;
  readonly fsuid: number;
  readonly gid: number;
  readonly egid: number;
  readonly sgid: number;
  readonly fsgid: number;
  readonly groups: readonly number[];
  readonly permitted: CapabilitySet;
  readonly effective: CapabilitySet;
  readonly inheritable: CapabilitySet;
  readonly bounding: CapabilitySet;
  readonly ambient: CapabilitySet;
  readonly securebits: number;
  readonly noNewPrivs: boolean;

  constructor(f: CredentialFields) {
    this.uid = f.uid;
    this.euid = f.euid;
    this.suid = f.suid;
    this.fsuid = f.fsuid;
    this.gid = f.gid;
    this.egid = f.egid;
    this.sgid = f.sgid;
    this.fsgid = f.fsgid;
    this.groups = f.groups;
    this.permitted = f.permitted;
    this.effective = f.effective;
    this.inheritable = f.inheritable;
    this.bounding = f.bounding;
    this.ambient = f.ambient;
    this.securebits = f.securebits;
    this.noNewPrivs = f.noNewPrivs;
  }

  /** One user and group with the given capabilities in permitted, effective and bounding. */
  static of(uid: number, gid: number, groups: readonly number[], caps: CapabilitySet): Credentials {
    return new Credentials({
      uid,
      euid: uid,
      suid: uid,
      fsuid: uid,
      gid,
      egid: gid,
      sgid: gid,
      fsgid: gid,
      groups: [...groups].sort((a, b) => a - b),
      permitted: caps,
      effective: caps,
      inheritable: NO_CAPABILITIES,
      bounding: caps,
      ambient: NO_CAPABILITIES,
      securebits: 0,
      noNewPrivs: false,
    });
  }

  /** Itself when nothing changes: what is known of these credentials then stays known. */
  with(changes: Partial<CredentialFields>): Credentials {
    let name: keyof CredentialFields;
    for (name in changes) {
      if (changes[name] !== this[name]) return new Credentials({ ...this, ...changes });
    }
    return this;
  }

  /** Whether `cap` is in the effective set. */
  has(cap: number): boolean {
    return hasCapability(this.effective, cap);
  }

  /** Whether `gid` is the file-system group or a supplementary one. */
  inGroup(gid: number): boolean {
    return this.fsgid === gid || this.groups.includes(gid);
  }
}
