/** runsc resume. */

import { connect } from '../container/lifecycle.ts';
import { defineCommand } from './command.ts';

export const resumeCommand = defineCommand({
  name: 'resume',
  summary: 'let a paused container run on',
  positionals: ['id'],
  flags: {},
  run(context, { positionals: [id = ''] }) {
    const client = connect(context, context.store.load(id));
    try {
      client.call('resume', { cid: id });
    } finally {
      client.close();
    }
    return 0;
  },
});
