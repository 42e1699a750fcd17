/**
 * Makes the processes of a sandbox: the Sentry, then the Gofer, both forked from this one, and
 * waits for the Sentry's hello. Whatever fails, nothing that was started stays.
 */

import * as fs from 'node:fs';
import * as os from 'node:os';
import { type BootConfig, GOFER_PATIENCE_SEC } from '../../spec/control/boot.ts';
import type { Config, NamespaceType } from '../../spec/oci/config.ts';
import { Failure } from '../cli/failure.ts';
import type { RuntimeConfig } from '../cli/global_flags.ts';
import type { ProcessIdentity } from '../container/state.ts';
import type { CgroupEntry, ChildPlan, Host } from '../host/host.ts';
import { ControlClient } from './control_client.ts';
import type { GoferMounts, HostTree } from './gofer_mounts.ts';

export const CONTROL_SOCKET = 'control.sock';

const HELLO_TIMEOUT_MS = 30_000;
const STDERR_TAIL_LENGTH = 4096;
const SIGKILL = 9;

/** Namespaces that hold nothing the Sentry needs: made or joined as the configuration says. */
const SENTRY_NAMESPACES: readonly NamespaceType[] = ['network', 'ipc', 'uts'];

export interface LaunchPlan {
  readonly id: string;
  /** The container's state directory. */
  readonly directory: string;
  readonly config: RuntimeConfig;
  readonly spec: Config;
  readonly mounts: GoferMounts;
  readonly cgroupEntry: CgroupEntry;
  readonly memoryLimitBytes: number;
  readonly debugFd: number;
  readonly controllingTerminalFd: number;
  /**
   * A foreground command's sandbox: it ends when this process does, and its last words (a crash of
   * V8, a bug of ours) go to our stderr. Otherwise they go to the debug log or, while it boots, into
   * our error message.
   */
  readonly foreground: boolean;
}

export interface LaunchedSandbox {
  readonly sentry: ProcessIdentity;
  readonly gofer: ProcessIdentity;
  readonly client: ControlClient;
  /** The Sentry's ends of the gofer connections, to be sent with `create` and then closed. */
  readonly goferFds: readonly number[];
}

/** Descriptors for what the children print. */
interface Output {
  /** A memory file: what is printed until they stand ends up in our message. */
  readonly lastWordsFd: number;
  /** A copy of what becomes their stderr then, or -1. */
  readonly stderrFd: number;
  /** The debug log, or -1. */
  readonly debugFd: number;
}

/** `forked` is called while the Sentry boots; what it asks is answered after the hello. */
export async function launchSandbox(
  host: Host,
  plan: LaunchPlan,
  forked: (sandbox: LaunchedSandbox) => void,
): Promise<LaunchedSandbox> {
  const inherited = plan.foreground ? 2 : plan.config.debug ? plan.debugFd : -1;
  const stderrFd = inherited < 0 ? -1 : host.duplicate(inherited);
  const lastWordsFd = host.memoryFile('runsc-stderr');
  // Descriptor 2 is not what it was in the children.
  const output = { lastWordsFd, stderrFd, debugFd: plan.debugFd === 2 ? stderrFd : plan.debugFd };
  const started: number[] = [];
  const open: number[] = [];
  try {
    // The Sentry has more to do before it wants the Gofer than the Gofer itself.
    const { pid, client } = forkSentry(host, plan, output, open);
    started.push(pid);
    const connections = open.length;
    const goferPid = forkGofer(host, plan, output, open);
    started.push(goferPid);
    const gofer = identified(host, goferPid, 'gofer', lastWordsFd);
    const sentry = host.identify(pid);
    const goferFds = open.slice(connections);
    const sandbox = sentry === null ? null : { sentry, gofer, client, goferFds };
    if (sandbox !== null) forked(sandbox);
    const hello = client.receiveMessage(HELLO_TIMEOUT_MS) as { hello?: unknown } | undefined;
    if (sandbox === null || hello?.hello !== 'sentry') {
      throw new Failure(bootProblem(host, client, pid, lastWordsFd));
    }
    // It may have failed meanwhile, and says why.
    identified(host, goferPid, 'gofer', lastWordsFd);
    return sandbox;
  } catch (thrown) {
    for (const fd of open) host.close(fd);
    for (const pid of started) {
      host.kill(pid, SIGKILL);
      host.reap(pid, true);
    }
    throw thrown;
  } finally {
    for (const fd of [lastWordsFd, stderrFd]) if (fd >= 0) host.close(fd);
  }
}

/** Pushes the Sentry's ends of the connections to `open`; the Gofer's pid. */
function forkGofer(host: Host, plan: LaunchPlan, output: Output, open: number[]): number {
  const overlaid = plan.config.overlay;
  const trees: HostTree[] = [
    { ...plan.mounts.root, readonly: plan.mounts.root.readonly || overlaid !== 'none' },
    ...plan.mounts.binds.map((tree) => ({
      ...tree,
      readonly: tree.readonly || overlaid === 'all',
    })),
  ];
  const goferEnds: number[] = [];
  for (const _ of trees) {
    const pair = host.socketPair();
    if (typeof pair === 'number') throw new Failure(`cannot make a socket pair: errno ${-pair}`);
    host.limitWaits(pair[0], GOFER_PATIENCE_SEC);
    open.push(pair[0]);
    goferEnds.push(pair[1]);
  }
  const childPlan = basePlan(plan, 'runsc-gofer', output, goferEnds);
  const pid = host.forkGofer(childPlan, {
    mounts: trees.map((tree, index) => ({ ...tree, fd: goferEnds[index] ?? -1 })),
    hostUds: plan.config.hostUds,
    hostFifo: plan.config.hostFifo,
    rootless: plan.config.rootless,
    debugLogFd: output.debugFd,
    stderrFd: output.stderrFd,
  });
  for (const fd of goferEnds) host.close(fd);
  if (pid < 0) throw new Failure(`cannot start the gofer: fork failed with errno ${-pid}`);
  return pid;
}

function forkSentry(
  host: Host,
  plan: LaunchPlan,
  output: Output,
  open: number[],
): { readonly pid: number; readonly client: ControlClient } {
  const listenerFd = host.listen(plan.directory, CONTROL_SOCKET);
  if (listenerFd < 0) {
    throw new Failure(`cannot listen on ${plan.directory}/${CONTROL_SOCKET}: errno ${-listenerFd}`);
  }
  const pair = host.socketPair();
  if (typeof pair === 'number') {
    host.close(listenerFd);
    throw new Failure(`cannot make a socket pair: errno ${-pair}`);
  }
  const keep = [listenerFd, pair[1]];
  const childPlan: ChildPlan = {
    ...basePlan(plan, 'runsc-sandbox', output, keep),
    controllingTerminalFd: plan.controllingTerminalFd,
    namespaces: (plan.spec.linux?.namespaces ?? []).filter((namespace) =>
      SENTRY_NAMESPACES.includes(namespace.type),
    ),
  };
  const pid = host.forkSentry(childPlan, bootConfig(plan, output, listenerFd, pair[1]));
  for (const fd of keep) host.close(fd);
  if (pid < 0) {
    host.close(pair[0]);
    throw new Failure(`cannot start the sandbox: fork failed with errno ${-pid}`);
  }
  open.push(pair[0]);
  return { pid, client: new ControlClient(host.channel(pair[0])) };
}

function basePlan(
  plan: LaunchPlan,
  name: string,
  output: Output,
  keepFds: readonly number[],
): ChildPlan {
  const oomScoreAdj = plan.spec.process.oomScoreAdj;
  return {
    name,
    keepFds: [...keepFds, ...[output.debugFd, output.stderrFd].filter((fd) => fd >= 0)],
    stderrFd: output.lastWordsFd,
    debugLogFd: output.debugFd,
    controllingTerminalFd: -1,
    ...plan.cgroupEntry,
    namespaces: [],
    userNamespace: plan.config.rootless,
    pidNamespace: true,
    ...(oomScoreAdj !== undefined ? { oomScoreAdj } : {}),
    dieWithParent: plan.foreground,
  };
}

function bootConfig(
  plan: LaunchPlan,
  output: Output,
  listenerFd: number,
  connectionFd: number,
): BootConfig {
  const { config } = plan;
  return {
    sandboxId: plan.id,
    platform: config.platform,
    network: config.network,
    overlay: config.overlay,
    fileAccess: config.fileAccess,
    hostUds: config.hostUds,
    hostFifo: config.hostFifo,
    listenerFd,
    connectionFd,
    debugLogFd: config.debug || config.strace ? output.debugFd : -1,
    stderrFd: output.stderrFd,
    debug: config.debug,
    strace: config.strace,
    straceSyscalls: config.straceSyscalls,
    straceLogSize: config.straceLogSize,
    totalMemoryBytes: Math.min(plan.memoryLimitBytes || Number.POSITIVE_INFINITY, os.totalmem()),
    cpuCount: Math.max(1, os.availableParallelism()),
    rootless: config.rootless,
    namedNetwork: (plan.spec.linux?.namespaces ?? []).some(({ type }) => type === 'network'),
    dieWithParent: plan.foreground,
  };
}

function identified(host: Host, pid: number, what: string, stderrFd: number): ProcessIdentity {
  const identity = host.identify(pid);
  if (identity !== null) return identity;
  throw new Failure(`the ${what} ended while it started${lastWords(stderrFd)}`);
}

function bootProblem(host: Host, client: ControlClient, pid: number, stderrFd: number): string {
  if (!client.ended) return `the sandbox did not start within ${HELLO_TIMEOUT_MS / 1000} s`;
  const status = host.reap(pid, true);
  const said = lastWords(stderrFd);
  // What the configuration is to blame for is said as such.
  const blamed = /config\.json: .*/.exec(said);
  return blamed?.[0] ?? `the sandbox ended while it started, with status ${status}${said}`;
}

/** The last line that the children printed, as the end of a message. */
function lastWords(stderrFd: number): string {
  if (stderrFd < 0) return '';
  const size = fs.fstatSync(stderrFd).size;
  const tail = Buffer.alloc(Math.min(size, STDERR_TAIL_LENGTH));
  fs.readSync(stderrFd, tail, 0, tail.length, size - tail.length);
  const lines = tail.toString('utf8').split('\n');
  const telling = lines.find((line) => /error|fatal/i.test(line)) ?? lines.find((line) => line);
  return telling === undefined ? '' : `: ${telling.trim()}`;
}
