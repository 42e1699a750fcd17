/** runsc whose Sentry is the double: `node --single-threaded ... runsc_double.ts ARGS`. */

import { goferMain } from '../../gofer/main.ts';
import { main } from '../../runtime/cli/program.ts';
import { LinuxHost } from '../../runtime/host/linux_host.ts';
import { doubleMain } from './sentry_double.ts';

const host = new LinuxHost({ sentryMain: doubleMain, goferMain });
void main(process.argv.slice(2), host).then((status) => {
  process.exitCode = status;
});
