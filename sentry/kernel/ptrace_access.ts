/**
 * Who may look into another process (ptrace(2), "Ptrace access mode checking"): the rule behind
 * /proc/PID/{environ,maps,mem,fd,...} and process_vm_readv(2).
 */
import { CAP_SYS_PTRACE } from '../../spec/linux/capability.ts';
import { type Credentials, intersectCapabilities } from '../vfs/credentials.ts';
import type { Container } from './container.ts';
import type { Task } from './task.ts';

/** Credentials that count: those for file access, or the real ones. */
export type PtraceCredentials = 'fs' | 'real';

export function mayPtrace(from: Task, target: Task, which: PtraceCredentials = 'fs'): boolean {
  if (from.group === target.group) return true;
  const c = from.creds;
  if (c.has(CAP_SYS_PTRACE)) return true;
  const uid = which === 'fs' ? c.fsuid : c.uid;
  const gid = which === 'fs' ? c.fsgid : c.gid;
  const o = target.creds;
  if (uid !== o.uid || uid !== o.euid || uid !== o.suid) return false;
  if (gid !== o.gid || gid !== o.egid || gid !== o.sgid) return false;
  if (target.group.dumpable !== 1) return false;
  const own = which === 'fs' ? c.effective : c.permitted;
  return intersectCapabilities(own, o.permitted) === o.permitted;
}

const credentialNames = new WeakMap<Credentials, string>();

/**
 * AddressSpace.owner for a process with these credentials: who has them all the same may trace
 * whom (and one that gained privileges by execve(2), nobody).
 */
export function memoryOwner(container: Container, c: Credentials, dumpable: number): string {
  const own = c.uid === c.euid && c.uid === c.suid && c.gid === c.egid && c.gid === c.sgid;
  if (dumpable !== 1 || !own || c.uid !== c.fsuid || c.gid !== c.fsgid) return '';
  let name = credentialNames.get(c);
  if (name === undefined) {
    name = JSON.stringify(c);
    credentialNames.set(c, name);
  }
  return `${container.id} ${name}`;
}

/** Tells the platform whose memory it is, before something may come of it. */
export function claimMemory(t: Task): void {
  t.mm.space.owner = memoryOwner(t.container, t.creds, t.group.dumpable);
}
