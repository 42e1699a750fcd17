/**
 * Guest programs: each test/guest/FAMILY/NAME.c is compiled once, run on the host's kernel, which is
 * the oracle, and in the sandbox; output and exit status must agree, line by line, except for what
 * test/known_differences.ts lists with a reason. One sandbox runs the whole batch; if it dies, the program
 * that was running has failed and the rest goes on in a new one.
 */
import { existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { must } from '../harness/command.ts';
import { platformFlags, ROOT, type Runtime, runJob, runtimeNamed } from '../harness/runtime.ts';
import { difference, Tally } from '../harness/tally.ts';
import { overlay } from '../harness/tree.ts';
import { KNOWN_LINES, type KnownLine } from '../known_differences.ts';

interface Outcome {
  readonly output: string;
  readonly status: number;
}

const HERE = import.meta.dirname;
const TREE = join(ROOT, 'build/guest/root');
const CFLAGS = [
  ...['-std=gnu17', '-O1', '-g0', '-static', '-pthread', '-Wall', '-Wextra', '-Werror'],
  // The programs pass bad arguments on purpose.
  ...[
    'nonnull',
    'stringop-overread',
    'stringop-overflow',
    'array-bounds',
    'infinite-recursion',
  ].map((w) => `-Wno-${w}`),
];
const BATCH_TIMEOUT_MS = 300_000;
const OUTCOME_MISSING: Outcome = { output: 'the sandbox ended before it ran', status: -1 };

/** All programs as FAMILY/NAME. */
export function programs(filter = ''): string[] {
  return readdirSync(HERE, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && entry.name !== 'fuzz')
    .flatMap((family) =>
      readdirSync(join(HERE, family.name))
        .filter((file) => file.endsWith('.c'))
        .map((file) => `${family.name}/${file.slice(0, -2)}`),
    )
    .filter((name) => name.includes(filter))
    .sort();
}

function isOlder(output: string, inputs: readonly string[]): boolean {
  if (!existsSync(output)) return true;
  const made = statSync(output).mtimeMs;
  return inputs.some((input) => statSync(input).mtimeMs > made);
}

async function compile(name: string): Promise<void> {
  const source = join(HERE, `${name}.c`);
  const output = join(TREE, 'guest', name);
  if (!isOlder(output, [source, join(HERE, 'guest.h')])) return;
  mkdirSync(join(output, '..'), { recursive: true });
  await must(['gcc', ...CFLAGS, '-I', HERE, '-o', output, source]);
}

/**
 * Compiles what changed and lays out the root file system of the batch. Gives the programs that do not
 * compile, with the compiler's words.
 */
export async function build(names: readonly string[]): Promise<Map<string, string>> {
  for (const path of ['proc', 'dev', 'sys', 'tmp', 'etc', 'guest']) {
    mkdirSync(join(TREE, path), { recursive: true });
  }
  writeFileSync(
    join(TREE, 'etc/passwd'),
    'root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n',
  );
  writeFileSync(join(TREE, 'etc/group'), 'root:x:0:\ntty:x:5:\nnogroup:x:65534:\n');
  await compile('driver');
  const broken = new Map<string, string>();
  const queue = [...names];
  const worker = async () => {
    for (let name = queue.shift(); name !== undefined; name = queue.shift()) {
      await compile(name).catch((error: Error) => broken.set(name!, error.message));
    }
  };
  await Promise.all([worker(), worker()]);
  return broken;
}

/** Splits the driver's output at its marks. A program without an end mark was running at the end. */
function parse(text: string): {
  done: Map<string, Outcome>;
  running: [string, string] | undefined;
} {
  const done = new Map<string, Outcome>();
  const parts = text.split(/^@@@ (begin|end) (\S+) (-?\d+)\n/m);
  let running: [string, string] | undefined;
  for (let i = 1; i + 3 < parts.length + 1; i += 4) {
    const [verb, name, status, body] = parts.slice(i, i + 4) as [string, string, string, string];
    if (verb === 'begin') {
      running = [name, body];
    } else if (running) {
      done.set(name, { output: running[1].replace(/\n$/, ''), status: Number(status) });
      running = undefined;
    }
  }
  return { done, running };
}

/** Runs all programs under `runtime`, starting over after whichever one takes the sandbox down. */
export async function runAll(
  runtime: Runtime,
  names: readonly string[],
): Promise<Map<string, Outcome>> {
  const all = new Map<string, Outcome>();
  let left = [...names];
  while (left.length > 0) {
    const tree = await overlay(TREE);
    const args = ['/guest/driver', ...left.map((name) => `/guest/${name}`)];
    const result = await runJob(runtime, tree.root, { args, timeoutMs: BATCH_TIMEOUT_MS });
    await tree.release();
    const { done, running } = parse(result.stdout);
    for (const [name, outcome] of done) all.set(name, outcome);
    const culprit = running?.[0] ?? (done.size === 0 ? left[0] : undefined);
    if (culprit !== undefined) {
      const why = result.timedOut ? 'the batch timed out' : `the sandbox ended (${result.status})`;
      const output = `${running?.[1] ?? ''}\n${why}: ${result.stderr.slice(-1500)}`;
      all.set(culprit, { output, status: -1 });
    }
    left = left.filter((name) => !all.has(name));
  }
  return all;
}

/** What the sandbox should print: the host's output with the listed lines replaced. */
function expected(name: string, host: Outcome, listed: readonly KnownLine[]): string {
  let text = host.output;
  for (const entry of listed) {
    if (entry.program !== name) continue;
    const lines = text.split('\n');
    const at = lines.indexOf(entry.native);
    if (at < 0)
      return `${text}\n(test/known_differences.ts lists a line that the host does not print)`;
    lines[at] = entry.sandbox;
    text = lines.join('\n');
  }
  return text;
}

export async function runGuest(runtimes: readonly string[], filter: string): Promise<Tally> {
  const tally = new Tally('guest');
  const wanted = programs(filter);
  const broken = await build(wanted);
  for (const [name, why] of broken) tally.fail(name, why);
  const names = wanted.filter((name) => !broken.has(name));
  const host = await runAll(runtimeNamed('native', false), names);
  const sane = names.filter((name) => {
    const { status, output } = host.get(name) ?? OUTCOME_MISSING;
    if (status !== 0) tally.fail(name, `the host itself gives status ${status}:\n${output}`);
    return status === 0;
  });
  for (const runtime of runtimes) tally.add(await runGuestOn(runtime, sane, host));
  return tally;
}

async function runGuestOn(
  runtimeName: string,
  names: readonly string[],
  host: ReadonlyMap<string, Outcome>,
): Promise<Tally> {
  const tally = new Tally('guest', runtimeName);
  const sandbox = await runAll(runtimeNamed(runtimeName), names);
  const listed = platformFlags(runtimeName) ? KNOWN_LINES : [];
  for (const name of names) {
    const want = host.get(name) ?? OUTCOME_MISSING;
    const got = sandbox.get(name) ?? OUTCOME_MISSING;
    const text = expected(name, want, listed);
    if (got.output === text && got.status === want.status) tally.pass(name);
    else tally.fail(name, `status ${got.status}\n${difference(text, got.output)}`);
  }
  return tally;
}

/** Random system calls: no oracle, only that the sandbox survives to say so. */
export async function runRandomCalls(runtimes: readonly string[], filter: string): Promise<Tally> {
  const tally = new Tally('fuzz');
  for (const runtime of runtimes) tally.add(await runRandomCallsOn(runtime, filter));
  return tally;
}

async function runRandomCallsOn(runtimeName: string, filter: string): Promise<Tally> {
  const tally = new Tally('fuzz', runtimeName);
  const name = 'fuzz/random_calls';
  if (!name.includes(filter)) return tally;
  if (!platformFlags(runtimeName) && runtimeName !== 'debian') {
    tally.skip(name, `never on the host's kernel, which ${runtimeName} shares`);
    return tally;
  }
  const broken = await build([name]);
  const tree = await overlay(TREE);
  const job = { args: [`/guest/${name}`], cwd: '/tmp', timeoutMs: BATCH_TIMEOUT_MS };
  const result = await runJob(runtimeNamed(runtimeName), tree.root, job);
  await tree.release();
  const survived = /^children ended \d+\nwrote\nthe kernel still works: exited 0\n$/;
  if (broken.size === 0 && result.status === 0 && survived.test(result.stdout)) tally.pass(name);
  else {
    const why =
      broken.get(name) ?? `status ${result.status}${result.timedOut ? ', timed out' : ''}`;
    tally.fail(name, `${why}\n${result.stdout.slice(-1000)}\n${result.stderr.slice(-3000)}`);
  }
  return tally;
}
