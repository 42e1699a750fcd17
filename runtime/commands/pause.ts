/** runsc pause. */

import { connect } from '../container/lifecycle.ts';
import { defineCommand } from './command.ts';

export const pauseCommand = defineCommand({
  name: 'pause',
  summary: 'stop all processes of a container',
  positionals: ['id'],
  flags: {},
  run(context, { positionals: [id = ''] }) {
    const client = connect(context, context.store.load(id));
    try {
      client.call('pause', { cid: id });
    } finally {
      client.close();
    }
    return 0;
  },
});
