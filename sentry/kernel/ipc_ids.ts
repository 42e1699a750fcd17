/**
 * What the kinds of System V IPC share (sysvipc(7)): ids, keys and permissions. Counterpart of Linux's
 * ipc/util.c.
 *
 * An id is a slot and how often slots began anew: a stale one is told from one that never was.
 */
import { CAP_IPC_OWNER, CAP_SYS_ADMIN } from '../../spec/linux/capability.ts';
import { EACCES, EEXIST, EIDRM, EINVAL, ENOENT, ENOSPC, EPERM } from '../../spec/linux/errno.ts';
import { IPC_CREAT, IPC_EXCL, IPC_PRIVATE } from '../../spec/linux/ipc.ts';
import type { Credentials } from '../vfs/credentials.ts';

/** An id's slot is its lower 15 bits. */
const SLOTS = 2 ** 15;
const MAX_SEQUENCE = 2 ** 16;
/** Slots are taken in turn among at least so many. */
const LEAST_CYCLE = 64;
const PERMISSIONS = 0o777;

/** struct ipc_perm, and whether it may be used. */
export class IpcPermissions {
  id = -1;
  sequence = 0;
  key: number;
  /** Permission bits; what else SHM_STAT shows there is the kind's own. */
  mode: number;
  uid: number;
  gid: number;
  readonly cuid: number;
  readonly cgid: number;

  constructor(key: number, flags: number, creds: Credentials) {
    this.key = key;
    this.mode = flags & PERMISSIONS;
    this.uid = this.cuid = creds.euid;
    this.gid = this.cgid = creds.egid;
  }

  /** `wanted` are permission bits, of which any class will do (ipcperms). 0 or -EACCES. */
  check(creds: Credentials, wanted: number): number {
    const requested = ((wanted >> 6) | (wanted >> 3) | wanted) & 7;
    let granted = this.mode;
    if (creds.euid === this.cuid || creds.euid === this.uid) granted >>= 6;
    else if (creds.inGroup(this.cgid) || creds.inGroup(this.gid)) granted >>= 3;
    return (requested & ~granted) === 0 || creds.has(CAP_IPC_OWNER) ? 0 : -EACCES;
  }

  /** Who may change or remove it: 0 or -EPERM. */
  checkOwner(creds: Credentials): number {
    const owns = creds.euid === this.cuid || creds.euid === this.uid;
    return owns || creds.has(CAP_SYS_ADMIN) ? 0 : -EPERM;
  }

  /** IPC_SET. */
  set(to: { readonly uid: number; readonly gid: number; readonly mode: number }): number {
    if (to.uid === 0xffff_ffff || to.gid === 0xffff_ffff) return -EINVAL;
    this.uid = to.uid;
    this.gid = to.gid;
    this.mode = (this.mode & ~PERMISSIONS) | (to.mode & PERMISSIONS);
    return 0;
  }

  /** As struct ipc64_perm. */
  get fields() {
    const { key, uid, gid, cuid, cgid, mode, sequence } = this;
    return { key, uid, gid, cuid, cgid, mode, seq: sequence };
  }
}

export interface IpcObject {
  readonly permissions: IpcPermissions;
}

export class IpcIds<T extends IpcObject> {
  private readonly slots = new Map<number, T>();
  private readonly keys = new Map<number, T>();
  private readonly limit: number;
  private next = 0;
  private last = -1;
  private sequence = 0;

  /** `limit`: how many there may be. */
  constructor(limit: number) {
    this.limit = limit;
  }

  get count(): number {
    return this.slots.size;
  }

  all(): Iterable<T> {
    return this.slots.values();
  }

  /** The highest slot in use, 0 when there is none: what *_INFO return. */
  get highest(): number {
    let highest = 0;
    for (const slot of this.slots.keys()) highest = Math.max(highest, slot);
    return highest;
  }

  /**
   * shmget(2) and its like: the id of what `key` stands for, made if need be, or -errno. `fits` may
   * refuse what is there, `make` says why nothing can be made.
   */
  get(
    creds: Credentials,
    key: number,
    flags: number,
    fits: (present: T) => number,
    make: (permissions: IpcPermissions) => T | number,
  ): number {
    const present = key === IPC_PRIVATE ? undefined : this.keys.get(key);
    if (present !== undefined) {
      if ((flags & IPC_CREAT) !== 0 && (flags & IPC_EXCL) !== 0) return -EEXIST;
      const r = fits(present);
      if (r < 0) return r;
      const allowed = present.permissions.check(creds, flags);
      return allowed < 0 ? allowed : present.permissions.id;
    }
    if (key !== IPC_PRIVATE && (flags & IPC_CREAT) === 0) return -ENOENT;
    const made = make(new IpcPermissions(key, flags, creds));
    if (typeof made === 'number') return made;
    return this.slots.size >= this.limit ? -ENOSPC : this.add(made);
  }

  private add(made: T): number {
    const slot = this.freeSlot();
    if (slot <= this.last) this.sequence = (this.sequence + 1) % MAX_SEQUENCE;
    this.last = slot;
    this.next = slot + 1;
    this.slots.set(slot, made);
    const { permissions } = made;
    permissions.sequence = this.sequence;
    permissions.id = this.sequence * SLOTS + slot;
    if (permissions.key !== IPC_PRIVATE) this.keys.set(permissions.key, made);
    return permissions.id;
  }

  private freeSlot(): number {
    const cycle = Math.min(Math.max(Math.floor((this.slots.size * 3) / 2), LEAST_CYCLE), SLOTS);
    let slot = this.next < cycle ? this.next : 0;
    while (this.slots.has(slot)) slot = slot + 1 < cycle ? slot + 1 : 0;
    return slot;
  }

  /** -EINVAL for what is not there, -EIDRM for what was. */
  find(id: number): T | number {
    const found = this.slots.get(id % SLOTS);
    if (id < 0 || found === undefined) return -EINVAL;
    return found.permissions.id === id ? found : -EIDRM;
  }

  /** By slot, as *_STAT ask. */
  at(slot: number): T | number {
    return this.slots.get(slot % SLOTS) ?? -EINVAL;
  }

  /** Nobody finds it by its key any more. */
  forgetKey(object: T): void {
    const { permissions } = object;
    if (permissions.key !== IPC_PRIVATE) this.keys.delete(permissions.key);
    permissions.key = IPC_PRIVATE;
  }

  remove(object: T): void {
    this.forgetKey(object);
    this.slots.delete(object.permissions.id % SLOTS);
  }
}
