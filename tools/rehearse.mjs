/**
 * Finds out which functions a container's life calls, so that the start-up snapshot can hold them
 * compiled: V8 compiles a function when it is first called, and that was a third of the CPU time of
 * `run /bin/true`.
 *
 *   rehearse.mjs BUNDLE.cjs ADDON.node OUTPUT.json
 *
 * Runs the commands below for real, on this machine's own files. Where no sandbox can run (no ptrace,
 * no right to make namespaces) the list stays short, the executable is as good and starts slower.
 * OUTPUT is [[start, end], ...]: offsets in the bundle.
 */
import { spawnSync } from 'node:child_process';
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { FLAGS } from './flags.mjs';

const TIMEOUT_MS = 30_000;

const [bundle, addon, output] = process.argv.slice(2).map((path) => resolve(path));
const scratch = mkdtempSync(join(tmpdir(), 'runsc-rehearsal-'));
const called = new Map();
let failures = 0;

function perform(...argv) {
  const script = join(import.meta.dirname, 'rehearsal.mjs');
  const result = join(scratch, 'called.json');
  // No pipe: a container that stays would keep it open.
  const words = join(scratch, 'stderr');
  const stderr = openSync(words, 'w');
  const options = { stdio: ['ignore', 'ignore', stderr], timeout: TIMEOUT_MS };
  rmSync(result, { force: true });
  const { status } = spawnSync(
    process.execPath,
    [
      ...FLAGS,
      '--no-warnings',
      script,
      bundle,
      addon,
      result,
      '--root',
      join(scratch, 'root'),
      ...argv,
    ],
    options,
  );
  closeSync(stderr);
  if (status !== 0) {
    failures++;
    const said = readFileSync(words, 'utf8').trimEnd();
    console.error(`rehearsal: runsc ${argv[0]} ended with ${status}: ${said}`);
    return;
  }
  for (const [start, end] of JSON.parse(readFileSync(result, 'utf8'))) called.set(start, end);
}

function bundleFor(name, args) {
  const directory = join(scratch, name);
  mkdirSync(directory);
  const mounts = [{ destination: '/proc', type: 'proc', source: 'proc' }];
  const configuration = {
    ociVersion: '1.0.2',
    process: { user: { uid: 0, gid: 0 }, args, cwd: '/', env: ['PATH=/bin:/usr/bin'] },
    root: { path: '/', readonly: true },
    hostname: 'rehearsal',
    mounts,
    linux: { namespaces: ['pid', 'network', 'ipc', 'uts', 'mount'].map((type) => ({ type })) },
  };
  writeFileSync(join(directory, 'config.json'), JSON.stringify(configuration));
  return directory;
}

try {
  perform('run', '--bundle', bundleFor('short', ['/bin/sh', '-c', '/bin/true; echo $(:)']), 'a');
  if (failures === 0) {
    const broad = 'find /usr/bin /etc | sort | wc -l; python3 -c "import json, ssl, asyncio"; true';
    perform('run', '--bundle', bundleFor('broad', ['/bin/sh', '-c', broad]), 'c');
    perform('create', '--bundle', bundleFor('long', ['/bin/sleep', '1000']), 'b');
    perform('start', 'b');
    perform('exec', 'b', '/bin/true');
    perform('state', 'b');
    perform('kill', 'b', 'KILL');
    perform('delete', '--force', 'b');
  }
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
if (failures > 0) console.error('rehearsal: it did not work out: runsc will start slower');
writeFileSync(output, JSON.stringify([...called].sort(([a], [b]) => a - b)));
