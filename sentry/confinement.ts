/**
 * Shuts the Sentry in. First it sheds what it has: user, namespaces, file tree, capabilities, limits.
 * Once the kernel stands it locks itself: a system call filter that kills (spec/seccomp/sentry.ts).
 *
 * It keeps no capability: on both platforms the stubs are its children, of the same user.
 *
 * A layer that the host refuses is named, and the others still stand. The pid namespace is the CLI's
 * part, because no process can move itself into one: it is forked into it.
 */

import { enterBase, mountBase } from '../native/empty_root.ts';
import { close, open, write } from '../native/fs.ts';
import { makeHugeFile } from '../native/huge_file.ts';
import { keepMaps } from '../native/index.ts';
import { restrictTo } from '../native/landlock.ts';
import * as process from '../native/process.ts';
import { compileFilter, installFilter } from '../native/seccomp.ts';
import type { BootConfig } from '../spec/control/boot.ts';
import { EINVAL } from '../spec/linux/errno.ts';
import { O_CLOEXEC, O_WRONLY } from '../spec/linux/fcntl.ts';
import {
  PR_CAPBSET_DROP,
  PR_SET_DUMPABLE,
  PR_SET_NO_NEW_PRIVS,
  PR_SET_PDEATHSIG,
} from '../spec/linux/prctl.ts';
import { RLIMIT_CORE, RLIMIT_MEMLOCK, RLIMIT_MSGQUEUE } from '../spec/linux/resource.ts';
import * as clone from '../spec/linux/sched.ts';
import { SIGKILL } from '../spec/linux/signal.ts';
import { sentryRules, sentrySocketRules } from '../spec/seccomp/sentry.ts';

/** The user and group without any right: nobody, nogroup. */
const UNPRIVILEGED = 65534;
/** Compiled while modules are evaluated, so that the start-up snapshot holds them. */
const FILTERS: Readonly<Record<string, Uint8Array>> = {
  ptrace: compileFilter(sentryRules('ptrace')),
  systrap: compileFilter(sentryRules('systrap')),
};

/** What is left after `shed`. */
export interface Remains {
  /** The layers that are missing. */
  readonly missing: readonly string[];
  /** See makeHugeFile: made while mounting was possible, or -errno. */
  readonly hugeFileFd: number;
}

/** Before anything else: threads and stubs inherit what this leaves. */
export function shed(config: BootConfig): Remains {
  const missing: string[] = [];
  const check = (layer: string, error: number): void => {
    if (error < 0) missing.push(`${layer} (errno ${-error})`);
  };
  // What is read of /proc later is opened while there is one.
  keepMaps();
  let namespaces = clone.CLONE_NEWNS | clone.CLONE_NEWIPC | clone.CLONE_NEWUTS;
  if (!config.namedNetwork) namespaces |= clone.CLONE_NEWNET;
  if (config.rootless) check('own namespaces', process.unshare(namespaces));
  else becomeNobody(namespaces, check);
  const base = mountBase();
  const hugeFileFd = typeof base === 'number' ? base : makeHugeFile(base);
  check('empty file tree', enterEmptyTree(base));
  becomeUnprivileged(check);
  check('no_new_privs', process.prctl(PR_SET_NO_NEW_PRIVS, 1));
  check('Landlock', restrictTo([]));
  for (const resource of [RLIMIT_CORE, RLIMIT_MEMLOCK, RLIMIT_MSGQUEUE]) {
    process.prlimit(0, resource, { soft: 0, hard: 0 });
  }
  // Stubs must be ours to trace; `lock` takes it back for this process.
  process.prctl(PR_SET_DUMPABLE, 1);
  return { missing, hugeFileFd };
}

type Check = (layer: string, error: number) => void;

/**
 * A user namespace that maps nobody alone, and in it the other namespaces. The saved user stays what
 * it was until then: it makes the others where user namespaces are not to be had.
 */
function becomeNobody(namespaces: number, check: Check): void {
  const root = process.geteuid() === 0;
  if (root) {
    check('no supplementary groups', process.setgroups([]));
    process.setresgid(UNPRIVILEGED, UNPRIVILEGED, UNPRIVILEGED);
    process.setresuid(UNPRIVILEGED, UNPRIVILEGED, 0);
    process.prctl(PR_SET_DUMPABLE, 1);
  }
  const uid = process.geteuid();
  const gid = process.getegid();
  const error = process.unshare(clone.CLONE_NEWUSER | namespaces);
  if (error === 0) {
    process.prctl(PR_SET_DUMPABLE, 1);
    check('mapping of groups', writeFile('/proc/self/setgroups', 'deny'));
    check('mapping of users', writeFile('/proc/self/uid_map', `${UNPRIVILEGED} ${uid} 1`));
    check('mapping of groups', writeFile('/proc/self/gid_map', `${UNPRIVILEGED} ${gid} 1`));
    return;
  }
  check('own user namespace', error);
  if (root) process.setresuid(-1, 0, -1);
  check('own namespaces', process.unshare(namespaces));
}

/** Without a mount namespace a directory without files will do, where that is allowed. */
function enterEmptyTree(base: string | number): number {
  const entered = typeof base === 'number' ? base : enterBase(base);
  if (entered === 0 || process.chroot('/proc/self/fdinfo') < 0) return entered;
  process.chdir('/');
  return entered;
}

/** No other user's rights and no capability; none can come back. */
function becomeUnprivileged(check: Check): void {
  // The first that the host does not know ends the list.
  let cap = 0;
  while (process.prctl(PR_CAPBSET_DROP, cap) === 0) cap++;
  // Where only root is mapped (rootless) these fail, and the user outside is unprivileged already.
  process.setresgid(UNPRIVILEGED, UNPRIVILEGED, UNPRIVILEGED);
  process.setresuid(UNPRIVILEGED, UNPRIVILEGED, UNPRIVILEGED);
  const none: readonly [number, number] = [0, 0];
  check('no capabilities', process.capset({ effective: none, permitted: none, inheritable: none }));
}

/** Before the first instruction of an application. -errno: the filter is not there. */
export function lock(config: BootConfig, platform: string): number {
  process.prctl(PR_SET_DUMPABLE, 0);
  // Not before: a change of user clears it. Who misses his parent's end sees that of the connection.
  if (config.dieWithParent) process.prctl(PR_SET_PDEATHSIG, SIGKILL);
  const filter = FILTERS[platform];
  if (filter === undefined) return -EINVAL;
  const more = sentrySocketRules(config.hostUds);
  if (more.length === 0) return installFilter(filter);
  return installFilter(compileFilter([...sentryRules(platform), ...more]));
}

function writeFile(file: string, text: string): number {
  const fd = open(file, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return fd;
  const written = write(
    fd,
    Uint8Array.from(text, (c) => c.charCodeAt(0)),
  );
  close(fd);
  return written;
}
