/**
 * --rootless: a plain user with user namespaces, no rights to cgroups, and nothing of root's. The whole
 * lifecycle; what it writes is the user's.
 */
import * as fs from 'node:fs';
import { findHierarchies, type Hierarchy } from '../../../runtime/cgroup/hierarchy.ts';
import type { Check } from './check.ts';
import { check, STUB, same, until, type World } from './world.ts';

const USER = 4321;
/** What is root's in a user namespace with many ids. */
const FIRST_ID = 200_000;

/** All of the world's commands are the user's from now on, and so are its directories. */
export function becomeUser(w: World): void {
  for (const directory of [w.top, w.temporary]) fs.chownSync(directory, USER, USER);
  const ids = [`--reuid=${USER}`, `--regid=${USER}`, '--clear-groups'];
  w.prefix = ['setpriv', ...ids, '--inh-caps=-all', '--bounding-set=-all'];
}

const NAMESPACES = ['user', 'pid', 'mnt', 'net', 'ipc', 'uts'];
const namespace = (pid: number | 'self', type: string) =>
  fs.readlinkSync(`/proc/${pid}/ns/${type}`);

async function lifecycle(w: World): Promise<void> {
  becomeUser(w);
  const volume = w.file('volume');
  fs.mkdirSync(volume);
  fs.chownSync(volume, USER, USER);
  fs.writeFileSync(w.file('secret'), 'of root', { mode: 0o600 });
  const bundle = w.bundle(['/bin/sleep', '1000'], (c) => {
    c.linux.cgroupsPath = '/runsc-rootless';
    c.linux.resources = { pids: { limit: 50 } };
    const options = ['rbind'];
    c.mounts.push({ destination: '/data/v', type: 'bind', source: volume, options });
    const source = w.file('secret');
    c.mounts.push({ destination: '/data/secret', type: 'bind', source, options });
  });
  await w.ok('--network=none', 'create', '--bundle', bundle, 'r');
  await w.ok('start', 'r');
  const { sentry, gofer } = w.stateOf('r');
  for (const { pid } of [sentry, gofer]) {
    const status = fs.readFileSync(`/proc/${pid}/status`, 'latin1');
    check(new RegExp(`^Uid:\\t${USER}\\t${USER}`, 'm').test(status), `not the user's: ${status}`);
    same(
      NAMESPACES.filter((type) => namespace(pid, type) === namespace('self', type)),
      [],
    );
  }
  const [stub = 0] = w.processes().flatMap((p) => (p.name === STUB ? [p.pid] : []));
  same(namespace(stub, 'pid'), namespace(sentry.pid, 'pid'));
  same(await w.ok('exec', 'r', '/bin/id', '-u'), '0\n');
  await w.ok('exec', 'r', '/bin/touch', '/data/v/made', '/tmp/x', '/etc/in-memory');
  same(fs.statSync(`${volume}/made`).uid, USER);
  const denied = await w.runsc(['exec', 'r', '/bin/cat', '/data/secret']);
  check(denied.status === 1 && /denied/i.test(denied.stderr), `${denied.stdout}${denied.stderr}`);
  await w.ok('pause', 'r');
  await w.ok('resume', 'r');
  await w.ok('kill', 'r', 'KILL');
  await w.ok('delete', '--force', 'r');
  const ran = await w.script('echo $$; exit 7');
  same([ran.status, ran.stdout, ran.stderr], [7, '1\n', '']);
}

async function doCommand(w: World): Promise<void> {
  becomeUser(w);
  const ended = await w.runsc(['do', 'sh', '-c', 'id -u; cat /etc/shadow; exit 3'], { cwd: '/' });
  same([ended.status, ended.stdout], [3, '0\n']);
  check(/denied/i.test(ended.stderr), ended.stderr);
}

/**
 * Cgroups of the user's, as who administers the host would delegate them: in each hierarchy with a limit of
 * LIMITS. In that of v2 he may move only what is in them already. Returns their names, those of v2 first.
 */
function delegate(name: string): Hierarchy[] {
  const controllers = Object.keys(LIMITS);
  const all = findHierarchies().filter((h) => h.controllers.some((c) => controllers.includes(c)));
  for (const { version, mountPoint, controllers: offered } of all) {
    const top = `${mountPoint}/${name}`;
    const enabled = version === 2 ? offered.filter((c) => controllers.includes(c)) : [];
    for (const controller of enabled) {
      fs.writeFileSync(`${mountPoint}/cgroup.subtree_control`, `+${controller}`);
    }
    for (const directory of version === 2 ? [top, `${top}/own`] : [top]) {
      fs.mkdirSync(directory);
      fs.chownSync(directory, USER, USER);
    }
    const files = version === 2 ? ['cgroup.procs', 'cgroup.subtree_control'] : [];
    for (const file of files) fs.chownSync(`${top}/${file}`, USER, USER);
  }
  return all;
}

/** By controller: a limit as config.json has it, where it is found on v1 and on v2, and its number. */
const LIMITS: Readonly<Record<string, readonly [object, string, string, number]>> = {
  pids: [{ pids: { limit: 60 } }, 'pids.max', 'pids.max', 60],
  memory: [{ memory: { limit: 2 ** 28 } }, 'memory.limit_in_bytes', 'memory.max', 2 ** 28],
  hugetlb: [
    { hugepageLimits: [{ pageSize: '2MB', limit: 2 ** 22 }] },
    'hugetlb.2MB.limit_in_bytes',
    'hugetlb.2MB.max',
    2 ** 22,
  ],
};

/** Limits hold where a cgroup is delegated; what is asked for elsewhere is told in the log. */
async function delegated(w: World): Promise<void> {
  const name = `runsc-rootless-${process.pid}`;
  const hierarchies = delegate(name);
  try {
    becomeUser(w);
    const joins = hierarchies
      .filter(({ version }) => version === 2)
      .map(({ mountPoint }) => `echo $$ > ${mountPoint}/${name}/own/cgroup.procs; `);
    w.prefix = ['sh', '-c', `${joins.join('')}exec "$@"`, 'sh', ...w.prefix];
    w.flags = [`--log=${w.file('log')}`];
    const held = Object.keys(LIMITS).filter((c) =>
      hierarchies.some((h) => h.controllers.includes(c)),
    );
    const bundle = w.bundle(['/bin/sleep', '1000'], (config) => {
      config.linux.cgroupsPath = `/${name}/c`;
      config.linux.resources = { cpu: { shares: 512 } };
      for (const c of held) Object.assign(config.linux.resources, LIMITS[c]?.[0]);
    });
    await w.ok('run', '--detach', '--bundle', bundle, 'r');
    const { sentry, gofer } = w.stateOf('r');
    for (const controller of held) {
      const at = hierarchies.find((h) => h.controllers.includes(controller)) as Hierarchy;
      const directory = `${at.mountPoint}/${name}/c`;
      const [, v1, v2, wanted] = LIMITS[controller] as (typeof LIMITS)[string];
      const limit = fs.readFileSync(`${directory}/${at.version === 1 ? v1 : v2}`, 'utf8');
      same([controller, Number(limit)], [controller, wanted]);
      const members = fs.readFileSync(`${directory}/cgroup.procs`, 'utf8').split('\n').map(Number);
      const ours = w.processes().filter((p) => p.name === STUB);
      for (const { pid } of [sentry, gofer, ...ours]) {
        check(members.includes(pid), `${pid} is not in ${directory}: ${members}`);
      }
    }
    check(/linux\.resources\.cpu\.shares/.test(w.read('log')), w.read('log'));
    await w.ok('delete', '--force', 'r');
    for (const { mountPoint } of hierarchies) same(fs.existsSync(`${mountPoint}/${name}/c`), false);
  } finally {
    await w.leftovers();
    for (const { version, mountPoint } of hierarchies) {
      if (version === 2) fs.rmdirSync(`${mountPoint}/${name}/own`);
      fs.rmdirSync(`${mountPoint}/${name}`);
    }
  }
}

/** As root of a user namespace with many ids, such as podman and rootlesskit make: files have their owners. */
async function manyIds(w: World): Promise<void> {
  const volume = w.file('volume');
  fs.mkdirSync(volume);
  fs.writeFileSync(`${volume}/f`, 'theirs\n', { mode: 0o600 });
  fs.chownSync(`${volume}/f`, FIRST_ID + 5, FIRST_ID + 5);
  for (const at of [w.top, w.temporary]) fs.chownSync(at, FIRST_ID, FIRST_ID);
  const script = 'cat /data/v/f; chown 7:8 /data/v/f; stat -c %u:%g /data/v/f';
  const bundle = w.bundle(['/bin/sh', '-c', script], (c) => {
    const mount = { destination: '/data/v', type: 'bind', source: volume, options: ['rbind'] };
    c.mounts.push(mount);
  });
  const ids = [`--reuid=${FIRST_ID}`, `--regid=${FIRST_ID}`, '--clear-groups'];
  const mapped = w.file('mapped');
  const waits = `while [ ! -e ${mapped} ]; do sleep 0.02; done; exec "$@"`;
  w.prefix = ['setpriv', ...ids, 'unshare', '--user', '--mount', 'sh', '-c', waits, 'sh'];
  w.flags = ['--ignore-cgroups'];
  const { child, ended } = w.start(['run', '--bundle', bundle, 'm']);
  const pid = child.pid ?? 0;
  const outside = namespace('self', 'user');
  await until('it is in a user namespace', () => namespace(pid, 'user') !== outside);
  for (const map of ['uid_map', 'gid_map']) {
    fs.writeFileSync(`/proc/${pid}/${map}`, `0 ${FIRST_ID} 65536`);
  }
  fs.writeFileSync(mapped, '');
  const { status, stdout, stderr } = await ended;
  same([status, stdout, stderr], [0, 'theirs\n7:8\n', '']);
  const { uid, gid } = fs.statSync(`${volume}/f`);
  same([uid, gid], [FIRST_ID + 7, FIRST_ID + 8]);
}

export const ROOTLESS: readonly Check[] = [
  { name: 'a plain user: create, start, exec, kill, delete, run', body: lifecycle },
  { name: 'a plain user: do', body: doCommand },
  { name: 'root of a user namespace with many ids', body: manyIds },
  { name: 'a plain user: limits in a delegated cgroup', body: delegated },
];
