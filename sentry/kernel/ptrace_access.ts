/**
 * Who may look into another process (ptrace(2), "Ptrace access mode checking"): the rule behind
 * /proc/PID/{environ,maps,mem,fd,...} and process_vm_readv(2).
 */
import { CAP_SYS_PTRACE } from '../../spec/linux/capability.ts';
import { intersectCapabilities } from '../vfs/credentials.ts';
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
