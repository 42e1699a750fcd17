/**
 * The Gofer: serves a container's host files to its Sentry over 9P2000.L, one connection per mount,
 * and ends when the Sentry has closed them all.
 *
 * Runs in a process forked from the CLI, with one thread and no event loop; everything here is
 * synchronous. Everything the connections bring is hostile.
 */

import * as fs from '../native/fs.ts';
import { keepMaps, trimMemory } from '../native/index.ts';
import { landlockVersion } from '../native/landlock.ts';
import * as process from '../native/process.ts';
import { compileFor } from '../native/tiers.ts';
import type { GoferConfig } from '../spec/control/boot.ts';
import { RLIMIT_NOFILE } from '../spec/linux/resource.ts';
import { Attachments } from './attachments.ts';
import { dropPrivileges, enterTree, keepToTrees, lock } from './confinement.ts';

/** Descriptors that are not for fids: sockets, roots, copies on their way to the Sentry. */
const RESERVED_FDS = 64;
/** A fid holds at most this many: itself, its directory, its open file, a listing. */
const FDS_PER_FID = 4;
/** Of one mount and of all: a fid is about half a kilobyte of memory beside its descriptors. */
const MAX_FIDS = 16384;
const MAX_FIDS_OF_ALL = 65536;
const MIN_FIDS = 64;

/** Raises the limit on descriptors as far as it goes and shares them out. */
function fidsPerMount(mounts: number): number {
  const limit = process.prlimit(0, RLIMIT_NOFILE, null);
  if (typeof limit === 'number') return MIN_FIDS;
  process.prlimit(0, RLIMIT_NOFILE, { soft: limit.hard, hard: limit.hard });
  const all = Math.min(MAX_FIDS_OF_ALL, (limit.hard - RESERVED_FDS) / FDS_PER_FID);
  return Math.max(MIN_FIDS, Math.min(MAX_FIDS, Math.floor(all / mounts)));
}

/** As gVisor's runsc, for a failure of its own. */
const EXIT_FAILURE = 128;

function log(fd: number, text: string): void {
  if (fd >= 0)
    fs.write(
      fd,
      Uint8Array.from(`gofer: ${text}\n`, (c) => c.charCodeAt(0)),
    );
}

export function goferMain(config: GoferConfig): never {
  const { mounts, hostUds, hostFifo, debugLogFd, stderrFd } = config;
  process.setProcessName('runsc-gofer');
  process.umask(0);
  const maxFids = fidsPerMount(mounts.length);
  const maps = keepMaps();
  const { roots, ownMounts, missing } = enterTree(mounts);
  missing.push(...dropPrivileges());
  missing.push(...keepToTrees(mounts, roots));
  const opened = roots.filter((fd) => fd >= 0);
  process.closeAllBut([...mounts.map((m) => m.fd), ...opened, debugLogFd, stderrFd, maps]);
  for (const layer of missing) log(debugLogFd, `running without ${layer}`);
  if (debugLogFd >= 0) log(debugLogFd, `Landlock version ${landlockVersion()}`);
  const attachments = new Attachments();
  mounts.forEach((m, i) => {
    const rootFd = roots[i]!;
    const error =
      rootFd < 0
        ? rootFd
        : attachments.add({
            rootFd,
            socketFd: m.fd,
            readonly: m.readonly,
            maxFids,
            hostUds,
            hostFifo,
            ownMounts,
          });
    if (rootFd < 0) fs.close(m.fd);
    // Names only the place: host paths do not belong in a log that the container may influence.
    if (error < 0) log(debugLogFd, `mount ${i} cannot be served: errno ${-error}`);
  });
  if (stderrFd >= 0) fs.dup3(stderrFd, 2, 0);
  if (stderrFd !== debugLogFd) fs.close(stderrFd);
  const locked = lock(hostUds);
  if (locked < 0) {
    log(2, `cannot install the system call filter: errno ${-locked}`);
    return process.exit(EXIT_FAILURE);
  }
  attachments.run(trimMemory, compileFor);
  return process.exit(0);
}
