/** Runs one hook program on the host. */

import * as native from '../../native/fs.ts';
import * as proc from '../../native/process.ts';
import { O_CLOEXEC, O_RDONLY } from '../../spec/linux/fcntl.ts';
import { CLONE_NEWNET } from '../../spec/linux/sched.ts';
import type { Hook } from '../../spec/oci/config.ts';
import type { State } from '../../spec/oci/state.ts';
import { messageOf } from '../cli/failure.ts';

const MAX_OUTPUT_LENGTH = 1024 * 1024;
const MAX_SHOWN_LENGTH = 400;

/** '' or what went wrong. `namespaceOf`: a pid whose network namespace the hook runs in, or 0. */
export function runHookProcess(hook: Hook, state: State, namespaceOf: number): string {
  if (namespaceOf === 0) return spawnHook(hook, state);
  const open = (pid: number | 'self') => native.open(`/proc/${pid}/ns/net`, O_RDONLY | O_CLOEXEC);
  const own = open('self');
  const target = open(namespaceOf);
  try {
    if (own < 0 || target < 0) return `cannot open the network namespace of ${namespaceOf}`;
    const entered = proc.setns(target, CLONE_NEWNET);
    if (entered < 0) return `cannot enter the network namespace: errno ${-entered}`;
    return spawnHook(hook, state);
  } finally {
    if (own >= 0) {
      proc.setns(own, CLONE_NEWNET);
      native.close(own);
    }
    if (target >= 0) native.close(target);
  }
}

function spawnHook(hook: Hook, state: State): string {
  const [argv0, ...args] = hook.args ?? [hook.path];
  const env: Record<string, string> = {};
  for (const entry of hook.env ?? []) {
    const equals = entry.indexOf('=');
    if (equals > 0) env[entry.slice(0, equals)] = entry.slice(equals + 1);
  }
  // Loaded where it is needed: most containers have no hooks.
  const { spawnSync } = process.getBuiltinModule('node:child_process');
  const ended = spawnSync(hook.path, args, {
    argv0: argv0 ?? hook.path,
    env,
    input: JSON.stringify(state),
    maxBuffer: MAX_OUTPUT_LENGTH,
    killSignal: 'SIGKILL',
    ...(hook.timeout !== undefined ? { timeout: hook.timeout * 1000 } : {}),
  });
  const code = (ended.error as NodeJS.ErrnoException | undefined)?.code;
  if (code === 'ETIMEDOUT') return `did not end within its timeout of ${hook.timeout} s`;
  // A hook need not read its stdin: EPIPE is none of its failures.
  if (ended.error !== undefined && code !== 'EPIPE') return messageOf(ended.error);
  if (ended.status === 0) return '';
  const how = ended.signal !== null ? `killed by ${ended.signal}` : `exit status ${ended.status}`;
  const said = `${ended.stderr}${ended.stdout}`.trim().slice(0, MAX_SHOWN_LENGTH);
  return said === '' ? how : `${how}: ${said.replace(/\s*\n\s*/g, '; ')}`;
}
