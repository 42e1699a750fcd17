/**
 * OCI hooks (runtime-spec, "POSIX-platform Hooks"). Each gets the container's state as JSON on its
 * stdin. prestart, createRuntime and createContainer failing ends the container; poststart and
 * poststop failing is a warning.
 */

import type { Hook } from '../../spec/oci/config.ts';
import { Failure } from '../cli/failure.ts';
import type { Host } from '../host/host.ts';
import { type ContainerState, ociState, type Status } from './state.ts';

export type HookPoint =
  | 'prestart'
  | 'createRuntime'
  | 'createContainer'
  | 'startContainer'
  | 'poststart'
  | 'poststop';

export function hooksOf(state: ContainerState, point: HookPoint): readonly Hook[] {
  return state.spec.hooks?.[point] ?? [];
}

/** Runs the hooks of a point; the first that fails throws. */
export function runHooks(
  host: Host,
  state: ContainerState,
  point: HookPoint,
  status: Status,
  namespaceOf = 0,
): void {
  hooksOf(state, point).forEach((hook, index) => {
    const problem = host.runHook(hook, ociState(state, status), namespaceOf);
    if (problem !== '') {
      throw new Failure(`config.json: hooks.${point}[${index}]: ${hook.path}: ${problem}`);
    }
  });
}

/** Runs all hooks of a point; what goes wrong is only told. */
export function runHooksWarning(
  host: Host,
  state: ContainerState,
  point: HookPoint,
  status: Status,
  warn: (message: string) => void,
): void {
  hooksOf(state, point).forEach((hook, index) => {
    const problem = host.runHook(hook, ociState(state, status), 0);
    if (problem !== '') warn(`config.json: hooks.${point}[${index}]: ${hook.path}: ${problem}`);
  });
}
