/** Holds --version to package.json. */

import * as fs from 'node:fs';
import { expect, it } from 'vitest';
import { VERSION, versionText } from './version.ts';

it('is that of package.json, in the form Docker reads', () => {
  const manifest = JSON.parse(fs.readFileSync(`${import.meta.dirname}/../package.json`, 'utf8'));
  expect(VERSION).toBe(manifest.version);
  expect(versionText()).toMatch(/^runsc version \S+\nspec: \d+\.\d+\.\d+\n$/);
});
