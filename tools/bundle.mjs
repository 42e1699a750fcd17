/**
 * Bundles one entry point and everything it imports into a single CommonJS module for the sealed executable.
 *
 *   bundle.mjs ENTRY.ts OUTPUT.cjs [MODULE.ts REPLACEMENT.ts]
 *
 * REPLACEMENT stands in for MODULE, except in itself: test/bench/locks.ts measures what one costs.
 *
 * Names are kept, so that a stack trace can be read without the source map, which lies beside the
 * bundle and is not sealed in.
 *
 * CommonJS, because the start-up snapshot that seal.mjs makes is of a script. `import.meta.url` only
 * finds the addon in development, and must look like a file to yargs.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { build } from 'esbuild';

const [entry, output, replaced, replacement] = process.argv.slice(2);

const replace = {
  name: 'replace',
  setup({ onResolve }) {
    onResolve({ filter: /^\./ }, ({ path, importer, resolveDir }) => {
      const stays = importer === resolve(replacement);
      return !stays && resolve(resolveDir, path) === resolve(replaced)
        ? { path: resolve(replacement) }
        : undefined;
    });
  },
};

/**
 * `await import('./x.ts')`, which starts faster where nothing is sealed, is a static import here: the
 * snapshot holds every module evaluated. Left dynamic, esbuild would keep all modules apart, and none
 * of their constants could be put where it is used. Packages (yargs, for `help`) stay dynamic.
 */
const DYNAMIC = /\bimport\(('\.[^']*')\)/g;
const atOnce = {
  name: 'at once',
  setup({ onLoad }) {
    onLoad({ filter: /\.ts$/ }, ({ path }) => {
      const head = [];
      const contents = readFileSync(path, 'utf8').replace(DYNAMIC, (_, from) => {
        head.push(`import * as at_once_${head.length} from ${from};`);
        return `at_once_${head.length - 1}`;
      });
      return { contents: head.join(' ') + contents, loader: 'ts' };
    });
  },
};

/**
 * For each file with `import * as fs from 'node:fs'` esbuild makes an object of its own with a getter
 * for each of 100 names, and all of them would be in the snapshot, half a megabyte. The module itself
 * does as well, as nobody imports the default of a module of Node's. As long as before, for the map.
 */
const COPY = /__toESM\((require\("node:[a-z/]+"\)),1\)/g;
const withoutCopies = (text) => text.replace(COPY, (all, inner) => inner.padStart(all.length));

const { outputFiles } = await build({
  entryPoints: [entry],
  outfile: output,
  bundle: true,
  format: 'cjs',
  plugins: replaced === undefined ? [atOnce] : [atOnce, replace],
  define: { 'import.meta.url': '"file:///runsc"' },
  platform: 'node',
  target: 'node26',
  minifyWhitespace: true,
  minifySyntax: true,
  // V8 keeps a text with any other character as two bytes a character.
  charset: 'ascii',
  legalComments: 'none',
  sourcemap: 'external',
  logLevel: 'warning',
  write: false,
});
for (const { path, text } of outputFiles) {
  writeFileSync(path, path.endsWith('.map') ? text : withoutCopies(text));
}
