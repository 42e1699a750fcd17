/**
 * A gofer for tests, as a program: `serve.scenario.ts MODE SOURCE...`. Descriptor 3 + i is the
 * connection for source i. MODE: `rw` or `ro` serves unconfined; `main` and `main-ro` run the real
 * goferMain, with its confinement.
 */
import * as fs from '../native/fs.ts';
import { exit, umask } from '../native/process.ts';
import { O_CLOEXEC, O_PATH } from '../spec/linux/fcntl.ts';
import { Attachments } from './attachments.ts';
import { goferMain } from './main.ts';

const [mode = 'rw', ...sources] = process.argv.slice(2);
const readonly = mode.endsWith('ro');

if (mode.startsWith('main')) {
  const mounts = sources.map((source, i) => ({ source, readonly, fd: 3 + i }));
  goferMain({ mounts, rootless: false, debugLogFd: 2, stderrFd: -1 });
}

umask(0);
const attachments = new Attachments();
sources.forEach((source, i) => {
  const rootFd = fs.open(source, O_PATH | O_CLOEXEC);
  attachments.add({ rootFd, socketFd: 3 + i, readonly, maxFids: 256 });
});
attachments.run();
exit(0);
