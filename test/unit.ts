/** Runs vitest over the tests beside the sources and counts its results. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from './harness/command.ts';
import { ROOT } from './harness/runtime.ts';
import { Tally } from './harness/tally.ts';
import { scratch } from './harness/tree.ts';

interface Report {
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly message: string;
    readonly assertionResults: readonly {
      readonly fullName: string;
      readonly status: string;
      readonly failureMessages: readonly string[];
    }[];
  }[];
}

export async function runUnit(_: readonly string[], filter: string): Promise<Tally> {
  const tally = new Tally('unit');
  const file = join(scratch(), 'report.json');
  const vitest = join(ROOT, 'node_modules/vitest/vitest.mjs');
  const argv = [process.execPath, vitest, 'run', '--reporter=json', `--outputFile=${file}`];
  if (filter) argv.push(filter);
  const result = await run(argv, { cwd: ROOT, timeoutMs: 600_000 });
  let report: Report;
  try {
    report = JSON.parse(readFileSync(file, 'utf8')) as Report;
  } catch {
    tally.fail('vitest', `no report: ${result.stdout}${result.stderr}`);
    return tally;
  }
  for (const suite of report.testResults) {
    if (suite.assertionResults.length === 0 && suite.status !== 'passed') {
      tally.fail(suite.name, suite.message);
    }
    for (const { fullName, status, failureMessages } of suite.assertionResults) {
      const name = `${suite.name.replace(`${ROOT}/`, '')}: ${fullName}`;
      if (status === 'passed') tally.pass(name);
      else if (status === 'failed') tally.fail(name, failureMessages.join('\n'));
      else tally.skip(name, status);
    }
  }
  if (result.status !== 0 && tally.failed === 0) {
    tally.fail('vitest', `status ${result.status}\n${result.stderr}`);
  }
  return tally;
}
