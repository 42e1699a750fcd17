/** Tests of cgroup paths, hierarchies and limits, on a directory that pretends to be cgroupfs. */

import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createCgroup, plannedCgroups, removeCgroup, updateCgroup } from './cgroup.ts';
import { cgroupPath, systemdNames } from './cgroup_path.ts';
import { findHierarchies } from './hierarchy.ts';
import { settingsV1, settingsV2 } from './settings.ts';
import { oomKills, readStatistics } from './statistics.ts';

let top = '';

beforeEach(() => {
  top = fs.mkdtempSync(path.join(os.tmpdir(), 'runsc-cgroup-'));
});
afterEach(() => fs.rmSync(top, { recursive: true }));

function put(file: string, text: string): void {
  fs.mkdirSync(path.dirname(top + file), { recursive: true });
  fs.writeFileSync(top + file, text);
}

const RESOURCES = {
  memory: { limit: 100, swap: 150, reservation: 50 },
  cpu: { shares: 1024, quota: 50000, period: 100000, cpus: '0-1' },
  pids: { limit: 10 },
  blockIO: { weight: 500 },
};

describe('cgroupPath', () => {
  it.each([
    ['/docker/abc', '/docker/abc'],
    ['a//b/', 'a/b'],
    ['', ''],
  ])('%s is %s', (written, wanted) => {
    expect(cgroupPath(written)).toBe(wanted);
  });

  it('refuses to climb', () => {
    expect(() => cgroupPath('/a/../../b')).toThrow('linux.cgroupsPath');
  });
});

describe('systemdNames', () => {
  it.each([
    ['system.slice:docker:abc', 'system.slice', 'docker-abc.scope'],
    ['user-1000.slice:p:x', 'user-1000.slice', 'p-x.scope'],
    ['-.slice:p:x', '-.slice', 'p-x.scope'],
    [':p:x', 'default.slice', 'p-x.scope'],
    ['::x', 'default.slice', 'x.scope'],
  ])('%s is in %s', (written, slice, scope) => {
    expect(systemdNames(written, 'default.slice')).toEqual({ slice, scope });
  });

  it.each([
    '/a/b',
    'system.slice:p',
    'system.slice:p:../x',
    'system.slice:p:x:y',
    'a/b.slice:p:x',
    'nothing:p:x',
    'a--b.slice:p:x',
    'system.slice:p:x.slice',
  ])('refuses %s', (written) => {
    expect(() => systemdNames(written, 'system.slice')).toThrow('linux.cgroupsPath');
  });
});

describe('hierarchies', () => {
  it('are one per mount in v1, with our own path', () => {
    put('/proc/self/cgroup', '3:cpu,cpuacct:/own\n2:memory:/\n1:name=systemd:/s\n');
    put(
      '/proc/self/mountinfo',
      [
        '30 25 0:26 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid - cgroup cgroup rw,cpu,cpuacct',
        '31 25 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory',
        '32 25 0:28 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd',
        '33 25 0:29 / /proc rw - proc proc rw',
      ].join('\n'),
    );
    expect(findHierarchies(top).map((h) => [h.controllers.join(), h.ownPath])).toEqual([
      ['cpu,cpuacct', '/own'],
      ['memory', '/'],
      ['name=systemd', '/s'],
    ]);
  });

  it('are one in v2', () => {
    put('/sys/fs/cgroup/cgroup.controllers', 'cpu memory\n');
    put('/proc/self/cgroup', '0::/mine\n');
    put('/proc/self/mountinfo', '30 25 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n');
    expect(findHierarchies(top)).toEqual([
      {
        version: 2,
        controllers: ['cpu', 'memory'],
        mountPoint: `${top}/sys/fs/cgroup`,
        ownPath: '/mine',
        beside: false,
      },
    ]);
  });

  it('may be of both versions, and mounted twice, and from below', () => {
    put('/sys/fs/cgroup/unified/cgroup.controllers', 'hugetlb');
    put('/proc/self/cgroup', '2:memory:/docker/x/y\n0::/mine\n');
    put(
      '/proc/self/mountinfo',
      [
        '29 25 0:28 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw',
        '31 25 0:27 /docker/x /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory',
        '35 25 0:27 / /other rw - cgroup cgroup rw,memory',
      ].join('\n'),
    );
    expect(findHierarchies(top).map((h) => [h.version, h.ownPath, h.beside])).toEqual([
      [1, '/y', false],
      [2, '/mine', true],
    ]);
  });
});

describe('resources', () => {
  const pairs = (settings: { file: string; value: string }[]) =>
    settings.map(({ file, value }) => `${file}=${value}`);

  it('become v1 files', () => {
    expect(pairs(settingsV1(RESOURCES))).toEqual([
      'memory.limit_in_bytes=100',
      'memory.memsw.limit_in_bytes=150',
      'memory.soft_limit_in_bytes=50',
      'cpu.shares=1024',
      'cpu.cfs_period_us=100000',
      'cpu.cfs_quota_us=50000',
      'cpuset.cpus=0-1',
      'pids.max=10',
      'blkio.bfq.weight=500',
    ]);
  });

  it('become v2 files', () => {
    expect(pairs(settingsV2(RESOURCES))).toEqual([
      'memory.max=100',
      'memory.swap.max=50',
      'memory.low=50',
      'cpu.weight=39',
      'cpu.max=50000 100000',
      'cpuset.cpus=0-1',
      'pids.max=10',
      'io.bfq.weight=default 500',
    ]);
    expect(pairs(settingsV2({ memory: { limit: -1, swap: -1 }, pids: { limit: -1 } }))).toEqual([
      'memory.max=max',
      'memory.swap.max=max',
      'pids.max=max',
    ]);
  });

  it('are converted as runc converts them', () => {
    const v2 = (resources: Parameters<typeof settingsV2>[0]) => pairs(settingsV2(resources));
    expect(v2({ cpu: { shares: 2 } })).toEqual(['cpu.weight=1']);
    expect(v2({ cpu: { shares: 262144 } })).toEqual(['cpu.weight=10000']);
    expect(v2({ cpu: { quota: 20000 } })).toEqual(['cpu.max=20000 100000']);
    expect(v2({ cpu: { quota: -1, period: 50000 } })).toEqual(['cpu.max=max 50000']);
    expect(v2({ memory: { limit: -1 } })).toEqual(['memory.max=max', 'memory.swap.max=max']);
    expect(v2({ memory: { limit: 10, swap: 10 } })).toContain('memory.swap.max=0');
    expect(v2({ memory: { kernel: 5, swappiness: 3, disableOOMKiller: true } })).toEqual([]);
    const rates = { throttleReadBpsDevice: [{ major: 8, minor: 0, rate: 99 }] };
    expect(v2({ blockIO: rates })).toEqual(['io.max=8:0 rbps=99']);
    expect(v2({ hugepageLimits: [{ pageSize: '2MB', limit: 0 }] })).toEqual([
      'hugetlb.2MB.max=0',
      'hugetlb.2MB.rsvd.max=0',
    ]);
    expect(v2({ unified: { 'memory.high': '5' } })).toEqual(['memory.high=5']);
    expect(pairs(settingsV1({ blockIO: rates }))).toEqual([
      'blkio.throttle.read_bps_device=8:0 99',
    ]);
    expect(pairs(settingsV1({ memory: { limit: -1, swappiness: 2 ** 64 } }))).toEqual([
      'memory.limit_in_bytes=-1',
      'memory.memsw.limit_in_bytes=-1',
    ]);
  });
});

describe('createCgroup', () => {
  const hierarchy = (controllers: readonly string[], version: 1 | 2 = 1, beside = false) => ({
    version,
    controllers,
    mountPoint: `${top}/v${version}`,
    ownPath: '/',
    beside,
  });
  const request = (more: object) => ({
    cgroupsPath: '/a/b',
    everyHierarchy: false,
    resources: RESOURCES,
    hierarchies: [hierarchy(['pids', 'cpu', 'memory', 'blkio'])],
    warn: () => {},
    ...more,
  });
  const resources = { pids: { limit: 10 } };

  it('makes, limits, changes and removes', () => {
    const cgroup = createCgroup(request({ resources }));
    expect(cgroup).toEqual([`${top}/v1/a/b`]);
    const limit = () => fs.readFileSync(`${top}/v1/a/b/pids.max`, 'utf8');
    expect(limit()).toBe('10');
    updateCgroup(cgroup, request({ resources: { pids: { limit: -1 } } }));
    expect(limit()).toBe('max');
    fs.rmSync(`${top}/v1/a/b/pids.max`);
    removeCgroup(cgroup, (message) => expect(message).toBe(''));
    expect(fs.existsSync(`${top}/v1/a/b`)).toBe(false);
  });

  it('goes on without what a plain user may not set, and says so', () => {
    const said: string[] = [];
    const warn = (message: string) => said.push(message);
    fs.mkdirSync(`${top}/v1/a/b/cpu.shares`, { recursive: true });
    fs.writeFileSync(`${top}/v2`, 'no directory');
    const hierarchies = [hierarchy(['pids', 'cpu']), hierarchy(['memory'], 2)];
    const asked = { pids: { limit: 10 }, cpu: { shares: 512 }, memory: { limit: 100 } };
    const made = createCgroup(request({ resources: asked, hierarchies, warn, mayLack: true }));
    expect(made).toEqual([`${top}/v1/a/b`]);
    expect(fs.readFileSync(`${top}/v1/a/b/pids.max`, 'utf8')).toBe('10');
    expect(said.map((message) => /linux\.resources\.[a-zA-Z.]+/.exec(message)?.[0])).toEqual([
      'linux.resources.cpu.shares',
      'linux.resources.memory.limit',
    ]);
  });

  it('names the limit that cannot be set', () => {
    fs.mkdirSync(`${top}/v1/a/b/pids.max`, { recursive: true });
    expect(() => createCgroup(request({ resources }))).toThrow('linux.resources.pids.limit');
  });

  it('refuses a limit that no hierarchy could hold, but for what Docker always sets', () => {
    const hierarchies = [hierarchy(['memory'])];
    expect(() => createCgroup(request({ resources, hierarchies }))).toThrow(
      'linux.resources.pids.limit: no cgroup hierarchy of this host has pids.max',
    );
    const said: string[] = [];
    const weight = { resources: { blockIO: { weight: 10 } }, hierarchies };
    createCgroup(request({ ...weight, warn: (message: string) => said.push(message) }));
    expect(said).toEqual([expect.stringContaining('blkio.bfq.weight')]);
  });

  it('uses v2 beside v1 only for what v1 lacks', () => {
    const hierarchies = [hierarchy(['pids']), hierarchy(['hugetlb'], 2, true)];
    expect(plannedCgroups(request({ resources, hierarchies }))).toEqual([`${top}/v1/a/b`]);
    const huge = { hugepageLimits: [{ pageSize: '2MB', limit: 4096 }] };
    createCgroup(request({ resources: { ...resources, ...huge }, hierarchies }));
    expect(fs.readFileSync(`${top}/v2/a/b/hugetlb.2MB.max`, 'utf8')).toBe('4096');
    expect(fs.readFileSync(`${top}/v2/a/cgroup.subtree_control`, 'utf8')).toBe('+hugetlb');
    expect(fs.existsSync(`${top}/v2/a/b/pids.max`)).toBe(false);
  });
});

describe('statistics', () => {
  it('are read from v1', () => {
    put('/m/memory.usage_in_bytes', '4096\n');
    put('/m/memory.oom_control', 'oom_kill_disable 0\nunder_oom 0\noom_kill 3\n');
    put('/c/cpuacct.usage', '77\n');
    put('/c/cpuacct.stat', 'user 2\nsystem 1\n');
    put('/p/pids.current', '5\n');
    put('/p/pids.max', 'max\n');
    const paths = ['/m', '/c', '/p'].map((name) => top + name);
    const { cpu, memory, pids } = readStatistics(paths);
    expect(cpu.usage).toMatchObject({ total: 77, user: 20_000_000, kernel: 10_000_000 });
    expect(memory.usage.usage).toBe(4096);
    expect(pids).toEqual({ current: 5, limit: 0 });
    expect(oomKills(paths)).toBe(3);
  });

  it('are read from v2', () => {
    put('/u/cgroup.controllers', 'cpu memory pids');
    put('/u/memory.current', '4096\n');
    put('/u/memory.max', '8192\n');
    put('/u/memory.events', 'low 0\nmax 6\noom 1\noom_kill 2\n');
    put('/u/cpu.stat', 'usage_usec 3\nuser_usec 2\nsystem_usec 1\n');
    const { cpu, memory } = readStatistics([`${top}/u`]);
    expect(cpu.usage).toMatchObject({ total: 3000, user: 2000, kernel: 1000 });
    expect(memory.usage).toMatchObject({ limit: 8192, usage: 4096, failcnt: 6 });
    expect(oomKills([`${top}/u`])).toBe(2);
  });
});
