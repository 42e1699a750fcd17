/**
 * What job control needs of a terminal; fsimpl/devpts implements it (tty_ioctl(2)).
 */
import type { ProcessGroup, Session } from './thread_group.ts';

export interface Terminal {
  session: Session | null;
  foreground: ProcessGroup | null;
  /** Device numbers, for /proc/PID/stat's tty_nr. */
  readonly devMajor: number;
  readonly devMinor: number;
}
