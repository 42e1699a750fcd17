/**
 * System V message queues: msgget(2), msgsnd(2), msgrcv(2), msgctl(2).
 */
import { CAP_SYS_RESOURCE } from '../../spec/linux/capability.ts';
import { EFAULT, EINVAL, EPERM } from '../../spec/linux/errno.ts';
import {
  IPC_INFO,
  IPC_NOWAIT,
  IPC_RMID,
  IPC_SET,
  IPC_STAT,
  MSG_COPY,
  MSG_EXCEPT,
  MSG_INFO,
  MSG_STAT,
  MSG_STAT_ANY,
  MSGMAX,
  MSGMNB,
  MSGMNI,
} from '../../spec/linux/ipc.ts';
import { MSGINFO, MSQID_DS } from '../../spec/linux/layout/ipc.ts';
import {
  SYS_msgctl,
  SYS_msgget,
  SYS_msgrcv,
  SYS_msgsnd,
} from '../../spec/linux/syscall_numbers.ts';
import type { Message, MessageQueue } from '../kernel/message_queues.ts';
import type { SyscallArgs } from '../kernel/syscall_args.ts';
import type { SyscallFragment } from '../kernel/syscall_table.ts';
import type { Task } from '../kernel/task.ts';
import { ownedIpc, statIpc } from './ipc_control.ts';

/** struct msgbuf: a long, then the bytes. */
const TEXT_OFFSET = 8;
const LONG_MIN = -(2n ** 63n);
/** What MSGINFO tells of a pool that Linux does not have any more. */
const MSGSSZ = 16;
const MSGSEG = 0xffff;

/** msgget(2). */
export function sysMsgget(t: Task, a: SyscallArgs): number {
  return t.container.messageQueues.get(t, a.int(0), a.int(1));
}

function long(lo: number, hi: number): bigint {
  return BigInt.asIntN(64, (BigInt(hi >>> 0) << 32n) | BigInt(lo >>> 0));
}

/** msgsnd(2). */
export function sysMsgsnd(t: Task, a: SyscallArgs): number {
  const addr = a.addr(1);
  const length = a.sizeT(2);
  const lo = t.mm.readU32(addr);
  const hi = t.mm.readU32(addr + 4);
  if (lo < 0 || hi < 0) return -EFAULT;
  const type = long(lo, hi);
  if (length > MSGMAX || a.int(0) < 0 || type < 1n) return -EINVAL;
  const bytes = new Uint8Array(length);
  if (t.mm.copyIn(addr + TEXT_OFFSET, bytes) < 0) return -EFAULT;
  return t.container.messageQueues.send(t, a.int(0), { type, bytes }, a.int(3));
}

/** msgrcv(2). */
export function sysMsgrcv(t: Task, a: SyscallArgs): number {
  const id = a.int(0);
  const addr = a.addr(1);
  const maxBytes = a.sizeT(2);
  const given = long(a.low(3), a.high(3));
  const flags = a.int(4);
  if (maxBytes >= 2 ** 63 || id < 0) return -EINVAL;
  const copies = (flags & MSG_COPY) !== 0;
  if (copies && ((flags & MSG_EXCEPT) !== 0 || (flags & IPC_NOWAIT) === 0)) return -EINVAL;
  const type = given === LONG_MIN ? LONG_MIN + 1n : given;
  const take = (message: Message): number => {
    const length = Math.min(message.bytes.length, maxBytes);
    const { type: kind, bytes } = message;
    const lo = Number(BigInt.asUintN(32, kind));
    const hi = Number(BigInt.asUintN(32, kind >> 32n));
    if (t.mm.writeU32(addr, lo) < 0 || t.mm.writeU32(addr + 4, hi) < 0) return -EFAULT;
    return t.mm.copyOut(addr + TEXT_OFFSET, bytes, 0, length) < 0 ? -EFAULT : length;
  };
  return t.container.messageQueues.receive(t, id, { type, maxBytes, flags }, take);
}

/** msgctl(2). */
export function sysMsgctl(t: Task, a: SyscallArgs): number {
  const id = a.int(0);
  const command = a.int(1);
  const addr = a.addr(2);
  const { ids } = t.container.messageQueues;
  if (id < 0 || command < 0) return -EINVAL;
  switch (command) {
    case IPC_INFO:
    case MSG_INFO:
      return t.mm.copyOut(addr, limits(t, command)) < 0 ? -EFAULT : ids.highest;
    case IPC_STAT:
      return statIpc(t, ids, ['id', id], addr, describe);
    case MSG_STAT:
      return statIpc(t, ids, ['slot', id], addr, describe);
    case MSG_STAT_ANY:
      return statIpc(t, ids, ['slot, unchecked', id], addr, describe);
    case IPC_SET:
    case IPC_RMID:
      return change(t, id, command, addr);
    default:
      return -EINVAL;
  }
}

function limits(t: Task, command: number): Uint8Array {
  const { ids, usage } = t.container.messageQueues;
  const inUse = command === MSG_INFO;
  return MSGINFO.encode({
    msgpool: inUse ? ids.count : (MSGMNI * MSGMNB) / 1024,
    msgmap: inUse ? usage.messages : MSGMNB,
    msgmax: MSGMAX,
    msgmnb: MSGMNB,
    msgmni: MSGMNI,
    msgssz: MSGSSZ,
    msgtql: inUse ? usage.bytes : MSGMNB,
    msgseg: MSGSEG,
  });
}

function describe(q: MessageQueue): Uint8Array {
  return MSQID_DS.encode({
    msg_perm: q.permissions.fields,
    msg_stime: q.sendTime,
    msg_rtime: q.receiveTime,
    msg_ctime: q.changeTime,
    msg_cbytes: q.bytes,
    msg_qnum: q.messages.length,
    msg_qbytes: q.maxBytes,
    msg_lspid: q.sender,
    msg_lrpid: q.receiver,
  });
}

function change(t: Task, id: number, command: number, addr: number): number {
  const given = new Uint8Array(MSQID_DS.size);
  if (command === IPC_SET && t.mm.copyIn(addr, given) < 0) return -EFAULT;
  const { messageQueues } = t.container;
  const q = ownedIpc(t, messageQueues.ids, id);
  if (typeof q === 'number') return q;
  if (command === IPC_RMID) {
    messageQueues.remove(q);
    return 0;
  }
  const { msg_perm, msg_qbytes } = MSQID_DS.decode(given);
  if (msg_qbytes > MSGMNB && !t.creds.has(CAP_SYS_RESOURCE)) return -EPERM;
  const r = q.permissions.set(msg_perm);
  if (r < 0) return r;
  q.maxBytes = msg_qbytes;
  messageQueues.changed(t, q);
  return 0;
}

export const messageQueueSyscalls: SyscallFragment = {
  [SYS_msgget]: { name: 'msgget', args: 'int octal', fn: sysMsgget },
  [SYS_msgsnd]: { name: 'msgsnd', args: 'int hex size hex', fn: sysMsgsnd },
  [SYS_msgrcv]: { name: 'msgrcv', args: 'int hex size long hex', fn: sysMsgrcv },
  [SYS_msgctl]: { name: 'msgctl', args: 'int int hex', fn: sysMsgctl },
};
