/** What systrap has of its own: processes that serve again, patched call sites, futexes, hostile applications. */

import { fileURLToPath } from 'node:url';
import { describe } from 'vitest';
import { runScenarios } from '../stub/run_scenarios.ts';

describe.each(['reuse', 'patched', 'futex', 'hostile'])('%s', (name) => {
  runScenarios(fileURLToPath(new URL(`${name}.scenario.ts`, import.meta.url)), 'systrap');
});
