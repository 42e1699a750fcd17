/** What /proc tells of the processes of a running sandbox, made by the release. */
import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { debianRootfs } from '../conformance/rootfs.ts';
import { must, run } from '../harness/command.ts';
import { bundle, RUNSC } from '../harness/runtime.ts';
import type { Tally } from '../harness/tally.ts';
import { scratch } from '../harness/tree.ts';

const NOBODY = '65534 65534 65534 65534';
const NAMESPACES = ['ipc', 'mnt', 'net', 'pid', 'uts'];
const NO_CAPABILITIES = '0000000000000000';
/** CHOWN, DAC_OVERRIDE, DAC_READ_SEARCH, FOWNER, FSETID. */
const FILE_CAPABILITIES = '000000000000001f';
const WITH_FILTER = '2';

/** Fields of /proc/PID/status. */
function status(pid: number, ...names: readonly string[]): string[] {
  const lines = readFileSync(`/proc/${pid}/status`, 'latin1').split('\n');
  return names.map((name) => {
    const line = lines.find((each) => each.startsWith(`${name}:`)) ?? '';
    return line
      .slice(name.length + 1)
      .trim()
      .replace(/\s+/g, ' ');
  });
}

const namespace = (pid: number | 'self', name: string) => readlinkSync(`/proc/${pid}/ns/${name}`);

/** Those of its namespaces that are the host's. */
function shared(pid: number, names: readonly string[]): string[] {
  return names.filter((name) => namespace(pid, name) === namespace('self', name));
}

const placeOf = (pid: number) => [...NAMESPACES, 'user'].map((name) => namespace(pid, name));

function rootOptions(pid: number): string {
  const [root = ''] = readFileSync(`/proc/${pid}/mounts`, 'latin1').split('\n');
  const [, place, , options = ''] = root.split(' ');
  return place === '/' ? options.replace(/,relatime.*/, '') : root;
}

/** Host files that it holds open, beside this harness's pipes and the list of its own mappings. */
function openFiles(pid: number): string[] {
  const folder = `/proc/${pid}/fd`;
  const targetOf = (fd: string): string => {
    try {
      return readlinkSync(join(folder, fd));
    } catch {
      return 'closed meanwhile';
    }
  };
  return readdirSync(folder)
    .map(targetOf)
    .filter((target) =>
      /io_uring|^\/(etc|proc|tmp|usr|var)\/(?!runsc-pipe|\d+\/maps)/.test(target),
    );
}

/** The stubs: who else is in the pid namespace. */
function stubs(sentry: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== sentry)
    .map(Number)
    .filter((pid) => {
      try {
        return namespace(pid, 'pid') === namespace(sentry, 'pid');
      } catch {
        return false;
      }
    });
}

interface State {
  readonly sentry: { readonly pid: number };
  readonly gofer: { readonly pid: number };
}

/** Adds a result for each thing that must be so. */
export async function checkRelease(tally: Tally, platform: string): Promise<void> {
  const state = join(scratch(), 'state');
  const path = bundle(await debianRootfs(), { args: ['/bin/sleep', '1000'] });
  const runsc = [RUNSC, '--root', state, `--platform=${platform}`];
  const same = (what: string, got: unknown, want: unknown): void => {
    const [actual, wanted] = [JSON.stringify(got), JSON.stringify(want)];
    const name = `release on ${platform}: ${what}`;
    if (actual === wanted) tally.pass(name);
    else tally.fail(name, `want ${wanted}, got ${actual}`);
  };
  // The container keeps what it gets for its output, and with a pipe this would wait for its end.
  const quietly = ['/bin/sh', '-c', 'exec "$@" < /dev/null > /dev/null 2>&1', 'sh'];
  await must([...quietly, ...runsc, 'run', '--detach', '--bundle', path, 'r']);
  try {
    const { sentry, gofer } = JSON.parse(
      readFileSync(join(state, 'r/state.json'), 'utf8'),
    ) as State;
    const sets = ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'];
    const none = sets.map(() => NO_CAPABILITIES);
    const locks = ['Seccomp', 'NoNewPrivs'];
    same('the Sentry has no capability', status(sentry.pid, ...sets), none);
    same('the Sentry is nobody', status(sentry.pid, 'Uid', 'Gid', 'Groups'), [NOBODY, NOBODY, '']);
    for (const map of ['uid_map', 'gid_map']) {
      const mapped = readFileSync(`/proc/${sentry.pid}/${map}`, 'latin1').trim().split(/\s+/);
      same(`the Sentry's ${map} has nobody alone`, mapped, ['65534', '65534', '1']);
    }
    // What may not be dumped is root's in /proc.
    same('the Sentry cannot be dumped', statSync(`/proc/${sentry.pid}/environ`).uid, 0);
    same('the Sentry is locked', status(sentry.pid, ...locks), [WITH_FILTER, '1']);
    same('the Sentry has its own namespaces', shared(sentry.pid, [...NAMESPACES, 'user']), []);
    same('the Sentry has an empty root', readdirSync(`/proc/${sentry.pid}/root/`), []);
    same('the Sentry has a read-only root', rootOptions(sentry.pid), 'ro,nosuid,nodev,noexec');
    same('the Gofer has a read-only root', rootOptions(gofer.pid), 'ro,nosuid,nodev,noexec');
    same('the Sentry holds no host file', openFiles(sentry.pid), []);
    same('the Gofer has few capabilities', status(gofer.pid, ...sets), [
      NO_CAPABILITIES,
      ...Array(3).fill(FILE_CAPABILITIES),
      NO_CAPABILITIES,
    ]);
    same('the Gofer is locked', status(gofer.pid, ...locks), [WITH_FILTER, '1']);
    same('the Gofer has its own namespaces', shared(gofer.pid, NAMESPACES), []);
    same('the Gofer holds no host file', openFiles(gofer.pid), []);
    const others = stubs(sentry.pid);
    same('there are stubs', others.length > 1, true);
    for (const stub of others) {
      same('a stub has no capability', status(stub, 'CapPrm', 'CapEff'), none.slice(0, 2));
      same('a stub is confined', status(stub, ...locks), [WITH_FILTER, '1']);
      same('a stub has the namespaces of the Sentry', placeOf(stub), placeOf(sentry.pid));
    }
  } finally {
    await run([...runsc, 'delete', '--force', 'r']);
  }
}
