/**
 * Run by confinement.ts as its own process (one thread): forks a Sentry or a Gofer for each attempt of
 * attempts.ts as the CLI would, and has it made behind the lock. Prints [name, outcome][].
 *
 *   attack.scenario.ts sentry|gofer|none PLATFORM MACHINE_CODE.node DIRECTORY
 *
 * `none` makes the attempts that have a control in a forked child without any lock. DIRECTORY holds
 * `served` and `readonly` for the Gofer and `host`, which nobody serves.
 */

import { spawn } from 'node:child_process';
import * as nodeFs from 'node:fs';
import { registerHooks } from 'node:module';
import * as fs from '../../native/fs.ts';
import { mapPages } from '../../native/index.ts';
import * as proc from '../../native/process.ts';
import * as socket from '../../native/socket.ts';
import type { ChildPlan } from '../../runtime/host/host.ts';
import type { PlatformChoice } from '../../spec/control/boot.ts';
import { SOCK_CLOEXEC, SOCK_STREAM } from '../../spec/linux/socket.ts';
import { ATTEMPTS, type Attempt, type World } from './attempts.ts';

const NOBODY = 65534;
const LENGTH_BYTES = 4;
const SIGNALS: Readonly<Record<number, string>> = {
  31: 'SIGSYS',
  11: 'SIGSEGV',
  4: 'SIGILL',
  5: 'SIGTRAP',
};

const [which = '', platform = '', machineCode = '', directory = ''] = process.argv.slice(2);
const locked = new URL('locked.ts', import.meta.url).href;
registerHooks({
  resolve(specifier, context, next) {
    const from = context.parentURL ?? '';
    const wanted = specifier.endsWith('/confinement.ts') && /(sentry|gofer)\/main\.ts$/.test(from);
    return wanted
      ? { url: locked, format: 'module-typescript', shortCircuit: true }
      : next(specifier, context);
  },
});
const { LinuxHost } = await import('../../runtime/host/linux_host.ts');
const { behind } = (await import(locked)) as typeof import('./locked.ts');

/** V8's code range: the largest mapping that is writable and executable. */
function executableRoom(): number {
  const ranges = nodeFs
    .readFileSync('/proc/self/maps', 'latin1')
    .split('\n')
    .filter((line) => / rwxp /.test(line))
    .map((line) =>
      line
        .split(/[- ]/)
        .slice(0, 2)
        .map((text) => Number.parseInt(text, 16)),
    );
  const [range] = ranges.sort(([a = 0, b = 0], [c = 0, d = 0]) => d - c - (b - a));
  if (range === undefined) throw new Error('nothing is writable and executable');
  // Its end is unused yet.
  return (range[1] as number) - 4096;
}

const machine = { exports: {} as World['machine'] & { room(address: number): void } };
process.dlopen(machine, machineCode);
machine.exports.room(executableRoom());

const host = new LinuxHost();
await host.prepareFork();
const page = Buffer.from(mapPages(4096) as ArrayBuffer);
const victim = spawn('/bin/sleep', ['1000'], { uid: NOBODY, gid: NOBODY, stdio: 'ignore' });
const [mine, theirs] = socket.socketpair(SOCK_STREAM | SOCK_CLOEXEC) as [number, number];
const [, second] = socket.socketpair(SOCK_STREAM | SOCK_CLOEXEC) as [number, number];
const world: World = {
  file: `${directory}/host/file`,
  directory: `${directory}/host`,
  victim: victim.pid as number,
  cli: process.pid,
  socketFd: theirs,
  fileFd: fs.open(`${directory}/host/file`, 0),
  machine: machine.exports,
};

function outcome(attempt: Attempt): string {
  try {
    const result = attempt.run(world);
    return result < 0 ? `refused: errno ${-result}` : `succeeded: ${result}`;
  } catch (thrown) {
    return `refused: ${(thrown as NodeJS.ErrnoException).code ?? thrown}`;
  }
}

/** The child's part. */
function attack(attempt: Attempt): never {
  const length = page.write(outcome(attempt), LENGTH_BYTES);
  page.writeUInt32LE(length, 0);
  return proc.exit(0);
}

const plan = (name: string): ChildPlan => ({
  name,
  keepFds: [theirs, second, world.fileFd],
  stderrFd: 2,
  controllingTerminalFd: -1,
  cgroups: [],
  namespaces: [{ type: 'network' }, { type: 'ipc' }, { type: 'uts' }],
  userNamespace: false,
  pidNamespace: true,
  dieWithParent: true,
  debugLogFd: -1,
});

function start(attempt: Attempt): number {
  behind.lock = () => attack(attempt);
  if (which === 'none') {
    const controlPlan = { ...plan('control'), pidNamespace: false, namespaces: [] };
    return host.forkHelper(controlPlan, () => attack(attempt));
  }
  if (which === 'gofer') {
    return host.forkGofer(plan('runsc-gofer'), {
      mounts: [
        { source: `${directory}/served`, readonly: false, fd: theirs },
        { source: `${directory}/readonly`, readonly: true, fd: second },
      ],
      hostUds: 'none',
      hostFifo: 'none',
      rootless: false,
      debugLogFd: -1,
      stderrFd: -1,
    });
  }
  return host.forkSentry(plan('runsc-sandbox'), {
    sandboxId: 'attacked',
    platform: platform as PlatformChoice,
    network: 'none',
    overlay: 'none',
    fileAccess: 'exclusive',
    hostUds: 'none',
    hostFifo: 'none',
    listenerFd: -1,
    connectionFd: theirs,
    debugLogFd: -1,
    stderrFd: -1,
    debug: false,
    strace: false,
    straceSyscalls: [],
    straceLogSize: 0,
    totalMemoryBytes: 2 ** 30,
    cpuCount: 1,
    rootless: false,
    namedNetwork: true,
    dieWithParent: true,
  });
}

const results: [string, string][] = [];
for (const attempt of ATTEMPTS) {
  if (which === 'none' && !attempt.control) continue;
  page.writeUInt32LE(0, 0);
  const pid = start(attempt);
  const status = pid < 0 ? pid : host.reap(pid, true);
  const length = page.readUInt32LE(0);
  const said = page.toString('utf8', LENGTH_BYTES, LENGTH_BYTES + length);
  const killed = SIGNALS[status - 128];
  if (status === 0 && length > 0) results.push([attempt.name, said]);
  else if (killed !== undefined && length === 0) results.push([attempt.name, `killed: ${killed}`]);
  else results.push([attempt.name, `ended with ${status} ${said}`]);
}
victim.kill('SIGKILL');
fs.close(mine);
console.log(JSON.stringify(results));
proc.exit(0);
