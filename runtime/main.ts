/**
 * The program: runs the command line and leaves. The bundle and the executable start here.
 *
 * Sealed, this runs once, while the executable is made: every module is evaluated then and lies in the
 * start-up snapshot (tools/bundle.mjs, tools/snapshot.cjs), from which each start goes on with `start`.
 */

import { startupSnapshot } from 'node:v8';
import { exit, isLoaded } from '../native/index.ts';
import { main } from './cli/program.ts';

function start(): void {
  void main(process.argv.slice(2)).then(leave);
}

/** All that we print is written at once, so nothing is lost; Node's own end takes 3 ms. */
function leave(status: number): void {
  if (isLoaded()) exit(status);
  process.exitCode = status;
}

if (startupSnapshot.isBuildingSnapshot()) startupSnapshot.setDeserializeMainFunction(start);
else start();
