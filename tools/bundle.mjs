/**
 * Bundles one entry point and everything it imports into a single ES module for the sealed executable.
 *
 *   bundle.mjs ENTRY.ts OUTPUT.mjs
 *
 * Names are kept, so that a stack trace can be read without the source map, which lies beside the
 * bundle and is not sealed in.
 */
import { build } from 'esbuild';

const [entry, output] = process.argv.slice(2);

await build({
  entryPoints: [entry],
  outfile: output,
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node26',
  minifyWhitespace: true,
  minifySyntax: true,
  charset: 'utf8',
  legalComments: 'none',
  sourcemap: 'external',
  logLevel: 'warning',
});
