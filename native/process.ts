/**
 * The host process this program is: ids, namespaces, mounts, capabilities, children.
 * Results are >= 0 or -errno. Only sound for whole-process state in a process with one thread.
 */

import * as nr from '../spec/linux/syscall_numbers.ts';
import { cString, type Path, result, resultU64, setResult64 } from './bytes.ts';
import { closeRange } from './fs.ts';
import { addressOf, quietLoop, syscall } from './index.ts';

export { exit, fork, getpid, monotonicNs, stayOnCpu } from './index.ts';

export const setsid = (): number => syscall(nr.SYS_setsid);
export const getppid = (): number => syscall(nr.SYS_getppid);
export const getuid = (): number => syscall(nr.SYS_getuid);
export const geteuid = (): number => syscall(nr.SYS_geteuid);
export const getgid = (): number => syscall(nr.SYS_getgid);
export const getegid = (): number => syscall(nr.SYS_getegid);
export const umask = (mask: number): number => syscall(nr.SYS_umask, mask);

export function setpgid(pid: number, group: number): number {
  return syscall(nr.SYS_setpgid, pid, group);
}

/** unshare(2): `flags` are CLONE_NEW*. */
export function unshare(flags: number): number {
  return syscall(nr.SYS_unshare, flags);
}

/** setns(2) into the namespace that `fd` is, of type `kind` (CLONE_NEW*, or 0 for any). */
export function setns(fd: number, kind: number): number {
  return syscall(nr.SYS_setns, fd, kind);
}

/** mount(2); null leaves an argument out. */
export function mount(
  source: Path | null,
  target: Path,
  type: Path | null,
  flags: number,
  data: Path | null,
): number {
  return syscall(
    nr.SYS_mount,
    source === null ? null : cString(source, 0),
    cString(target, 1),
    type === null ? null : cString(type, 2),
    flags,
    data === null ? null : cString(data, 3),
  );
}

export function umount2(target: Path, flags: number): number {
  return syscall(nr.SYS_umount2, cString(target), flags);
}

export function pivotRoot(newRoot: Path, putOld: Path): number {
  return syscall(nr.SYS_pivot_root, cString(newRoot, 0), cString(putOld, 1));
}

export function moveMount(
  fromFd: number,
  from: Path,
  toFd: number,
  to: Path,
  flags: number,
): number {
  return syscall(nr.SYS_move_mount, fromFd, cString(from, 0), toFd, cString(to, 1), flags);
}

/** mount_setattr(2): sets and clears MOUNT_ATTR_* bits. */
export function mountSetattr(
  dirFd: number,
  path: Path,
  flags: number,
  set: number,
  clear: number,
): number {
  setResult64(0, set);
  setResult64(8, clear);
  setResult64(16, 0);
  setResult64(24, 0);
  return syscall(nr.SYS_mount_setattr, dirFd, cString(path), flags, result.address, 32);
}

export function chroot(path: Path): number {
  return syscall(nr.SYS_chroot, cString(path));
}

export function chdir(path: Path): number {
  return syscall(nr.SYS_chdir, cString(path));
}

export function fchdir(fd: number): number {
  return syscall(nr.SYS_fchdir, fd);
}

export function prctl(option: number, a = 0, b = 0, c = 0, d = 0): number {
  return syscall(nr.SYS_prctl, option, a, b, c, d);
}

/** PR_SET_NAME: the name ps(1) shows, at most 15 bytes. */
export function setProcessName(name: string): number {
  const PR_SET_NAME = 15;
  return syscall(nr.SYS_prctl, PR_SET_NAME, cString(name), 0, 0, 0);
}

/** Capability sets of capabilities(7) as 32-bit halves, [low, high]. */
export interface Capabilities {
  readonly effective: readonly [number, number];
  readonly permitted: readonly [number, number];
  readonly inheritable: readonly [number, number];
}

/** _LINUX_CAPABILITY_VERSION_3. */
const CAPABILITY_VERSION = 0x20080522;

export function capset(sets: Capabilities): number {
  const { u32, address } = result;
  u32[0] = CAPABILITY_VERSION;
  u32[1] = 0;
  for (let half = 0; half < 2; half++) {
    u32[2 + half * 3] = sets.effective[half] as number;
    u32[3 + half * 3] = sets.permitted[half] as number;
    u32[4 + half * 3] = sets.inheritable[half] as number;
  }
  return syscall(nr.SYS_capset, address, address + 8);
}

/** Of this process. */
export function capget(): Capabilities | number {
  const { u32, address } = result;
  u32[0] = CAPABILITY_VERSION;
  u32[1] = 0;
  const status = syscall(nr.SYS_capget, address, address + 8);
  if (status < 0) return status;
  const pair = (at: number): [number, number] => [u32[at] as number, u32[at + 3] as number];
  return { effective: pair(2), permitted: pair(3), inheritable: pair(4) };
}

export function setresuid(real: number, effective: number, saved: number): number {
  return syscall(nr.SYS_setresuid, real, effective, saved);
}

export function setresgid(real: number, effective: number, saved: number): number {
  return syscall(nr.SYS_setresgid, real, effective, saved);
}

export function setgroups(groups: readonly number[]): number {
  return syscall(nr.SYS_setgroups, groups.length, Uint32Array.from(groups));
}

export function kill(pid: number, signal: number): number {
  return syscall(nr.SYS_kill, pid, signal);
}

export function tgkill(pid: number, tid: number, signal: number): number {
  return syscall(nr.SYS_tgkill, pid, tid, signal);
}

/** A child's change of state: `status` as wait(2) encodes it; pid 0 when WNOHANG found none. */
export function wait4(
  pid: number,
  options: number,
): { readonly pid: number; readonly status: number } | number {
  const found = syscall(nr.SYS_wait4, pid, result.address, options, null);
  return found < 0 ? found : { pid: found, status: found === 0 ? 0 : (result.i32[0] as number) };
}

export function pidfdOpen(pid: number, flags = 0): number {
  return syscall(nr.SYS_pidfd_open, pid, flags);
}

/** A resource limit; Infinity is RLIM_INFINITY. */
export interface ResourceLimit {
  readonly soft: number;
  readonly hard: number;
}

const RLIM_INFINITY = 2 ** 64;

/** prlimit(2): sets `limit` unless it is null; the limit before, or -errno. pid 0 is this one. */
export function prlimit(
  pid: number,
  resource: number,
  limit: ResourceLimit | null,
): ResourceLimit | number {
  const { address } = result;
  if (limit !== null) {
    setResult64(0, limit.soft === Infinity ? -1 : limit.soft);
    setResult64(8, limit.hard === Infinity ? -1 : limit.hard);
  }
  const set = limit === null ? null : address;
  const status = syscall(nr.SYS_prlimit64, pid, resource, set, address + 16);
  if (status < 0) return status;
  const read = (at: number) => (resultU64(at) >= RLIM_INFINITY ? Infinity : resultU64(at));
  return { soft: read(16), hard: read(24) };
}

export function sethostname(name: Path): number {
  return syscall(nr.SYS_sethostname, cString(name), name.length);
}

export function setdomainname(name: Path): number {
  return syscall(nr.SYS_setdomainname, cString(name), name.length);
}

/** Where thread `tid` (0: this one) may run: a bit per processor, 32 in each element. */
export function schedSetaffinity(tid: number, mask: Uint32Array): number {
  return syscall(nr.SYS_sched_setaffinity, tid, mask.byteLength, mask);
}

export function schedGetaffinity(tid: number): Uint32Array | number {
  const size = syscall(nr.SYS_sched_getaffinity, tid, 1024, result.address);
  return size < 0 ? size : result.u32.slice(0, size >> 2);
}

/** Blocks the signals of a set (bit n-1 for signal n, [low, high]) in this thread. */
export function sigprocmask(how: number, set: readonly [number, number]): number {
  result.u32[0] = set[0];
  result.u32[1] = set[1];
  return syscall(nr.SYS_rt_sigprocmask, how, result.address, null, 8);
}

/** signalfd(2): a new descriptor (fd -1), or a changed one. */
export function signalfd(fd: number, set: readonly [number, number], flags: number): number {
  result.u32[0] = set[0];
  result.u32[1] = set[1];
  return syscall(nr.SYS_signalfd4, fd, result.address, 8, flags);
}

/** execve(2): returns only -errno. */
export function execve(path: Path, argv: readonly Path[], env: readonly Path[]): number {
  const strings = [...argv, ...env].map((text) => terminated(text));
  const pointers = new BigUint64Array(strings.length + 2);
  strings.forEach((text, i) => {
    pointers[i < argv.length ? i : i + 1] = BigInt(addressOf(text));
  });
  const envAddress = addressOf(pointers) + 8 * (argv.length + 1);
  return syscall(nr.SYS_execve, cString(path), pointers, envAddress);
}

function terminated(text: Path): Uint8Array {
  const bytes = new Uint8Array(text.length + 1);
  for (let i = 0; i < text.length; i++) {
    bytes[i] = typeof text === 'string' ? text.charCodeAt(i) : (text[i] as number);
  }
  return bytes;
}

/**
 * In a forked child whose descriptor 1 is /dev/null: closes every descriptor above standard error
 * that is not in `keep`, the event loop's too, which never runs again.
 */
export function closeAllBut(keep: readonly number[]): void {
  quietLoop();
  let next = 3;
  for (const fd of keep.filter((f) => f >= 3).sort((a, b) => a - b)) {
    if (fd > next) closeRange(next, fd - 1);
    next = fd + 1;
  }
  closeRange(next, 0xffffffff);
}
