/** What needs no run: types of both layers, formatting and lint; and that a second build does nothing. */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { run } from './harness/command.ts';
import { ROOT } from './harness/runtime.ts';
import { Tally } from './harness/tally.ts';

const REBUILD_MS = 2000;
const TIMEOUT_MS = 120_000;
const TSC = join(ROOT, 'node_modules/typescript/bin/tsc');

const CHECKS: readonly (readonly [name: string, argv: readonly string[]])[] = [
  ['types', [process.execPath, TSC, '-p', 'tsconfig.json']],
  ['types of the kernel, without Node', [process.execPath, TSC, '-p', 'tsconfig.kernel.json']],
  ['format and lint', ['node_modules/.bin/biome', 'check', '--diagnostic-level=error', '.']],
];

export async function runCheck(_: readonly string[], filter: string): Promise<Tally> {
  const tally = new Tally('check');
  for (const [name, argv] of CHECKS) {
    if (!name.includes(filter)) continue;
    const result = await run(argv, { cwd: ROOT, timeoutMs: TIMEOUT_MS });
    if (result.status === 0) tally.pass(name);
    else tally.fail(name, result.stdout + result.stderr);
  }
  const name = 'a second make does nothing';
  if (!name.includes(filter)) return tally;
  const sealed = join(ROOT, 'dist/runsc');
  const before = statSync(sealed).mtimeMs;
  const again = await run(['make'], { cwd: ROOT, timeoutMs: TIMEOUT_MS });
  const rebuilt = statSync(sealed).mtimeMs !== before;
  if (again.status === 0 && !rebuilt && again.elapsedMs < REBUILD_MS) tally.pass(name);
  else tally.fail(name, `status ${again.status}, ${again.elapsedMs} ms: ${again.stdout}`);
  return tally;
}
