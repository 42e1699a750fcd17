/** The config.json that `runsc spec` writes, and what `runsc do` starts from. */

import type { Config, Mount, Namespace } from '../../spec/oci/config.ts';
import { OCI_VERSION } from './state.ts';

const DEFAULT_CAPABILITIES = ['CAP_AUDIT_WRITE', 'CAP_KILL', 'CAP_NET_BIND_SERVICE'];
const DEFAULT_NOFILE = 1024;

export interface SpecOptions {
  readonly args: readonly string[];
  readonly cwd: string;
  /** Path of a network namespace to join; '' for a new one. */
  readonly netns: string;
}

export function defaultSpec(options: SpecOptions): Config {
  const network: Namespace =
    options.netns === '' ? { type: 'network' } : { type: 'network', path: options.netns };
  return {
    ociVersion: OCI_VERSION,
    process: {
      terminal: true,
      user: { uid: 0, gid: 0 },
      args: options.args,
      env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'TERM=xterm'],
      cwd: options.cwd,
      capabilities: {
        bounding: DEFAULT_CAPABILITIES,
        effective: DEFAULT_CAPABILITIES,
        inheritable: DEFAULT_CAPABILITIES,
        permitted: DEFAULT_CAPABILITIES,
      },
      rlimits: [{ type: 'RLIMIT_NOFILE', hard: DEFAULT_NOFILE, soft: DEFAULT_NOFILE }],
    },
    root: { path: 'rootfs', readonly: true },
    hostname: 'runsc',
    mounts: KERNEL_MOUNTS,
    linux: {
      namespaces: [{ type: 'pid' }, network, { type: 'ipc' }, { type: 'uts' }, { type: 'mount' }],
    },
  };
}

export const KERNEL_MOUNTS: readonly Mount[] = [
  { destination: '/proc', type: 'proc', source: 'proc' },
  { destination: '/dev', type: 'tmpfs', source: 'tmpfs' },
  {
    destination: '/sys',
    type: 'sysfs',
    source: 'sysfs',
    options: ['nosuid', 'noexec', 'nodev', 'ro'],
  },
];
