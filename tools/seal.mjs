/**
 * Seals a bundle, the addon and this very Node binary into one executable (Node's `--build-sea`).
 * The bundle runs here, once, and its heap becomes the executable's start-up snapshot.
 *
 *   seal.mjs BUNDLE.cjs ADDON.node OUTPUT
 *
 * Deliberate choices:
 * - V8 wants the flags that a snapshot was made under when it is used: those here are given both to
 *   the builder and, by `execArgv`, to the result.
 * - `--no-rehash-snapshot` saves 5 ms of a start, which V8 spends on giving all strings new hashes.
 *   The seed of the hashes is then that of the build: a guest can make names that collide, and so
 *   slow down its own Sentry, whose CPU time is its own as well.
 * - `execArgvExtension: none`: NODE_OPTIONS in the caller's environment does not reach runsc.
 * - The output is replaced by rename, so a running runsc is never written to.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';

const FLAGS = [
  '--single-threaded',
  '--v8-pool-size=0',
  '--disable-sigusr1',
  '--no-rehash-snapshot',
];

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
    useSnapshot: true,
    useCodeCache: false,
    execArgv: [...FLAGS, '--disable-warning=ExperimentalWarning'],
    execArgvExtension: 'none',
    assets: { 'runsc.node': addon },
  }),
);
execFileSync(process.execPath, [...FLAGS, '--no-warnings', '--build-sea', configuration], {
  stdio: ['ignore', 'ignore', 'inherit'],
});
renameSync(scratch, output);
