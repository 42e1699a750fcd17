/** On the real platform a C library finds the vDSO and reads the clocks without a system call. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const FLAGS = ['--single-threaded', '--v8-pool-size=0', '--disable-sigusr1'];

test('the C library uses it', { timeout: 60_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'vdso-process-'));
  try {
    const program = join(folder, 'program');
    const source = join(import.meta.dirname, 'vdso_process.c');
    execFileSync('gcc', ['-O1', '-static', '-o', program, source]);
    const scenario = join(import.meta.dirname, 'vdso_process.scenario.ts');
    const output = execFileSync(process.execPath, [...FLAGS, scenario, program], {
      encoding: 'utf8',
      timeout: 30_000,
    });
    expect(output).toBe('image 1\nbackwards 0, advanced 1\ntime 1\nwall 1\ncpu 1\nclock calls 0\n');
  } finally {
    rmSync(folder, { recursive: true });
  }
});
