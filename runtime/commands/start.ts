/** runsc start: lets a created container's program run. */

import { startContainer } from '../container/lifecycle.ts';
import { defineCommand } from './command.ts';

export const startCommand = defineCommand({
  name: 'start',
  summary: 'let a created container run',
  positionals: ['id'],
  flags: {},
  run(context, { positionals: [id = ''] }) {
    const lock = context.store.lock(id);
    try {
      startContainer(context, context.store.load(id));
    } finally {
      lock.release();
    }
    return 0;
  },
});
