/**
 * Copies from memory that may not be there: a mapping of a host file that somebody truncates
 * answers with SIGBUS, which would end this process. The host copies instead, and says EFAULT.
 */

import { SYS_process_vm_readv, SYS_process_vm_writev } from '../spec/linux/syscall_numbers.ts';
import { result, setResult64 } from './bytes.ts';
import { addressOf, getpid, syscall } from './index.ts';

/** Lays out the two vectors: `local` at 0, the doubtful range at 16. */
function layRanges(local: Uint8Array, address: number): void {
  setResult64(0, addressOf(local));
  setResult64(8, local.length);
  setResult64(16, address);
  setResult64(24, local.length);
}

/** Fills `into` from host address `address`: bytes copied, fewer at the first bad page, or -EFAULT. */
export function safeRead(into: Uint8Array, address: number): number {
  if (into.length === 0) return 0;
  layRanges(into, address);
  const vectors = result.address;
  return syscall(SYS_process_vm_readv, getpid(), vectors, 1, vectors + 16, 1, 0);
}

/** Stores `from` at host address `address`, likewise. */
export function safeWrite(address: number, from: Uint8Array): number {
  if (from.length === 0) return 0;
  layRanges(from, address);
  const vectors = result.address;
  return syscall(SYS_process_vm_writev, getpid(), vectors, 1, vectors + 16, 1, 0);
}
