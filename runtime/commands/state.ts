/** runsc state: the OCI runtime state of a container. */

import { print } from '../cli/output.ts';
import { currentStatus } from '../container/lifecycle.ts';
import { ociState } from '../container/state.ts';
import { defineCommand } from './command.ts';

export const stateCommand = defineCommand({
  name: 'state',
  summary: "print a container's state, as JSON",
  positionals: ['id'],
  flags: {},
  run(context, { positionals: [id = ''] }) {
    const state = context.store.load(id);
    print(`${JSON.stringify(ociState(state, currentStatus(context, state)), null, 2)}\n`);
    return 0;
  },
});
