/** runsc spec: writes a config.json to begin with. */

import * as fs from 'node:fs';
import * as path from 'node:path';
import { codeOf, Failure, messageOf } from '../cli/failure.ts';
import { defaultSpec } from '../container/default_spec.ts';
import { defineCommand } from './command.ts';

export const specCommand = defineCommand({
  name: 'spec',
  summary: 'write a config.json to begin with; after --, the program and its arguments',
  positionals: [],
  rest: 'arg',
  flags: {
    bundle: { kind: 'string', alias: 'b', help: 'directory for config.json (default: this one)' },
    cwd: { kind: 'string', default: '/', help: 'working directory of the program' },
    netns: { kind: 'string', help: 'path of a network namespace to join' },
  },
  run(_context, { flags, rest }) {
    const file = path.resolve(flags.bundle, 'config.json');
    const spec = defaultSpec({
      args: rest.length > 0 ? rest : ['sh'],
      cwd: flags.cwd,
      netns: flags.netns,
    });
    try {
      fs.writeFileSync(file, `${JSON.stringify(spec, null, 2)}\n`, { flag: 'wx', mode: 0o644 });
    } catch (thrown) {
      if (codeOf(thrown) === 'EEXIST') {
        throw new Failure(`${file} exists: remove it first or give another --bundle`);
      }
      throw new Failure(`cannot write ${file}: ${messageOf(thrown)}`);
    }
    return 0;
  },
});
