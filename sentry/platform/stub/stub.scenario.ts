/**
 * Runs one scenario as a process of its own, for stub.test.ts: `stub.scenario.ts NAME`; without
 * a name it lists them.
 */

import { processScenarios } from './process.scenario.ts';
import { platform } from './scenario.ts';
import { trapScenarios } from './traps.scenario.ts';

const scenarios = { ...trapScenarios, ...processScenarios };
const name = process.argv[2] ?? '';
const scenario = scenarios[name];
if (scenario === undefined) {
  console.log(JSON.stringify(Object.keys(scenarios)));
} else {
  scenario();
}
platform.destroy();
