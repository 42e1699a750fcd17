/**
 * What the system call filters of Sentry and Gofer cost: the release against a build of the same
 * source in which they are compiled and not installed (no_filter.ts), taking turns. Of each the least
 * and the median, because the difference is smaller than what else the machine does.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { must } from '../harness/command.ts';
import { ociRuntime, ROOT, RUNSC } from '../harness/runtime.ts';
import { type BenchCase, CASES } from './cases.ts';
import { median, sample, show } from './sample.ts';

const BUILD = join(ROOT, 'build/no_filter');
const ROUNDS = 12;

interface Row {
  readonly platform: string;
  readonly name: string;
}

const ROWS: readonly Row[] = [
  { platform: 'systrap', name: 'run /bin/true' },
  { platform: 'systrap', name: 'getppid' },
  { platform: 'systrap', name: 'pread 4 KiB, root file system' },
  { platform: 'ptrace', name: 'run /bin/true' },
  { platform: 'ptrace', name: 'getppid' },
  { platform: 'ptrace', name: 'pread 4 KiB, root file system' },
];

/** The executable without filters, made as the release is. */
async function withoutFilters(): Promise<string> {
  mkdirSync(BUILD, { recursive: true });
  const node = join(ROOT, 'build/node');
  const addon = join(ROOT, 'build/runsc.node');
  const [bundle, called, output] = ['runsc.cjs', 'called.json', 'runsc'].map((n) => join(BUILD, n));
  const tool = (name: string) => join(ROOT, 'tools', name);
  const stands = [join(ROOT, 'native/seccomp.ts'), join(import.meta.dirname, 'no_filter.ts')];
  const make = async (...argv: (string | undefined)[]) => must(argv.map((each) => each as string));
  await make(
    process.execPath,
    tool('bundle.mjs'),
    join(ROOT, 'runtime/main.ts'),
    bundle,
    ...stands,
  );
  await make(node, tool('rehearse.mjs'), bundle, addon, called);
  await make(node, tool('seal.mjs'), bundle, addon, called, output);
  return output as string;
}

async function measure(one: BenchCase, platform: string, rootfs: string, other: string) {
  const flags = ['--network=none', `--platform=${platform}`];
  const builds = [RUNSC, other].map((binary) => ({
    runtime: ociRuntime(`filters-${platform}`, [binary, ...flags]),
    figures: [] as number[],
  }));
  for (let i = 0; i < ROUNDS; i++) {
    for (const { runtime, figures } of builds) {
      const figure = await sample(runtime, rootfs, one);
      if (!Number.isNaN(figure)) figures.push(figure);
    }
  }
  return builds.map(({ figures }) => ({ least: Math.min(...figures), median: median(figures) }));
}

/** A table, as lines. */
export async function measureFilters(rootfs: string): Promise<string[]> {
  const other = await withoutFilters();
  const lines = ['| | without filters: least (median) | with | ratio |', '|---|---:|---:|---:|'];
  for (const { platform, name } of ROWS) {
    const one = CASES.find((each) => each.name === name) as BenchCase;
    const [locked, free] = await measure(one, platform, rootfs, other);
    if (!locked || !free) continue;
    const cells = [free, locked].map((v) => `${show(v.least)} ${one.unit} (${show(v.median)})`);
    const ratios = [locked.least / free.least, locked.median / free.median].map(show);
    const line = `| ${name}, ${platform} | ${cells.join(' | ')} | ${ratios[0]} (${ratios[1]}) |`;
    console.log(`filters: ${line}`);
    lines.push(line);
  }
  return lines;
}
