/** Landlock, in a process of its own: what is confined stays so. */

import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { landlockVersion } from './landlock.ts';

// Kernels before 5.13, or built without it, have none.
test.skipIf(landlockVersion() < 0)('reaches only the trees it was left', () => {
  const top = mkdtempSync(join(tmpdir(), 'runsc-landlock-'));
  try {
    for (const name of ['ro', 'rw']) mkdirSync(join(top, name));
    writeFileSync(join(top, 'outside'), 'x');
    writeFileSync(join(top, 'ro/file'), 'x');
    const scenario = join(import.meta.dirname, 'landlock.scenario.ts');
    const said = execFileSync(process.execPath, [scenario, top], { encoding: 'utf8' });
    expect(JSON.parse(said)).toEqual({
      confined: 0,
      outside: false,
      held: false,
      climbing: false,
      making: false,
      read: true,
      write: false,
      writable: true,
      device: false,
      attributes: true,
    });
  } finally {
    rmSync(top, { recursive: true });
  }
});
