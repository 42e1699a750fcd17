/** How V8 and Node run: while the executable is made (seal.mjs) and in it. */

/**
 * One thread, so that it can be forked. `--no-rehash-snapshot` saves 5 ms of a start, which V8 spends
 * on giving all strings new hashes. The seed of the hashes is then that of the build: a guest can make
 * names that collide, and so slow down its own Sentry, whose CPU time is its own as well.
 */
export const FLAGS = [
  '--single-threaded',
  '--v8-pool-size=0',
  '--disable-sigusr1',
  '--no-rehash-snapshot',
];
