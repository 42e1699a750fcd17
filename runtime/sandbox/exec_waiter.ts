/**
 * The helper behind `exec`: a forked child of the CLI that starts the process, forwards signals and
 * window size to it, and exits with its status. With --detach it stays when the CLI leaves. If the helper is killed the Sentry
 * kills the process (killOnClose), so the two look like one to containerd.
 */

import { encodeFrame, FrameReader } from '../../spec/control/frame.ts';
import type { Process } from '../../spec/oci/config.ts';
import type { Context } from '../cli/context.ts';
import { EXIT_FAILURE, Failure, messageOf } from '../cli/failure.ts';
import { connect } from '../container/lifecycle.ts';
import { cgroupEntry } from '../container/limits.ts';
import type { ContainerState } from '../container/state.ts';
import type { Stdio } from './console.ts';
import { REPLY_TIMEOUT_MS } from './control_client.ts';
import { attendInHelper } from './foreground.ts';

/** What the helper tells the CLI, once. */
interface Report {
  /** '' when the process runs. */
  readonly problem: string;
  readonly exitCode: number;
}

const REPORT_LENGTH = 65536;

/** The helper's pid, once the process runs. */
export function forkWaiter(
  context: Context,
  state: ContainerState,
  process: Process,
  stdio: Stdio,
  dieWithParent: boolean,
): number {
  const { host } = context;
  const pair = host.socketPair();
  if (typeof pair === 'number') throw new Failure(`cannot make a socket pair: errno ${-pair}`);
  const [ours, theirs] = pair;
  const copies = stdio.fds.map((fd) => host.duplicate(fd));
  const terminalCopy = stdio.replica >= 0 ? host.duplicate(stdio.replica) : -1;
  const plan = {
    name: 'runsc-exec',
    keepFds: [theirs, ...copies],
    stderrFd: -1,
    debugLogFd: -1,
    controllingTerminalFd: terminalCopy,
    ...cgroupEntry(host, state),
    namespaces: [],
    userNamespace: false,
    pidNamespace: false,
    dieWithParent,
  };
  const pid = host.forkHelper(plan, () => wait(context, state, process, copies, theirs));
  for (const fd of [theirs, terminalCopy, ...copies]) if (fd >= 0) host.close(fd);
  if (pid < 0) throw new Failure(`cannot start the exec helper: errno ${-pid}`);
  const channel = host.channel(ours);
  const buffer = new Uint8Array(REPORT_LENGTH);
  const length = channel.receive(buffer, REPLY_TIMEOUT_MS);
  const reader = new FrameReader();
  if (length > 0) reader.push(buffer, length);
  const report = reader.next() as Report | undefined;
  channel.close();
  if (report === undefined) throw new Failure('the exec helper ended before the process ran');
  if (report.problem !== '') {
    host.reap(pid, true);
    throw new Failure(report.problem, report.exitCode);
  }
  return pid;
}

/** Runs in the helper; the exit status of the process. */
function wait(
  context: Context,
  state: ContainerState,
  process: Process,
  stdio: readonly number[],
  reportFd: number,
): number {
  const { host } = context;
  const report = (message: Report) => {
    const frame = encodeFrame(message);
    if (frame !== null) host.channel(reportFd).send(frame, []);
    host.close(reportFd);
  };
  const terminal = process.terminal ?? false;
  try {
    const client = connect(context, state);
    const params = { cid: state.id, process, killOnClose: true };
    const { pid } = client.call('exec', params, stdio);
    // The terminal stays open in this process only as its standard input, for window sizes.
    host.useAsStdin(terminal ? (stdio[0] ?? -1) : -1);
    for (const fd of stdio) host.close(fd);
    report({ problem: '', exitCode: 0 });
    return attendInHelper(host, client, { cid: state.id, pid, terminal });
  } catch (thrown) {
    const exitCode = thrown instanceof Failure ? thrown.exitCode : EXIT_FAILURE;
    report({ problem: messageOf(thrown), exitCode });
    return exitCode;
  }
}
