/**
 * Stands in for sentry/confinement.ts and gofer/confinement.ts where attack.scenario.ts says so: the
 * real thing, and behind its lock what the scenario wants done there.
 */

import * as gofer from '../../gofer/confinement.ts';
import * as sentry from '../../sentry/confinement.ts';
import type { BootConfig, HostUds } from '../../spec/control/boot.ts';

export const { enterTree, dropPrivileges, keepToTrees } = gofer;
export const { shed } = sentry;

/** What is done once the process is locked. It does not return. */
export const behind: { lock: () => never } = {
  lock: () => {
    throw new Error('nothing to do behind the lock');
  },
};

/** The Sentry's takes its configuration, the Gofer's what it may do with sockets. */
export function lock(config: BootConfig | HostUds, platform = ''): number {
  const status = typeof config === 'string' ? gofer.lock(config) : sentry.lock(config, platform);
  return status < 0 ? status : behind.lock();
}
