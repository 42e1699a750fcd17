/**
 * Run by fork.test.ts as its own process: forks N times; child and parent both allocate, collect,
 * compile hot code and use typed arrays at once; every child answers with a sum and its pid.
 */

import { readdirSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { exit, fork, getpid, mapPages, monotonicNs } from './index.ts';
import { wait4 } from './process.ts';

const rounds = Number(process.argv[2] ?? 200);
setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** Allocation that survives, a collection, and a function hot enough for every compiler tier. */
function work(seed: number): number {
  const kept = new Map<string, number[]>();
  for (let i = 0; i < 4000; i++) kept.set(`k${i}-${seed}`, new Array(20).fill(i));
  const hot = new Function('n', 'let s = 0; for (let i = 0; i < n; i++) s += i % 7; return s;');
  let sum = 0;
  for (let i = 0; i < 200; i++) sum += hot(2000);
  collect();
  const bytes = new Uint8Array(1 << 20).fill(1);
  for (const list of kept.values()) sum += list[3] as number;
  return sum + bytes.reduce((total, byte) => total + byte, 0);
}

const shared = new Float64Array(mapPages(4096) as ArrayBuffer);
const expected = work(0);
let worstNs = 0;
for (let round = 0; round < rounds; round++) {
  const before = monotonicNs();
  const pid = fork(0);
  if (pid === 0) {
    shared[0] = monotonicNs() - before;
    shared[1] = work(round);
    shared[2] = getpid();
    exit(7);
  }
  const own = work(round);
  const ended = wait4(pid, 0);
  const right =
    typeof ended === 'object' &&
    ended.status === 7 << 8 &&
    own === expected &&
    shared[1] === expected &&
    shared[2] === pid;
  if (!right) {
    console.error(`round ${round}: ${JSON.stringify([pid, ended, own, ...shared])}`);
    exit(1);
  }
  worstNs = Math.max(worstNs, shared[0] as number);
  shared.fill(0);
}
const threads = readdirSync('/proc/self/task').length;
console.log(JSON.stringify({ rounds, threads, worstUs: Math.round(worstNs / 1000) }));
