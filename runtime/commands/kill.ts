/** runsc kill: sends a signal to a container's init, one of its processes, or all of them. */

import { signalContainer } from '../container/lifecycle.ts';
import { defineCommand } from './command.ts';
import { signalNumber } from './signal_number.ts';

export const killCommand = defineCommand({
  name: 'kill',
  summary: 'send a signal to a container (default TERM)',
  positionals: ['id'],
  rest: 'signal',
  flags: {
    all: { kind: 'boolean', alias: 'a', help: 'to all processes of the container' },
    pid: { kind: 'int', help: 'to this process, by its number in the container' },
  },
  run(context, { flags, positionals: [id = ''], rest: [written = 'TERM'] }) {
    const signo = signalNumber(written);
    const state = context.store.load(id);
    signalContainer(context, state, { signo, all: flags.all, pid: flags.pid });
    return 0;
  },
});
