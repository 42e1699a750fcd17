/** A C program on the real platform prints what it prints natively. */
import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const path = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const folder = path('../../build/mm');
const program = `${folder}/host_memory`;
const FLAGS = ['--single-threaded', '--v8-pool-size=0', '--disable-sigusr1'];

test('fork, mappings, stack and heap', { timeout: 60_000 }, () => {
  mkdirSync(folder, { recursive: true });
  execFileSync('gcc', ['-O1', '-static', '-o', program, path('host_memory.c')]);
  const native = execFileSync(program, ['argument'], { encoding: 'utf8', env: { A: 'b' } });
  const scenario = [...FLAGS, path('host_memory.scenario.ts'), program];
  const ours = execFileSync(process.execPath, scenario, { encoding: 'utf8', timeout: 30_000 });
  expect(ours).toBe(native);
});
