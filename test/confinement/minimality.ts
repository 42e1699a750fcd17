/**
 * Suite `minimality`: each entry of the two system call lists is taken out in turn, and something of
 * what exercise.py and the other workloads do breaks.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { build } from 'esbuild';
import { syscallName } from '../../spec/linux/syscall_numbers.ts';
import { GOFER_RULES } from '../../spec/seccomp/gofer.ts';
import type { SyscallRule } from '../../spec/seccomp/rule.ts';
import { sentryRules } from '../../spec/seccomp/sentry.ts';
import { debianRootfs } from '../conformance/rootfs.ts';
import { run } from '../harness/command.ts';
import { ociConfig, ROOT } from '../harness/runtime.ts';
import { Tally } from '../harness/tally.ts';
import { scratch } from '../harness/tree.ts';

const FLAGS = ['--single-threaded', '--v8-pool-size=0', '--disable-sigusr1', '--no-warnings'];
const TIMEOUT_MS = 20_000;
const WORKERS = 2;
const PATIENCE = 100;
const PAUSE_MS = 100;

/** The CLI as a bundle whose lists can lack an entry. */
async function bundled(): Promise<string> {
  const outfile = join(scratch(), 'runsc.cjs');
  const fewer = join(import.meta.dirname, 'fewer_rules.ts');
  await build({
    entryPoints: [join(ROOT, 'runtime/main.ts')],
    outfile,
    bundle: true,
    format: 'cjs',
    platform: 'node',
    target: 'node26',
    logLevel: 'error',
    define: { 'import.meta.url': JSON.stringify(`file://${ROOT}/native/index.ts`) },
    plugins: [
      {
        name: 'fewer rules',
        setup(builder) {
          builder.onResolve({ filter: /seccomp\/(sentry|gofer)\.ts$/ }, ({ importer }) =>
            importer.endsWith('/confinement.ts') ? { path: fewer } : undefined,
          );
        },
      },
    ],
  });
  return outfile;
}

interface Place {
  /** The command line up to the command. */
  readonly runsc: readonly string[];
  readonly state: string;
  readonly without: string;
  readonly folder: string;
  bundle(args: readonly string[], terminal?: boolean): string;
}

type Workload = (place: Place) => Promise<boolean>;

function environment(place: Place): Record<string, string> {
  return { PATH: process.env['PATH'] ?? '', RUNSC_WITHOUT: place.without };
}

async function finishes(place: Place, argv: readonly string[]): Promise<boolean> {
  const ended = await run(argv, { env: environment(place), timeoutMs: TIMEOUT_MS });
  return ended.status === 0 && ended.stdout.includes('done');
}

const exercise: Workload = (place) => {
  const bundle = place.bundle(['/usr/bin/python3', '/data/exercise.py']);
  return finishes(place, [...place.runsc, 'run', '--bundle', bundle, 'c']);
};

const commands: Workload = async (place) => {
  const bundle = place.bundle(['/bin/echo', 'done']);
  const env = environment(place);
  const created = await run([...place.runsc, 'create', '--bundle', bundle, 'c'], {
    env,
    timeoutMs: TIMEOUT_MS,
  });
  const started = await run([...place.runsc, 'start', 'c'], { env, timeoutMs: TIMEOUT_MS });
  return created.status === 0 && started.status === 0;
};

const terminal: Workload = async (place) => {
  const script = 'echo begin; read x; sleep 0.2; echo done $(stty size)';
  const bundle = place.bundle(['/bin/sh', '-c', script], true);
  const helper = join(import.meta.dirname, 'console.py');
  const argv = ['python3', helper, join(place.folder, 'console'), ...place.runsc, 'c', bundle];
  const ended = await run(argv, { env: environment(place), timeoutMs: TIMEOUT_MS });
  return ended.status === 0;
};

function contents(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

/** The host stops both processes for a moment. */
const stopped: Workload = async (place) => {
  const bundle = place.bundle(['/bin/sh', '-c', 'sleep 2; cat /data/exercise.py; echo done']);
  const ended = finishes(place, [...place.runsc, 'run', '--bundle', bundle, 'c']);
  const file = join(place.state, 'c/state.json');
  for (let i = 0; i < PATIENCE && !/"running"/.test(contents(file)); i++) await sleep(PAUSE_MS);
  await sleep(PAUSE_MS);
  try {
    const state = JSON.parse(contents(file));
    for (const signal of ['SIGSTOP', 'SIGCONT']) {
      for (const { pid } of [state.sentry, state.gofer]) process.kill(pid, signal);
    }
  } catch {
    // It has ended, which is for the result to say.
  }
  return ended;
};

/** Nothing of the sandbox ends by a signal. */
const ends: Workload = async (place) => {
  const bundle = place.bundle(['/bin/true']);
  const helper = join(import.meta.dirname, 'reaper.py');
  const argv = ['python3', helper, ...place.runsc, 'run', '--detach', '--bundle', bundle, 'c'];
  const ended = await run(argv, { env: environment(place), timeoutMs: TIMEOUT_MS });
  return ended.status === 0;
};

/** For entries that `exercise` does without. */
const WORKLOADS: Readonly<Record<string, Workload>> = {
  'sentry:accept4': commands,
  'sentry:ioctl': terminal,
  'sentry:signalfd4': terminal,
  'gofer:exit_group': ends,
};

/** What no workload can bring about at will, each with the reason why it stays. */
const NOT_DONATED = 'for a client that takes no descriptors, which our Sentry is not';
const BREAK = 'malloc makes it when its heap grows: seen in longer runs';
const NOT_SHOWN: Readonly<Record<string, string>> = {
  'sentry:brk': BREAK,
  'gofer:brk': BREAK,
  'gofer:lseek': 'for a client that lists directories by Treaddir, which our Sentry is not',
  'gofer:pread64': NOT_DONATED,
  'gofer:pwrite64': NOT_DONATED,
  'gofer:fsync': NOT_DONATED,
  'gofer:write': 'what V8 says when it crashes',
};

function place(outfile: string, root: string, platform: string, without: string): Place {
  const folder = scratch();
  const state = join(folder, 'state');
  const data = join(folder, 'data');
  mkdirSync(data);
  writeFileSync(join(data, 'exercise.py'), readFileSync(join(import.meta.dirname, 'exercise.py')));
  return {
    runsc: [process.execPath, ...FLAGS, outfile, '--root', state, `--platform=${platform}`],
    state,
    without,
    folder,
    bundle(args, terminal = false) {
      const bundle = join(folder, 'bundle');
      mkdirSync(bundle);
      const config = ociConfig(root, { args }, terminal) as { mounts: object[] };
      config.mounts.push({
        destination: '/data',
        type: 'bind',
        source: data,
        options: ['rbind', 'rw'],
      });
      writeFileSync(join(bundle, 'config.json'), JSON.stringify(config));
      return bundle;
    },
  };
}

export async function runMinimality(_: readonly string[], filter: string): Promise<Tally> {
  const tally = new Tally('minimality');
  const outfile = await bundled();
  const root = await debianRootfs();
  const common = sentryRules('systrap');
  const allowed = ({ refuse }: SyscallRule) => refuse === undefined;
  const entries: [string, string][] = [
    ...sentryRules('ptrace')
      .filter(allowed)
      .map(({ nr }): [string, string] => [
        `sentry:${syscallName(nr)}`,
        common.some((rule) => rule.nr === nr) ? 'systrap' : 'ptrace',
      ]),
    ...GOFER_RULES.filter(allowed).map(({ nr }): [string, string] => [
      `gofer:${syscallName(nr)}`,
      'systrap',
    ]),
  ];
  const attempt = async (entry: string, platform: string, workload: Workload) => {
    const here = place(outfile, root, platform, entry);
    const worked = await workload(here);
    await run([...here.runsc, 'delete', '--force', 'c'], { timeoutMs: TIMEOUT_MS });
    return worked;
  };
  for (const workload of [exercise, commands, terminal, stopped, ends]) {
    for (const platform of ['systrap', 'ptrace']) {
      const worked = await attempt('', platform, workload);
      if (worked) tally.pass(`with the whole lists on ${platform}: ${workload.name}`);
      else tally.fail(`with the whole lists on ${platform}: ${workload.name}`, 'does not work');
    }
  }
  const queue = entries.filter(([entry]) => entry.includes(filter));
  const worker = async (): Promise<void> => {
    for (let next = queue.shift(); next; next = queue.shift()) {
      const [entry, platform] = next;
      if (NOT_SHOWN[entry] !== undefined) {
        tally.skip(entry, NOT_SHOWN[entry]);
      } else if (await attempt(entry, platform, WORKLOADS[entry] ?? exercise)) {
        tally.fail(entry, 'nothing breaks without it');
      } else tally.pass(entry);
    }
  };
  await Promise.all(Array.from({ length: WORKERS }, worker));
  return tally;
}
