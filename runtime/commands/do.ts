/**
 * runsc do: runs a program in a sandbox whose root is this machine's file tree below an overlay in
 * memory: it sees everything and changes nothing. No network, our standard descriptors, its exit
 * status.
 */

import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { CAPABILITY_NAMES } from '../../spec/linux/capability.ts';
import type { Config, Mount } from '../../spec/oci/config.ts';
import { Context } from '../cli/context.ts';
import { codeOf, Failure, messageOf } from '../cli/failure.ts';
import { loadBundle } from '../container/bundle.ts';
import { KERNEL_MOUNTS } from '../container/default_spec.ts';
import { OCI_VERSION } from '../container/state.ts';
import { defineCommand } from './command.ts';
import { runAttended } from './run.ts';

export const doCommand = defineCommand({
  name: 'do',
  summary: "run a program on this machine's files below an overlay in memory",
  positionals: [],
  rest: 'program',
  restLeast: 1,
  flags: {
    root: { kind: 'string', default: '/', help: 'the file tree to show as the root' },
    cwd: { kind: 'string', help: 'working directory (default: the present one, if it is there)' },
    volume: {
      kind: 'strings',
      alias: 'v',
      help: 'SRC[:DST[:OPTIONS]]: bind a host path, writable; may be repeated',
    },
    'force-overlay': {
      kind: 'boolean',
      default: true,
      help: 'keep writes in memory; =false lets them through to the host',
    },
  },
  async run(context, { flags, rest }) {
    const root = path.resolve(flags.root);
    const config: Config = {
      ociVersion: OCI_VERSION,
      root: { path: root },
      hostname: os.hostname(),
      process: {
        terminal: context.host.isTerminal(0),
        user: { uid: 0, gid: 0 },
        args: rest,
        env: Object.entries(process.env).map(([name, value]) => `${name}=${value}`),
        cwd: workingDirectory(flags.cwd, root),
        capabilities: {
          bounding: CAPABILITY_NAMES,
          effective: CAPABILITY_NAMES,
          inheritable: [],
          permitted: CAPABILITY_NAMES,
        },
      },
      mounts: [...KERNEL_MOUNTS, ...flags.volume.map(volumeMount)],
    };
    const bundle = temporaryBundle(config);
    try {
      const overlay = flags['force-overlay'] ? 'root' : 'none';
      const inner = new Context({ ...context.config, overlay }, context.log, context.host);
      return await runAttended(inner, {
        id: `runsc-do-${process.pid}-${Date.now().toString(36)}`,
        bundle: loadBundle(bundle),
        consoleSocket: '',
        pidFile: '',
        temporaryBundle: true,
        foreground: true,
      });
    } finally {
      fs.rmSync(bundle, { recursive: true, force: true });
    }
  },
});

function temporaryBundle(config: Config): string {
  try {
    const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'runsc-do-'));
    fs.writeFileSync(`${directory}/config.json`, JSON.stringify(config), { mode: 0o600 });
    return directory;
  } catch (thrown) {
    throw new Failure(`cannot make a bundle in ${os.tmpdir()}: ${messageOf(thrown)}`);
  }
}

/** The present directory, when it exists below the root too. */
function workingDirectory(wanted: string, root: string): string {
  if (wanted !== '') {
    if (!wanted.startsWith('/')) throw new Failure(`--cwd: "${wanted}" must be an absolute path`);
    return wanted;
  }
  try {
    const present = process.cwd();
    return fs.statSync(path.join(root, present)).isDirectory() ? present : '/';
  } catch {
    return '/';
  }
}

function volumeMount(written: string): Mount {
  const [source = '', destination = source, options = ''] = written.split(':');
  if (!source.startsWith('/') || !destination.startsWith('/')) {
    throw new Failure(`--volume: "${written}" must be SRC[:DST[:OPTIONS]] with absolute paths`);
  }
  try {
    fs.statSync(source);
  } catch (thrown) {
    throw new Failure(`--volume: ${source}: ${codeOf(thrown)}: name a path that exists`);
  }
  const more = options.split(',').filter((option) => option !== '');
  return { destination, type: 'bind', source, options: ['rbind', ...more] };
}
