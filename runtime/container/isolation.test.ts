/** What a sandbox cannot give is refused by the name of its field; what docker usually asks for is not. */

import { describe, expect, it } from 'vitest';
import type { Config, Linux } from '../../spec/oci/config.ts';
import { refusal } from './isolation.ts';

const TYPES = ['pid', 'network', 'ipc', 'uts', 'mount', 'cgroup'] as const;

function config(linux: Linux, more: object = {}): Config {
  return {
    ociVersion: '1.0.2',
    root: { path: 'rootfs' },
    process: { user: { uid: 0, gid: 0 }, args: ['/bin/true'], cwd: '/' },
    linux: { namespaces: TYPES.map((type) => ({ type })), ...linux },
    ...more,
  } as Config;
}

const NETWORK = { type: 'network', path: '/proc/7/ns/net' };

const without = (gone: string) => ({
  namespaces: TYPES.filter((type) => type !== gone).map((type) => ({ type })),
});

const joining = (type: 'pid' | 'ipc' | 'user') => ({
  namespaces: [
    ...TYPES.filter((one) => one !== type).map((one) => ({ type: one })),
    { type, path: `/proc/7/ns/${type}` },
  ],
});

describe('refusal', () => {
  it.each([
    ['--pid=host', without('pid'), /^linux.namespaces: cannot share the host's pid namespace/],
    ['--ipc=host', without('ipc'), /^linux.namespaces: cannot share the host's ipc namespace/],
    ['no mount namespace', without('mount'), /^linux.namespaces: .*mount/],
    ['--pid=container:x', joining('pid'), /^linux.namespaces\[5\].path: .*pid namespace/],
    ['--ipc=container:x', joining('ipc'), /^linux.namespaces\[5\].path: .*ipc namespace/],
    ['a user namespace', joining('user'), /^linux.namespaces\[6\].path: .*user namespace/],
    [
      '--userns-remap',
      { uidMappings: [{ containerID: 0, hostID: 100000, size: 65536 }] },
      /^linux.uidMappings\[0\]: cannot map 0 to 100000/,
    ],
    [
      '--device',
      { devices: [{ type: 'c', path: '/dev/fuse', major: 10, minor: 229 }] },
      /^linux.devices\[0\]: cannot give \/dev\/fuse \(c 10:229\).*--privileged/,
    ],
    [
      'a known device at another place',
      { devices: [{ type: 'c', path: '/dev/mine', major: 1, minor: 3 }] },
      /^linux.devices\[0\]/,
    ],
    ['shared mounts', { rootfsPropagation: 'rshared' }, /^linux.rootfsPropagation/],
    [
      'a seccomp agent',
      { seccomp: { defaultAction: 'SCMP_ACT_NOTIFY', listenerPath: '/run/agent' } },
      /^linux.seccomp.listenerPath/,
    ],
    ['another time', { timeOffsets: { boottime: { secs: 5 } } }, /^linux.timeOffsets.boottime/],
    ['resctrl', { intelRdt: { closID: 'x' } }, /^linux.intelRdt/],
  ] as [string, Linux, RegExp][])('names the field of %s', (_, linux, message) => {
    expect(refusal(config(linux))).toMatch(message);
  });

  it('names a shared mount', () => {
    const mounts = [{ destination: '/v', type: 'bind', source: '/v', options: ['rshared'] }];
    expect(refusal(config({}, { mounts }))).toMatch(/^mounts\[0\].options: cannot be "rshared"/);
  });

  it.each([
    ['the usual', {}],
    ['no list of namespaces', { namespaces: [] }],
    ['--net=container:x', { namespaces: [...without('network').namespaces, NETWORK] }],
    ['--net=host', without('network')],
    ['--uts=host', without('uts')],
    ['a seccomp profile', { seccomp: { defaultAction: 'SCMP_ACT_ERRNO' } }],
    ['a mapping to the same', { gidMappings: [{ containerID: 0, hostID: 0, size: 9 }] }],
    ['devices of its own', { devices: [{ type: 'c', path: '/dev/null', major: 1, minor: 3 }] }],
  ] as [string, Linux][])('lets pass %s', (_, linux) => {
    expect(refusal(config(linux))).toBe(null);
  });
});
