/**
 * What the CLI gives up before it reads anything that others wrote: every capability but those that
 * making a sandbox takes. Hooks are executed and have what root has, as under runc.
 */

import * as process from '../../native/process.ts';
import * as capability from '../../spec/linux/capability.ts';

const KEPT: readonly number[] = [
  // Namespaces, mounts and the root directory of Gofer and Sentry; joining a network namespace.
  capability.CAP_SYS_ADMIN,
  capability.CAP_SYS_CHROOT,
  // Becoming nobody, mapping users, taking capabilities away.
  capability.CAP_SETUID,
  capability.CAP_SETGID,
  capability.CAP_SETPCAP,
  capability.CAP_SETFCAP,
  // Serving files of any owner; state directories, cgroups and logs wherever they are.
  capability.CAP_CHOWN,
  capability.CAP_DAC_OVERRIDE,
  capability.CAP_DAC_READ_SEARCH,
  capability.CAP_FOWNER,
  capability.CAP_FSETID,
  // Ending a sandbox, whose processes are another user's; its limits and OOM score.
  capability.CAP_KILL,
  capability.CAP_SYS_RESOURCE,
  // Finding a hook's namespace through /proc/PID/ns, and the ptrace platform's own children.
  capability.CAP_SYS_PTRACE,
];

/** Of this thread, the one that runs JavaScript and from which everything is forked. */
export function shedCapabilities(): void {
  const held = process.capget();
  if (typeof held === 'number') return;
  const kept: [number, number] = [0, 0];
  for (const cap of KEPT) {
    const half = cap < 32 ? 0 : 1;
    kept[half] = (kept[half] | (1 << (cap & 31))) >>> 0;
  }
  const narrow = (set: readonly [number, number]): [number, number] => [
    (set[0] & kept[0]) >>> 0,
    (set[1] & kept[1]) >>> 0,
  ];
  process.capset({
    effective: narrow(held.effective),
    permitted: narrow(held.permitted),
    inheritable: held.inheritable,
  });
}
