/**
 * One argument of a system call as strace text. The formats are those of SyscallEntry.args:
 *
 *   fd dirfd int uint size hex octal signal    numbers
 *   oflags prot mapflags cloneflags            flag words (flags.ts)
 *   path                                       a string in application memory
 *   strings                                    a NULL-terminated array of strings
 *   buf                                        data read by the call; its length is the next `size`
 *   out                                        data that the call fills in; shown after it
 *   anything else                              an address, in hex
 */

import { AT_FDCWD } from '../../spec/linux/fcntl.ts';
import { signalName } from '../../spec/linux/signal.ts';
import type { SyscallArgs } from '../kernel/syscall_args.ts';
import type { Task } from '../kernel/task.ts';
import { flagText } from './flags.ts';

const MAX_STRINGS = 8;

/** `bytes` (a byte string) quoted as C does, cut to `limit` with an ellipsis. */
export function quote(bytes: string, limit: number): string {
  const cut = bytes.length > limit ? bytes.slice(0, limit) : bytes;
  let text = '"';
  for (const c of cut) {
    const code = c.charCodeAt(0);
    if (c === '"' || c === '\\') text += `\\${c}`;
    else if (c === '\n') text += '\\n';
    else if (c === '\t') text += '\\t';
    else if (c === '\r') text += '\\r';
    else if (code < 32 || code > 126) text += `\\x${code.toString(16).padStart(2, '0')}`;
    else text += c;
  }
  return bytes.length > limit ? `${text}"...` : `${text}"`;
}

function hex(value: number): string {
  return value === 0 ? '0' : `0x${value.toString(16)}`;
}

function stringAt(t: Task, addr: number, limit: number): string {
  if (addr === 0) return 'NULL';
  const text = t.mm.copyInString(addr, 4096);
  return typeof text === 'number' ? hex(addr) : quote(text, limit);
}

function stringsAt(t: Task, addr: number, limit: number): string {
  if (addr === 0) return 'NULL';
  const items: string[] = [];
  for (let i = 0; ; i++) {
    const pointer = t.mm.readU64(addr + 8 * i);
    if (pointer <= 0) break;
    if (i === MAX_STRINGS) {
      items.push('...');
      break;
    }
    items.push(stringAt(t, pointer, limit));
  }
  return `[${items.join(', ')}]`;
}

/** Up to `limit` bytes at `addr`, quoted. */
export function dataAt(t: Task, addr: number, length: number, limit: number): string {
  const bytes = new Uint8Array(Math.max(0, Math.min(length, limit + 1)));
  if (addr === 0) return 'NULL';
  if (t.mm.copyIn(addr, bytes) < 0) return hex(addr);
  return quote(String.fromCharCode(...bytes), limit);
}

/** The decoded arguments, the ones in `out` format as their address. */
export function formatArguments(
  t: Task,
  formats: readonly string[],
  a: SyscallArgs,
  limit: number,
): string {
  return formats.map((format, i) => formatArgument(t, formats, format, i, a, limit)).join(', ');
}

function formatArgument(
  t: Task,
  formats: readonly string[],
  format: string,
  i: number,
  a: SyscallArgs,
  limit: number,
): string {
  switch (format) {
    case 'fd':
    case 'int':
      return String(a.int(i));
    case 'dirfd':
      return a.int(i) === AT_FDCWD ? 'AT_FDCWD' : String(a.int(i));
    case 'uint':
      return String(a.uint(i));
    case 'size':
      return String(a.sizeT(i));
    case 'long':
    case 'offset':
      return String(a.long(i));
    case 'octal':
    case 'mode':
      return `0${(a.uint(i)).toString(8)}`;
    case 'signal':
      return signalName(a.int(i));
    case 'path':
      return stringAt(t, a.addr(i), Math.max(limit, 256));
    case 'strings':
      return stringsAt(t, a.addr(i), limit);
    case 'buf': {
      const length = formats[i + 1] === 'size' ? a.sizeT(i + 1) : limit;
      return dataAt(t, a.addr(i), length, limit);
    }
    default:
      return flagText(format, a.uint(i)) ?? hex(a.addr(i));
  }
}
