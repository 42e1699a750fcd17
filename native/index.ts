/**
 * The addon, loaded: the few functions everything that touches the host is made of.
 *
 * Sealed into the executable the addon is an asset; dlopen(3) wants a file, so it is written to an
 * unnamed one (O_TMPFILE). In development it is build/runsc.node.
 */

import { closeSync, constants, openSync, unlinkSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { getRawAsset, isSea } from 'node:sea';
import { fileURLToPath } from 'node:url';
import { startupSnapshot } from 'node:v8';
import type { PtraceCalls } from './ptrace.ts';
import type { SystrapCalls } from './systrap.ts';

/** What a raw system call takes: a number, memory whose address is passed, or null. */
export type SyscallArgument = number | ArrayBufferView | ArrayBuffer | null;

export interface Addon {
  /** One raw host system call; its result, or -errno. */
  syscall(nr: number, ...args: SyscallArgument[]): number;
  /** The address of an array's first byte. Stable: asking moves small arrays off V8's heap. */
  addressOf(memory: ArrayBufferView | ArrayBuffer): number;
  /** CLOCK_MONOTONIC. */
  monotonicNs(): number;
  /** Writes the attributes of a file to `attr`, as the body of an Rgetattr: 0 or -errno. `numbers`: see below. */
  describeFile(fd: number, attr: Uint8Array, numbers: Uint32Array): number;
  /**
   * Opens (O_PATH) what a directory has under the byte string `name`, one component, and follows nothing; writes its
   * attributes to `attr`. The descriptor, or -errno.
   */
  lookUp(directory: number, name: string, attr: Uint8Array, numbers: Uint32Array): number;
  /**
   * The same, but opens the file's contents with O_* flags. -EOPNOTSUPP when it is no regular file, with `attr`
   * telling what it is. Nothing of a procfs is opened for writing.
   */
  openRegular(
    directory: number,
    name: string,
    flags: number,
    attr: Uint8Array,
    numbers: Uint32Array,
  ): number;
  /**
   * Writes the next entries of directory `fd`, with attributes, to `into` as records of an Rreaddirplus:
   * how many bytes. `status[0]` becomes 1 when there may be more, 0 at the end, or -errno. `numbers` is
   * the table of gofer/localfs/inode_numbers.ts.
   */
  listDirectory(fd: number, into: Uint8Array, numbers: Uint32Array, status: Int32Array): number;
  /** CLOCK_REALTIME since the second `since`: exact for the 104 days behind and before it. */
  realtimeNs(since: number): number;
  /** Maps a file shared and whole, up to 1 TiB, or -errno. */
  mapFile(fd: number, length: number): ArrayBuffer | number;
  /**
   * The same for a sparse file whose bytes from `from` on are those of the file `huge`; huge pages of it
   * are mapped as such. `from` is a multiple of 2 MiB.
   */
  mapFiles(fd: number, length: number, huge: number, from: number): ArrayBuffer | number;
  /** Zeroed pages that children made by fork share, or -errno. */
  mapPages(length: number): ArrayBuffer | number;
  /**
   * fork(2) of this whole Node process: 0 in the child, its pid in the parent, or -errno. `namespaces`
   * are CLONE_NEW* flags, of new ones that the child is in, or 0.
   */
  fork(namespaces: number): number;
  /**
   * In a forked child whose descriptor 1 is /dev/null and whose event loop never runs again: what wakes
   * it up goes there.
   */
  quietLoop(): void;
  /** _exit(2). */
  exit(status: number): never;
  getpid(): number;
  /** Fills [time stamp counter, CLOCK_MONOTONIC ns, CLOCK_REALTIME s, ns], read together. */
  sampleClocks(into: Float64Array): void;
  /** Whether the CPU promises one rate for the time stamp counter in all its states. */
  tscInvariant(): boolean;
  /** The CPUID instruction: fills [eax, ebx, ecx, edx]. */
  cpuid(leaf: number, subleaf: number, into: Uint32Array): void;
  /**
   * The processor this thread runs on, for who is about to wait for another process there. On systrap it
   * stays on it until it sleeps for want of work: woken on another, idle one it would be late.
   */
  stayOnCpu(): number;
  /**
   * Opens the list of our mappings, which starting a platform and `trimMemory` read, while /proc is in
   * reach. Its descriptor, or -1.
   */
  keepMaps(): number;
  /** Gives back what V8 and malloc hold in vain; after `keepMaps`. */
  trimMemory(): void;
}

/** The native halves of the platforms. */
type PlatformCalls = PtraceCalls & SystrapCalls;

/** O_TMPFILE of open(2), with the O_DIRECTORY bit it contains; Node does not name it. */
const O_TMPFILE = 0o20200000;

function dlopen(path: string): Addon & PlatformCalls {
  const module = { exports: {} as Addon & PlatformCalls };
  process.dlopen(module, path);
  return module.exports;
}

function openUnnamed(folder: string): number {
  try {
    return openSync(folder, O_TMPFILE | constants.O_RDWR, 0o700);
  } catch {
    const path = `${folder}/runsc-${process.pid}-${Math.random().toString(36).slice(2)}.node`;
    const fd = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, 0o700);
    unlinkSync(path);
    return fd;
  }
}

/** A folder may be missing, read-only or mounted noexec: the first that works is used. */
function loadSealed(): Addon & PlatformCalls {
  const image = new Uint8Array(getRawAsset('runsc.node'));
  let last: unknown;
  for (const folder of ['/dev/shm', '/run', tmpdir(), '/var/tmp', process.cwd()]) {
    let fd = -1;
    try {
      fd = openUnnamed(folder);
      for (let done = 0; done < image.length; ) done += writeSync(fd, image, done);
      return dlopen(`/proc/self/fd/${fd}`);
    } catch (error) {
      last = error;
    } finally {
      if (fd >= 0) closeSync(fd);
    }
  }
  throw new Error(`cannot load the native part: no folder for it is writable: ${last}`);
}

/** For the native halves of the platforms, which add typed calls of their own. */
export let addon: Addon & PlatformCalls;

export let syscall: Addon['syscall'];
export let addressOf: Addon['addressOf'];
export let monotonicNs: Addon['monotonicNs'];
export let describeFile: Addon['describeFile'];
export let lookUp: Addon['lookUp'];
export let openRegular: Addon['openRegular'];
export let listDirectory: Addon['listDirectory'];
export let realtimeNs: Addon['realtimeNs'];
export let mapFile: Addon['mapFile'];
export let mapFiles: Addon['mapFiles'];
export let mapPages: Addon['mapPages'];
export let fork: Addon['fork'];
export let quietLoop: Addon['quietLoop'];
export let exit: Addon['exit'];
export let getpid: Addon['getpid'];
export let sampleClocks: Addon['sampleClocks'];
export let tscInvariant: Addon['tscInvariant'];
export let cpuid: Addon['cpuid'];
export let stayOnCpu: Addon['stayOnCpu'];
export let keepMaps: Addon['keepMaps'];
export let trimMemory: Addon['trimMemory'];

const waiting: (() => void)[] = [];
let loaded = false;

/** Runs `then` as soon as the addon is there: for what a module keeps of it, such as addresses. */
export function whenLoaded(then: () => void): void {
  if (loaded) then();
  else waiting.push(then);
}

export const isLoaded = (): boolean => loaded;

/** Loads the addon, once. A start-up snapshot cannot hold it, so the first who needs it says so. */
export function loadAddon(): void {
  if (loaded) return;
  addon = isSea()
    ? loadSealed()
    : dlopen(fileURLToPath(new URL('../build/runsc.node', import.meta.url)));
  ({ describeFile, lookUp, openRegular, listDirectory } = addon);
  ({ syscall, addressOf, monotonicNs, realtimeNs, mapFile, mapPages } = addon);
  ({ mapFiles, fork, quietLoop } = addon);
  ({ exit, getpid, sampleClocks, tscInvariant, cpuid, stayOnCpu, keepMaps, trimMemory } = addon);
  loaded = true;
  for (const then of waiting.splice(0)) then();
}

if (!startupSnapshot.isBuildingSnapshot()) loadAddon();
