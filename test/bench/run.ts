/**
 * Benchmarks: the same commands natively, under runc, under Debian's runsc and under ours, one
 * after another on one machine, so that the ratios mean something. Writes docs/benchmarks.md.
 *
 *   run.ts [--filter=TEXT] [--only=NAME,NAME]
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { cpus, release } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { debianRootfs } from '../conformance/rootfs.ts';
import { run } from '../harness/command.ts';
import { ROOT, RUNSC, type Runtime, runJob, runtimeNamed } from '../harness/runtime.ts';
import { overlay } from '../harness/tree.ts';
import { type BenchCase, CASES } from './cases.ts';
import { type IdleSandbox, idleSandbox } from './memory.ts';

const NAMES = ['native', 'runc', 'debian', 'ours'] as const;
type Name = (typeof NAMES)[number];
const TITLES: Readonly<Record<Name, string>> = {
  native: 'native',
  runc: 'runc',
  debian: "Debian's runsc, ptrace",
  ours: 'this runsc, ptrace',
};
const COMMANDS: Readonly<Partial<Record<Name, readonly string[]>>> = {
  runc: ['runc'],
  debian: ['/usr/bin/runsc', '--platform=ptrace', '--network=none'],
  ours: [RUNSC, '--network=none'],
};
const TIMEOUT_MS = 120_000;

const { values } = parseArgs({
  options: { filter: { type: 'string', default: '' }, only: { type: 'string', default: '' } },
});

function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted.length === 0 ? Number.NaN : sorted[Math.floor(sorted.length / 2)]!;
}

/** The median of a case under one runtime; NaN when it failed. */
async function measure(runtime: Runtime, rootfs: string, one: BenchCase): Promise<number> {
  const samples: number[] = [];
  for (let i = 0; i < one.repeat; i++) {
    const tree = await overlay(rootfs);
    const result = await runJob(runtime, tree.root, {
      args: one.args ?? ['bash', '-c', one.script],
      timeoutMs: TIMEOUT_MS,
    });
    await tree.release();
    if (result.status !== 0) {
      console.log(`    ${runtime.name} failed (${result.status}): ${result.stderr.slice(0, 300)}`);
      return Number.NaN;
    }
    samples.push(
      one.measure === 'time' ? result.elapsedMs : Number(result.stdout.trim().split(/\s+/).at(-1)),
    );
  }
  return median(samples);
}

const show = (value: number | undefined) =>
  value === undefined || Number.isNaN(value)
    ? '–'
    : value >= 100
      ? value.toFixed(0)
      : value.toPrecision(3);

function row(one: BenchCase, found: ReadonlyMap<Name, number>): string {
  const cells = NAMES.map((name) => `${show(found.get(name))} ${one.unit}`);
  const ratio = (found.get('ours') ?? Number.NaN) / (found.get('debian') ?? Number.NaN);
  const target = one.target === undefined ? '' : ` (target ${one.target})`;
  return `| ${one.name} | ${cells.join(' | ')} | ${show(ratio)}${target} |`;
}

function memoryRows(idle: ReadonlyMap<Name, IdleSandbox>): string[] {
  const cells = (pick: (value: IdleSandbox) => string) =>
    NAMES.map((name) => {
      const value = idle.get(name);
      return value ? pick(value) : '–';
    });
  const ours = idle.get('ours')?.privateMegabytes ?? Number.NaN;
  const debian = idle.get('debian')?.privateMegabytes ?? Number.NaN;
  return [
    `| idle sandbox: private memory | ${cells((v) => `${v.privateMegabytes.toFixed(1)} MB`).join(' | ')} | ${show(ours / debian)} (target: 15 MB) |`,
    `| idle sandbox: processes | ${cells((v) => `${v.processes}`).join(' | ')} | |`,
    `| idle sandbox: CPU | ${cells((v) => `${v.cpuPercent.toFixed(1)} %`).join(' | ')} | |`,
  ];
}

async function versions(): Promise<string[]> {
  const first = async (...argv: string[]) => (await run(argv)).stdout.split('\n')[0] ?? '';
  return [
    `- ${cpus()[0]?.model ?? 'unknown processor'}, ${cpus().length} cores, Linux ${release()}`,
    `- ${await first('runc', '--version')}`,
    `- Debian's ${await first('/usr/bin/runsc', '--version')}`,
    `- ours: ${await first(RUNSC, '--version')}`,
  ];
}

const chosen =
  values.only === '' ? NAMES : NAMES.filter((name) => values.only.split(',').includes(name));
const rootfs = await debianRootfs();
const rows: string[] = [];
const cases = CASES.filter((one) => one.name.includes(values.filter));
for (const [index, one] of cases.entries()) {
  const found = new Map<Name, number>();
  process.stdout.write(`[${index + 1}/${cases.length}] ${one.name}:`);
  for (const name of chosen) {
    const value = await measure(runtimeNamed(name), rootfs, one);
    found.set(name, value);
    process.stdout.write(` ${name} ${show(value)}`);
  }
  process.stdout.write(` ${one.unit}\n`);
  rows.push(row(one, found));
}
const idle = new Map<Name, IdleSandbox>();
if (values.filter === '') {
  for (const name of chosen) {
    const command = COMMANDS[name];
    if (!command) continue;
    const tree = await overlay(rootfs);
    const seen = await idleSandbox(command, tree.root);
    await tree.release();
    idle.set(name, seen);
    console.log(
      `idle ${name}: ${seen.privateMegabytes.toFixed(1)} MB in ${seen.processes} processes, ${seen.cpuPercent.toFixed(1)} % CPU`,
    );
  }
  rows.push(...memoryRows(idle));
}
const text = `# Benchmarks

Written by \`make bench\`. Medians, all four in one run on one machine; the last column is ours divided by Debian's
runsc, so below 1 is better. Each run gets a fresh overlay of one Debian tree. Cases are data in test/bench/cases.ts.

${(await versions()).join('\n')}

| | ${NAMES.map((name) => TITLES[name]).join(' | ')} | ours / Debian's |
|---|${NAMES.map(() => '---:').join('|')}|---:|
${rows.join('\n')}

Private memory is PSS without pages of files, summed over the processes of the sandbox: for ours the Sentry, the Gofer
and the host processes that hold the application's memory.
`;
const output = join(ROOT, 'docs/benchmarks.md');
if (values.filter === '' && values.only === '') {
  writeFileSync(output, text);
  console.log(`wrote docs/benchmarks.md (${readFileSync(output).length} bytes)`);
} else {
  console.log(text);
}
