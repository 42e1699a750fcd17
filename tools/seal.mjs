/**
 * Seals a bundle, the addon and this very Node binary into one executable (Node's `--build-sea`).
 * The bundle runs here, once, and its heap becomes the executable's start-up snapshot (snapshot.cjs).
 *
 *   seal.mjs BUNDLE.cjs ADDON.node CALLED.json OUTPUT
 *
 * Deliberate choices:
 * - V8 wants the flags that a snapshot was made under when it is used: flags.mjs has those that are
 *   given both to the builder and, by `execArgv`, to the result.
 * - `execArgvExtension: none`: NODE_OPTIONS in the caller's environment does not reach runsc.
 * - The output is replaced by rename, so a running runsc is never written to.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { FLAGS } from './flags.mjs';
import { stripCodeCache } from './strip.mjs';

const [bundle, addon, called, output] = process.argv.slice(2).map((path) => resolve(path));
const scratch = `${output}.${process.pid}`;
const configuration = `${bundle}.sea.json`;
const source = `${bundle}.source`;

/** What native/src/shared_text.cc looks for at the end of the executable. */
const TEXT_MAGIC = 0x545845544e555221n;
const PAGE_SIZE = 4096;
/** Where in its page V8 puts the characters of a large string. */
const TEXT_IN_PAGE = 32;

/** Appends `text`, so that its pages are those of the string that V8 makes of it. */
function appendText(image, text) {
  const room = PAGE_SIZE + TEXT_IN_PAGE - (image.length % PAGE_SIZE);
  const trailer = Buffer.alloc(24);
  trailer.writeBigUInt64LE(BigInt(image.length + room), 0);
  trailer.writeBigUInt64LE(BigInt(text.length), 8);
  trailer.writeBigUInt64LE(TEXT_MAGIC, 16);
  return Buffer.concat([image, Buffer.alloc(room), text, trailer]);
}

mkdirSync(dirname(output), { recursive: true });
const text = `(function (require, module, exports) {${readFileSync(bundle, 'utf8')}\n})`;
writeFileSync(source, text);
writeFileSync(
  configuration,
  JSON.stringify({
    main: join(import.meta.dirname, 'snapshot.cjs'),
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
// Collections must not throw away what is compiled but has not run.
const builderFlags = [...FLAGS, '--no-flush-bytecode', '--no-warnings'];
execFileSync(process.execPath, [...builderFlags, '--build-sea', configuration], {
  stdio: ['ignore', 'ignore', 'inherit'],
  env: { ...process.env, RUNSC_SOURCE: source, RUNSC_CALLED: called },
});
const image = readFileSync(scratch);
if (!stripCodeCache(image, statSync(process.execPath).size)) {
  console.error('seal: found no code cache to strip: runsc will start slower');
}
writeFileSync(scratch, appendText(image, Buffer.from(text)));
renameSync(scratch, output);
