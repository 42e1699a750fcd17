/**
 * Attending a process of the container while it runs: signals and window size go to it, and its
 * exit status becomes ours.
 *
 * Two sides: a foreground command watches its child (Sentry or exec helper) from Node's event loop,
 * since Node's extra threads forbid signalfd(2) there; the exec helper, a fork with one thread,
 * waits for signals and replies in one poll(2).
 */

import { parseReply } from '../../spec/control/protocol.ts';
import * as signal from '../../spec/linux/signal.ts';
import type { Host } from '../host/host.ts';
import { type ControlClient, resultOf } from './control_client.ts';

/** Signals that go on to the container. The stop signals keep their effect on us. */
const FORWARDED = [
  signal.SIGHUP,
  signal.SIGINT,
  signal.SIGQUIT,
  signal.SIGTERM,
  signal.SIGUSR1,
  signal.SIGUSR2,
  signal.SIGALRM,
  signal.SIGCONT,
  signal.SIGWINCH,
];

/** The status of every process of a sandbox whose Sentry was killed. */
export const SENTRY_DIED_STATUS = 128 + signal.SIGKILL;
const FOREVER = -1;

/**
 * The signals of a foreground command. To be made before anything is started: what arrives before
 * `attend` is kept for it.
 */
export class ForegroundSignals {
  private readonly host: Host;
  private readonly early: number[] = [];
  private readonly stop: () => void;
  private deliver: (signo: number) => void = (signo) => this.early.push(signo);

  constructor(host: Host) {
    this.host = host;
    this.stop = host.watchSignals([...FORWARDED, signal.SIGCHLD], (signo) => this.deliver(signo));
  }

  /** Until the child ends: its exit status. Other signals than SIGCHLD go to `forward`. */
  attend(pid: number, forward: (signo: number) => void): Promise<number> {
    return new Promise((resolve) => {
      this.deliver = (signo) => {
        if (signo !== signal.SIGCHLD) return forward(signo);
        const status = this.host.reap(pid, false);
        if (status >= 0) resolve(status);
      };
      for (const signo of this.early.splice(0)) this.deliver(signo);
      this.deliver(signal.SIGCHLD);
    });
  }

  close(): void {
    this.stop();
  }
}

export interface Attended {
  readonly cid: string;
  /** The process in the container; 0 for its init. */
  readonly pid: number;
  /** Descriptor 0 is the process's terminal. */
  readonly terminal: boolean;
}

/** In a foreground command: sends a signal on. */
export function forwardSignal(
  host: Host,
  client: ControlClient,
  attended: Attended,
  signo: number,
): void {
  sendOn(host, client, attended, signo);
  // Replies only say that the process has just ended; they must not fill the socket.
  while (client.receiveMessage(0) !== undefined);
}

/** SIGWINCH goes as the new size of the terminal. */
function sendOn(host: Host, client: ControlClient, attended: Attended, signo: number): void {
  const { cid, pid, terminal } = attended;
  const target = pid > 0 ? { pid } : {};
  if (signo !== signal.SIGWINCH) {
    client.send('signal', { cid, signo, all: false, foreground: terminal, ...target });
  } else if (terminal) {
    const size = host.windowSize(0);
    if (size !== null) client.send('resize', { cid, ...target, ...size });
  }
}

/** In a helper: attends until the process ends; its exit status. */
export function attendInHelper(host: Host, client: ControlClient, attended: Attended): number {
  const signals = host.takeSignals(FORWARDED);
  const { cid, pid } = attended;
  const waitId = client.send('wait', { cid, pid });
  for (;;) {
    for (let reply = nextReply(client); reply !== null; reply = nextReply(client)) {
      if (reply.id === waitId) return (resultOf(reply) as { exitStatus: number }).exitStatus;
    }
    if (client.ended) return SENTRY_DIED_STATUS;
    host.poll([signals.fd, client.fd], FOREVER);
    for (let signo = signals.next(); signo !== 0; signo = signals.next()) {
      sendOn(host, client, attended, signo);
    }
  }
}

function nextReply(client: ControlClient) {
  return parseReply(client.receiveMessage(0));
}
