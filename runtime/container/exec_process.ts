/** The process that exec runs: from a file, or the container's own with some fields replaced. */

import type { Capabilities, Process, User } from '../../spec/oci/config.ts';
import { validateProcess } from '../../spec/oci/validate.ts';
import { Failure } from '../cli/failure.ts';
import { readJson } from './bundle.ts';
import type { ContainerState } from './state.ts';

export interface ExecRequest {
  readonly processFile: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env: readonly string[];
  /** UID[:GID]; '' for the container's. */
  readonly user: string;
  readonly additionalGids: readonly string[];
  readonly capabilities: readonly string[];
  readonly terminal: boolean;
  readonly noNewPrivileges: boolean;
}

export function execProcess(state: ContainerState, request: ExecRequest): Process {
  if (request.processFile !== '') {
    const value = readJson(request.processFile, 'name a file that holds an OCI process');
    const problem = validateProcess(value, request.processFile);
    if (problem !== null) throw new Failure(problem);
    return value as Process;
  }
  if (request.args.length === 0) {
    throw new Failure('runsc exec: missing argument: the program to run (or --process FILE)');
  }
  const own = state.spec.process;
  const capabilities = withCapabilities(own.capabilities, request.capabilities);
  return {
    ...own,
    terminal: request.terminal,
    args: request.args,
    cwd: request.cwd === '' ? own.cwd : request.cwd,
    env: withEnvironment(own.env ?? [], request.env),
    user: withUser(own.user ?? {}, request),
    ...(capabilities !== undefined ? { capabilities } : {}),
    ...(request.noNewPrivileges ? { noNewPrivileges: true } : {}),
  };
}

/** NAME=VALUE entries of `more` replace those of the same name. */
function withEnvironment(env: readonly string[], more: readonly string[]): string[] {
  const nameOf = (entry: string) => entry.split('=', 1)[0];
  const replaced = new Set(more.map(nameOf));
  return [...env.filter((entry) => !replaced.has(nameOf(entry))), ...more];
}

function withUser(user: User, request: ExecRequest): User {
  const gids = request.additionalGids.map((gid) => idOf('--additional-gids', gid));
  const additional = gids.length > 0 ? { additionalGids: gids } : {};
  if (request.user === '') return { ...user, ...additional };
  const [uid = '', gid] = request.user.split(':');
  return {
    uid: idOf('--user', uid),
    gid: gid === undefined ? (user.gid ?? 0) : idOf('--user', gid),
    ...additional,
  };
}

function idOf(flag: string, written: string): number {
  const id = Number(written);
  if (/^\d+$/.test(written) && id < 2 ** 32 - 1) return id;
  throw new Failure(`${flag}: "${written}" is not a number: use UID or UID:GID`);
}

function withCapabilities(
  own: Capabilities | undefined,
  more: readonly string[],
): Capabilities | undefined {
  if (more.length === 0) return own;
  const add = (names: readonly string[] = []) => [...new Set([...names, ...more])];
  return {
    ...own,
    bounding: add(own?.bounding),
    effective: add(own?.effective),
    permitted: add(own?.permitted),
  };
}
