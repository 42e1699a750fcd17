/**
 * How eagerly V8 compiles, by how much a process has had to do. It has one thread: what is compiled,
 * an application waits for. So a short program gets none of it, and one that goes on all.
 */
import { setFlagsFromString } from 'node:v8';

/** Beginning with what flags.mjs sets. `after`: system calls and faults of applications. */
const TIERS: readonly { readonly after: number; readonly flag: string }[] = [
  { after: 200, flag: '--invocation-count-for-feedback-allocation=8' },
  { after: 2_000, flag: '--maglev-filter=*' },
  { after: 150_000, flag: '--turbo-filter=*' },
];

/** Sets what is due after `work`, and says when there is more to set. */
export function compileFor(work: number): number {
  for (const { after, flag } of TIERS) {
    if (work < after) return after;
    if (work === after) setFlagsFromString(flag);
  }
  return Number.POSITIVE_INFINITY;
}
