/**
 * Seals a bundle, the addon and this very Node binary into one executable (Node's `--build-sea`).
 *
 *   seal.mjs BUNDLE.cjs ADDON.node OUTPUT
 *
 * Deliberate choices:
 * - V8 rejects a code cache that was made under other flags, and says so on stderr, which a shim must
 *   keep clean: the flags here are given both to the builder and, by `execArgv`, to the result.
 * - `execArgvExtension: none`: NODE_OPTIONS in the caller's environment does not reach runsc.
 * - The output is replaced by rename, so a running runsc is never written to.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';

const FLAGS = ['--single-threaded', '--v8-pool-size=0', '--disable-sigusr1'];

const [bundle, addon, output] = process.argv.slice(2).map((path) => resolve(path));
const scratch = `${output}.${process.pid}`;
const configuration = `${bundle}.sea.json`;

mkdirSync(dirname(output), { recursive: true });
writeFileSync(
  configuration,
  JSON.stringify({
    main: bundle,
    mainFormat: 'commonjs',
    output: scratch,
    executable: process.execPath,
    disableExperimentalSEAWarning: true,
    useSnapshot: false,
    useCodeCache: true,
    execArgv: [...FLAGS, '--disable-warning=ExperimentalWarning'],
    execArgvExtension: 'none',
    assets: { 'runsc.node': addon },
  }),
);
execFileSync(process.execPath, [...FLAGS, '--build-sea', configuration], {
  stdio: ['ignore', 'ignore', 'inherit'],
});
renameSync(scratch, output);
