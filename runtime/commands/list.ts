/** runsc list: the containers below --root. */

import { print, table } from '../cli/output.ts';
import { currentStatus } from '../container/lifecycle.ts';
import { OCI_VERSION } from '../container/state.ts';
import { defineCommand } from './command.ts';

export const listCommand = defineCommand({
  name: 'list',
  summary: 'list the containers',
  positionals: [],
  flags: {
    format: {
      kind: 'string',
      alias: 'f',
      default: 'table',
      choices: ['table', 'json'],
      help: 'table or json',
    },
    quiet: { kind: 'boolean', alias: 'q', help: 'ids only' },
  },
  run(context, { flags }) {
    const containers = context.store.list().flatMap((id) => {
      const state = context.store.tryLoad(id);
      return state === null ? [] : [{ state, status: currentStatus(context, state) }];
    });
    if (flags.quiet) {
      print(containers.map(({ state }) => `${state.id}\n`).join(''));
    } else if (flags.format === 'json') {
      const rows = containers.map(({ state, status }) => ({
        ociVersion: OCI_VERSION,
        id: state.id,
        pid: status === 'stopped' ? 0 : (state.sentry?.pid ?? 0),
        status,
        bundle: state.bundle,
        created: state.created,
        owner: state.owner,
      }));
      print(`${JSON.stringify(rows)}\n`);
    } else {
      const rows = containers.map(({ state, status }) => [
        state.id,
        String(status === 'stopped' ? 0 : (state.sentry?.pid ?? 0)),
        status,
        state.bundle,
        state.created,
        state.owner,
      ]);
      print(table([['ID', 'PID', 'STATUS', 'BUNDLE', 'CREATED', 'OWNER'], ...rows]));
    }
    return 0;
  },
});
