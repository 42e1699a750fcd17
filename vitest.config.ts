/** What vitest runs: the *.test.ts files beside the code, one file at a time per core. */
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['{spec,native,sentry,gofer,runtime,shim,test}/**/*.test.ts'],
    exclude: ['node_modules/**', 'build/**', 'dist/**'],
    pool: 'forks',
    testTimeout: 30_000,
  },
});
