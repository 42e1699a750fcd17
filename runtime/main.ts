/** The program: runs the command line and leaves. The bundle and the executable start here. */

import { main } from './cli/program.ts';

void main(process.argv.slice(2)).then((status) => {
  process.exitCode = status;
});
