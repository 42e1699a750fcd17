/**
 * Sockets and their addresses among system call arguments.
 */
import { EBADF, EFAULT, EINTR, EINVAL, ENOTSOCK, ERESTARTSYS } from '../../spec/linux/errno.ts';
import { O_PATH } from '../../spec/linux/fcntl.ts';
import type { Task } from '../kernel/task.ts';
import { Socket } from '../socket/socket.ts';

/** sizeof(struct sockaddr_storage). */
export const ADDRESS_MAX = 128;

/** The socket behind a descriptor; -EBADF, -ENOTSOCK. */
export function socketAt(t: Task, fd: number): Socket | number {
  const file = t.files.get(fd);
  if (file === undefined || (file.flags & O_PATH) !== 0) return -EBADF;
  return file instanceof Socket ? file : -ENOTSOCK;
}

/** A sockaddr of `length` bytes, or -EINVAL, -EFAULT. */
export function readAddress(t: Task, addr: number, length: number): Uint8Array | number {
  if (length < 0 || length > ADDRESS_MAX) return -EINVAL;
  const bytes = new Uint8Array(length);
  return length > 0 && t.mm.copyIn(addr, bytes) < 0 ? -EFAULT : bytes;
}

/**
 * Stores a sockaddr where `addr` says, as much of it as the length at `lengthAddr` allows, and its
 * true length there. 0 or -errno.
 */
export function writeAddress(
  t: Task,
  addr: number,
  lengthAddr: number,
  address: Uint8Array,
): number {
  const room = t.mm.readU32(lengthAddr);
  if (room < 0) return -EFAULT;
  if ((room | 0) < 0) return -EINVAL;
  if (t.mm.copyOut(addr, address, 0, Math.min(room, address.length)) < 0) return -EFAULT;
  return t.mm.writeU32(lengthAddr, address.length);
}

/** The moment a socket's timeout ends. */
export function deadlineOf(t: Task, timeoutNs: number): number {
  return t.kernel.clock.monotonicNs() + timeoutNs;
}

/** socket(7): calls with a timeout are not restarted. */
export function interruptedResult(timeoutNs: number): number {
  return timeoutNs === Number.POSITIVE_INFINITY ? -ERESTARTSYS : -EINTR;
}
