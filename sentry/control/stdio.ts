/**
 * What a process started from outside has at descriptors 0, 1 and 2: host files, or with a terminal
 * an internal pty that is bridged to the host's.
 */
import { close } from '../../native/fs.ts';
import { strerror } from '../../spec/linux/errno.ts';
import { type HostTerminal, openHostTerminal } from '../fsimpl/host/host_terminal.ts';
import type { Container } from '../kernel/container.ts';
import type { FdTable } from '../kernel/fd_table.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { Session, ThreadGroup } from '../kernel/thread_group.ts';
import { hostFiles } from './host_files.ts';

/** Seen from `resize` and from the process's end. */
export interface Stdio {
  /** False when there is no terminal. */
  resize(rows: number, columns: number): boolean;
  /** Writes out what the terminal still holds. */
  drain(): void;
}

export class StdioFiles implements Stdio {
  /** The host terminal is the controlling terminal of the Sentry's session. */
  controlling = false;
  private readonly kernel: Kernel;
  private readonly container: Container;
  private readonly wantsTerminal: boolean;
  private fds: number[];
  private terminal: HostTerminal | null = null;

  /** Owns `fds` (stdin, stdout, stderr) until `install` hands them on. */
  constructor(kernel: Kernel, container: Container, fds: readonly number[], terminal: boolean) {
    this.kernel = kernel;
    this.container = container;
    this.fds = [...fds];
    this.wantsTerminal = terminal;
  }

  /** Fills descriptors 0 to 2. What is wrong, or null. */
  readonly install = (files: FdTable, session: Session, group: ThreadGroup): string | null => {
    return this.wantsTerminal
      ? this.installTerminal(files, session, group)
      : this.installFiles(files, group);
  };

  private installFiles(files: FdTable, group: ThreadGroup): string | null {
    const { uid, gid } = group.leader.creds;
    for (let i = 0; i < 3; i++) {
      const file = hostFiles(this.kernel).openFd(this.fds[i] as number, uid, gid);
      if (typeof file === 'number') return `descriptor ${i}: ${strerror(-file)}`;
      this.fds[i] = -1;
      files.add(file, false, 3);
    }
    return null;
  }

  private installTerminal(files: FdTable, session: Session, group: ThreadGroup): string | null {
    const [input = -1, ...others] = this.fds;
    const { container, kernel } = this;
    const made = openHostTerminal(kernel, container, input, session, group, this.controlling);
    if (typeof made === 'number') return `terminal: ${strerror(-made)}`;
    this.fds = [];
    for (const fd of others) close(fd);
    this.terminal = made;
    for (let i = 0; i < 3; i++)
      files.add(i === 0 ? made.replica : made.replica.acquire(), false, 3);
    return null;
  }

  resize(rows: number, columns: number): boolean {
    this.terminal?.resize(rows, columns);
    return this.terminal !== null;
  }

  drain(): void {
    this.terminal?.drain();
  }

  /** Closes what was never installed. */
  release(): void {
    for (const fd of this.fds) if (fd >= 0) close(fd);
    this.fds = [];
  }
}
