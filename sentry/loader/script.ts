/** Scripts that begin with "#!" (execve(2), "Interpreter scripts"; Linux's fs/binfmt_script.c). */
import { ENOEXEC } from '../../spec/linux/errno.ts';
import { decodeByteString } from '../base/byte_string.ts';

/** What is looked at of a file to tell what it is (Linux's BINPRM_BUF_SIZE). */
export const HEAD_LENGTH = 256;

export interface Script {
  readonly interpreter: string;
  /** All that follows on the line, as one argument, or null. */
  readonly argument: string | null;
}

export function isScript(head: Uint8Array): boolean {
  return head[0] === 0x23 && head[1] === 0x21;
}

/**
 * Understands the first line. `head` holds the first HEAD_LENGTH bytes, or the whole file when it is
 * shorter. -ENOEXEC when there is no interpreter, or its name is cut off.
 */
export function parseScript(head: Uint8Array): Script | number {
  const text = decodeByteString(head, 2);
  const newline = text.search(/[\n\0]/);
  const whole = newline >= 0 || head.length < HEAD_LENGTH;
  const line = newline >= 0 ? text.slice(0, newline) : text;
  const trimmed = line.replace(/^[ \t]+/, '');
  const space = trimmed.search(/[ \t]/);
  if (space < 0) {
    // A name that reaches the end of what was read may go on.
    return trimmed === '' || !whole ? -ENOEXEC : { interpreter: trimmed, argument: null };
  }
  const argument = trimmed.slice(space).replace(/^[ \t]+|[ \t]+$/g, '');
  return { interpreter: trimmed.slice(0, space), argument: argument === '' ? null : argument };
}
