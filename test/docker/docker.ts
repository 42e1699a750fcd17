/** `docker run` and its kin under the runtime, with a real dockerd on an imported image. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../harness/command.ts';
import { Tally } from '../harness/tally.ts';
import { explain, play } from '../harness/terminal.ts';
import { Daemon } from './daemon.ts';

const IMAGE = 'busybox-test';

/** A `docker run --rm` whose result is known. */
interface RunCase {
  readonly name: string;
  /** Options before the image. */
  readonly options?: readonly string[];
  readonly command: readonly string[];
  readonly input?: string;
  readonly status?: number;
  /** Standard output must match. */
  readonly stdout?: RegExp;
  readonly stderr?: RegExp;
}

const sh = (script: string) => ['sh', '-c', script];

const RUNS: readonly RunCase[] = [
  { name: 'prints', command: ['echo', 'hello'], stdout: /^hello\n$/ },
  { name: 'exit 0', command: ['true'] },
  { name: 'exit 3', command: sh('exit 3'), status: 3 },
  { name: 'exit 126: not a program', command: ['/data/not_a_program'], status: 126 },
  { name: 'exit 126: a directory', command: ['/data'], status: 126 },
  {
    name: 'exit 127: no such file',
    command: ['/no/such'],
    status: 127,
    stderr: /no such file|not found/,
  },
  { name: 'exit 127: not in PATH', command: ['nosuch'], status: 127, stderr: /not found/ },
  { name: 'exit 137: killed', command: sh('sh -c "kill -9 \\$\\$"; exit $?'), status: 137 },
  { name: 'exit 143: terminated', command: sh('sh -c "kill -TERM \\$\\$"; exit $?'), status: 143 },
  {
    name: '-i reads standard input',
    options: ['-i'],
    command: ['wc', '-c'],
    input: 'x'.repeat(100000),
    stdout: /^100000\n$/,
  },
  {
    name: '-i ends with its input',
    options: ['-i'],
    command: ['cat'],
    input: 'a\nb\n',
    stdout: /^a\nb\n$/,
  },
  {
    name: 'stdout and stderr stay apart',
    command: sh('echo out; echo err >&2'),
    stdout: /^out\n$/,
    stderr: /^err\n$/,
  },
  {
    name: '-e',
    options: ['-e', 'A=b c', '-e', 'X=1'],
    command: sh('echo "$A,$X,$PATH"'),
    stdout: /^b c,1,\/usr\/local\/sbin:/,
  },
  { name: '-w', options: ['-w', '/tmp'], command: ['pwd'], stdout: /^\/tmp\n$/ },
  {
    name: '-w makes the directory',
    options: ['-w', '/new/dir'],
    command: ['pwd'],
    stdout: /^\/new\/dir\n$/,
  },
  {
    name: '-u by number',
    options: ['-u', '1234:5678'],
    command: sh('id -u; id -g; touch /x || echo no'),
    stdout: /^1234\n5678\nno\n$/,
  },
  {
    name: '-u by name',
    options: ['-u', 'guest'],
    command: sh('id -un; echo $HOME'),
    stdout: /^guest\n\/tmp\n$/,
  },
  { name: '--group-add', options: ['--group-add', '77'], command: ['id', '-G'], stdout: /77/ },
  {
    name: '--hostname',
    options: ['--hostname', 'box'],
    command: sh('hostname; cat /etc/hostname'),
    stdout: /^box\nbox\n/,
  },
  {
    name: '--read-only',
    options: ['--read-only'],
    command: sh('touch /x'),
    status: 1,
    stderr: /Read-only/,
  },
  {
    name: '--tmpfs',
    options: ['--read-only', '--tmpfs', '/scratch:size=1m,mode=1777'],
    command: sh(
      'echo hi > /scratch/f && cat /scratch/f; dd if=/dev/zero of=/scratch/g bs=64k count=32 2>&1 | grep -o "No space left on device" | head -1',
    ),
    stdout: /^hi\nNo space left on device\n$/,
  },
  {
    name: '--entrypoint',
    options: ['--entrypoint', 'echo'],
    command: ['a', 'b'],
    stdout: /^a b\n$/,
  },
  { name: '--init', options: ['--init'], command: sh('echo $$; exit 4'), status: 4 },
  {
    name: '--ulimit',
    options: ['--ulimit', 'nofile=100:200'],
    command: sh('ulimit -n; ulimit -Hn'),
    stdout: /^100\n200\n$/,
  },
  {
    name: '--cap-drop',
    options: ['--cap-drop=ALL'],
    command: sh('grep CapEff /proc/self/status'),
    stdout: /0{16}/,
  },
  {
    name: 'default capabilities',
    command: sh('grep CapEff /proc/self/status'),
    stdout: /00000000a80425fb/,
  },
  {
    name: '--security-opt no-new-privileges',
    options: ['--security-opt', 'no-new-privileges'],
    command: sh('grep NoNewPrivs /proc/self/status'),
    stdout: /1\n$/,
  },
  {
    name: '--memory',
    options: ['--memory', '200m'],
    command: ['echo', 'limited'],
    stdout: /limited/,
  },
  {
    name: 'pid 1 and a pid namespace',
    command: sh('echo $$; ls -d /proc/[0-9]* | wc -l'),
    stdout: /^1\n[2-4]\n$/,
  },
  {
    name: 'usual devices',
    command: sh('ls /dev | tr "\\n" " "; head -c 4 /dev/urandom | wc -c'),
    stdout: /full.*null.*ptmx.*random.*zero.*\n?4\n$/,
  },
  { name: 'no network but lo', command: sh('cat /proc/net/dev | grep -c :'), stdout: /^1\n$/ },
  {
    name: 'mounts of its own',
    command: sh('mount | grep -c " on / "; mount | grep -c dockerd'),
    status: 1,
    stdout: /^1\n0\n$/,
  },
  {
    name: 'many processes',
    command: sh('i=0; while [ $i -lt 100 ]; do /bin/true; i=$((i+1)); done; echo $i'),
    stdout: /^100\n$/,
  },
];

class Suite {
  readonly tally = new Tally('docker');
  readonly daemon: Daemon;
  readonly filter: string;

  constructor(daemon: Daemon, filter: string) {
    this.daemon = daemon;
    this.filter = filter;
  }

  /** Runs one check; it fails by throwing. */
  async check(name: string, body: () => Promise<void>): Promise<void> {
    if (!name.includes(this.filter)) return;
    try {
      await body();
      this.tally.pass(name);
    } catch (error) {
      this.tally.fail(name, error instanceof Error ? error.message : String(error));
    }
  }

  async runCase(one: RunCase): Promise<void> {
    await this.check(one.name, async () => {
      const args = this.daemon.runArgs('--rm', ...(one.options ?? []), IMAGE, ...one.command);
      const result = await this.daemon.dockerWith({ input: one.input ?? '' }, ...args);
      const seen = `status ${result.status}\nstdout: ${result.stdout.slice(0, 1000)}\nstderr: ${result.stderr.slice(0, 2000)}`;
      expect(result.status === (one.status ?? 0), `want status ${one.status ?? 0}; ${seen}`);
      if (one.stdout) expect(one.stdout.test(result.stdout), `want ${one.stdout}; ${seen}`);
      if (one.stderr) expect(one.stderr.test(result.stderr), `want ${one.stderr}; ${seen}`);
    });
  }

  /** A docker command that must succeed; gives its output without the last newline. */
  async docker(...args: readonly string[]): Promise<string> {
    const result = await this.daemon.docker(...args);
    expect(result.status === 0, `docker ${args.join(' ')}: ${result.status} ${result.stderr}`);
    return result.stdout.trimEnd();
  }

  /** Starts a detached container, hands its name to `body`, and removes it. */
  async detached(command: readonly string[], body: (name: string) => Promise<void>): Promise<void> {
    const name = `c${++this.#serial}`;
    await this.docker(...this.daemon.runArgs('-d', '--name', name, IMAGE, ...command));
    try {
      await body(name);
    } finally {
      await this.daemon.docker('rm', '-f', name);
    }
  }

  #serial = 0;
}

function expect(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(message);
}

function same(actual: string | number, wanted: string | number): void {
  expect(actual === wanted, `want ${JSON.stringify(wanted)}, got ${JSON.stringify(actual)}`);
}

async function volumes(suite: Suite): Promise<void> {
  const directory = suite.daemon.directory('volume');
  writeFileSync(join(directory, 'from_host'), 'host\n');
  const script =
    'cat /v/from_host; echo guest > /v/from_guest; mv /v/from_guest /v/renamed; ln -s renamed /v/link; ls /v';
  await suite.check('-v rw: writes reach the host', async () => {
    const args = suite.daemon.runArgs('--rm', '-v', `${directory}:/v`, IMAGE, ...sh(script));
    same(await suite.docker(...args), 'host\nfrom_host\nlink\nrenamed');
    same(readFileSync(join(directory, 'renamed'), 'utf8'), 'guest\n');
  });
  await suite.check('-v ro: writes are refused', async () => {
    const args = suite.daemon.runArgs(
      '--rm',
      '-v',
      `${directory}:/v:ro`,
      IMAGE,
      ...sh('cat /v/from_host; echo x > /v/y'),
    );
    const result = await suite.daemon.docker(...args);
    expect(result.stdout === 'host\n' && result.status === 1, `${result.status} ${result.stdout}`);
    expect(/Read-only/.test(result.stderr) && !existsSync(join(directory, 'y')), result.stderr);
  });
  await suite.check('-v: changes by the host are seen at once', async () => {
    const command = sh('while [ ! -e /v/go ]; do sleep 0.05; done; cat /v/go');
    const args = suite.daemon.runArgs('--rm', '-v', `${directory}:/v`, IMAGE, ...command);
    const running = suite.daemon.docker(...args);
    await new Promise((resolve) => setTimeout(resolve, 1500));
    writeFileSync(join(directory, 'go'), 'now\n');
    same((await running).stdout, 'now\n');
  });
  await suite.check('-v of one file, and a named volume', async () => {
    const file = join(directory, 'from_host');
    same(
      await suite.docker(
        ...suite.daemon.runArgs('--rm', '-v', `${file}:/etc/one:ro`, IMAGE, 'cat', '/etc/one'),
      ),
      'host',
    );
    await suite.docker(
      ...suite.daemon.runArgs('--rm', '-v', 'named:/n', IMAGE, ...sh('echo kept > /n/f')),
    );
    same(
      await suite.docker(...suite.daemon.runArgs('--rm', '-v', 'named:/n', IMAGE, 'cat', '/n/f')),
      'kept',
    );
  });
}

async function lifecycle(suite: Suite): Promise<void> {
  const ticking = sh(
    'trap "echo bye; exit 9" TERM; i=0; while :; do echo tick $i; i=$((i+1)); sleep 0.1; done',
  );
  await suite.check('-d, logs, exec, top, inspect, stop', () =>
    suite.detached(ticking, async (name) => {
      await new Promise((resolve) => setTimeout(resolve, 1000));
      expect((await suite.docker('logs', name)).startsWith('tick 0\ntick 1\n'), 'logs');
      same(await suite.docker('exec', name, 'echo', 'inside'), 'inside');
      same(
        await suite.docker(
          'exec',
          '-e',
          'A=b',
          '-w',
          '/tmp',
          '-u',
          '1000',
          name,
          ...sh('echo $A $(pwd) $(id -u)'),
        ),
        'b /tmp 1000',
      );
      same((await suite.daemon.docker('exec', name, ...sh('exit 6'))).status, 6);
      // 126 in docker 20.10, 127 in later ones.
      const missing = await suite.daemon.docker('exec', name, 'nosuch');
      expect([126, 127].includes(missing.status), `exec of nothing: ${missing.status}`);
      same((await suite.daemon.docker('exec', name, '/data/not_a_program')).status, 126);
      same(
        (await suite.daemon.dockerWith({ input: 'abc' }, 'exec', '-i', name, 'wc', '-c')).stdout,
        '3\n',
      );
      same(await suite.docker('exec', '-d', name, 'touch', '/tmp/detached'), '');
      await new Promise((resolve) => setTimeout(resolve, 700));
      same(await suite.docker('exec', name, 'ls', '/tmp/detached'), '/tmp/detached');
      expect(/tick|sh -c/.test(await suite.docker('top', name)), 'top');
      same(await suite.docker('inspect', '-f', '{{.State.Running}}', name), 'true');
      await suite.docker('stop', '-t', '5', name);
      same(await suite.docker('inspect', '-f', '{{.State.ExitCode}}', name), '9');
      expect((await suite.docker('logs', name)).endsWith('bye'), 'its last words');
      same((await suite.daemon.docker('exec', name, 'true')).status, 1);
    }),
  );
  await suite.check('stop kills what ignores SIGTERM', () =>
    suite.detached(sh('trap "" TERM; while :; do sleep 1; done'), async (name) => {
      await suite.docker('stop', '-t', '1', name);
      same(await suite.docker('inspect', '-f', '{{.State.ExitCode}}', name), '137');
    }),
  );
  await suite.check('kill -s, and wait', () =>
    suite.detached(sh('trap "exit 11" USR1; while :; do sleep 0.1; done'), async (name) => {
      const waiting = suite.docker('wait', name);
      await new Promise((resolve) => setTimeout(resolve, 700));
      await suite.docker('kill', '-s', 'USR1', name);
      same(await waiting, '11');
      same((await suite.daemon.docker('kill', name)).status, 1);
    }),
  );
  await suite.check('kill', () =>
    suite.detached(['sleep', '100'], async (name) => {
      await suite.docker('kill', name);
      same(await suite.docker('wait', name), '137');
    }),
  );
  await suite.check('pause and unpause', () =>
    suite.detached(ticking, async (name) => {
      await suite.docker('pause', name);
      same(await suite.docker('inspect', '-f', '{{.State.Status}}', name), 'paused');
      const before = (await suite.docker('logs', name)).length;
      await new Promise((resolve) => setTimeout(resolve, 500));
      same((await suite.docker('logs', name)).length, before);
      await suite.docker('unpause', name);
      await new Promise((resolve) => setTimeout(resolve, 500));
      expect((await suite.docker('logs', name)).length > before, 'goes on');
    }),
  );
  await suite.check('restart keeps the files', () =>
    suite.detached(sh('echo run >> /runs; wc -l < /runs; sleep 100'), async (name) => {
      await new Promise((resolve) => setTimeout(resolve, 700));
      await suite.docker('restart', '-t', '0', name);
      await new Promise((resolve) => setTimeout(resolve, 700));
      same(await suite.docker('logs', name), '1\n2');
    }),
  );
  await suite.check('rm -f of several running containers', async () => {
    const names = Array.from({ length: 5 }, (_, i) => `many${i}`);
    await Promise.all(
      names.map((n) =>
        suite.docker(...suite.daemon.runArgs('-d', '--name', n, IMAGE, 'sleep', '100')),
      ),
    );
    await suite.docker('rm', '-f', ...names);
    same(await suite.docker('ps', '-aq'), '');
  });
  await suite.check('cp both ways and diff', () =>
    suite.detached(sh('echo made > /made; sleep 100'), async (name) => {
      const directory = suite.daemon.directory('cp');
      await new Promise((resolve) => setTimeout(resolve, 500));
      writeFileSync(join(directory, 'in'), 'in\n');
      await suite.docker('cp', join(directory, 'in'), `${name}:/in`);
      same(await suite.docker('exec', name, 'cat', '/in'), 'in');
      await suite.docker('cp', `${name}:/made`, join(directory, 'made'));
      same(readFileSync(join(directory, 'made'), 'utf8'), 'made\n');
    }),
  );
}

async function terminals(suite: Suite): Promise<void> {
  await suite.check('-it: a shell with job control', async () => {
    const argv = suite.daemon.command(...suite.daemon.runArgs('--rm', '-it', IMAGE, 'sh'));
    const result = await play(argv, undefined, [
      ['expect', '# '],
      ['send', 'tty; stty size\n'],
      ['expect', '/dev/(pts/0|console)'],
      ['expect', '24 80'],
      ['send', 'sleep 100\n'],
      ['pause', 0.7],
      ['send', '\x03'],
      ['expect', '# '],
      ['send', 'sleep 100\n'],
      ['pause', 0.7],
      ['send', '\x1a'],
      ['expect', 'Stopped'],
      ['resize', 30, 90],
      ['pause', 0.5],
      ['send', 'stty size\n'],
      ['expect', '30 90'],
      ['send', 'kill %1; exit 5\n'],
      ['pause', 0.3],
      ['send', 'exit 5\n'],
    ]);
    expect(result.ok && result.status === 5, explain(result));
  });
  await suite.check('-t without -i', async () => {
    const result = await suite.daemon.docker(
      ...suite.daemon.runArgs('--rm', '-t', IMAGE, ...sh('test -t 1 && echo a tty; exit 2')),
    );
    expect(
      result.stdout === 'a tty\r\n' && result.status === 2,
      `${result.status} ${result.stdout} ${result.stderr}`,
    );
  });
  await suite.check('exec -it', () =>
    suite.detached(['sleep', '100'], async (name) => {
      const argv = suite.daemon.command('exec', '-it', name, 'sh');
      const result = await play(argv, undefined, [
        ['expect', '# '],
        ['send', 'test -t 0 && echo in a tty; cat\n'],
        ['expect', '^in a tty'],
        ['pause', 0.3],
        ['send', '\x03'],
        ['expect', '# '],
        ['send', 'exit 7\n'],
      ]);
      expect(result.ok && result.status === 7, explain(result));
    }),
  );
}

export async function runDocker(runtimeName: string, filter: string): Promise<Tally> {
  for (const program of ['dockerd', 'docker']) {
    if ((await run(['sh', '-c', `command -v ${program}`])).status !== 0) {
      const tally = new Tally('docker');
      tally.skip('all', `${program} is not installed`);
      return tally;
    }
  }
  const daemon = new Daemon(runtimeName === 'native' ? 'runc' : runtimeName);
  const suite = new Suite(daemon, filter);
  try {
    await daemon.ready();
    await daemon.importBusybox(IMAGE);
    for (const one of RUNS) await suite.runCase(one);
    await volumes(suite);
    await lifecycle(suite);
    await terminals(suite);
    if (suite.tally.failed > 0) console.log(`end of dockerd's log:\n${daemon.log(20)}`);
  } finally {
    await daemon.stop();
  }
  return suite.tally;
}
