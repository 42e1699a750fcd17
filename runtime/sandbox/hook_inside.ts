/**
 * startContainer hooks: programs of the container, run by its kernel before its own program, with
 * the container's state on stdin.
 */

import * as fs from 'node:fs';
import type { Hook } from '../../spec/oci/config.ts';
import { Failure, messageOf } from '../cli/failure.ts';
import { type ContainerState, ociState } from '../container/state.ts';
import type { Host } from '../host/host.ts';
import type { ControlClient } from './control_client.ts';
import { REPLY_TIMEOUT_MS } from './control_client.ts';

const SIGKILL = 9;

/** '' or what went wrong. */
export function runHookInside(
  host: Host,
  client: ControlClient,
  state: ContainerState,
  hook: Hook,
): string {
  const stdin = stateFile(host, state);
  const process = {
    args: [hook.path, ...(hook.args ?? []).slice(1)],
    env: hook.env ?? [],
    cwd: '/',
  };
  const cid = state.id;
  try {
    const { pid } = client.call('exec', { cid, process, killOnClose: true }, [stdin, 1, 2]);
    const timeoutMs = hook.timeout !== undefined ? hook.timeout * 1000 : REPLY_TIMEOUT_MS;
    try {
      const { exitStatus } = client.call('wait', { cid, pid }, [], timeoutMs);
      return exitStatus === 0 ? '' : `exit status ${exitStatus}`;
    } catch (thrown) {
      if (!client.ended) client.call('signal', { cid, pid, signo: SIGKILL, all: false });
      return messageOf(thrown);
    }
  } catch (thrown) {
    return messageOf(thrown);
  } finally {
    fs.closeSync(stdin);
  }
}

/** A memory file that holds the state, to be read from its start. */
function stateFile(host: Host, state: ContainerState): number {
  const fd = host.memoryFile('runsc-state');
  if (fd < 0) throw new Failure(`cannot make a memory file for the hook: errno ${-fd}`);
  fs.writeSync(fd, JSON.stringify(ociState(state, 'created')), 0);
  return fd;
}
