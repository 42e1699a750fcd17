/**
 * Runs a static program on the ptrace platform with this memory manager, the loader and a handful of
 * system calls: `host_memory.scenario.ts PROGRAM`. For host_memory.test.ts.
 */
import { strict as assert } from 'node:assert';
import * as fs from '../../native/fs.ts';
import { mapFile, monotonicNs } from '../../native/index.ts';
import { exit } from '../../native/process.ts';
import { EAGAIN, ECHILD, ENOSYS, ENOTTY, EPERM } from '../../spec/linux/errno.ts';
import { MAP_ANONYMOUS, MFD_CLOEXEC } from '../../spec/linux/mman.ts';
import {
  SYS_arch_prctl,
  SYS_brk,
  SYS_clone,
  SYS_exit_group,
  SYS_ioctl,
  SYS_madvise,
  SYS_mmap,
  SYS_mprotect,
  SYS_mremap,
  SYS_munmap,
  SYS_wait4,
  SYS_write,
} from '../../spec/linux/syscall_numbers.ts';
import { StringList } from '../base/string_list.ts';
import { loadProgram } from '../loader/load.ts';
import {
  type Context,
  REG_FS_BASE,
  REG_R8,
  REG_R9,
  REG_R10,
  REG_RAX,
  REG_RDI,
  REG_RDX,
  REG_RIP,
  REG_RSI,
  REG_RSP,
  STOP_FAULT,
  STOP_SYSCALL,
} from '../platform/platform.ts';
import { PtracePlatform } from '../platform/ptrace/ptrace_platform.ts';
import { FAULT_HANDLED } from './fault.ts';
import type { Extent, Mappable } from './mappable.ts';
import { MemoryFile } from './memory_file.ts';
import { MemoryManager } from './memory_manager.ts';
import { pageCeil } from './page.ts';
import { PatchedTexts } from './patched_text.ts';

const MEMORY_BYTES = 2 ** 40;
const FALLOC_PUNCH = 3;

class HostFile implements Mappable {
  readonly identity = this;
  readonly devMajor = 0;
  readonly devMinor = 0;
  readonly ino = 1;
  readonly fd: number;
  readonly size: number;
  constructor(path: string) {
    this.fd = fs.open(path, 0);
    this.size = fs.lseek(this.fd, 0, 2);
  }
  mapName = () => '/program';
  translate(offset: number, length: number, _write: boolean, into: Extent): number {
    if (offset >= pageCeil(this.size)) return -6;
    into.fd = this.fd;
    into.offset = offset;
    into.length = Math.min(length, pageCeil(this.size) - offset);
    return 0;
  }
  addMapping(): void {}
  removeMapping(): void {}
  syncRange = () => 0;
  removeRange = () => -EPERM;
}

interface Process {
  readonly mm: MemoryManager;
  readonly context: Context;
}

let faults = 0;

const platform = PtracePlatform.create();
assert(typeof platform === 'object', `the platform does not start: ${platform}`);
const memoryFd = fs.memfdCreate('memory', MFD_CLOEXEC);
fs.ftruncate(memoryFd, MEMORY_BYTES);
const buffer = mapFile(memoryFd, MEMORY_BYTES);
assert(typeof buffer === 'object');
const memory = new MemoryFile(memoryFd, buffer, {
  punch: (fd, offset, length) => fs.fallocate(fd, FALLOC_PUNCH, offset, length),
  nextData: (fd, offset) => fs.lseek(fd, offset, 3),
  nextHole: (fd, offset) => fs.lseek(fd, offset, 4),
  write: (fd, offset, from) => fs.pwrite(fd, from, offset),
});

function boot(path: string): Process {
  assert(typeof platform === 'object');
  const made = platform.newAddressSpace();
  assert(typeof made === 'object');
  const layout = { mmapBase: platform.taskSize, minAddress: 65536 };
  const limits = { rlimit: () => 8 * 2 ** 40, mayLock: true };
  const files = { pread: fs.pread, pwrite: fs.pwrite, stamp: () => '' };
  const texts = new PatchedTexts(memory);
  const mm = new MemoryManager(made.space, memory, files, platform.taskSize, layout, limits, texts);
  const file = new HostFile(path);
  const loaded = loadProgram(mm, {
    file: {
      pread: (dst, offset) => {
        const bytes = new Uint8Array(dst.remaining);
        const n = fs.pread(file.fd, bytes, offset);
        return n <= 0 ? n : dst.write(bytes, 0, n);
      },
      mappable: () => file,
      image: null,
      close: () => {},
    },
    filename: path,
    argv: StringList.of(['program', 'argument']),
    envp: StringList.of(['A=b']),
    open: () => -ENOSYS,
    uid: 0,
    euid: 0,
    gid: 0,
    egid: 0,
    secure: false,
    stackLimit: 8 * 2 ** 20,
    random: (into) => void fs.getRandom(into),
    vdso: null,
  });
  assert(typeof loaded === 'object', `load: ${loaded}`);
  made.context.regs.set(REG_RIP, loaded.entry);
  made.context.regs.set(REG_RSP, loaded.stackPointer);
  return { mm, context: made.context };
}

/** Runs to the end of the process; children run to theirs inside fork. The exit status. */
function run({ mm, context }: Process): number {
  assert(typeof platform === 'object');
  let lastStatus = -1;
  for (;;) {
    context.resume();
    assert(platform.poll(Infinity) === context);
    if (context.stop === STOP_FAULT) {
      faults++;
      const result = mm.fault(context.faultAddress, 0);
      if (result === FAULT_HANDLED) continue;
      throw new Error(`fault ${result} at ${context.faultAddress.toString(16)}`);
    }
    assert(context.stop === STOP_SYSCALL);
    const { regs } = context;
    const nr = regs.get(REG_RAX);
    const a = [REG_RDI, REG_RSI, REG_RDX, REG_R10, REG_R8, REG_R9].map((reg) => regs.get(reg));
    if (nr === SYS_exit_group) return a[0]!;
    if (nr === SYS_clone) {
      const forked = mm.fork(context);
      assert(typeof forked === 'object', `fork: ${forked}`);
      forked.context.regs.set(REG_RAX, 0);
      lastStatus = run(forked);
      forked.context.release();
      forked.mm.release();
    }
    regs.set(REG_RAX, call(mm, context, nr, a, lastStatus));
  }
}

function call(
  mm: MemoryManager,
  context: Context,
  nr: number,
  a: number[],
  status: number,
): number {
  const [a0, a1, a2, a3, a4] = a as [number, number, number, number, number];
  switch (nr) {
    case SYS_write: {
      const text = mm.userBuffer(a1, a2, false);
      if (text === null) return -EAGAIN;
      const bytes = new Uint8Array(text.remaining);
      return fs.write(a0, bytes.subarray(0, text.read(bytes)));
    }
    case SYS_mmap:
      assert(a3 & MAP_ANONYMOUS);
      return mm.mmap({ addr: a0, length: a1, prot: a2, flags: a3, file: null, offset: 0 });
    case SYS_munmap:
      return mm.munmap(a0, a1);
    case SYS_mprotect:
      return mm.mprotect(a0, a1, a2);
    case SYS_mremap:
      return mm.mremap(a0, a1, a2, a3, a4);
    case SYS_madvise:
      return mm.madvise(a0, a1, a2);
    case SYS_brk:
      return mm.brk(a0);
    case SYS_arch_prctl:
      if (a0 !== 0x1002) return -ENOSYS;
      context.regs.set(REG_FS_BASE, a1);
      return 0;
    case SYS_clone:
      return 17;
    case SYS_wait4:
      if (status < 0) return -ECHILD;
      mm.writeU32(a1, status << 8);
      return 17;
    case SYS_ioctl:
      return -ENOTTY;
    default:
      return -ENOSYS;
  }
}

const before = monotonicNs();
const first = boot(process.argv[2]!);
const status = run(first);
const { peakRssBytes } = first.mm;
first.mm.release();
assert(memory.reservedBytes === 0, `${memory.reservedBytes} bytes are left`);
memory.reclaim();
assert(memory.committedBytes(0, MEMORY_BYTES) === 0, 'freed pages are still held');
if (process.argv[3] === 'figures') {
  const ms = ((monotonicNs() - before) / 1e6).toFixed(1);
  console.error(`${ms} ms, ${faults} faults, peak ${peakRssBytes} bytes`);
}
platform.destroy();
exit(status);
