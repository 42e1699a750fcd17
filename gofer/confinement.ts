/**
 * Shuts the gofer in: a file tree of its own that holds only what it serves, empty namespaces, few
 * capabilities, no other descriptors, and a system call filter that kills. Layers the host refuses are named in the result, the rest still stands.
 *
 *   /root, /mounts/1 ...   what is served, bind-mounted (read-only where it must be)
 *   /proc/self/fd          our own descriptors: how Linux reopens an O_PATH descriptor
 */
import { enterBase, mountBase } from '../native/empty_root.ts';
import * as fs from '../native/fs.ts';
import { restrictTo } from '../native/landlock.ts';
import * as process from '../native/process.ts';
import { compileFilter, installFilter } from '../native/seccomp.ts';
import { fstat, procPath } from '../native/stat.ts';
import type { GoferMount, HostUds } from '../spec/control/boot.ts';
import * as capability from '../spec/linux/capability.ts';
import { AT_FDCWD, O_CLOEXEC, O_CREAT, O_PATH, O_WRONLY } from '../spec/linux/fcntl.ts';
import * as mnt from '../spec/linux/mount.ts';
import { PR_CAPBSET_DROP, PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS } from '../spec/linux/prctl.ts';
import { RLIMIT_CORE, RLIMIT_MEMLOCK, RLIMIT_MSGQUEUE } from '../spec/linux/resource.ts';
import * as clone from '../spec/linux/sched.ts';
import { S_IFDIR, S_IFMT } from '../spec/linux/stat.ts';
import { GOFER_RULES, goferSocketRules } from '../spec/seccomp/gofer.ts';

const AT_RECURSIVE = 0x8000;

/** What serving files of any owner takes, and nothing else. */
const KEPT_CAPABILITIES = [
  capability.CAP_CHOWN,
  capability.CAP_DAC_OVERRIDE,
  capability.CAP_DAC_READ_SEARCH,
  capability.CAP_FOWNER,
  capability.CAP_FSETID,
];
const LAST_CAPABILITY = 63;
/** Compiled while modules are evaluated, so that the start-up snapshot holds it. */
const FILTER = compileFilter(GOFER_RULES);

export interface Confined {
  /** O_PATH descriptors of the trees, in the order of the mounts; -errno where one is not there. */
  readonly roots: readonly number[];
  /** The tree is our own, so nobody else mounts anything in it. */
  readonly ownMounts: boolean;
  /** Layers that could not be put in place, each with the errno. */
  readonly missing: string[];
}

function openRoot(path: string): number {
  return fs.open(path, O_PATH | O_CLOEXEC);
}

/** Enters the file tree described above. The descriptors are opened inside it. */
export function enterTree(mounts: readonly GoferMount[]): Confined {
  const error = process.unshare(clone.CLONE_NEWNS);
  const missing: string[] = [];
  const others = process.unshare(clone.CLONE_NEWIPC | clone.CLONE_NEWUTS | clone.CLONE_NEWNET);
  if (others < 0) missing.push(`own ipc, uts and network namespaces (errno ${-others})`);
  // Opened in the new namespace: what belongs to another cannot be bind-mounted.
  const outside = mounts.map((m) => openRoot(m.source));
  const built = error < 0 ? error : buildTree(mounts, outside);
  if (built < 0) {
    missing.push(`own file tree (errno ${-built})`);
    return { roots: outside, ownMounts: false, missing };
  }
  for (const fd of outside) if (fd >= 0) fs.close(fd);
  const roots = outside.map((fd, i) => (fd < 0 ? fd : openRoot(placeOf(i))));
  return { roots, ownMounts: true, missing };
}

function placeOf(index: number): string {
  return index === 0 ? '/root' : `/mounts/${index}`;
}

/** Makes the tree and changes into it: 0, or -errno with the process still outside. */
function buildTree(mounts: readonly GoferMount[], sources: readonly number[]): number {
  const base = mountBase();
  if (typeof base === 'number') return base;
  // A source that contains the base (the host's / in `runsc do`) must not show it.
  let error = process.mount(null, base, null, mnt.MS_UNBINDABLE, null);
  if (error === 0) error = fillTree(base, mounts, sources);
  if (error === 0) return enterBase(base);
  process.umount2(base, mnt.MNT_DETACH);
  return error;
}

function fillTree(base: string, mounts: readonly GoferMount[], sources: readonly number[]): number {
  for (const directory of ['/proc', '/proc/self', '/proc/self/fd', '/mounts']) {
    const error = fs.mkdirat(AT_FDCWD, base + directory, 0o755);
    if (error < 0) return error;
  }
  const own = process.mount('/proc/self/fd', `${base}/proc/self/fd`, null, mnt.MS_BIND, null);
  if (own < 0) return own;
  for (let i = 0; i < mounts.length; i++) {
    if (sources[i]! < 0) continue;
    const error = bindTree(sources[i]!, base + placeOf(i), mounts[i]!.readonly);
    if (error < 0) return error;
  }
  return 0;
}

function bindTree(source: number, place: string, readonly: boolean): number {
  const s = fstat(source);
  if (typeof s === 'number') return s;
  if ((s.mode & S_IFMT) === S_IFDIR) {
    const error = fs.mkdirat(AT_FDCWD, place, 0o755);
    if (error < 0) return error;
  } else {
    const fd = fs.open(place, O_CREAT | O_WRONLY | O_CLOEXEC, 0o600);
    if (fd < 0) return fd;
    fs.close(fd);
  }
  const error = process.mount(procPath(source), place, null, mnt.MS_BIND | mnt.MS_REC, null);
  if (error < 0) return error;
  // Not noexec: programs are mapped executable from donated descriptors.
  const attributes =
    mnt.MOUNT_ATTR_NODEV | mnt.MOUNT_ATTR_NOSUID | (readonly ? mnt.MOUNT_ATTR_RDONLY : 0);
  if (process.mountSetattr(AT_FDCWD, place, AT_RECURSIVE, attributes, 0) === 0) return 0;
  // Before Linux 5.12: only the top mount. The server refuses writes below on its own.
  if (!readonly) return 0;
  const flags = mnt.MS_REMOUNT | mnt.MS_BIND | mnt.MS_RDONLY | mnt.MS_NODEV | mnt.MS_NOSUID;
  return process.mount(null, place, null, flags, null);
}

/** Keeps only the capabilities of a file server; none can come back. Names what was refused. */
export function dropPrivileges(): string[] {
  const missing: string[] = [];
  for (let cap = 0; cap <= LAST_CAPABILITY; cap++) {
    if (!KEPT_CAPABILITIES.includes(cap)) process.prctl(PR_CAPBSET_DROP, cap);
  }
  if (process.prctl(PR_SET_NO_NEW_PRIVS, 1) < 0) missing.push('no_new_privs');
  for (const resource of [RLIMIT_CORE, RLIMIT_MEMLOCK, RLIMIT_MSGQUEUE]) {
    process.prlimit(0, resource, { soft: 0, hard: 0 });
  }
  let wanted = 0;
  for (const cap of KEPT_CAPABILITIES) wanted += 2 ** cap;
  const held = process.capget();
  const low = typeof held === 'number' ? 0 : (held.permitted[0] & wanted) >>> 0;
  const error = process.capset({ effective: [low, 0], permitted: [low, 0], inheritable: [0, 0] });
  if (error < 0) missing.push(`capabilities (errno ${-error})`);
  return missing;
}

/**
 * Landlock, beside the file tree of our own and where the host allows none, instead of it. After
 * dropPrivileges: it takes no_new_privs. Names what was refused.
 */
export function keepToTrees(mounts: readonly GoferMount[], roots: readonly number[]): string[] {
  const trees = mounts.flatMap(({ readonly }, i) => {
    const fd = roots[i] ?? -1;
    const s = fd < 0 ? fd : fstat(fd);
    if (typeof s === 'number') return [];
    return [{ fd, isDirectory: (s.mode & S_IFMT) === S_IFDIR, readonly }];
  });
  const error = restrictTo(trees);
  return error < 0 ? [`Landlock (errno ${-error})`] : [];
}

/** Once everything is open that the Gofer serves. -errno: the filter is not there. */
export function lock(sockets: HostUds): number {
  process.prctl(PR_SET_DUMPABLE, 0);
  const more = goferSocketRules(sockets);
  return installFilter(more.length === 0 ? FILTER : compileFilter([...GOFER_RULES, ...more]));
}
