/**
 * The program: runs the command line and leaves. The bundle and the executable start here.
 *
 * Sealed, this runs twice: once while the executable is made, when it loads everything into the
 * start-up snapshot (snapshot.ts), and then, on every start, from there.
 */

import { startupSnapshot } from 'node:v8';
import { exit, isLoaded } from '../native/index.ts';
import { main } from './cli/program.ts';
import { loadAll } from './snapshot.ts';

function start(): void {
  void main(process.argv.slice(2)).then(leave);
}

/** All that we print is written at once, so nothing is lost; Node's own end takes 3 ms. */
function leave(status: number): void {
  if (isLoaded()) exit(status);
  process.exitCode = status;
}

function prepareSnapshot(): Promise<void> {
  startupSnapshot.setDeserializeMainFunction(start);
  return loadAll();
}

/** For tools/snapshot.cjs: when all is loaded. */
export const loaded = startupSnapshot.isBuildingSnapshot() ? prepareSnapshot() : start();
