/** How V8 and Node run: while the executable is made (seal.mjs) and in it. */

/**
 * One thread, so that it can be forked. `--no-rehash-snapshot` saves 5 ms of a start, which V8 spends
 * on giving all strings new hashes. The seed of the hashes is then that of the build: a guest can make
 * names that collide, and so slow down its own Sentry, whose CPU time is its own as well.
 * Feedback about functions (V8's own measure: 8 calls), and code compiled by it, are for those
 * who stay busy: native/tiers.ts. The filters let no function through.
 */
export const FLAGS = [
  '--single-threaded',
  '--v8-pool-size=0',
  '--disable-sigusr1',
  '--no-rehash-snapshot',
  '--invocation-count-for-feedback-allocation=20',
  '--maglev-filter=-*',
  '--turbo-filter=-*',
];
