/**
 * runsc exec: runs another process in a container. A forked helper attends it, whose pid goes to
 * --pid-file and whose exit status is the process's: containerd waits for it and signals it like the
 * process itself. Without --detach we do the same.
 */

import { MESSAGES } from '../../spec/control/protocol.ts';
import type { Process } from '../../spec/oci/config.ts';
import type { Context } from '../cli/context.ts';
import { Failure } from '../cli/failure.ts';
import { execProcess } from '../container/exec_process.ts';
import { currentStatus, writePidFile } from '../container/lifecycle.ts';
import { type ContainerState, canExec } from '../container/state.ts';
import { closeStdio, openStdio } from '../sandbox/console.ts';
import { forkWaiter } from '../sandbox/exec_waiter.ts';
import { ForegroundSignals } from '../sandbox/foreground.ts';
import { CONSOLE_SOCKET_FLAG, defineCommand, PID_FILE_FLAG } from './command.ts';

export const execCommand = defineCommand({
  name: 'exec',
  summary: 'run another process in a container',
  positionals: ['id'],
  rest: 'program',
  flags: {
    process: { kind: 'string', alias: 'p', help: 'file that holds an OCI process, as JSON' },
    detach: { kind: 'boolean', alias: 'd', help: 'return when the process runs' },
    'pid-file': PID_FILE_FLAG,
    'console-socket': CONSOLE_SOCKET_FLAG,
    cwd: { kind: 'string', help: 'working directory' },
    env: { kind: 'strings', alias: 'e', help: 'NAME=VALUE to set; may be repeated' },
    user: { kind: 'string', alias: 'u', help: 'UID[:GID] to run as' },
    'additional-gids': { kind: 'strings', alias: 'g', help: 'another group; may be repeated' },
    cap: { kind: 'strings', alias: 'c', help: 'capability to add; may be repeated' },
    tty: { kind: 'boolean', alias: 't', help: 'the process has a terminal' },
    'no-new-privs': { kind: 'boolean', help: 'the process and its children gain no privileges' },
  },
  async run(context, { flags, positionals: [id = ''], rest }) {
    const state = context.store.load(id);
    const status = currentStatus(context, state);
    if (!canExec(status)) {
      const reason = status === 'stopped' ? MESSAGES.notRunning : `it is ${status}`;
      throw new Failure(`cannot exec in container "${id}": ${reason}`);
    }
    const process = execProcess(state, {
      processFile: flags.process,
      args: rest,
      cwd: flags.cwd,
      env: flags.env,
      user: flags.user,
      additionalGids: flags['additional-gids'],
      capabilities: flags.cap,
      terminal: flags.tty,
      noNewPrivileges: flags['no-new-privs'],
    });
    const request = { process, consoleSocket: flags['console-socket'], detach: flags.detach };
    const signals = flags.detach ? null : new ForegroundSignals(context.host);
    const settings = flags.detach ? null : context.host.saveTerminal(0);
    try {
      const pid = startHelper(context, state, request);
      if (flags['pid-file'] !== '') writePidFile(flags['pid-file'], pid);
      if (signals === null) return 0;
      return await signals.attend(pid, (signo) => context.host.kill(pid, signo));
    } finally {
      if (settings !== null) context.host.restoreTerminal(0, settings);
      signals?.close();
    }
  },
});

interface HelperRequest {
  readonly process: Process;
  readonly consoleSocket: string;
  readonly detach: boolean;
}

/** The helper's pid, once the process runs. */
function startHelper(context: Context, state: ContainerState, request: HelperRequest): number {
  const { process, consoleSocket, detach } = request;
  const size = process.consoleSize;
  const stdio = openStdio(context.host, {
    terminal: process.terminal ?? false,
    consoleSocket,
    ...(size !== undefined ? { size } : {}),
  });
  try {
    return forkWaiter(context, state, process, stdio, !detach);
  } finally {
    closeStdio(context.host, stdio);
  }
}
