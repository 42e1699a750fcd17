/**
 * --systemd-cgroup with a real systemd: one is booted for each check, in namespaces and cgroups of
 * its own (systemd_boot.sh), and the check's commands run as a service of it.
 */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { run } from '../../harness/command.ts';
import { ROOT } from '../../harness/runtime.ts';
import type { Check } from './check.ts';
import { check, same, type World } from './world.ts';

const BOOT = path.join(import.meta.dirname, 'systemd_boot.sh');
const TIMEOUT_MS = 90_000;
const SCOPE = 'docker-abc.scope';
const NEEDED = ['/lib/systemd/systemd', '/usr/bin/dbus-daemon', '/usr/bin/systemctl'];

const DBUS_SOCKET = (at: string) => `
[Unit]
DefaultDependencies=no
[Socket]
ListenStream=${at}
`;
const DBUS_SERVICE = (kind: string) => `
[Unit]
DefaultDependencies=no
Requires=dbus.socket
[Service]
Type=notify
ExecStart=/usr/bin/dbus-daemon --${kind} --address=systemd: --nofork --nopidfile --systemd-activation
`;
const TARGET = `
[Unit]
Requires=dbus.service test.service
`;
const TEST = (top: string) => `
[Unit]
DefaultDependencies=no
After=dbus.service
SuccessAction=exit-force
FailureAction=exit-force
[Service]
Type=oneshot
TimeoutStartSec=60
ExecStart=/bin/bash ${top}/script
StandardOutput=file:${top}/stdout
StandardError=file:${top}/stderr
`;

/** Runs `script` below a systemd; `runsc` is a command in it. What it prints. */
async function below(w: World, script: string, units: Record<string, string> = {}) {
  for (const program of NEEDED) check(fs.existsSync(program), `${program} is missing`);
  const all = {
    'dbus.socket': DBUS_SOCKET('/run/dbus/system_bus_socket'),
    'dbus.service': DBUS_SERVICE('system'),
    'test.target': TARGET,
    'test.service': TEST(w.top),
    ...units,
  };
  fs.mkdirSync(w.file('units/of-user'), { recursive: true });
  for (const [name, text] of Object.entries(all)) fs.writeFileSync(w.file(`units/${name}`), text);
  const runsc = w.argv('--systemd-cgroup').join(' ');
  fs.writeFileSync(w.file('script'), `runsc() { ${runsc} "$@"; }\n${script}`);
  const booted = await run(['/bin/sh', BOOT, w.top, ROOT], { timeoutMs: TIMEOUT_MS });
  check(fs.existsSync(w.file('stderr')), `systemd did not boot: ${booted.stdout}${booted.stderr}`);
  return { stdout: w.read('stdout'), stderr: w.read('stderr') };
}

function limited(w: World, args: readonly string[]): string {
  return w.bundle(args, (config) => {
    config.linux.cgroupsPath = 'system.slice:docker:abc';
    config.linux.resources = {
      memory: { limit: 128 << 20 },
      pids: { limit: 77 },
      cpu: { shares: 512, quota: 50_000, period: 100_000, cpus: '0' },
    };
  });
}

/** Properties as one line; those of v1 by the names of v2. */
const SHOW = `
show() {
  systemctl show ${SCOPE} -p "$1" | sed 's/^MemoryLimit/MemoryMax/; s/^CPUShares=512/CPUWeight=20/' |
    grep -v -e 'infinity$' -e 'not set' | sort | tr '\\n' ' '
  echo
}
`;

async function lifecycle(w: World): Promise<void> {
  const bundle = limited(w, ['/bin/sleep', '1000']);
  const { stdout, stderr } = await below(
    w,
    `${SHOW}
runsc run --detach --bundle ${bundle} c
show Slice,Delegate,DefaultDependencies,DevicePolicy,ActiveState
show MemoryLimit,MemoryMax,TasksMax,CPUShares,CPUWeight,CPUQuotaPerSecUSec
for pid in $(pgrep runsc); do echo $(cat /proc/$pid/comm) $(grep -c '/system.slice/${SCOPE}$' /proc/$pid/cgroup); done | sort -u
grep -c : /proc/self/cgroup
runsc update --memory 200m --pids-limit 50 c
systemctl daemon-reload
show MemoryLimit,MemoryMax,TasksMax
cat /sys/fs/cgroup/{memory/,}system.slice/${SCOPE}/memory.{limit_in_bytes,max} 2> /dev/null
runsc exec c /bin/echo hello
runsc delete --force c
show ActiveState
find /sys/fs/cgroup -name '*${SCOPE}'
`,
  );
  const groups = fs.readFileSync('/proc/self/cgroup', 'latin1').trim().split('\n').length;
  same(stderr, '');
  same(stdout.replaceAll('  ', ' ').split('\n'), [
    'ActiveState=active DefaultDependencies=no Delegate=yes DevicePolicy=strict Slice=system.slice ',
    'CPUQuotaPerSecUSec=500ms CPUWeight=20 MemoryMax=134217728 TasksMax=77 ',
    ...['gofer', 'sandbox', 'stub'].map((name) => `runsc-${name} ${groups}`),
    String(groups),
    'MemoryMax=209715200 TasksMax=50 ',
    '209715200',
    'hello',
    'ActiveState=inactive ',
    '',
  ]);
}

/** A scope that was killed leaves nothing in the way; one that runs is not taken. */
async function killed(w: World): Promise<void> {
  const bundle = limited(w, ['/bin/sleep', '1000']);
  const { stdout, stderr } = await below(
    w,
    `${SHOW}
runsc run --detach --bundle ${bundle} c
systemctl kill --signal=KILL ${SCOPE}
while pgrep runsc-stub > /dev/null; do sleep 0.02; done
runsc run --detach --bundle ${bundle} d
runsc exec d /bin/echo again
runsc run --detach --bundle ${bundle} e
runsc exec d /bin/echo untouched
runsc list --quiet
runsc delete --force d
show ActiveState
pgrep runsc
find /sys/fs/cgroup -name '*${SCOPE}'
runsc delete c
`,
  );
  const taken = `runsc: --systemd-cgroup: systemd cannot make unit ${SCOPE}: Unit ${SCOPE} was already loaded or has a fragment file.\n`;
  same([stdout, stderr], ['again\nuntouched\nc\nd\nActiveState=inactive \n', taken]);
}

/** One that /etc/passwd knows: daemon. */
const USER = 1;
const USER_RUN = `/run/user/${USER}`;
/** A systemd of a plain user, and his bus, with unit files of their own. */
const USER_UNITS = {
  'user.service': `
[Unit]
DefaultDependencies=no
Requires=dbus.service
After=dbus.service
[Service]
Type=notify
User=${USER}
Delegate=yes
Environment=HOME=/ XDG_RUNTIME_DIR=${USER_RUN} SYSTEMD_UNIT_PATH=${USER_RUN}/systemd/transient:/run/units/of-user
ExecStartPre=+/bin/mkdir -p ${USER_RUN}
ExecStartPre=+/bin/chown ${USER}:${USER} ${USER_RUN}
ExecStart=/lib/systemd/systemd --user --unit=default.target
`,
  'of-user/dbus.socket': DBUS_SOCKET(`${USER_RUN}/bus`),
  'of-user/dbus.service': DBUS_SERVICE('session'),
  'of-user/default.target': '[Unit]\nRequires=dbus.service\nAfter=dbus.service\n',
};

/** Where cgroups are v1 a user's systemd holds no controller, so there is no limit to be looked at. */
async function ofUser(w: World): Promise<void> {
  fs.chownSync(w.top, USER, USER);
  fs.chownSync(w.temporary, USER, USER);
  const ids = [`--reuid=${USER}`, `--regid=${USER}`, '--clear-groups'];
  w.prefix = ['XDG_RUNTIME_DIR=' + USER_RUN, 'setpriv', ...ids, '--inh-caps=-all'];
  const bundle = w.bundle(['/bin/sleep', '1000'], (config) => {
    config.linux.cgroupsPath = 'user.slice:docker:abc';
  });
  const { stdout, stderr } = await below(
    w,
    `
runsc run --detach --bundle ${bundle} c
runsc exec --detach c /bin/sleep 1000
for pid in $(pgrep runsc); do echo $(cat /proc/$pid/comm) $(grep -o 'user.slice/${SCOPE}$' /proc/$pid/cgroup | head -n 1); done | sort -u
runsc exec c /bin/echo hello
runsc delete --force c
find /sys/fs/cgroup -name '*${SCOPE}'
systemctl kill --signal=KILL user.service
`,
    {
      ...USER_UNITS,
      'test.service': TEST(w.top).replace('After=', 'Wants=user.service\nAfter=user.service '),
    },
  );
  const names = ['exec', 'gofer', 'sandbox', 'stub'];
  const members = names.map((name) => `runsc-${name} user.slice/${SCOPE}\n`).join('');
  same([stdout, stderr], [`${members}hello\n`, '']);
}

async function noSystemd(w: World): Promise<void> {
  w.flags = ['--systemd-cgroup'];
  const bundle = limited(w, ['/bin/true']);
  const env = { DBUS_SYSTEM_BUS_ADDRESS: `unix:path=${w.top}/nowhere` };
  const { status, stderr } = await w.runsc(['run', '--bundle', bundle, 'c'], { env });
  same(
    [status, stderr],
    [
      128,
      `runsc: --systemd-cgroup: no bus listens at ${w.top}/nowhere (errno 2): start systemd and dbus, or leave --systemd-cgroup out for the cgroupfs driver\n`,
    ],
  );
}

export const SYSTEMD: readonly Check[] = [
  { name: 'systemd: a scope with its limits, update, reload, exec, delete', body: lifecycle },
  { name: 'systemd: a scope that was killed, and one whose name is taken', body: killed },
  { name: "systemd: a user's own, and processes that it moves into the scope", body: ofUser },
  { name: 'systemd: without a bus there is one clear error', body: noSystemd },
];
