/**
 * System V message queues (msgget(2), msgsnd(2), msgrcv(2)). Counterpart of Linux's ipc/msg.c: a message goes
 * straight to whoever waits for it, in the order of coming.
 */
import {
  E2BIG,
  EAGAIN,
  EIDRM,
  EINVAL,
  ENOMEM,
  ENOMSG,
  ERESTARTNOHAND,
} from '../../spec/linux/errno.ts';
import {
  IPC_NOWAIT,
  MSG_COPY,
  MSG_EXCEPT,
  MSG_NOERROR,
  MSGMAX,
  MSGMNB,
  MSGMNI,
} from '../../spec/linux/ipc.ts';
import { POLLIN, POLLOUT } from '../../spec/linux/poll.ts';
import { WaitQueue } from '../base/wait_queue.ts';
import { IpcIds, type IpcObject, type IpcPermissions } from './ipc_ids.ts';
import { TASK_DEAD, type Task } from './task.ts';

/** What all messages of a container may take; each costs so much beside its bytes. */
const MAX_TOTAL_BYTES = 64 * 2 ** 20;
const MESSAGE_BYTES = 64;

export interface Message {
  /** A long, which a Number does not hold. */
  readonly type: bigint;
  readonly bytes: Uint8Array;
}

export interface Wanted {
  /** 0 any, n that type, -n the lowest up to n; with MSG_EXCEPT any but n, with MSG_COPY the n-th. */
  readonly type: bigint;
  readonly maxBytes: number;
  /** MSG_*, IPC_NOWAIT. */
  readonly flags: number;
}

/** A task that sleeps in msgrcv(2). */
interface Receiver {
  readonly task: Task;
  readonly wanted: Wanted;
  /** Null until it is served: the message, or -errno. */
  result: Message | number | null;
  readonly queue: WaitQueue;
}

export class MessageQueue implements IpcObject {
  readonly permissions: IpcPermissions;
  messages: Message[] = [];
  /** Bytes of all messages, and how many there may be. */
  bytes = 0;
  maxBytes = MSGMNB;
  receivers: Receiver[] = [];
  /** Notified when there is room, or never will be. */
  readonly room = new WaitQueue();
  removed = false;
  /** Seconds since 1970. */
  sendTime = 0;
  receiveTime = 0;
  changeTime: number;
  sender = 0;
  receiver = 0;

  constructor(permissions: IpcPermissions, now: number) {
    this.permissions = permissions;
    this.changeTime = now;
  }

  fits(length: number): boolean {
    return this.bytes + length <= this.maxBytes && this.messages.length < this.maxBytes;
  }
}

function isFor(message: Message, { type, flags }: Wanted): boolean {
  if (type === 0n) return true;
  if (type < 0n) return message.type <= -type;
  return (message.type === type) === ((flags & MSG_EXCEPT) === 0);
}

/** Index of the message that is meant, or -1. */
function choose(messages: readonly Message[], wanted: Wanted): number {
  if ((wanted.flags & MSG_COPY) !== 0) {
    return wanted.type < BigInt(messages.length) ? Number(wanted.type) : -1;
  }
  const first = messages.findIndex((m) => isFor(m, wanted));
  if (wanted.type >= 0n || first < 0) return first;
  let lowest = first;
  messages.forEach((m, i) => {
    if (m.type < (messages[lowest] as Message).type) lowest = i;
  });
  return lowest;
}

function tooBig(message: Message, { maxBytes, flags }: Wanted): boolean {
  return message.bytes.length > maxBytes && (flags & MSG_NOERROR) === 0;
}

/** The queues of one container. */
export class MessageQueues {
  readonly ids = new IpcIds<MessageQueue>(MSGMNI);
  private total = 0;

  /** msgget(2). */
  get(t: Task, key: number, flags: number): number {
    return this.ids.get(
      t.creds,
      key,
      flags,
      () => 0,
      (permissions) => new MessageQueue(permissions, now(t)),
    );
  }

  /** msgsnd(2). */
  send(t: Task, id: number, message: Message, flags: number): number {
    if (message.bytes.length > MSGMAX || id < 0 || message.type < 1n) return -EINVAL;
    const q = this.ids.find(id);
    if (typeof q === 'number') return q;
    const attempt = (): number => this.trySend(t, q, message);
    const r = attempt();
    if (r !== -EAGAIN || (flags & IPC_NOWAIT) !== 0) return r;
    return t.sleep([q.room], POLLOUT, { attempt, onInterrupt: () => -ERESTARTNOHAND });
  }

  private trySend(t: Task, q: MessageQueue, message: Message): number {
    if (q.removed) return -EIDRM;
    const allowed = q.permissions.check(t.creds, 0o222);
    if (allowed < 0) return allowed;
    const { length } = message.bytes;
    if (!q.fits(length)) return -EAGAIN;
    if (this.total + length + MESSAGE_BYTES > MAX_TOTAL_BYTES) return -ENOMEM;
    q.sender = t.pid;
    q.sendTime = now(t);
    if (this.handOver(q, message)) return 0;
    q.messages.push(message);
    q.bytes += length;
    this.total += length + MESSAGE_BYTES;
    return 0;
  }

  /** To the first who waits for such a message and can take it. */
  private handOver(q: MessageQueue, message: Message): boolean {
    for (const r of [...q.receivers]) {
      if (r.task.state !== TASK_DEAD && !isFor(message, r.wanted)) continue;
      q.receivers = q.receivers.filter((other) => other !== r);
      if (r.task.state === TASK_DEAD) continue;
      const refused = tooBig(message, r.wanted);
      this.answer(r, refused ? -E2BIG : message);
      if (refused) continue;
      q.receiver = r.task.pid;
      q.receiveTime = now(r.task);
      return true;
    }
    return false;
  }

  private answer(r: Receiver, result: Message | number): void {
    r.result = result;
    r.queue.notify(POLLIN);
  }

  /** msgrcv(2): `take` puts the message where it belongs. */
  receive(t: Task, id: number, wanted: Wanted, take: (message: Message) => number): number {
    const q = this.ids.find(id);
    if (typeof q === 'number') return q;
    const allowed = q.permissions.check(t.creds, 0o444);
    if (allowed < 0) return allowed;
    const index = choose(q.messages, wanted);
    const found = q.messages[index];
    if (found !== undefined) {
      if (tooBig(found, wanted)) return -E2BIG;
      if ((wanted.flags & MSG_COPY) === 0) this.takeOut(t, q, index);
      return take(found);
    }
    if ((wanted.flags & IPC_NOWAIT) !== 0) return -ENOMSG;
    const receiver: Receiver = { task: t, wanted, result: null, queue: new WaitQueue() };
    q.receivers.push(receiver);
    return t.sleep([receiver.queue], POLLIN, {
      attempt: () => {
        const { result } = receiver;
        if (result === null) return -EAGAIN;
        return typeof result === 'number' ? result : take(result);
      },
      onInterrupt: () => {
        q.receivers = q.receivers.filter((other) => other !== receiver);
        return -ERESTARTNOHAND;
      },
    });
  }

  private takeOut(t: Task, q: MessageQueue, index: number): void {
    const [message] = q.messages.splice(index, 1) as [Message];
    q.bytes -= message.bytes.length;
    this.total -= message.bytes.length + MESSAGE_BYTES;
    q.receiver = t.pid;
    q.receiveTime = now(t);
    q.room.notify(POLLOUT);
  }

  /** IPC_SET has been done. */
  changed(t: Task, q: MessageQueue): void {
    q.changeTime = now(t);
    q.room.notify(POLLOUT);
  }

  /** IPC_RMID. */
  remove(q: MessageQueue): void {
    this.ids.remove(q);
    q.removed = true;
    this.total -= q.bytes + q.messages.length * MESSAGE_BYTES;
    q.messages = [];
    for (const r of q.receivers) this.answer(r, -EIDRM);
    q.receivers = [];
    q.room.notify(POLLOUT);
  }

  /** Of all queues, for MSG_INFO. */
  get usage(): { readonly messages: number; readonly bytes: number } {
    let messages = 0;
    let bytes = 0;
    for (const q of this.ids.all()) {
      messages += q.messages.length;
      bytes += q.bytes;
    }
    return { messages, bytes };
  }
}

function now(t: Task): number {
  return t.kernel.clock.realtime().sec;
}
