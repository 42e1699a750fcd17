/**
 * What a datagram or seqpacket socket has received: messages, each whole.
 */
import { EFAULT, EMSGSIZE } from '../../../spec/linux/errno.ts';
import { MSG_PEEK, MSG_TRUNC } from '../../../spec/linux/socket.ts';
import type { IoBuffer } from '../../mm/io_buffer.ts';
import type { Incoming, UserCredentials } from '../socket.ts';
import type { Rights } from './unix_rights.ts';
import type { UnixSocket } from './unix_socket.ts';

/** Linux's overhead of a message, roughly: descriptors of its own and allocation in powers of two. */
const OVERHEAD = 256;
const TRAILER = 320;
const SMALLEST = 512;
/** A message must leave this much of the send buffer free. */
const RESERVED = 32;

export interface Message {
  readonly bytes: Uint8Array;
  readonly sender: UnixSocket;
  readonly credentials: UserCredentials | null;
  readonly rights: Rights | null;
  /** What the sender is charged. */
  readonly charge: number;
}

/** The charge for `length` bytes. */
export function messageCharge(length: number): number {
  let size = SMALLEST;
  while (size < length + TRAILER) size *= 2;
  return size + OVERHEAD;
}

/** 0, or -EMSGSIZE for what will never fit. */
export function checkMessageSize(length: number, sendBuffer: number): number {
  return length > sendBuffer - RESERVED ? -EMSGSIZE : 0;
}

/** The whole of `src`, or null at a fault. */
export function takeBytes(src: IoBuffer): Uint8Array | null {
  const bytes = new Uint8Array(src.remaining);
  return src.read(bytes) < bytes.length ? null : bytes;
}

export class MessageQueue {
  private readonly messages: Message[] = [];
  private head = 0;

  get count(): number {
    return this.messages.length - this.head;
  }

  /** Bytes of the next message (FIONREAD). */
  get nextLength(): number {
    return this.messages[this.head]?.bytes.length ?? 0;
  }

  push(message: Message): void {
    this.messages.push(message);
  }

  /**
   * Stores the next message; what does not fit is lost. The bytes stored, or with MSG_TRUNC its length;
   * -EFAULT. There must be one.
   */
  take(dst: IoBuffer, flags: number, into: Incoming): number {
    const message = this.messages[this.head] as Message;
    const peek = (flags & MSG_PEEK) !== 0;
    if (!peek) this.drop();
    const { bytes, sender, rights } = message;
    const n = dst.write(bytes, 0, Math.min(bytes.length, dst.remaining));
    if (!peek) sender.received(message.charge);
    if (dst.faulted) {
      if (!peek) rights?.discard();
      return -EFAULT;
    }
    if (n < bytes.length) into.flags |= MSG_TRUNC;
    into.address = sender.named ? sender.address : null;
    into.credentials = message.credentials;
    if (rights !== null) into.rights = peek ? rights.duplicate() : rights.receive();
    return (flags & MSG_TRUNC) !== 0 ? bytes.length : n;
  }

  private drop(): void {
    (this.messages as (Message | undefined)[])[this.head++] = undefined;
    if (this.head * 2 > this.messages.length && this.head > 16) {
      this.messages.splice(0, this.head);
      this.head = 0;
    }
  }

  /** Drops everything; senders are credited, descriptors under way are closed. */
  clear(): void {
    const dropped = this.messages.splice(0).slice(this.head);
    this.head = 0;
    for (const message of dropped) {
      message.sender.received(message.charge);
      message.rights?.discard();
    }
  }
}
