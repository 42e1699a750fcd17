/** Reading and checking a bundle's config.json, and other JSON the user hands in. */

import * as fs from 'node:fs';
import * as path from 'node:path';
import type { Config } from '../../spec/oci/config.ts';
import { validateConfig } from '../../spec/oci/validate.ts';
import { codeOf, Failure, messageOf } from '../cli/failure.ts';
import { refusal } from './isolation.ts';

const MAX_CONFIG_LENGTH = 4 * 1024 * 1024;

export interface Bundle {
  /** Absolute, without symbolic links. */
  readonly path: string;
  readonly config: Config;
}

export function loadBundle(directory: string): Bundle {
  const absolute = path.resolve(directory === '' ? '.' : directory);
  let real: string;
  try {
    real = fs.realpathSync(absolute);
  } catch {
    throw new Failure(
      `--bundle: ${absolute} does not exist: name a directory that holds config.json`,
    );
  }
  const file = `${real}/config.json`;
  requireInside(real, file);
  const value = readJson(file, 'runsc spec makes one');
  const problem = validateConfig(value);
  if (problem !== null) throw new Failure(problem);
  const refused = refusal(value as Config);
  if (refused !== null) throw new Failure(`config.json: ${refused}`);
  return { path: real, config: value as Config };
}

/** A link in a bundle must not make us read, with our rights, what its maker could not. */
function requireInside(bundle: string, file: string): void {
  let leadsTo: string;
  try {
    leadsTo = fs.realpathSync(file);
  } catch {
    return; // Not there: readJson says so.
  }
  // A pipe that nobody writes would hold us up for ever.
  if (!fs.statSync(leadsTo).isFile()) throw new Failure(`${file} is not a file: write one`);
  if (leadsTo.startsWith(`${bundle}/`)) return;
  throw new Failure(`${file} is a symbolic link out of the bundle, to ${leadsTo}: copy the file`);
}

/**
 * Parses a JSON file, or with `from` what that descriptor gives; the Failure says what to do about
 * one that is not there.
 */
export function readJson(file: string, advice: string, from: string | number = file): unknown {
  let text: string;
  try {
    if (typeof from === 'string' && fs.statSync(from).size > MAX_CONFIG_LENGTH) {
      throw new Failure(`${file} is longer than ${MAX_CONFIG_LENGTH} bytes`);
    }
    text = fs.readFileSync(from, 'utf8');
  } catch (thrown) {
    if (thrown instanceof Failure) throw thrown;
    if (codeOf(thrown) === 'ENOENT') throw new Failure(`${file} does not exist: ${advice}`);
    throw new Failure(`cannot read ${file}: ${messageOf(thrown)}`);
  }
  try {
    return JSON.parse(text);
  } catch (thrown) {
    throw new Failure(`${file} is not JSON: ${messageOf(thrown)}: correct it`);
  }
}
