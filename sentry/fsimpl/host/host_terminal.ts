/**
 * The bridge between a host terminal and an internal pty.
 */
import { ENXIO } from '../../../spec/linux/errno.ts';
import type { Container } from '../../kernel/container.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import type { Session, ThreadGroup } from '../../kernel/thread_group.ts';
import type { OpenFile } from '../../vfs/open_file.ts';

export interface HostTerminal {
  /** What the process has at descriptors 0, 1 and 2; one reference, the caller's. */
  readonly replica: OpenFile;
  resize(rows: number, columns: number): void;
  /** Writes out what the line still holds. */
  drain(): void;
}

/** Bridges host terminal `fd`, which it takes over. */
export function openHostTerminal(
  _kernel: Kernel,
  _container: Container,
  _fd: number,
  _session: Session,
  _group: ThreadGroup,
  _controlling: boolean,
): HostTerminal | number {
  return -ENXIO;
}
