/** runsc wait: waits for a container or one of its processes and prints the exit status as JSON. */

import { print } from '../cli/output.ts';
import { connect } from '../container/lifecycle.ts';
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
      const target = flags.pid > 0 ? { pid: flags.pid } : {};
      const { exitStatus } = client.call('wait', { cid: id, ...target }, [], NO_TIMEOUT_MS);
      print(`${JSON.stringify({ id, exitStatus })}\n`);
    } finally {
      client.close();
    }
    return 0;
  },
});
