/** One figure of one benchmark case under one runtime. */
import { type Runtime, runJob } from '../harness/runtime.ts';
import { overlay } from '../harness/tree.ts';
import type { BenchCase } from './cases.ts';
import { INPUTS, TREE } from './inputs.ts';

const TIMEOUT_MS = 60_000;

export function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted.length === 0 ? Number.NaN : sorted[Math.floor(sorted.length / 2)]!;
}

/** In the case's unit; NaN when it failed. */
export async function sample(runtime: Runtime, rootfs: string, one: BenchCase): Promise<number> {
  const tree = await overlay(`${TREE}:${rootfs}`);
  const result = await runJob(runtime, tree.root, {
    args: one.args,
    binds: [{ source: INPUTS, destination: '/bound' }],
    timeoutMs: TIMEOUT_MS,
  });
  await tree.release();
  if (result.status !== 0) {
    console.log(`\n    ${runtime.name} failed (${result.status}): ${result.stderr.slice(0, 300)}`);
    return Number.NaN;
  }
  if (one.whole) return result.elapsedMs;
  const figure = Number(result.stdout.trim().split(/\s+/).at(-1));
  return one.args[0] === 'bash' ? figure / 1e3 : figure;
}

/** As tables have it. */
export function show(value: number | undefined): string {
  if (value === undefined || Number.isNaN(value)) return '–';
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}
