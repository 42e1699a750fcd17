/**
 * A gofer for tests, as a program: `serve.scenario.ts MODE SOURCE...`. Descriptor 3 + i is the
 * connection for source i. MODE: `rw` or `ro` serves unconfined; `main` and `main-ro` run the real
 * goferMain, with its confinement, in a forked process as runsc does: V8's threads, which its filter
 * would kill, are not there.
 */
import * as fs from '../native/fs.ts';
import { fork } from '../native/index.ts';
import { exit, prctl, umask, wait4 } from '../native/process.ts';
import { O_CLOEXEC, O_PATH } from '../spec/linux/fcntl.ts';
import { PR_SET_PDEATHSIG } from '../spec/linux/prctl.ts';
import { SIGKILL } from '../spec/linux/signal.ts';
import { Attachments } from './attachments.ts';
import { goferMain } from './main.ts';

const [mode = 'rw', ...sources] = process.argv.slice(2);
const readonly = mode.endsWith('ro');

if (mode.startsWith('main')) {
  const mounts = sources.map((source, i) => ({ source, readonly, fd: 3 + i }));
  const pid = fork(0);
  if (pid === 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    const ends = { hostUds: 'none', hostFifo: 'none' } as const;
    goferMain({ mounts, ...ends, rootless: false, debugLogFd: 2, stderrFd: -1 });
  }
  for (const { fd } of mounts) fs.close(fd);
  const ended = wait4(pid, 0);
  exit(typeof ended !== 'number' && ended.status === 0 ? 0 : 1);
}

umask(0);
const attachments = new Attachments();
sources.forEach((source, i) => {
  const rootFd = fs.open(source, O_PATH | O_CLOEXEC);
  const ends = { hostUds: 'all', hostFifo: 'open' } as const;
  attachments.add({ rootFd, socketFd: 3 + i, readonly, maxFids: 256, ...ends });
});
attachments.run();
exit(0);
