/**
 * Runs a static program on the ptrace platform with the vDSO mapped: `vdso_process.scenario.ts
 * PROGRAM`. What the program writes goes to standard output; the last line counts the system calls
 * that read a clock. For vdso_process.test.ts.
 */
import { strict as assert } from 'node:assert';
import * as fs from '../../../native/fs.ts';
import { mapFile, monotonicNs } from '../../../native/index.ts';
import { exit } from '../../../native/process.ts';
import { ENOSYS, ENOTTY, ENXIO } from '../../../spec/linux/errno.ts';
import { MFD_CLOEXEC, PAGE_SIZE } from '../../../spec/linux/mman.ts';
import {
  SYS_arch_prctl,
  SYS_brk,
  SYS_clock_gettime,
  SYS_exit_group,
  SYS_getcpu,
  SYS_getppid,
  SYS_getrandom,
  SYS_gettimeofday,
  SYS_ioctl,
  SYS_mprotect,
  SYS_time,
  SYS_write,
} from '../../../spec/linux/syscall_numbers.ts';
import { StringList } from '../../base/string_list.ts';
import { FAULT_HANDLED } from '../../mm/fault.ts';
import type { Extent, Mappable } from '../../mm/mappable.ts';
import { MemoryFile } from '../../mm/memory_file.ts';
import { MemoryManager } from '../../mm/memory_manager.ts';
import { PatchedTexts } from '../../mm/patched_text.ts';
import {
  type Context,
  REG_FS_BASE,
  REG_RAX,
  REG_RDI,
  REG_RDX,
  REG_RIP,
  REG_RSI,
  REG_RSP,
  STOP_FAULT,
  STOP_SYSCALL,
} from '../../platform/platform.ts';
import { PtracePlatform } from '../../platform/ptrace/ptrace_platform.ts';
import { VdsoClock } from '../../vdso_clock.ts';
import { loadProgram } from '../load.ts';
import { makeVdsoMemory } from './vdso_pages.ts';

const MEMORY_BYTES = 2 ** 40;
const CLOCK_CALLS = [SYS_clock_gettime, SYS_gettimeofday, SYS_time, SYS_getcpu];

/** The program's file. */
function hostFile(path: string): { fd: number; mappable: Mappable } {
  const fd = fs.open(path, 0);
  const length = Math.ceil(fs.lseek(fd, 0, 2) / PAGE_SIZE) * PAGE_SIZE;
  const mappable: Mappable = {
    identity: {},
    devMajor: 0,
    devMinor: 0,
    ino: 1,
    mapName: () => '/program',
    translate(offset, wanted, _write, into: Extent) {
      if (offset >= length) return -ENXIO;
      into.fd = fd;
      into.offset = offset;
      into.length = Math.min(wanted, length - offset);
      return 0;
    },
    addMapping() {},
    removeMapping() {},
    syncRange: () => 0,
    removeRange: () => -ENOSYS,
  };
  return { fd, mappable };
}

const platform = PtracePlatform.create();
assert(typeof platform === 'object', `the platform does not start: ${platform}`);
const memoryFd = fs.memfdCreate('memory', MFD_CLOEXEC);
fs.ftruncate(memoryFd, MEMORY_BYTES);
const buffer = mapFile(memoryFd, MEMORY_BYTES);
assert(typeof buffer === 'object');
const memory = new MemoryFile(memoryFd, buffer, {
  punch: () => 0,
  nextData: (fd, offset) => fs.lseek(fd, offset, 3),
  nextHole: (fd, offset) => fs.lseek(fd, offset, 4),
  write: (fd, offset, from) => fs.pwrite(fd, from, offset),
});
const vdso = makeVdsoMemory(memory);
assert(typeof vdso === 'object');
const host = { monotonicNs, realtime: () => ({ sec: 0, nsec: 0 }) };
const clock = new VdsoClock(host, vdso.vvar, 4);
// Long enough for a first calibration.
Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
clock.monotonicNs();

const made = platform.newAddressSpace();
assert(typeof made === 'object');
const { context } = made;
const layout = { mmapBase: platform.taskSize, minAddress: 65536 };
const limits = { rlimit: () => 8 * 2 ** 40, mayLock: true };
const files = { pread: fs.pread, pwrite: fs.pwrite, stamp: () => '' };
const texts = new PatchedTexts(memory);
const mm = new MemoryManager(made.space, memory, files, platform.taskSize, layout, limits, texts);
const { fd, mappable } = hostFile(process.argv[2]!);
const loaded = loadProgram(mm, {
  file: {
    pread(dst, offset) {
      const bytes = new Uint8Array(dst.remaining);
      const n = fs.pread(fd, bytes, offset);
      return n <= 0 ? n : dst.write(bytes, 0, n);
    },
    mappable: () => mappable,
    image: null,
    close() {},
  },
  filename: '/program',
  argv: StringList.of(['program']),
  envp: new StringList(),
  open: () => -ENOSYS,
  uid: 0,
  euid: 0,
  gid: 0,
  egid: 0,
  secure: false,
  stackLimit: 8 * 2 ** 20,
  random: (into) => void fs.getRandom(into),
  vdso: vdso.pages,
});
assert(typeof loaded === 'object', `load: ${loaded}`);
context.regs.set(REG_RIP, loaded.entry);
context.regs.set(REG_RSP, loaded.stackPointer);

let clockCalls = 0;

function call(context: Context, nr: number): number {
  const { regs } = context;
  const [a0, a1, a2] = [regs.get(REG_RDI), regs.get(REG_RSI), regs.get(REG_RDX)];
  if (CLOCK_CALLS.includes(nr)) clockCalls++;
  switch (nr) {
    case SYS_write: {
      const text = mm.userBuffer(a1, a2, false);
      assert(text !== null);
      const bytes = new Uint8Array(text.remaining);
      return fs.write(a0, bytes.subarray(0, text.read(bytes)));
    }
    case SYS_getrandom:
      // Without it malloc(3) asks the clock, before the C library has found the vDSO.
      return a1;
    case SYS_getppid:
      clock.monotonicNs();
      return 1;
    case SYS_mprotect:
      return mm.mprotect(a0, a1, a2);
    case SYS_brk:
      return mm.brk(a0);
    case SYS_arch_prctl:
      if (a0 !== 0x1002) return -ENOSYS;
      regs.set(REG_FS_BASE, a1);
      return 0;
    case SYS_ioctl:
      return -ENOTTY;
    default:
      return -ENOSYS;
  }
}

for (;;) {
  context.resume();
  assert(platform.poll(Number.POSITIVE_INFINITY) === context);
  if (context.stop === STOP_FAULT) {
    const result = mm.fault(context.faultAddress, 0);
    assert(result === FAULT_HANDLED, `fault ${result} at ${context.faultAddress.toString(16)}`);
    continue;
  }
  assert(context.stop === STOP_SYSCALL);
  const nr = context.regs.get(REG_RAX);
  if (nr === SYS_exit_group) break;
  context.regs.set(REG_RAX, call(context, nr));
}
fs.write(1, new TextEncoder().encode(`clock calls ${clockCalls}\n`));
platform.destroy();
exit(context.regs.get(REG_RDI));
