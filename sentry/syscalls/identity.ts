/**
 * User and group ids (credentials(7), setuid(2), setreuid(2), setresuid(2), setfsuid(2), setgroups(2) and
 * their like). What the changes do to capabilities is in credential_changes.ts.
 */

import { CAP_SETGID, CAP_SETUID } from '../../spec/linux/capability.ts';
import { EFAULT, EINVAL, EPERM } from '../../spec/linux/errno.ts';
import {
  SYS_getegid,
  SYS_geteuid,
  SYS_getgid,
  SYS_getgroups,
  SYS_getresgid,
  SYS_getresuid,
  SYS_getuid,
  SYS_setfsgid,
  SYS_setfsuid,
  SYS_setgid,
  SYS_setgroups,
  SYS_setregid,
  SYS_setresgid,
  SYS_setresuid,
  SYS_setreuid,
  SYS_setuid,
} from '../../spec/linux/syscall_numbers.ts';
import { adoptCredentials, withUserIds } from '../kernel/credential_changes.ts';
import type { SyscallArgs } from '../kernel/syscall_args.ts';
import type { SyscallFragment } from '../kernel/syscall_table.ts';
import type { Task } from '../kernel/task.ts';

const NGROUPS_MAX = 65536;
/** (uid_t)-1: "leave it". */
const NO_CHANGE = 0xffffffff;

// User ids ---------------------------------------------------------------------------------------

export function sysGetuid(t: Task): number {
  return t.creds.uid;
}

export function sysGeteuid(t: Task): number {
  return t.creds.euid;
}

/** setuid(2). */
export function sysSetuid(t: Task, a: SyscallArgs): number {
  const uid = a.uint(0);
  const c = t.creds;
  if (uid === NO_CHANGE) return -EINVAL;
  if (c.has(CAP_SETUID)) {
    adoptCredentials(t, withUserIds(c, { uid, euid: uid, suid: uid, fsuid: uid }));
  } else if (uid === c.uid || uid === c.suid) {
    adoptCredentials(t, withUserIds(c, { euid: uid, fsuid: uid }));
  } else {
    return -EPERM;
  }
  return 0;
}

/** setreuid(2). */
export function sysSetreuid(t: Task, a: SyscallArgs): number {
  const ruid = a.uint(0);
  const euid = a.uint(1);
  const c = t.creds;
  if (!c.has(CAP_SETUID)) {
    if (ruid !== NO_CHANGE && ruid !== c.uid && ruid !== c.euid) return -EPERM;
    const known = euid === c.uid || euid === c.euid || euid === c.suid;
    if (euid !== NO_CHANGE && !known) return -EPERM;
  }
  const newEuid = euid === NO_CHANGE ? c.euid : euid;
  const newUid = ruid === NO_CHANGE ? c.uid : ruid;
  const savesEuid = ruid !== NO_CHANGE || (euid !== NO_CHANGE && euid !== c.uid);
  const suid = savesEuid ? newEuid : c.suid;
  adoptCredentials(t, withUserIds(c, { uid: newUid, euid: newEuid, suid, fsuid: newEuid }));
  return 0;
}

/** setresuid(2). */
export function sysSetresuid(t: Task, a: SyscallArgs): number {
  const wanted = [a.uint(0), a.uint(1), a.uint(2)];
  const c = t.creds;
  const own = [c.uid, c.euid, c.suid];
  const allowed = wanted.every((id) => id === NO_CHANGE || own.includes(id));
  if (!allowed && !c.has(CAP_SETUID)) return -EPERM;
  const [uid, euid, suid] = wanted.map((id, i) => (id === NO_CHANGE ? own[i] : id)) as [
    number,
    number,
    number,
  ];
  adoptCredentials(t, withUserIds(c, { uid, euid, suid, fsuid: euid }));
  return 0;
}

function writeThree(t: Task, a: SyscallArgs, values: readonly number[]): number {
  for (let i = 0; i < 3; i++) if (t.mm.writeU32(a.addr(i), values[i] ?? 0) < 0) return -EFAULT;
  return 0;
}

/** getresuid(2). */
export function sysGetresuid(t: Task, a: SyscallArgs): number {
  return writeThree(t, a, [t.creds.uid, t.creds.euid, t.creds.suid]);
}

/** setfsuid(2): returns the previous id, whether or not it changed anything. */
export function sysSetfsuid(t: Task, a: SyscallArgs): number {
  const fsuid = a.uint(0);
  const c = t.creds;
  const own = [c.uid, c.euid, c.suid, c.fsuid];
  if (fsuid !== NO_CHANGE && (own.includes(fsuid) || c.has(CAP_SETUID))) {
    adoptCredentials(t, withUserIds(c, { fsuid }));
  }
  return c.fsuid;
}

// Group ids --------------------------------------------------------------------------------------

export function sysGetgid(t: Task): number {
  return t.creds.gid;
}

export function sysGetegid(t: Task): number {
  return t.creds.egid;
}

/** setgid(2). */
export function sysSetgid(t: Task, a: SyscallArgs): number {
  const gid = a.uint(0);
  const c = t.creds;
  if (gid === NO_CHANGE) return -EINVAL;
  if (c.has(CAP_SETGID)) {
    adoptCredentials(t, c.with({ gid, egid: gid, sgid: gid, fsgid: gid }));
  } else if (gid === c.gid || gid === c.sgid) {
    adoptCredentials(t, c.with({ egid: gid, fsgid: gid }));
  } else {
    return -EPERM;
  }
  return 0;
}

/** setregid(2). */
export function sysSetregid(t: Task, a: SyscallArgs): number {
  const rgid = a.uint(0);
  const egid = a.uint(1);
  const c = t.creds;
  if (!c.has(CAP_SETGID)) {
    if (rgid !== NO_CHANGE && rgid !== c.gid && rgid !== c.egid) return -EPERM;
    const known = egid === c.gid || egid === c.egid || egid === c.sgid;
    if (egid !== NO_CHANGE && !known) return -EPERM;
  }
  const newEgid = egid === NO_CHANGE ? c.egid : egid;
  const newGid = rgid === NO_CHANGE ? c.gid : rgid;
  const savesEgid = rgid !== NO_CHANGE || (egid !== NO_CHANGE && egid !== c.gid);
  const sgid = savesEgid ? newEgid : c.sgid;
  adoptCredentials(t, c.with({ gid: newGid, egid: newEgid, sgid, fsgid: newEgid }));
  return 0;
}

/** setresgid(2). */
export function sysSetresgid(t: Task, a: SyscallArgs): number {
  const wanted = [a.uint(0), a.uint(1), a.uint(2)];
  const c = t.creds;
  const own = [c.gid, c.egid, c.sgid];
  const allowed = wanted.every((id) => id === NO_CHANGE || own.includes(id));
  if (!allowed && !c.has(CAP_SETGID)) return -EPERM;
  const [gid, egid, sgid] = wanted.map((id, i) => (id === NO_CHANGE ? own[i] : id)) as [
    number,
    number,
    number,
  ];
  adoptCredentials(t, c.with({ gid, egid, sgid, fsgid: egid }));
  return 0;
}

/** getresgid(2). */
export function sysGetresgid(t: Task, a: SyscallArgs): number {
  return writeThree(t, a, [t.creds.gid, t.creds.egid, t.creds.sgid]);
}

/** setfsgid(2). */
export function sysSetfsgid(t: Task, a: SyscallArgs): number {
  const fsgid = a.uint(0);
  const c = t.creds;
  const own = [c.gid, c.egid, c.sgid, c.fsgid];
  if (fsgid !== NO_CHANGE && (own.includes(fsgid) || c.has(CAP_SETGID))) {
    adoptCredentials(t, c.with({ fsgid }));
  }
  return c.fsgid;
}

// Supplementary groups ---------------------------------------------------------------------------

/** getgroups(2). */
export function sysGetgroups(t: Task, a: SyscallArgs): number {
  const size = a.int(0);
  const { groups } = t.creds;
  if (size < 0) return -EINVAL;
  if (size === 0) return groups.length;
  if (size < groups.length) return -EINVAL;
  const bytes = new Uint8Array(Uint32Array.from(groups).buffer);
  return t.mm.copyOut(a.addr(1), bytes) < 0 ? -EFAULT : groups.length;
}

/** setgroups(2). */
export function sysSetgroups(t: Task, a: SyscallArgs): number {
  const size = a.int(0);
  if (!t.creds.has(CAP_SETGID)) return -EPERM;
  if (size < 0 || size > NGROUPS_MAX) return -EINVAL;
  const list = new Uint32Array(size);
  if (t.mm.copyIn(a.addr(1), new Uint8Array(list.buffer)) < 0) return -EFAULT;
  if (list.includes(NO_CHANGE)) return -EINVAL;
  adoptCredentials(t, t.creds.with({ groups: [...list.sort()] }));
  return 0;
}

export const identitySyscalls: SyscallFragment = {
  [SYS_getuid]: { name: 'getuid', args: '', fn: sysGetuid },
  [SYS_getgid]: { name: 'getgid', args: '', fn: sysGetgid },
  [SYS_setuid]: { name: 'setuid', args: 'uint', fn: sysSetuid },
  [SYS_setgid]: { name: 'setgid', args: 'uint', fn: sysSetgid },
  [SYS_geteuid]: { name: 'geteuid', args: '', fn: sysGeteuid },
  [SYS_getegid]: { name: 'getegid', args: '', fn: sysGetegid },
  [SYS_setreuid]: { name: 'setreuid', args: 'int int', fn: sysSetreuid },
  [SYS_setregid]: { name: 'setregid', args: 'int int', fn: sysSetregid },
  [SYS_getgroups]: { name: 'getgroups', args: 'int hex', fn: sysGetgroups },
  [SYS_setgroups]: { name: 'setgroups', args: 'int hex', fn: sysSetgroups },
  [SYS_setresuid]: { name: 'setresuid', args: 'int int int', fn: sysSetresuid },
  [SYS_getresuid]: { name: 'getresuid', args: 'hex hex hex', fn: sysGetresuid },
  [SYS_setresgid]: { name: 'setresgid', args: 'int int int', fn: sysSetresgid },
  [SYS_getresgid]: { name: 'getresgid', args: 'hex hex hex', fn: sysGetresgid },
  [SYS_setfsuid]: { name: 'setfsuid', args: 'uint', fn: sysSetfsuid },
  [SYS_setfsgid]: { name: 'setfsgid', args: 'uint', fn: sysSetfsgid },
};
