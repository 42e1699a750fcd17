/** runsc delete: removes containers and all that was made for them. */

import { MESSAGES } from '../../spec/control/protocol.ts';
import { messageOf } from '../cli/failure.ts';
import { printError } from '../cli/output.ts';
import { deleteContainer } from '../container/lifecycle.ts';
import { defineCommand } from './command.ts';

export const deleteCommand = defineCommand({
  name: 'delete',
  summary: 'remove a container and all that was made for it',
  positionals: ['id'],
  rest: 'id',
  flags: {
    force: {
      kind: 'boolean',
      alias: 'f',
      help: 'kill it first if it runs; no error if it does not exist',
    },
  },
  run(context, { flags, positionals: [first = ''], rest }) {
    let failed: unknown = null;
    for (const id of [first, ...rest]) {
      try {
        deleteContainer(context, id, flags.force);
      } catch (thrown) {
        const gone = messageOf(thrown).endsWith(MESSAGES.doesNotExist);
        if (flags.force && gone) continue;
        if (failed !== null) printError(`${messageOf(failed)}\n`);
        failed = thrown;
      }
    }
    if (failed !== null) throw failed;
    return 0;
  },
});
