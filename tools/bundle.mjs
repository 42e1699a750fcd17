/**
 * Bundles one entry point and everything it imports into a single CommonJS module for the sealed executable.
 *
 *   bundle.mjs ENTRY.ts OUTPUT.cjs
 *
 * Names are kept, so that a stack trace can be read without the source map, which lies beside the
 * bundle and is not sealed in.
 *
 * CommonJS, because the start-up snapshot that seal.mjs makes is of a script. `import.meta.url` only
 * finds the addon in development, and must look like a file to yargs.
 */
import { build } from 'esbuild';

const [entry, output] = process.argv.slice(2);

await build({
  entryPoints: [entry],
  outfile: output,
  bundle: true,
  format: 'cjs',
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
});
