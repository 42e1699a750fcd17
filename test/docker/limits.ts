/** Docker's limits from the outside, and what it says of a container that ran into one. */
import type { Suite } from './docker.ts';
import { sh } from './run_cases.ts';

/** Reads into a buffer that grows for ever. */
const HOG = ['tail', '-c', '400m', '/dev/zero'];

/** How often docker stats, which takes a second or two, is asked whether a bomb has gone off. */
const LOOKS = 20;

function want(condition: boolean, message: string): void {
  if (!condition) throw new Error(message);
}

async function inspect(suite: Suite, name: string, format: string): Promise<string> {
  return await suite.docker('inspect', '-f', format, name);
}

export async function limits(suite: Suite, image: string): Promise<void> {
  await suite.check('--memory: OOMKilled, status 137, and an event', async () => {
    const limit = ['--memory', '48m', '--memory-swap', '48m'];
    const since = `${Date.now() / 1000 - 1}`;
    await suite.docker(...suite.daemon.runArgs('-d', '--name', 'oom', ...limit, image, ...HOG));
    try {
      const status = await suite.docker('wait', 'oom');
      const seen = await inspect(suite, 'oom', '{{.State.OOMKilled}} {{.State.ExitCode}}');
      want(status === '137' && seen === 'true 137', `wait: ${status}, inspect: ${seen}`);
      const filters = ['--filter', 'container=oom', '--filter', 'event=oom'];
      const until = `${Date.now() / 1000 + 1}`;
      const events = await suite.docker('events', '--since', since, '--until', until, ...filters);
      want(/container oom/.test(events), `events: ${events}`);
    } finally {
      await suite.docker('rm', '-f', 'oom');
    }
  });
  await suite.check('--pids-limit holds a fork bomb', async () => {
    // Those that could fork stay, so the limit stays reached.
    const bomb = sh('f() { f | f & sleep 1000; }; f & exec sleep 1000');
    const args = ['-d', '--name', 'bomb', '--pids-limit', '60', image, ...bomb];
    await suite.docker(...suite.daemon.runArgs(...args));
    try {
      const other = await suite.docker(...suite.daemon.runArgs('--rm', image, 'echo', 'well'));
      want(other === 'well', `beside it: ${other}`);
      const pids = async () =>
        Number(await suite.docker('stats', '--no-stream', '--format', '{{.PIDs}}', 'bomb'));
      let seen = await pids();
      for (let looks = 0; seen <= 20 && looks < LOOKS; looks++) seen = await pids();
      want(seen > 20 && seen <= 60, `docker stats: ${seen} processes`);
    } finally {
      await suite.docker('rm', '-f', 'bomb');
    }
  });
  await suite.check('update and stats', () =>
    suite.detached(['sleep', '100'], async (name) => {
      await suite.docker(
        'update',
        '--memory',
        '96m',
        '--memory-swap',
        '96m',
        '--cpus',
        '0.5',
        name,
      );
      const format = '{{.MemUsage}}';
      const usage = await suite.docker('stats', '--no-stream', '--format', format, name);
      want(/MiB \/ 96MiB/.test(usage), `docker stats: ${usage}`);
    }),
  );
}
