/**
 * `mkdir -p`. Node's own (`recursive: true`) never returns where a directory cannot be made in one that
 * exists, as below /proc.
 */

import * as fs from 'node:fs';
import * as path from 'node:path';

/** Makes a directory and those above it that are missing; throws what mkdir(2) says. */
export function makeDirectories(directory: string, mode: number): void {
  if (fs.existsSync(directory)) return;
  const above = path.dirname(directory);
  if (above !== directory) makeDirectories(above, mode);
  try {
    fs.mkdirSync(directory, { mode });
  } catch (thrown) {
    // Somebody else made it meanwhile.
    if (!fs.existsSync(directory)) throw thrown;
  }
}
