/** For tests: a program with call sites of every kind, in an address space of arrays, and what becomes of them. */
import { MAP_FIXED, MAP_PRIVATE, PAGE_SIZE, PROT_EXEC, PROT_READ } from '../../spec/linux/mman.ts';
import { REG_COUNT, REG_R9, REG_RAX, REG_RIP, type Registers } from '../platform/platform.ts';
import { FakeFile, FakeHost, fakeSpace, MEMORY_FD } from './fake_space.ts';
import type { MemoryLimits, MemoryManager } from './memory_manager.ts';
import { offsetInPage, pageFloor } from './page.ts';

export const TEXT = 0x400000;
export const ENTRY = 0x7fff000002c0;
export const RX = PROT_READ | PROT_EXEC;
export const FIXED = MAP_PRIVATE | MAP_FIXED;
export const GETPPID = [0xb8, 110, 0, 0, 0, 0x0f, 0x05, 0xc3];
export const READ = [0x31, 0xc0, 0x0f, 0x05, 0x48, 0x3d, 0, 0];
export const FUTEX = [0xb8, 202, 0, 0, 0, 0x40, 0x80, 0xf6, 0x81, 0x0f, 0x05, 0xc3];
/** mov %r9d,%eax; syscall. */
export const MOVED = [0x44, 0x89, 0xc8, 0x0f, 0x05, 0xc3];
/** xor $0x80,%sil; syscall. */
export const BARE_FUTEX = [0x40, 0x80, 0xf6, 0x80, 0x0f, 0x05, 0xc3];
export const LIBRARY = 0x7e0000000000;
export const GO = [0x48, 0x89, 0xce, 0x48, 0x89, 0xdf, 0x0f, 0x05, 0xc3];
export const CLONE = [0xb8, 56, 0, 0, 0, 0x0f, 0x05, 0xc3];
/** Where they lie, and behind their `syscall`. */
export const [GETPPID_AT, READ_AT, FUTEX_AT, CLONE_AT] = [0x40, 0x80, 0x1040, 0xc0].map(
  (at) => TEXT + at,
);

export function program(prot = RX): { host: FakeHost; file: FakeFile; mm: MemoryManager } {
  const host = new FakeHost(1024 * PAGE_SIZE);
  const bytes = new Uint8Array(3 * PAGE_SIZE).fill(0x90);
  bytes.set(GETPPID, 0x40);
  bytes.set(READ, 0x80);
  bytes.set(FUTEX, 0x1040);
  bytes.set(CLONE, 0xc0);
  bytes.set(GO, 0x140);
  const file = new FakeFile(host, 5, bytes);
  return { host, file, mm: start(host, file, TEXT, prot) };
}

/** A process with the program at `base`. */
export function start(
  host: FakeHost,
  file: FakeFile,
  base = TEXT,
  prot = RX,
  limits?: MemoryLimits,
): MemoryManager {
  const mm = host.newManager(limits);
  mm.mmap({ addr: base, length: 3 * PAGE_SIZE, prot, flags: FIXED, file, offset: 0 });
  mm.brkStart = mm.brkEnd = base + 16 * PAGE_SIZE;
  return mm;
}

class FakeRegisters implements Registers {
  readonly words = new Uint32Array(2 * REG_COUNT);
  readonly base = 0;
  fetch(): void {}
  get(reg: number): number {
    return this.words[2 * reg]! + this.words[2 * reg + 1]! * 2 ** 32;
  }
  set(reg: number, value: number): void {
    this.words[2 * reg] = value;
    this.words[2 * reg + 1] = Math.floor(value / 2 ** 32);
  }
  copyFrom(other: Registers): void {
    this.words.set(other.words);
  }
}

export const registers = (): Registers => new FakeRegisters();

/** A call that came back to `back`, whose number was also in r9. */
export function call(mm: MemoryManager, back: number, number: number): void {
  const regs = registers();
  regs.set(REG_RAX, number);
  regs.set(REG_R9, number);
  regs.set(REG_RIP, back);
  mm.patchCallSite(regs, ENTRY);
}

export function patchAll(mm: MemoryManager): void {
  call(mm, GETPPID_AT! + 7, 110);
  call(mm, READ_AT! + 4, 0);
  call(mm, FUTEX_AT! + 11, 202);
  call(mm, CLONE_AT! + 7, 56);
}

/** What an illegal instruction at `at` is, and where it goes on. */
export function illegal(mm: MemoryManager, at: number): [number, number] {
  const regs = registers();
  regs.set(REG_RIP, at);
  return [mm.replacedInstruction(regs), regs.get(REG_RIP)];
}

/** What the application sees. */
export function text(mm: MemoryManager, at: number, length: number): number[] {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) {
    const page = fakeSpace(mm).pages.get(pageFloor(at + i))!;
    const offset = page.offset + offsetInPage(at + i);
    if (page.fd === MEMORY_FD) bytes[i] = mm.memory.bytes[offset]!;
    else mm.hostFiles.pread(page.fd, bytes.subarray(i, i + 1), offset);
  }
  return [...bytes];
}

/** What the kernel reads for it. */
export function read(mm: MemoryManager, at: number, length: number): number[] {
  const bytes = new Uint8Array(length);
  if (mm.copyIn(at, bytes) < 0) throw new Error('nothing to read there');
  return [...bytes];
}

/** Where the jump at `at` leads, or 0 when there is none. */
export function target(mm: MemoryManager, at: number): number {
  const bytes = Uint8Array.from(text(mm, at, 5));
  if (bytes[0] !== 0xe9) return 0;
  return at + 5 + new DataView(bytes.buffer).getInt32(1, true);
}

export const patched = (mm: MemoryManager) =>
  [GETPPID_AT!, READ_AT!, FUTEX_AT!, CLONE_AT!].map((at) => target(mm, at) !== 0);
