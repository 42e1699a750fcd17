/** Tests of cgroup paths, hierarchies and limits, on a directory that pretends to be cgroupfs. */

import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createCgroup, removeCgroup } from './cgroup.ts';
import { cgroupPath } from './cgroup_path.ts';
import { findHierarchies } from './hierarchy.ts';
import { settingsV1, settingsV2 } from './resources.ts';

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
    ['/docker/abc', false, '/docker/abc'],
    ['a//b/', false, 'a/b'],
    ['', false, ''],
    ['system.slice:docker:abc', true, '/system.slice/docker-abc.scope'],
    ['user-1000.slice:p:x', true, '/user.slice/user-1000.slice/p-x.scope'],
    ['-.slice:p:x', true, '/p-x.scope'],
  ])('%s (systemd: %s) is %s', (written, systemd, wanted) => {
    expect(cgroupPath(written, systemd)).toBe(wanted);
  });

  it('refuses to climb, and a wrong systemd form', () => {
    expect(() => cgroupPath('/a/../../b', false)).toThrow('linux.cgroupsPath');
    expect(() => cgroupPath('/a/b', true)).toThrow('slice:prefix:name');
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
    put('/sys/fs/cgroup/cgroup.controllers', 'cpu memory');
    put('/proc/self/cgroup', '0::/mine\n');
    expect(findHierarchies(top)).toEqual([
      { version: 2, controllers: [], mountPoint: `${top}/sys/fs/cgroup`, ownPath: '/mine' },
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
      'blkio.weight=500',
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
});

describe('createCgroup', () => {
  const hierarchy = () => ({
    version: 1 as const,
    controllers: ['pids'],
    mountPoint: top,
    ownPath: '/',
  });

  it('makes, limits and removes', () => {
    const cgroup = createCgroup({
      cgroupsPath: '/a/b',
      systemd: false,
      resources: RESOURCES,
      hierarchies: [hierarchy()],
    });
    expect(cgroup).toEqual({ paths: [`${top}/a/b`], procs: [`${top}/a/b/cgroup.procs`] });
    expect(fs.readFileSync(`${top}/a/b/pids.max`, 'utf8')).toBe('10');
    fs.rmSync(`${top}/a/b/pids.max`);
    removeCgroup(cgroup.paths, (message) => expect(message).toBe(''));
    expect(fs.existsSync(`${top}/a/b`)).toBe(false);
  });

  it('names the limit that cannot be set', () => {
    fs.mkdirSync(`${top}/a/b/pids.max`, { recursive: true });
    const request = {
      cgroupsPath: '/a/b',
      systemd: false,
      resources: RESOURCES,
      hierarchies: [hierarchy()],
    };
    expect(() => createCgroup(request)).toThrow('linux.resources.pids.limit');
  });
});
