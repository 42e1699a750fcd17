/**
 * Benchmarks: the same commands natively, under runc, under Debian's runsc and under ours on both
 * platforms, taking turns on one machine, so that the ratios mean something. Writes docs/benchmarks.md.
 *
 *   run.ts [--filter=TEXT] [--only=NAME,NAME]
 *
 * `--filter=filters` measures nothing but the price of the system call filters.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { cpus, release } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { debianRootfs } from '../conformance/rootfs.ts';
import { run } from '../harness/command.ts';
import { ROOT, RUNSC, runtimeNamed } from '../harness/runtime.ts';
import { overlay } from '../harness/tree.ts';
import { type BenchCase, CASES } from './cases.ts';
import { measureFilters } from './filters.ts';
import { makeInputs } from './inputs.ts';
import { type IdleSandbox, idleSandbox } from './memory.ts';
import { median, sample, show } from './sample.ts';

const NAMES = ['native', 'runc', 'debian', 'ptrace', 'systrap'] as const;
type Name = (typeof NAMES)[number];
type Figures = ReadonlyMap<Name, number>;
const TITLES: Readonly<Record<Name, string>> = {
  native: 'native',
  runc: 'runc',
  debian: "Debian's runsc",
  ptrace: 'ours, ptrace',
  systrap: 'ours, systrap',
};
const SANDBOXES: Readonly<Partial<Record<Name, readonly string[]>>> = {
  debian: ['/usr/bin/runsc', '--platform=ptrace', '--network=none'],
  ptrace: [RUNSC, '--network=none', '--platform=ptrace'],
  systrap: [RUNSC, '--network=none', '--platform=systrap'],
};
/** A case that has taken this long is not repeated, so that all of them take less than ten minutes. */
const CASE_BUDGET_MS = 12_000;

/** The runtimes take turns, so that what else the machine does hits all of them. */
async function measure(names: readonly Name[], rootfs: string, one: BenchCase): Promise<Figures> {
  const samples = new Map<Name, number[]>(names.map((name) => [name, []]));
  const started = performance.now();
  for (let i = 0; i < one.repeat && performance.now() - started < CASE_BUDGET_MS; i++) {
    for (const name of names) {
      const figure = await sample(runtimeNamed(name), rootfs, one);
      if (!Number.isNaN(figure)) samples.get(name)?.push(figure);
    }
  }
  return new Map(names.map((name) => [name, median(samples.get(name) ?? [])]));
}

function ratio(found: Figures, name: Name, to: Name): number {
  return (found.get(name) ?? Number.NaN) / (found.get(to) ?? Number.NaN);
}

function row(one: BenchCase, found: Figures): string {
  const cells = NAMES.map((name) => `${show(found.get(name))} ${one.unit}`);
  const target = one.target === undefined ? '' : `≤ ${one.target}`;
  const toDebian = [ratio(found, 'ptrace', 'debian'), ratio(found, 'systrap', 'debian')];
  const toNative = show(ratio(found, 'systrap', 'native'));
  return `| ${one.name} | ${cells.join(' | ')} | ${toNative} | ${target} | ${toDebian.map(show).join(' | ')} |`;
}

/** What is said of a case that misses its target, or null. */
function missed(one: BenchCase, found: Figures): string | null {
  const reached = ratio(found, 'systrap', 'native');
  if (one.target === undefined || !(reached > one.target)) return null;
  const profile = one.profile ?? 'no profile has been made';
  return `- **${one.name}**: ${show(reached)} × instead of ${one.target} ×. ${profile}.`;
}

function idleRows(idle: ReadonlyMap<Name, IdleSandbox>): string[] {
  const line = (title: string, pick: (value: IdleSandbox) => string) => {
    const cells = NAMES.map((name) => idle.get(name)).map((value) => (value ? pick(value) : '–'));
    return `| ${title} | ${cells.join(' | ')} | | | | |`;
  };
  return [
    line('idle sandbox: private memory', (v) => `${v.privateMegabytes.toFixed(1)} MB`),
    line('idle sandbox: processes', (v) => `${v.processes}`),
    line('idle sandbox: CPU', (v) => `${v.cpuPercent.toFixed(1)} %`),
  ];
}

async function measureIdle(names: readonly Name[], rootfs: string): Promise<string[]> {
  const idle = new Map<Name, IdleSandbox>();
  for (const name of names) {
    const command = SANDBOXES[name];
    if (!command) continue;
    const tree = await overlay(rootfs);
    const seen = await idleSandbox(command, tree.root);
    await tree.release();
    idle.set(name, seen);
    console.log(`idle ${name}: ${seen.privateMegabytes.toFixed(1)} MB, ${seen.cpuPercent} % CPU`);
  }
  return idleRows(idle);
}

async function versions(): Promise<string[]> {
  const first = async (...argv: string[]) => (await run(argv)).stdout.split('\n')[0] ?? '';
  return [
    `- ${cpus()[0]?.model ?? 'unknown processor'}, ${cpus().length} cores, Linux ${release()}`,
    `- ${await first('runc', '--version')}`,
    `- Debian's ${await first('/usr/bin/runsc', '--version')}, platform ptrace`,
    `- ours: ${await first(RUNSC, '--version')}`,
  ];
}

const { values } = parseArgs({
  options: { filter: { type: 'string', default: '' }, only: { type: 'string', default: '' } },
});
const chosen =
  values.only === '' ? NAMES : NAMES.filter((name) => values.only.split(',').includes(name));
const rootfs = await debianRootfs();
await makeInputs();
const rows: string[] = [];
const misses: string[] = [];
const cases = CASES.filter((one) => one.name.includes(values.filter));
for (const [index, one] of cases.entries()) {
  process.stdout.write(`[${index + 1}/${cases.length}] ${one.name}:`);
  const found = await measure(chosen, rootfs, one);
  for (const [name, value] of found) process.stdout.write(` ${name} ${show(value)}`);
  process.stdout.write(` ${one.unit}, ${show(ratio(found, 'systrap', 'native'))} × native\n`);
  rows.push(row(one, found));
  const miss = missed(one, found);
  if (miss !== null) misses.push(miss);
}
if (values.filter === '') rows.push(...(await measureIdle(chosen, rootfs)));
const filters = /^(filters)?$/.test(values.filter) ? await measureFilters(rootfs) : [];
const text = `# Benchmarks

Written by \`make bench\`. Medians, the runtimes taking turns in one run on one machine. Each run gets a fresh overlay of one
Debian tree. Cases are data in test/bench/cases.ts, the programs in test/bench/programs are small and run alone.

${(await versions()).join('\n')}

| | ${NAMES.map((name) => TITLES[name]).join(' | ')} | systrap ÷ native | target | ptrace ÷ Debian's | systrap ÷ Debian's |
|---|${NAMES.map(() => '---:').join('|')}|---:|---:|---:|---:|
${rows.join('\n')}

Private memory is PSS without pages of files, summed over the processes of the sandbox: for ours the Sentry, the Gofer
and the host processes that hold the application's memory.

## Targets that systrap misses, and where the time goes

${misses.join('\n') || 'None.'}

## The system call filters

The release against a build of the same source that does not install the filters of Sentry and Gofer, all else of the
lock-down in place; taking turns, least and median of each.

${filters.join('\n')}
`;
const output = join(ROOT, 'docs/benchmarks.md');
if (values.filter === '' && values.only === '') {
  writeFileSync(output, text);
  console.log(`wrote docs/benchmarks.md (${readFileSync(output).length} bytes)`);
} else {
  console.log(text);
}
