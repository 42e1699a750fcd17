/**
 * Bundles one entry point and everything it imports into a single CommonJS module for the sealed executable.
 *
 *   bundle.mjs ENTRY.ts OUTPUT.cjs
 *
 * Names are kept, so that a stack trace can be read without the source map, which lies beside the
 * bundle and is not sealed in.
 *
 * CommonJS, because Node keeps a code cache only for that: `runsc --version` takes 28 ms of CPU time
 * with it, 48 as an ES module (an empty program: 27). A sealed program has no use for
 * `import.meta.url`, which only finds the addon in development.
 */
import { build } from 'esbuild';

const [entry, output] = process.argv.slice(2);

await build({
  entryPoints: [entry],
  outfile: output,
  bundle: true,
  format: 'cjs',
  define: { 'import.meta.url': 'undefined' },
  platform: 'node',
  target: 'node26',
  minifyWhitespace: true,
  minifySyntax: true,
  charset: 'utf8',
  legalComments: 'none',
  sourcemap: 'external',
  logLevel: 'warning',
});
