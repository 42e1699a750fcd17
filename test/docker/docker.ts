/** `docker run` and its kin under the runtime, with a real dockerd on an imported image. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../harness/command.ts';
import { platformFlags } from '../harness/runtime.ts';
import { Tally } from '../harness/tally.ts';
import { explain, play } from '../harness/terminal.ts';
import { Daemon } from './daemon.ts';
import { inside } from './inside.ts';
import { limits } from './limits.ts';
import { refusals } from './refusals.ts';
import { RUNS, type RunCase, sh } from './run_cases.ts';

const IMAGE = 'busybox-test';

export class Suite {
  readonly tally: Tally;
  readonly daemon: Daemon;
  readonly filter: string;

  constructor(daemon: Daemon, filter: string, tally: Tally) {
    this.daemon = daemon;
    this.filter = filter;
    this.tally = tally;
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
  await suite.check('-d, logs, exec, inspect, stop', () =>
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
      same(await suite.docker('inspect', '-f', '{{.State.Running}}', name), 'true');
      await suite.docker('stop', '-t', '5', name);
      same(await suite.docker('inspect', '-f', '{{.State.ExitCode}}', name), '9');
      expect((await suite.docker('logs', name)).endsWith('bye'), 'its last words');
      same((await suite.daemon.docker('exec', name, 'true')).status, 1);
    }),
  );
  await suite.check('top', () =>
    suite.detached(ticking, async (name) => {
      expect(/tick|sh -c/.test(await suite.docker('top', name)), 'no process of the container');
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

export async function runDocker(runtimes: readonly string[], filter: string): Promise<Tally> {
  const tally = new Tally('docker');
  for (const program of ['dockerd', 'docker']) {
    if ((await run(['sh', '-c', `command -v ${program}`])).status !== 0) {
      tally.skip('all', `${program} is not installed`);
      return tally;
    }
  }
  for (const runtime of runtimes) tally.add(await runDockerOn(runtime, filter));
  return tally;
}

async function runDockerOn(runtimeName: string, filter: string): Promise<Tally> {
  const daemon = new Daemon(runtimeName === 'native' ? 'runc' : runtimeName);
  const suite = new Suite(daemon, filter, new Tally('docker', runtimeName));
  try {
    await daemon.ready();
    await daemon.importBusybox(IMAGE);
    for (const one of RUNS) await suite.runCase(one);
    await volumes(suite);
    await lifecycle(suite);
    await terminals(suite);
    await limits(suite, IMAGE);
    await refusals(suite, IMAGE);
    const flags = platformFlags(runtimeName);
    if (flags) await inside(suite, IMAGE, flags);
    if (suite.tally.failed > 0) console.log(`end of dockerd's log:\n${daemon.log(20)}`);
  } finally {
    await daemon.stop();
  }
  return suite.tally;
}
