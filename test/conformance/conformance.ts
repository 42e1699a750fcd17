/**
 * Real programs: each case runs natively and in the sandbox, on fresh writable views of one Debian
 * tree; standard output and exit status must be the same. Progress goes to standard error.
 */
import type { CommandResult } from '../harness/command.ts';
import { type Job, type Runtime, runJob, runtimeNamed } from '../harness/runtime.ts';
import { difference, progress, Tally } from '../harness/tally.ts';
import { overlay } from '../harness/tree.ts';
import type { Case } from './case.ts';
import { fileCases } from './file_cases.ts';
import { pythonCases } from './python_cases.ts';
import { debianRootfs } from './rootfs.ts';
import { shellCases } from './shell_cases.ts';
import { toolCases } from './tool_cases.ts';
import { ttyCases } from './tty_cases.ts';

const CASES: readonly Case[] = [
  ...shellCases,
  ...fileCases,
  ...pythonCases,
  ...toolCases,
  ...ttyCases,
];
const TIMEOUT_MS = 40_000;

async function runCase(runtime: Runtime, rootfs: string, one: Case): Promise<CommandResult> {
  const tree = await overlay(rootfs);
  try {
    const job: Job = {
      args: ['bash', '-c', one.script],
      timeoutMs: one.timeoutMs ?? TIMEOUT_MS,
      ...(one.stdin === undefined ? {} : { input: one.stdin }),
      ...(one.uid === undefined ? {} : { uid: one.uid }),
    };
    return await runJob(runtime, tree.root, job);
  } finally {
    await tree.release();
  }
}

function compare(tally: Tally, name: string, want: CommandResult, got: CommandResult): void {
  if (!got.timedOut && got.status === want.status && got.stdout === want.stdout) {
    tally.pass(name, `${want.elapsedMs.toFixed(0)} ms native, ${got.elapsedMs.toFixed(0)} ms here`);
    return;
  }
  const status =
    got.status === want.status ? '' : `status ${got.status}, the host's is ${want.status}\n`;
  const time = got.timedOut ? `timed out after ${got.elapsedMs.toFixed(0)} ms\n` : '';
  const stderr = got.stderr.slice(-2000);
  tally.fail(name, `${time}${status}${difference(want.stdout, got.stdout)}\n${stderr}`);
}

export async function runConformance(runtimes: readonly string[], filter: string): Promise<Tally> {
  const tally = new Tally('conformance');
  const rootfs = await debianRootfs();
  const native = runtimeNamed('native');
  const tested = runtimes.map((name) => runtimeNamed(name));
  const tallies = runtimes.map((name) => new Tally('conformance', name));
  const chosen = CASES.filter((one) => one.name.includes(filter));
  for (const [index, one] of chosen.entries()) {
    progress(index + 1, chosen.length, one.name);
    const want = await runCase(native, rootfs, one);
    if (want.timedOut) {
      tally.fail(one.name, `the host itself did not finish:\n${want.stdout}${want.stderr}`);
      continue;
    }
    for (const [i, runtime] of tested.entries()) {
      compare(tallies[i]!, one.name, want, await runCase(runtime, rootfs, one));
    }
  }
  for (const each of tallies) tally.add(each);
  return tally;
}
