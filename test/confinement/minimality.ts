/**
 * Suite `minimality`: each entry of the two system call lists is taken out in turn, and something of
 * what exercise.py and the other workloads do breaks.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { build } from 'esbuild';
import { syscallName } from '../../spec/linux/syscall_numbers.ts';
import { GOFER_RULES, goferSocketRules } from '../../spec/seccomp/gofer.ts';
import type { SyscallRule } from '../../spec/seccomp/rule.ts';
import { sentryRules, sentrySocketRules } from '../../spec/seccomp/sentry.ts';
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
  /** The sandbox's /data. */
  readonly data: string;
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
  const resized = 'until [ "$(stty size)" = "$rows 100" ]; do sleep 0.05; done';
  const script = `for rows in 41 42 43 44 45 46; do echo $rows; read x; ${resized}; done; echo done`;
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

const SOCKETS = `
import socket
server = socket.socket(socket.AF_UNIX)
server.bind('/data/bound')
server.listen()
client = socket.socket(socket.AF_UNIX)
client.connect('/data/host')
client.shutdown(socket.SHUT_WR)
assert client.recv(1) == b''
print('done')
`;

/** A socket of the host that ends when its client does, and one that is bound there. */
const sockets: Workload = async (place) => {
  const server = createServer({ allowHalfOpen: true }, (client) => {
    client.on('error', () => {});
    client.resume().on('end', () => client.end());
  });
  server.listen(join(place.data, 'host'));
  const bundle = place.bundle(['/usr/bin/python3', '-c', SOCKETS]);
  const argv = [...place.runsc, '--host-uds=all', 'run', '--bundle', bundle, 'c'];
  const done = await finishes(place, argv);
  server.close();
  return done;
};

const PLAIN_CLIENT = join(import.meta.dirname, 'plain_client.scenario.ts');

/** A client of the Gofer that is not our Sentry. */
const plainClient: Workload = (place) =>
  finishes(place, [process.execPath, ...FLAGS, PLAIN_CLIENT, 'asks', place.folder]);

/** A Gofer in which V8 has no more memory says so. */
const lastWords: Workload = async (place) => {
  const flags = [...FLAGS, '--max-old-space-size=64'];
  const argv = [process.execPath, ...flags, PLAIN_CLIENT, 'crashes', place.folder];
  const { stderr } = await run(argv, { env: environment(place), timeoutMs: TIMEOUT_MS });
  return /heap out of memory/.test(stderr);
};

/** For entries that `exercise` does without. */
const WORKLOADS: Readonly<Record<string, Workload>> = {
  'sentry:accept4': commands,
  'sentry:ioctl': terminal,
  'sentry:signalfd4': terminal,
  'sentry:listen': sockets,
  'sentry:shutdown': sockets,
  'gofer:bind': sockets,
  'gofer:brk': plainClient,
  'gofer:connect': sockets,
  'gofer:exit_group': ends,
  'gofer:fsync': plainClient,
  'gofer:lseek': plainClient,
  'gofer:pread64': plainClient,
  'gofer:pwrite64': plainClient,
  'gofer:socket': sockets,
  'gofer:write': lastWords,
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
    data,
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
  const common = [...sentryRules('systrap'), ...sentrySocketRules('all')];
  const gofers = [...GOFER_RULES, ...goferSocketRules('all')];
  const entriesOf = (list: string, rules: readonly SyscallRule[], platform: string) =>
    rules
      .filter(({ refuse }) => refuse === undefined)
      .map(({ nr }): [string, string] => [`${list}:${syscallName(nr)}`, platform]);
  const ofPtrace = sentryRules('ptrace').filter(({ nr }) => !common.some((r) => r.nr === nr));
  const entries = [
    ...entriesOf('sentry', common, 'systrap'),
    ...entriesOf('sentry', ofPtrace, 'ptrace'),
    ...entriesOf('gofer', gofers, 'systrap'),
  ];
  const attempt = async (entry: string, platform: string, workload: Workload) => {
    const here = place(outfile, root, platform, entry);
    const worked = await workload(here);
    await run([...here.runsc, 'delete', '--force', 'c'], { timeoutMs: TIMEOUT_MS });
    return worked;
  };
  const workloads = [exercise, commands, terminal, stopped, ends, sockets, plainClient, lastWords];
  for (const workload of workloads) {
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
      if (await attempt(entry, platform, WORKLOADS[entry] ?? exercise)) {
        tally.fail(entry, 'nothing breaks without it');
      } else tally.pass(entry);
    }
  };
  await Promise.all(Array.from({ length: WORKERS }, worker));
  return tally;
}
