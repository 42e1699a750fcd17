/**
 * The Sentry: puts the kernel together and runs it. Called in a process that the CLI forked, with
 * everything it will ever need from the host already open (spec/control/boot.ts). Never returns.
 */
import {
  close,
  dup3,
  fallocate,
  getRandom,
  lseek,
  memfdCreate,
  open,
  pread,
  pwrite,
  read,
  write,
} from '../native/fs.ts';
import {
  exit,
  mapFile,
  mapFiles,
  monotonicNs,
  realtimeNs,
  syscall,
  trimMemory,
} from '../native/index.ts';
import { contentStamp } from '../native/stat.ts';
import { compileFor } from '../native/tiers.ts';
import type { BootConfig, PlatformChoice } from '../spec/control/boot.ts';
import { AT_HWCAP, AT_HWCAP2, AT_MINSIGSTKSZ } from '../spec/linux/elf.ts';
import {
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  O_CLOEXEC,
  O_RDONLY,
  SEEK_DATA,
  SEEK_HOLE,
} from '../spec/linux/fcntl.ts';
import { MFD_CLOEXEC } from '../spec/linux/mman.ts';
import { SYS_ftruncate } from '../spec/linux/syscall_numbers.ts';
import type { Clock } from './base/clock.ts';
import { lock, shed } from './confinement.ts';
import { installFileTypes } from './control/file_types.ts';
import { Sandbox } from './control/sandbox.ts';
import { Kernel } from './kernel/kernel.ts';
import { makeVdsoMemory } from './loader/vdso/vdso_pages.ts';
import type { MemoryFileHost } from './mm/free_space.ts';
import { MemoryFile } from './mm/memory_file.ts';
import { hugePageFloor } from './mm/page.ts';
import type { Platform } from './platform/platform.ts';
import { PtracePlatform } from './platform/ptrace/ptrace_platform.ts';
import { SystrapPlatform } from './platform/systrap/systrap_platform.ts';
import { Strace } from './strace/strace.ts';
import { syscallTable } from './syscalls/table.ts';
import { VdsoClock } from './vdso_clock.ts';

const MEMORY_FILE_BYTES = 2 ** 40;
const HWCAP2_FSGSBASE = 2;
const HARDWARE_ENTRIES: readonly number[] = [AT_HWCAP, AT_HWCAP2, AT_MINSIGSTKSZ];

/** The second that readings of the host's CLOCK_REALTIME count from, so that they are exact. */
let sinceSec = 0;

const hostClock: Clock = {
  monotonicNs: () => monotonicNs(),
  realtime() {
    let ns = realtimeNs(sinceSec);
    if (!Number.isSafeInteger(ns)) {
      sinceSec += Math.floor(ns / 1e9);
      ns = realtimeNs(sinceSec);
    }
    const sec = Math.floor(ns / 1e9);
    return { sec: sinceSec + sec, nsec: ns - sec * 1e9 };
  },
};

/** How much of the container's memory huge pages may be, touched or not. */
const HUGE_SHARE = 1 / 4;

const memoryFileHost: MemoryFileHost = {
  punch: (fd, at, length) => fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, length),
  nextData: (fd, at) => lseek(fd, at, SEEK_DATA),
  nextHole: (fd, at) => lseek(fd, at, SEEK_HOLE),
  write: (fd, at, from) => pwrite(fd, from, at),
};

/** The memory all applications live in; a message when the host will not give it. */
function makeMemoryFile(hugeFd: number, totalBytes: number): MemoryFile {
  const fd = memfdCreate('runsc-memory', MFD_CLOEXEC);
  if (fd < 0) throw new Error(`memfd_create failed: errno ${-fd}`);
  const sized = syscall(SYS_ftruncate, fd, MEMORY_FILE_BYTES);
  if (sized < 0) throw new Error(`cannot size the memory file: errno ${-sized}`);
  const start = MEMORY_FILE_BYTES - hugePageFloor(Math.floor(totalBytes * HUGE_SHARE));
  if (hugeFd >= 0 && start < MEMORY_FILE_BYTES && start > 0) {
    const hugeSized = syscall(SYS_ftruncate, hugeFd, MEMORY_FILE_BYTES);
    const buffer = hugeSized < 0 ? hugeSized : mapFiles(fd, MEMORY_FILE_BYTES, hugeFd, start);
    if (typeof buffer === 'object') {
      return new MemoryFile(fd, buffer, memoryFileHost, { fd: hugeFd, start });
    }
  }
  const buffer = mapFile(fd, MEMORY_FILE_BYTES);
  if (typeof buffer === 'number') throw new Error(`cannot map the memory file: errno ${-buffer}`);
  return new MemoryFile(fd, buffer, memoryFileHost);
}

function makeLog(fd: number): (message: string) => void {
  if (fd < 0) return () => undefined;
  const encoder = new TextEncoder();
  return (message) => {
    write(fd, encoder.encode(`${message}\n`));
  };
}

/** As gVisor's runsc, for whatever is our own failure and not the container's. */
const EXIT_FAILURE = 128;

function fail(message: string): never {
  write(2, new TextEncoder().encode(`error: ${message}\n`));
  return exit(EXIT_FAILURE);
}

/** What the host's own auxiliary vector says of the processor. */
function hardwareEntries(words: BigUint64Array, platform: Platform): number[] {
  const entries: number[] = [];
  for (let i = 0; i + 1 < words.length; i += 2) {
    const type = Number(words[i]);
    if (!HARDWARE_ENTRIES.includes(type)) continue;
    // With an entry for patched call sites the gs base of zero is not what the processor holds.
    const hidden = type === AT_HWCAP2 && platform.callEntry !== 0 ? HWCAP2_FSGSBASE : 0;
    entries.push(type, (Number(words[i + 1]) & ~hidden) >>> 0);
  }
  return entries;
}

/** Pairs of type and value; empty without /proc. */
function auxiliaryVector(): BigUint64Array {
  const words = new BigUint64Array(64);
  const fd = open('/proc/self/auxv', O_RDONLY | O_CLOEXEC);
  if (fd < 0) return words.subarray(0, 0);
  const n = read(fd, new Uint8Array(words.buffer));
  close(fd);
  return words.subarray(0, Math.max(0, n) / 8);
}

function createPlatform(
  choice: PlatformChoice,
  log: (message: string) => void,
): PtracePlatform | SystrapPlatform {
  let why = '';
  if (choice !== 'ptrace') {
    const systrap = SystrapPlatform.create();
    if (typeof systrap !== 'string') {
      log('platform: systrap');
      return systrap;
    }
    why = `the systrap platform cannot start: ${systrap}`;
    if (choice === 'systrap') return fail(why);
  }
  const ptrace = PtracePlatform.create();
  if (typeof ptrace !== 'number') {
    log(`platform: ptrace${why && `: ${why}`}`);
    return ptrace;
  }
  why &&= `${why}; `;
  return fail(`${why}the ptrace platform cannot start: errno ${-ptrace}: is ptrace allowed here?`);
}

function bootKernel(config: BootConfig): Kernel {
  const write = makeLog(config.debugLogFd);
  const log = config.debug ? write : () => undefined;
  // While /proc is in reach.
  const auxiliary = auxiliaryVector();
  const { missing, hugeFileFd } = shed(config);
  for (const layer of missing) log(`sentry: running without ${layer}`);
  const platform = createPlatform(config.platform, log);
  const memory = makeMemoryFile(hugeFileFd, config.totalMemoryBytes);
  log(
    memory.hugeBytes > 0
      ? `memory: ${memory.hugeBytes} bytes of huge pages`
      : 'memory: no huge pages',
  );
  const vdso = makeVdsoMemory(memory);
  if (typeof vdso === 'number') return fail(`no memory for the vDSO: errno ${-vdso}`);
  const clock = new VdsoClock(hostClock, vdso.vvar, config.cpuCount);
  const kernel = new Kernel({
    platform,
    poller: platform.hostPoller,
    memory,
    hostFiles: {
      pread,
      pwrite,
      stamp: contentStamp,
    },
    hardware: hardwareEntries(auxiliary, platform),
    vdso: vdso.pages,
    clock,
    syscalls: syscallTable,
    random: (into) => void getRandom(into),
    log,
    warn: (message) => {
      makeLog(2)(`runsc: ${message}`);
      if (config.debug) write(message);
    },
    atRest: trimMemory,
    atWork: compileFor,
  });
  if (config.strace) {
    kernel.observer = new Strace({
      table: syscallTable,
      clock: hostClock,
      write,
      only: config.straceSyscalls,
      logSize: config.straceLogSize,
    });
  }
  if (!config.strace) platform.answerFutexes();
  installFileTypes(kernel, config.totalMemoryBytes);
  return kernel;
}

/** Runs a sandbox to its end; the process exits with the root container's status. */
export function sentryMain(config: BootConfig): never {
  try {
    const kernel = bootKernel(config);
    if (config.stderrFd >= 0) {
      dup3(config.stderrFd, 2, 0);
      if (config.stderrFd !== config.debugLogFd) close(config.stderrFd);
    }
    const locked = lock(config, kernel.platform.name);
    if (locked < 0) return fail(`cannot install the system call filter: errno ${-locked}`);
    const sandbox = new Sandbox(kernel, config);
    kernel.loop();
    sandbox.release();
    kernel.platform.destroy();
    close(config.listenerFd);
    return exit(sandbox.exitStatus);
  } catch (thrown) {
    const error = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
    makeLog(config.debugLogFd)(`the sandbox ends: ${error}`);
    return fail(error);
  }
}
