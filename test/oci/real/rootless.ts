/**
 * --rootless: a plain user with user namespaces, no rights to cgroups, and nothing of root's. The whole
 * lifecycle; what it writes is the user's.
 */
import * as fs from 'node:fs';
import type { Check } from './check.ts';
import { check, STUB, same, type World } from './world.ts';

const USER = 4321;

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

export const ROOTLESS: readonly Check[] = [
  { name: 'a plain user: create, start, exec, kill, delete, run', body: lifecycle },
  { name: 'a plain user: do', body: doCommand },
];
