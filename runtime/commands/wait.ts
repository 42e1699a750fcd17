/** runsc wait: waits for a container or one of its processes and prints the exit status as JSON. */

import { print } from '../cli/output.ts';
import { connect } from '../container/lifecycle.ts';
import type { ControlClient } from '../sandbox/control_client.ts';
import { SENTRY_DIED_STATUS } from '../sandbox/foreground.ts';
import { defineCommand } from './command.ts';

/** Longer than any container runs; a number because poll(2) takes 31 bits of milliseconds. */
const NO_TIMEOUT_MS = 2 ** 31 - 1;

export const waitCommand = defineCommand({
  name: 'wait',
  summary: 'wait until a container or one of its processes ends',
  positionals: ['id'],
  flags: {
    pid: { kind: 'int', help: 'wait for this process, by its number in the container' },
  },
  run(context, { flags, positionals: [id = ''] }) {
    const client = connect(context, context.store.load(id));
    try {
      const exitStatus = statusOf(client, id, flags.pid);
      print(`${JSON.stringify({ id, exitStatus })}\n`);
    } finally {
      client.close();
    }
    return 0;
  },
});

/** A Sentry that is killed (out of memory, by a person) answers nothing: all of its processes died so. */
function statusOf(client: ControlClient, cid: string, pid: number): number {
  try {
    const target = pid > 0 ? { pid } : {};
    return client.call('wait', { cid, ...target }, [], NO_TIMEOUT_MS).exitStatus;
  } catch (thrown) {
    if (client.ended) return SENTRY_DIED_STATUS;
    throw thrown;
  }
}
