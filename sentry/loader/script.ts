/** Scripts that begin with "#!" (execve(2), "Interpreter scripts"; Linux's fs/binfmt_script.c). */
import { ENOEXEC } from '../../spec/linux/errno.ts';
import { decodeByteString } from '../base/byte_string.ts';

/** What counts of a file as its first line (Linux's BINPRM_BUF_SIZE). */
const MOST_LINE = 256;

export interface Script {
  readonly interpreter: string;
  /** All that follows on the line, as one argument, or null. */
  readonly argument: string | null;
}

export function isScript(head: Uint8Array): boolean {
  return head[0] === 0x23 && head[1] === 0x21;
}

/**
 * Understands the first line. `head` holds the first 256 bytes or more, or the whole file when it is
 * shorter. -ENOEXEC when there is no interpreter, or its name is cut off.
 */
export function parseScript(head: Uint8Array): Script | number {
  const text = decodeByteString(head, 2, Math.min(head.length, MOST_LINE));
  const newline = text.search(/[\n\0]/);
  const whole = newline >= 0 || head.length < MOST_LINE;
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
