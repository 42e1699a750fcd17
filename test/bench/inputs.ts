/** What the benchmarks run on: the compiled programs and generated files, made once. */
import { existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { must } from '../harness/command.ts';
import { ROOT } from '../harness/runtime.ts';
import { scratch } from '../harness/tree.ts';

const PROGRAMS = join(import.meta.dirname, 'programs');
/** Laid over the Debian tree, where the inputs are then in /bench. */
export const TREE = join(ROOT, 'build/bench');
/** Also bound to /bound. */
export const INPUTS = join(TREE, 'bench');
const FILES = 5000;
const FILES_PER_DIRECTORY = 100;
const FUNCTIONS = 200;
const INSERTS = 10_000;
const DATA_BYTES = 1 << 20;

/** 2,000 lines: ten for each function. */
function sourceText(): string {
  const functions = Array.from(
    { length: FUNCTIONS },
    (_, i) => `
int f${i}(int *values, int count) {
  int sum = ${i};
  for (int i = 0; i < count; i++) {
    if (values[i] % ${i + 2} == 0) sum += values[i] * ${i};
    else sum ^= values[i] << ${i % 7};
    values[i] = sum;
  }
  return sum;
}`,
  );
  return functions.join('');
}

function insertsText(): string {
  const inserts = Array.from(
    { length: INSERTS },
    (_, i) => `INSERT INTO t VALUES (${i}, 'row number ${i}');`,
  );
  return `PRAGMA journal_mode=WAL;\nCREATE TABLE t (id INTEGER PRIMARY KEY, text TEXT);\n${inserts.join('\n')}\n`;
}

async function makeArchive(path: string): Promise<void> {
  const base = scratch();
  const tree = join(base, 'files');
  for (let i = 0; i < FILES; i++) {
    const directory = join(tree, `d${Math.floor(i / FILES_PER_DIRECTORY)}`);
    mkdirSync(directory, { recursive: true });
    writeFileSync(join(directory, `f${i}`), `file ${i}\n`.repeat(1 + (i % 50)));
  }
  await must(['tar', 'cf', path, '-C', base, 'files']);
}

/** Makes what is missing or old. */
export async function makeInputs(): Promise<void> {
  mkdirSync(INPUTS, { recursive: true });
  for (const file of readdirSync(PROGRAMS).filter((each) => each.endsWith('.c'))) {
    const source = join(PROGRAMS, file);
    const output = join(INPUTS, file.slice(0, -2));
    if (existsSync(output) && statSync(output).mtimeMs > statSync(source).mtimeMs) continue;
    await must(['gcc', '-O2', '-static', '-pthread', '-Wall', '-Wextra', '-o', output, source]);
  }
  writeFileSync(join(INPUTS, 'data'), Buffer.alloc(DATA_BYTES, 'data'));
  writeFileSync(join(INPUTS, 'lines.c'), sourceText());
  writeFileSync(join(INPUTS, 'inserts.sql'), insertsText());
  if (!existsSync(join(INPUTS, 'files.tar'))) await makeArchive(join(INPUTS, 'files.tar'));
}
