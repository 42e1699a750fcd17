/**
 * System V semaphores: semget(2), semop(2), semtimedop(2), semctl(2).
 */
import { EACCES, EFAULT, EINVAL, ERANGE } from '../../spec/linux/errno.ts';
import {
  GETALL,
  GETNCNT,
  GETPID,
  GETVAL,
  GETZCNT,
  IPC_INFO,
  IPC_RMID,
  IPC_SET,
  IPC_STAT,
  SEM_INFO,
  SEM_STAT,
  SEM_STAT_ANY,
  SEMMNI,
  SEMMSL,
  SEMOPM,
  SEMVMX,
  SETALL,
  SETVAL,
} from '../../spec/linux/ipc.ts';
import { SEMBUF, SEMID_DS, SEMINFO } from '../../spec/linux/layout/ipc.ts';
import {
  SYS_semctl,
  SYS_semget,
  SYS_semop,
  SYS_semtimedop,
} from '../../spec/linux/syscall_numbers.ts';
import { checkCount, type Operation, SEMMNS, type SemaphoreSet } from '../kernel/semaphores.ts';
import type { SyscallArgs } from '../kernel/syscall_args.ts';
import type { SyscallFragment } from '../kernel/syscall_table.ts';
import type { Task } from '../kernel/task.ts';
import { ownedIpc, statIpc } from './ipc_control.ts';
import { monotonicAfter, readTimespec } from './user_time.ts';

const MAY_READ = 0o444;
const MAY_WRITE = 0o222;
/** What SEMINFO tells of structures that Linux does not have any more. */
const SEMUSZ = 20;

/** semget(2). */
export function sysSemget(t: Task, a: SyscallArgs): number {
  return t.container.semaphores.get(t, a.int(0), a.int(1), a.int(2));
}

function readOperations(t: Task, addr: number, count: number): Operation[] | number {
  const bytes = new Uint8Array(count * SEMBUF.size);
  if (t.mm.copyIn(addr, bytes) < 0) return -EFAULT;
  return Array.from({ length: count }, (_, i) => {
    const { sem_num, sem_op, sem_flg } = SEMBUF.decode(bytes, i * SEMBUF.size);
    return { number: sem_num, change: sem_op, flags: sem_flg };
  });
}

function operate(t: Task, a: SyscallArgs, timeout: number): number {
  const id = a.int(0);
  const count = a.uint(2);
  const wrong = checkCount(count);
  if (wrong < 0) return wrong;
  const operations = readOperations(t, a.addr(1), count);
  if (typeof operations === 'number') return operations;
  if (id < 0) return -EINVAL;
  let deadlineNs = Number.POSITIVE_INFINITY;
  if (timeout !== 0) {
    const time = readTimespec(t, timeout);
    if (typeof time === 'number') return time;
    deadlineNs = monotonicAfter(t, time);
  }
  return t.container.semaphores.operate(t, id, operations, deadlineNs);
}

/** semop(2). */
export function sysSemop(t: Task, a: SyscallArgs): number {
  return operate(t, a, 0);
}

/** semtimedop(2). */
export function sysSemtimedop(t: Task, a: SyscallArgs): number {
  return operate(t, a, a.addr(3));
}

/** semctl(2). */
export function sysSemctl(t: Task, a: SyscallArgs): number {
  const id = a.int(0);
  const number = a.int(1);
  const command = a.int(2);
  const addr = a.addr(3);
  const { ids } = t.container.semaphores;
  if (id < 0) return -EINVAL;
  switch (command) {
    case IPC_INFO:
    case SEM_INFO:
      return t.mm.copyOut(addr, limits(t, command)) < 0 ? -EFAULT : ids.highest;
    case IPC_STAT:
      return statIpc(t, ids, ['id', id], addr, describe);
    case SEM_STAT:
      return statIpc(t, ids, ['slot', id], addr, describe);
    case SEM_STAT_ANY:
      return statIpc(t, ids, ['slot, unchecked', id], addr, describe);
    case IPC_SET:
    case IPC_RMID:
      return change(t, id, command, addr);
    case SETVAL:
      return setValue(t, id, number, a.int(3));
    case GETALL:
    case SETALL:
      return all(t, id, command, addr);
    case GETVAL:
    case GETPID:
    case GETNCNT:
    case GETZCNT:
      return look(t, id, number, command);
    default:
      return -EINVAL;
  }
}

function limits(t: Task, command: number): Uint8Array {
  const { ids, total } = t.container.semaphores;
  const inUse = command === SEM_INFO;
  return SEMINFO.encode({
    semmap: SEMMNS,
    semmni: SEMMNI,
    semmns: SEMMNS,
    semmnu: SEMMNS,
    semmsl: SEMMSL,
    semopm: SEMOPM,
    semume: SEMOPM,
    semusz: inUse ? ids.count : SEMUSZ,
    semvmx: SEMVMX,
    semaem: inUse ? total : SEMVMX,
  });
}

function describe(set: SemaphoreSet): Uint8Array {
  return SEMID_DS.encode({
    sem_perm: set.permissions.fields,
    sem_otime: set.operationTime,
    sem_ctime: set.changeTime,
    sem_nsems: set.values.length,
  });
}

function change(t: Task, id: number, command: number, addr: number): number {
  const given = new Uint8Array(SEMID_DS.size);
  if (command === IPC_SET && t.mm.copyIn(addr, given) < 0) return -EFAULT;
  const { semaphores } = t.container;
  const set = ownedIpc(t, semaphores.ids, id);
  if (typeof set === 'number') return set;
  if (command === IPC_RMID) {
    semaphores.remove(set);
    return 0;
  }
  const r = set.permissions.set(SEMID_DS.decode(given).sem_perm);
  if (r === 0) set.changeTime = t.kernel.clock.realtime().sec;
  return r;
}

function setValue(t: Task, id: number, number: number, value: number): number {
  if (value < 0 || value > SEMVMX) return -ERANGE;
  const set = t.container.semaphores.ids.find(id);
  if (typeof set === 'number') return set;
  if (number < 0 || number >= set.values.length) return -EINVAL;
  const allowed = set.permissions.check(t.creds, MAY_WRITE);
  if (allowed < 0) return -EACCES;
  t.container.semaphores.assign(set, t, number, [value]);
  return 0;
}

function all(t: Task, id: number, command: number, addr: number): number {
  const set = t.container.semaphores.ids.find(id);
  if (typeof set === 'number') return set;
  const allowed = set.permissions.check(t.creds, command === SETALL ? MAY_WRITE : MAY_READ);
  if (allowed < 0) return allowed;
  const count = set.values.length;
  const bytes = new Uint8Array(2 * count);
  if (command === GETALL) {
    bytes.set(new Uint8Array(set.values.buffer));
    return t.mm.copyOut(addr, bytes) < 0 ? -EFAULT : 0;
  }
  if (t.mm.copyIn(addr, bytes) < 0) return -EFAULT;
  const values = new Uint16Array(bytes.buffer);
  if (values.some((value) => value > SEMVMX)) return -ERANGE;
  t.container.semaphores.assign(set, t, 0, values);
  return 0;
}

function look(t: Task, id: number, number: number, command: number): number {
  const { semaphores } = t.container;
  const set = semaphores.ids.find(id);
  if (typeof set === 'number') return set;
  const allowed = set.permissions.check(t.creds, MAY_READ);
  if (allowed < 0) return allowed;
  if (number < 0 || number >= set.values.length) return -EINVAL;
  if (command === GETVAL) return set.values[number] as number;
  if (command === GETPID) return set.pids[number] as number;
  return semaphores.waiting(set, number, command === GETZCNT);
}

export const semaphoreSyscalls: SyscallFragment = {
  [SYS_semget]: { name: 'semget', args: 'int int octal', fn: sysSemget },
  [SYS_semop]: { name: 'semop', args: 'int hex size', fn: sysSemop },
  [SYS_semtimedop]: { name: 'semtimedop', args: 'int hex size timespec', fn: sysSemtimedop },
  [SYS_semctl]: { name: 'semctl', args: 'int int int hex', fn: sysSemctl },
};
