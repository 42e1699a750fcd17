/**
 * The standard descriptors that a process in the container gets: ours, or with a console socket
 * both ends of a new pty, the master sent to whoever listens there.
 */

import { Failure } from '../cli/failure.ts';
import type { Host } from '../host/host.ts';

export interface Stdio {
  readonly fds: readonly [number, number, number];
  /** The replica of a pty that was made here, or -1. */
  readonly replica: number;
  /** What was opened here, or -1: to be closed once it is handed over. */
  readonly opened: number;
}

export interface ConsoleRequest {
  readonly terminal: boolean;
  readonly consoleSocket: string;
  readonly size?: { readonly height: number; readonly width: number };
}

export function openStdio(host: Host, request: ConsoleRequest): Stdio {
  if (request.consoleSocket === '') return ownStdio(host, request.terminal);
  if (!request.terminal) {
    throw new Failure(
      '--console-socket: process.terminal is false: set it to true or drop the flag',
    );
  }
  const pair = host.openTerminal();
  if (typeof pair === 'number') throw new Failure(`cannot open a terminal: errno ${-pair}`);
  const [master, replica] = pair;
  if (request.size !== undefined) {
    host.setWindowSize(replica, { rows: request.size.height, columns: request.size.width });
  }
  const sent = host.sendTerminal(request.consoleSocket, master);
  host.close(master);
  if (sent < 0) {
    host.close(replica);
    throw new Failure(
      `--console-socket: cannot send the terminal to ${request.consoleSocket}: errno ${-sent}`,
    );
  }
  return { fds: [replica, replica, replica], replica, opened: replica };
}

/** The Sentry must not wait for the terminal, and our description is not ours alone to change. */
function ownStdio(host: Host, terminal: boolean): Stdio {
  const opened = terminal ? host.reopenTerminal(0) : -1;
  return { fds: [Math.max(opened, 0), 1, 2], replica: -1, opened };
}

export function closeStdio(host: Host, stdio: Stdio): void {
  if (stdio.opened >= 0) host.close(stdio.opened);
}
