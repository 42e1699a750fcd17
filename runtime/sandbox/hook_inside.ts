/**
 * startContainer hooks: programs of the container, run by its kernel before its own program, with
 * the container's state on stdin.
 */

import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import type { Hook } from '../../spec/oci/config.ts';
import { messageOf } from '../cli/failure.ts';
import { type ContainerState, ociState } from '../container/state.ts';
import type { ControlClient } from './control_client.ts';
import { REPLY_TIMEOUT_MS } from './control_client.ts';

const SIGKILL = 9;

/** '' or what went wrong. */
export function runHookInside(client: ControlClient, state: ContainerState, hook: Hook): string {
  const stdin = stateFile(state);
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

/** An unlinked file that holds the state: the guest reads it as its stdin. */
function stateFile(state: ContainerState): number {
  const file = path.join(os.tmpdir(), `runsc-state-${process.pid}-${state.id}`);
  fs.writeFileSync(file, JSON.stringify(ociState(state, 'created')), { mode: 0o600, flag: 'wx' });
  const fd = fs.openSync(file, 'r');
  fs.unlinkSync(file);
  return fd;
}
