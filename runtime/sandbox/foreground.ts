/**
 * Attending a process of the container while it runs: our signals and window size go to it, and
 * its exit status becomes ours.
 */

import { parseReply } from '../../spec/control/protocol.ts';
import * as signal from '../../spec/linux/signal.ts';
import type { Host, SignalSource } from '../host/host.ts';
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
];

const SENTRY_DIED_STATUS = 128 + signal.SIGKILL;
const FOREVER = -1;

export interface Attended {
  readonly cid: string;
  /** The process in the container; 0 for its init. */
  readonly pid: number;
  /** The Sentry, when it is our child: its exit status is that of the init. */
  readonly sentryPid: number;
  readonly terminal: boolean;
}

/** To be called before anything is forked, so that no signal finds its default action. */
export function takeForwardedSignals(host: Host): SignalSource {
  return host.takeSignals([...FORWARDED, signal.SIGWINCH, signal.SIGCHLD]);
}

/** Until the process ends; its exit status. */
export function attend(
  host: Host,
  client: ControlClient,
  signals: SignalSource,
  attended: Attended,
): number {
  const { cid, pid, sentryPid } = attended;
  const target = pid > 0 ? { pid } : {};
  const waitId = sentryPid > 0 ? 0 : client.send('wait', { cid, ...target });
  for (;;) {
    for (let signo = signals.next(); signo !== 0; signo = signals.next()) {
      if (signo === signal.SIGCHLD) continue;
      if (signo === signal.SIGWINCH) sendSize(host, client, attended);
      else client.send('signal', { cid, signo, all: false, foreground: true, ...target });
    }
    if (sentryPid > 0) {
      const status = host.reap(sentryPid, false);
      if (status >= 0) return status;
    }
    for (;;) {
      const reply = parseReply(client.receiveMessage(0));
      if (reply === null) break;
      // Other replies answer signals and sizes: a process that has just ended is no matter.
      if (reply.id !== waitId) continue;
      return (resultOf(reply) as { exitStatus: number }).exitStatus;
    }
    if (client.ended && sentryPid === 0) return SENTRY_DIED_STATUS;
    host.poll(client.ended ? [signals.fd] : [signals.fd, client.fd], FOREVER);
  }
}

function sendSize(host: Host, client: ControlClient, attended: Attended): void {
  if (!attended.terminal) return;
  const size = host.windowSize(0);
  if (size === null) return;
  const target = attended.pid > 0 ? { pid: attended.pid } : {};
  client.send('resize', { cid: attended.cid, ...target, ...size });
}
