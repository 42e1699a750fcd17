/** runsc create: makes a container, ready to start. */

import { loadBundle } from '../container/bundle.ts';
import { createContainer } from '../container/lifecycle.ts';
import { checkId } from '../container/state.ts';
import { BUNDLE_FLAG, CONSOLE_SOCKET_FLAG, defineCommand, PID_FILE_FLAG } from './command.ts';

export const createCommand = defineCommand({
  name: 'create',
  summary: 'make a container from a bundle; start lets it run',
  positionals: ['id'],
  flags: {
    bundle: BUNDLE_FLAG,
    'console-socket': CONSOLE_SOCKET_FLAG,
    'pid-file': PID_FILE_FLAG,
    'no-pivot': { kind: 'boolean', help: 'accepted for runc callers: there is no pivot_root here' },
    'no-new-keyring': { kind: 'boolean', help: 'accepted for runc callers: no keyring is made' },
  },
  async run(context, { flags, positionals: [id = ''] }) {
    checkId(id);
    await createContainer(context, {
      id,
      bundle: loadBundle(flags.bundle),
      consoleSocket: flags['console-socket'],
      pidFile: flags['pid-file'],
      temporaryBundle: false,
      foreground: false,
    });
    return 0;
  },
});
