/**
 * System V shared memory: shmget(2), shmat(2), shmdt(2), shmctl(2).
 */
import { CAP_IPC_LOCK } from '../../spec/linux/capability.ts';
import { EFAULT, EINVAL, EPERM } from '../../spec/linux/errno.ts';
import {
  IPC_INFO,
  IPC_RMID,
  IPC_SET,
  IPC_STAT,
  SHM_EXEC,
  SHM_INFO,
  SHM_LOCK,
  SHM_LOCKED,
  SHM_RDONLY,
  SHM_REMAP,
  SHM_RND,
  SHM_STAT,
  SHM_STAT_ANY,
  SHM_UNLOCK,
} from '../../spec/linux/ipc.ts';
import { SHM_INFO_STRUCT, SHMID_DS, SHMINFO } from '../../spec/linux/layout/ipc.ts';
import {
  MAP_FIXED,
  MAP_SHARED,
  PAGE_SIZE,
  PROT_EXEC,
  PROT_READ,
  PROT_WRITE,
} from '../../spec/linux/mman.ts';
import { RLIMIT_MEMLOCK } from '../../spec/linux/resource.ts';
import { SYS_shmat, SYS_shmctl, SYS_shmdt, SYS_shmget } from '../../spec/linux/syscall_numbers.ts';
import { Segment, SHMMAX, SHMMNI } from '../kernel/shared_memory.ts';
import type { SyscallArgs } from '../kernel/syscall_args.ts';
import type { SyscallFragment } from '../kernel/syscall_table.ts';
import type { Task } from '../kernel/task.ts';
import { pageFloor } from '../mm/page.ts';
import { ownedIpc, statIpc } from './ipc_control.ts';

const MAY_READ = 0o444;
const MAY_WRITE = 0o222;
const MAY_EXEC = 0o111;

/** shmget(2). */
export function sysShmget(t: Task, a: SyscallArgs): number {
  return t.container.sharedMemory.get(t, a.int(0), a.sizeT(1), a.int(2));
}

/** shmat(2). */
export function sysShmat(t: Task, a: SyscallArgs): number {
  const flags = a.int(2);
  let addr = a.addr(1);
  if (addr !== 0 && addr % PAGE_SIZE !== 0) {
    if ((flags & SHM_RND) === 0) return -EINVAL;
    addr = pageFloor(addr);
  }
  if (addr === 0 && (flags & SHM_REMAP) !== 0) return -EINVAL;
  let prot = PROT_READ;
  let wanted = MAY_READ;
  let maxProt = PROT_READ | PROT_EXEC;
  if ((flags & SHM_RDONLY) === 0) {
    prot |= PROT_WRITE;
    wanted |= MAY_WRITE;
    maxProt |= PROT_WRITE;
  }
  if ((flags & SHM_EXEC) !== 0) {
    prot |= PROT_EXEC;
    wanted |= MAY_EXEC;
  }
  const segment = t.container.sharedMemory.ids.find(a.int(0));
  if (typeof segment === 'number') return segment;
  const allowed = segment.permissions.check(t.creds, wanted);
  if (allowed < 0) return allowed;
  const length = segment.size;
  const taken = addr !== 0 && t.mm.vmas.firstIn(addr, addr + length) !== null;
  if (taken && (flags & SHM_REMAP) === 0) return -EINVAL;
  const where = MAP_SHARED | (addr === 0 ? 0 : MAP_FIXED);
  const request = { addr, length, prot, maxProt, flags: where, file: segment, offset: 0 };
  return segment.whileHeld(() => t.mm.mmap(request));
}

/** shmdt(2): the mappings of the segment that was attached at this address, as far as they are left. */
export function sysShmdt(t: Task, a: SyscallArgs): number {
  const addr = a.addr(0);
  if (addr % PAGE_SIZE !== 0) return -EINVAL;
  const { vmas } = t.mm;
  const attachedHere = vmas.items.filter(
    (vma) => vma.file instanceof Segment && vma.start - addr === vma.offset,
  );
  const segment = attachedHere[0]?.file;
  if (!(segment instanceof Segment)) return -EINVAL;
  for (const vma of attachedHere) {
    if (vma.file !== segment || vma.end - addr > segment.size) continue;
    const r = t.mm.munmap(vma.start, vma.end - vma.start);
    if (r < 0) return r;
  }
  return 0;
}

/** shmctl(2). */
export function sysShmctl(t: Task, a: SyscallArgs): number {
  const id = a.int(0);
  const command = a.int(1);
  const addr = a.addr(2);
  const { ids } = t.container.sharedMemory;
  if (id < 0 || command < 0) return -EINVAL;
  switch (command) {
    case IPC_INFO:
      return t.mm.copyOut(addr, limits()) < 0 ? -EFAULT : ids.highest;
    case SHM_INFO:
      return t.mm.copyOut(addr, usage(t)) < 0 ? -EFAULT : ids.highest;
    case IPC_STAT:
      return statIpc(t, ids, ['id', id], addr, describe);
    case SHM_STAT:
      return statIpc(t, ids, ['slot', id], addr, describe);
    case SHM_STAT_ANY:
      return statIpc(t, ids, ['slot, unchecked', id], addr, describe);
    case IPC_SET:
    case IPC_RMID:
      return change(t, id, command, addr);
    case SHM_LOCK:
    case SHM_UNLOCK:
      return lock(t, ids.find(id), command);
    default:
      return -EINVAL;
  }
}

/** shmmax and shmall do not fit a Number: the bytes are put together here. */
function limits(): Uint8Array {
  const bytes = SHMINFO.encode({ shmmin: 1, shmmni: SHMMNI, shmseg: SHMMNI });
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  view.setBigUint64(SHMINFO.offsets.shmmax, SHMMAX, true);
  view.setBigUint64(SHMINFO.offsets.shmall, SHMMAX, true);
  return bytes;
}

function usage(t: Task): Uint8Array {
  const { ids, pages } = t.container.sharedMemory;
  return SHM_INFO_STRUCT.encode({
    used_ids: ids.count,
    shm_tot: pages.total,
    shm_rss: pages.resident,
  });
}

function describe(segment: Segment): Uint8Array {
  return SHMID_DS.encode({
    shm_perm: segment.permissions.fields,
    shm_segsz: segment.length,
    shm_atime: segment.attachTime,
    shm_dtime: segment.detachTime,
    shm_ctime: segment.changeTime,
    shm_cpid: segment.creator,
    shm_lpid: segment.lastPid,
    shm_nattch: segment.attached,
  });
}

function change(t: Task, id: number, command: number, addr: number): number {
  const given = new Uint8Array(SHMID_DS.size);
  if (command === IPC_SET && t.mm.copyIn(addr, given) < 0) return -EFAULT;
  const { sharedMemory } = t.container;
  const segment = ownedIpc(t, sharedMemory.ids, id);
  if (typeof segment === 'number') return segment;
  if (command === IPC_RMID) {
    sharedMemory.remove(segment);
    return 0;
  }
  const r = segment.permissions.set(SHMID_DS.decode(given).shm_perm);
  if (r === 0) segment.changed();
  return r;
}

/** Nothing is ever swapped out: the lock is a mark that others see. */
function lock(t: Task, segment: Segment | number, command: number): number {
  if (typeof segment === 'number') return segment;
  const { permissions } = segment;
  if (!t.creds.has(CAP_IPC_LOCK)) {
    const { euid } = t.creds;
    if (euid !== permissions.uid && euid !== permissions.cuid) return -EPERM;
    if (command === SHM_LOCK && t.group.limits.soft(RLIMIT_MEMLOCK) === 0) return -EPERM;
  }
  if (command === SHM_LOCK) permissions.mode |= SHM_LOCKED;
  else permissions.mode &= ~SHM_LOCKED;
  return 0;
}

export const sharedMemorySyscalls: SyscallFragment = {
  [SYS_shmget]: { name: 'shmget', args: 'int size octal', fn: sysShmget },
  [SYS_shmat]: { name: 'shmat', args: 'int hex hex', fn: sysShmat },
  [SYS_shmdt]: { name: 'shmdt', args: 'hex', fn: sysShmdt },
  [SYS_shmctl]: { name: 'shmctl', args: 'int int hex', fn: sysShmctl },
};
