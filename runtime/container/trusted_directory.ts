/**
 * Whether a directory is ours to keep state in. Processes are killed and directories removed by what
 * is found there, with our rights: nobody else may be able to put anything in its place.
 */

import * as fs from 'node:fs';
import * as path from 'node:path';
import { codeOf, Failure } from '../cli/failure.ts';

const WRITABLE_BY_OTHERS = 0o002;
const STICKY = 0o1000;

/**
 * Throws unless `directory`, where it exists, is a directory of ours that others cannot write, and so
 * are (or root's, or sticky as /tmp) those above it. `option` names who asked.
 */
export function requireTrusted(directory: string, option: string): void {
  let at = real(path.resolve(directory));
  for (let leaf = true; ; leaf = false) {
    const problem = distrust(at, leaf);
    if (problem !== '') {
      throw new Failure(
        `${option}: ${directory} cannot be trusted: ${at} ${problem}: use a directory that only you can write`,
      );
    }
    const above = path.dirname(at);
    if (above === at) return;
    at = above;
  }
}

/** Without symbolic links, also where the last parts do not exist yet. */
function real(absolute: string): string {
  try {
    return fs.realpathSync(absolute);
  } catch {
    const above = path.dirname(absolute);
    return above === absolute ? absolute : path.join(real(above), path.basename(absolute));
  }
}

/** Root, also the host's for who is in a user namespace: he who can put another directory in place of /. */
function isRoot(uid: number): boolean {
  return uid === 0 || uid === fs.lstatSync('/').uid;
}

/** '' or what is wrong. */
function distrust(directory: string, leaf: boolean): string {
  let stat: fs.Stats;
  try {
    stat = fs.lstatSync(directory);
  } catch (thrown) {
    return codeOf(thrown) === 'ENOENT' ? '' : `cannot be looked at (${codeOf(thrown)})`;
  }
  if (!stat.isDirectory()) return 'is not a directory';
  const own = stat.uid === process.geteuid?.() || (!leaf && isRoot(stat.uid));
  if (!own) return `belongs to user ${stat.uid}`;
  const sticky = !leaf && (stat.mode & STICKY) !== 0;
  return (stat.mode & WRITABLE_BY_OTHERS) !== 0 && !sticky ? 'can be written by everybody' : '';
}
