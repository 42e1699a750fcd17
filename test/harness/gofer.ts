/** For tests: a gofer in a process of its own, and clients connected to it. */
import { type ChildProcess, spawn } from 'node:child_process';
import * as nodeFs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { onTestFinished } from 'vitest';
import * as fs from '../../native/fs.ts';
import { socketpair } from '../../native/socket.ts';
import { SOCK_CLOEXEC, SOCK_STREAM } from '../../spec/linux/socket.ts';

/** As runsc itself, which forks. */
const NODE_FLAGS = [
  '--single-threaded',
  '--v8-pool-size=0',
  '--disable-warning=ExperimentalWarning',
];

export interface Gofer {
  readonly child: ChildProcess;
  /** In mode `main` the process that serves, a child of `child`. */
  readonly pid: () => number;
  /** Our ends of the connections, one per source. */
  readonly fds: readonly number[];
  readonly ended: Promise<number | null>;
}

/** `prefix` is a command that runs the gofer. */
export function startGofer(
  mode: string,
  sources: readonly string[],
  prefix: readonly string[] = [],
): Gofer {
  const pairs = sources.map(() => {
    const pair = socketpair(SOCK_STREAM | SOCK_CLOEXEC);
    if (typeof pair === 'number') throw new Error(`socketpair: ${pair}`);
    return pair;
  });
  const script = path.join(import.meta.dirname, '../../gofer/serve.scenario.ts');
  const node = [process.execPath, ...NODE_FLAGS, script, mode, ...sources];
  const [file = '', ...args] = [...prefix, ...node];
  const child = spawn(file, args, {
    stdio: ['ignore', 'ignore', 'inherit', ...pairs.map((p) => p[1])],
  });
  for (const pair of pairs) fs.close(pair[1]);
  const ended = new Promise<number | null>((resolve) => child.on('exit', resolve));
  const children = `/proc/${child.pid}/task/${child.pid}/children`;
  const pid = (): number => Number(nodeFs.readFileSync(children, 'utf8'));
  return { child, pid, fds: pairs.map((p) => p[0]), ended };
}

/** An empty directory; the caller removes it. */
export function temporaryTree(within = os.tmpdir()): string {
  return nodeFs.mkdtempSync(path.join(within, 'runsc-gofer-'));
}

/** For trees of thousands of files. */
export const IN_MEMORY = '/dev/shm';

/** An empty directory that goes away when the test that asks for it ends. */
export function treeOfTest(within?: string): string {
  const tree = temporaryTree(within);
  onTestFinished(() => nodeFs.rmSync(tree, { recursive: true, force: true }));
  return tree;
}
