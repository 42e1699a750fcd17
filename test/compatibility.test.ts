/** docs/compatibility.md says what the system call table and the known differences say. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { compatibilityPage } from '../tools/compatibility.ts';

test('docs/compatibility.md is up to date (node tools/compatibility.ts)', () => {
  const page = readFileSync(new URL('../docs/compatibility.md', import.meta.url), 'utf8');
  expect(page).toBe(compatibilityPage());
});
