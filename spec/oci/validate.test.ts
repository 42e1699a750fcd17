/** Configurations that programs write are accepted; each kind of mistake gets its one line. */

import { describe, expect, test } from 'vitest';
import type { Config } from './config.ts';
import { validateConfig, validateProcess, validateResources } from './validate.ts';

const ENOUGH: Config = {
  ociVersion: '1.0.2',
  root: { path: 'rootfs', readonly: true },
  process: { args: ['sh'], cwd: '/', env: ['PATH=/bin'], user: { uid: 0, gid: 0 } },
};

/** ENOUGH with the value at a dotted path replaced; undefined removes it. */
function changed(path: string, value: unknown): unknown {
  const config = structuredClone(ENOUGH) as unknown as Record<string, unknown>;
  const keys = path.split('.');
  let at = config;
  for (const key of keys.slice(0, -1)) {
    at[key] ??= {};
    at = at[key] as Record<string, unknown>;
  }
  const last = keys.at(-1) ?? '';
  if (value === undefined) delete at[last];
  else at[last] = value;
  return config;
}

/** What Docker 20.10 writes, abridged: every part that it uses. */
const DOCKER = {
  ociVersion: '1.0.2-dev',
  process: {
    terminal: true,
    consoleSize: { height: 24, width: 80 },
    user: { uid: 0, gid: 0, additionalGids: [0, 10] },
    args: ['sh'],
    env: ['PATH=/usr/bin', 'HOSTNAME=x'],
    cwd: '/',
    capabilities: {
      bounding: ['CAP_CHOWN'],
      effective: ['CAP_CHOWN'],
      permitted: ['CAP_CHOWN'],
      inheritable: null,
    },
    rlimits: [{ type: 'RLIMIT_NOFILE', hard: 2 ** 64, soft: 1024 }],
    apparmorProfile: 'docker-default',
    oomScoreAdj: 0,
  },
  root: { path: '/var/lib/docker/overlay2/x/merged' },
  hostname: 'x',
  mounts: [
    { destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid', 'noexec', 'nodev'] },
    { destination: '/etc/hosts', type: 'bind', source: '/x/hosts', options: ['rbind', 'rprivate'] },
  ],
  hooks: { prestart: [{ path: '/proc/1/exe', args: ['libnetwork-setkey', '-exec-root=/x'] }] },
  linux: {
    sysctl: { 'net.ipv4.ip_unprivileged_port_start': '0' },
    resources: {
      devices: [
        { allow: false, access: 'rwm' },
        { allow: true, type: 'c', major: 1, minor: 5, access: 'rwm' },
      ],
      memory: { limit: 1e9, swap: -1, disableOOMKiller: false },
      cpu: { shares: 0, cpus: '0-1' },
      pids: { limit: 0 },
      blockIO: { weight: 0 },
    },
    cgroupsPath: '/docker/x',
    namespaces: [{ type: 'mount' }, { type: 'network', path: '' }, { type: 'pid' }],
    seccomp: {
      defaultAction: 'SCMP_ACT_ERRNO',
      defaultErrnoRet: 1,
      architectures: ['SCMP_ARCH_X86_64'],
      syscalls: [
        {
          names: ['personality'],
          action: 'SCMP_ACT_ALLOW',
          args: [{ index: 0, value: 4294967295, op: 'SCMP_CMP_EQ' }],
        },
      ],
    },
    maskedPaths: ['/proc/kcore'],
    readonlyPaths: ['/proc/bus'],
  },
};

describe('what is accepted', () => {
  test('the least', () => expect(validateConfig(structuredClone(ENOUGH))).toBeNull());
  test("Docker's", () => expect(validateConfig(structuredClone(DOCKER))).toBeNull());
  test('unknown properties', () => expect(validateConfig(changed('windows.x', 1))).toBeNull());

  test('nulls count as absent and are removed', () => {
    const config = changed('linux', { devices: null, resources: { memory: null } });
    expect(validateConfig(config)).toBeNull();
    expect((config as Config).linux).toEqual({ resources: {} });
  });
});

/** Path, value, and the message after `config.json: `. */
const REFUSED: readonly (readonly [path: string, value: unknown, message: string])[] = [
  [
    'process.args',
    undefined,
    'process.args: must be an array of at least 1 string (got nothing): give the program to run',
  ],
  [
    'process.args',
    [],
    'process.args: must be an array of at least 1 string (got an array of 0): give the program to run',
  ],
  [
    'process.args',
    ['a', 5],
    'process.args[1]: must be a string of at most 131071 bytes without NUL (got 5): correct it',
  ],
  ['process.args', [''], 'process.args[0]: must not be empty (got ""): give the program to run'],
  [
    'process.cwd',
    'tmp',
    'process.cwd: must be an absolute path (got "tmp"): give the working directory in the container, such as "/"',
  ],
  [
    'process.env',
    ['A=\0'],
    'process.env[0]: must be a string of at most 131071 bytes without NUL (got "A=\\u0000"): correct it',
  ],
  [
    'process.user.uid',
    -1,
    'process.user.uid: must be an integer from 0 to 4294967295 (got -1): correct it',
  ],
  [
    'process.capabilities',
    { bounding: ['CAP_CHOWN', 'CAP_FLY'] },
    'process.capabilities.bounding[1]: must be a capability (got "CAP_FLY"): remove it, or spell it as capabilities(7) does',
  ],
  [
    'process.rlimits',
    [{ type: 'RLIMIT_NOFILE', soft: 3, hard: 2 }],
    'process.rlimits[0].soft: must be at most the hard limit, 2 (got 3): lower it',
  ],
  [
    'process.rlimits',
    [
      { type: 'RLIMIT_CPU', soft: 1, hard: 2 },
      { type: 'RLIMIT_CPU', soft: 1, hard: 2 },
    ],
    'process.rlimits[1].type: must be there once (got RLIMIT_CPU again): remove one',
  ],
  [
    'process.rlimits',
    [{ type: 'RLIMIT_CPU', soft: 1 }],
    'process.rlimits[0].hard: must be an integer from 0 to 18446744073709551615 (got nothing): add it',
  ],
  [
    'process.oomScoreAdj',
    1001,
    'process.oomScoreAdj: must be an integer from -1000 to 1000 (got 1001): correct it',
  ],
  [
    'process',
    undefined,
    'process: must be an object (got nothing): describe the process to run, at least "args" and "cwd"',
  ],
  [
    'root',
    undefined,
    'root: must be an object (got nothing): give the root file system: {"path": "rootfs"}',
  ],
  [
    'ociVersion',
    '2.0.0',
    'ociVersion: must be version 1.x.y of the OCI runtime specification (got "2.0.0"): write "1.0.2"',
  ],
  [
    'mounts',
    [{ destination: 'proc', type: 'proc' }],
    'mounts[0].destination: must be an absolute path (got "proc"): give the mount point in the container from "/" on',
  ],
  [
    'mounts',
    [{ destination: '/x', type: 'bind' }],
    'mounts[0].source: must be a path for a bind mount (got nothing): name the host path to mount at "/x"',
  ],
  [
    'hooks',
    { prestart: [{ path: '/x', timeout: 0 }] },
    'hooks.prestart[0].timeout: must be a whole number of seconds above 0 (got 0): correct it',
  ],
  ['annotations', { 'a.b/c': 5 }, 'annotations["a.b/c"]: must be a string (got 5): correct it'],
  [
    'linux.namespaces',
    [{ type: 'pid' }, { type: 'pid' }],
    'linux.namespaces[1].type: must be there once (got "pid" again): remove one',
  ],
  [
    'linux.namespaces',
    [{ type: 'net' }],
    'linux.namespaces[0].type: must be one of pid, network, mount, ipc, uts, user, cgroup, time (got "net"): correct it',
  ],
  [
    'linux.uidMappings',
    [{ containerID: 0, hostID: 0, size: 1 }],
    'linux.uidMappings: must come with a user namespace (got none): add {"type": "user"} to linux.namespaces',
  ],
  [
    'linux',
    {
      namespaces: [{ type: 'user' }],
      gidMappings: [
        { containerID: 0, hostID: 100, size: 10 },
        { containerID: 9, hostID: 200, size: 10 },
      ],
    },
    'linux.gidMappings[1].containerID: must not overlap linux.gidMappings[0] (got 9): separate them',
  ],
  [
    'linux.devices',
    [{ type: 'c', path: '/dev/x', major: 1 }],
    'linux.devices[0].minor: must be given for type "c" (got nothing): add it',
  ],
  [
    'linux.resources.memory.limit',
    'much',
    'linux.resources.memory.limit: must be a 64-bit integer (got "much"): correct it',
  ],
];

describe('what is refused', () => {
  for (const [path, value, message] of REFUSED) {
    test(message, () => {
      expect(validateConfig(changed(path, value))).toBe(`config.json: ${message}`);
    });
  }

  test('things that are no object', () => {
    for (const value of [[], 'x', 5, true]) {
      expect(validateConfig(value)).toMatch(/^config\.json: must be an object \(got /);
    }
    expect(validateConfig(null)).toMatch(/got null/);
  });

  test('nesting that would exhaust the stack', () => {
    const deep = JSON.parse('{"a":'.repeat(5000) + '1' + '}'.repeat(5000));
    expect(validateConfig(deep)).toMatch(/nested deeper than 64 levels/);
  });

  test('a process and resources on their own name their own fields', () => {
    expect(validateProcess({ args: ['x'] })).toBe(
      'process.json: cwd: must be an absolute path (got nothing): give the working directory in the container, such as "/"',
    );
    expect(validateResources({ pids: { limit: 'x' } }, 'stdin')).toBe(
      'stdin: pids.limit: must be a 64-bit integer (got "x"): correct it',
    );
  });
});
