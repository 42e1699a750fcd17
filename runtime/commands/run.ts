/** runsc run: create, start, attend, delete. With --detach: create and start. */

import type { Context } from '../cli/context.ts';
import { loadBundle } from '../container/bundle.ts';
import {
  type CreateOptions,
  connect,
  createContainer,
  deleteContainer,
  letRun,
  startContainer,
} from '../container/lifecycle.ts';
import { checkId } from '../container/state.ts';
import { ForegroundSignals, forwardSignal } from '../sandbox/foreground.ts';
import { BUNDLE_FLAG, CONSOLE_SOCKET_FLAG, defineCommand, PID_FILE_FLAG } from './command.ts';

export const runCommand = defineCommand({
  name: 'run',
  summary: 'create, start and attend a container, and delete it when it ends',
  positionals: ['id'],
  flags: {
    bundle: BUNDLE_FLAG,
    'console-socket': CONSOLE_SOCKET_FLAG,
    'pid-file': PID_FILE_FLAG,
    detach: { kind: 'boolean', alias: 'd', help: 'return when the container runs' },
  },
  async run(context, { flags, positionals: [id = ''] }) {
    checkId(id);
    const options: CreateOptions = {
      id,
      bundle: loadBundle(flags.bundle),
      consoleSocket: flags['console-socket'],
      pidFile: flags['pid-file'],
      temporaryBundle: false,
      foreground: !flags.detach,
    };
    return flags.detach ? await runDetached(context, options) : await runAttended(context, options);
  },
});

async function runDetached(context: Context, options: CreateOptions): Promise<number> {
  const state = await createContainer(context, options);
  try {
    startContainer(context, state, 'created');
  } catch (thrown) {
    deleteContainer(context, options.id, true);
    throw thrown;
  }
  return 0;
}

/** Attends the container until it ends, deletes it, and returns its exit status. */
export async function runAttended(context: Context, options: CreateOptions): Promise<number> {
  const { host } = context;
  const signals = new ForegroundSignals(host);
  const settings = host.saveTerminal(0);
  try {
    const state = await createContainer(context, options);
    try {
      const client = connect(context, state);
      letRun(context, client, state);
      const terminal = state.spec.process.terminal ?? false;
      const attended = { cid: state.id, pid: 0, terminal };
      return await signals.attend(state.sentry?.pid ?? 0, (signo) =>
        forwardSignal(host, client, attended, signo),
      );
    } finally {
      deleteContainer(context, options.id, true);
    }
  } finally {
    if (settings !== null) host.restoreTerminal(0, settings);
    signals.close();
  }
}
