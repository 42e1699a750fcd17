/**
 * The arguments of the system call being handled, read from the caller's registers
 * (syscall(2): rdi, rsi, rdx, r10, r8, r9).
 *
 * One object serves all calls, so a handler decodes what it needs before it waits.
 */
import {
  REG_R8,
  REG_R9,
  REG_R10,
  REG_RDI,
  REG_RDX,
  REG_RSI,
  type Registers,
} from '../platform/platform.ts';

const ARGUMENT_REGISTERS = [REG_RDI, REG_RSI, REG_RDX, REG_R10, REG_R8, REG_R9] as const;

export class SyscallArgs {
  private words: Uint32Array = new Uint32Array(64);
  private base = 0;

  attach(regs: Registers): void {
    this.words = regs.words;
    this.base = regs.base;
  }

  private lo(i: number): number {
    return this.words[this.base + 2 * (ARGUMENT_REGISTERS[i] as number)] as number;
  }

  private hi(i: number): number {
    return this.words[this.base + 2 * (ARGUMENT_REGISTERS[i] as number) + 1] as number;
  }

  /** As a C int. */
  int(i: number): number {
    return this.lo(i) | 0;
  }

  /** As an unsigned int. */
  uint(i: number): number {
    return this.lo(i);
  }

  /** As a user address: exact below 2^53; above it any value that mm rejects. */
  addr(i: number): number {
    return this.lo(i) + this.hi(i) * 2 ** 32;
  }

  /** As a size_t or unsigned long. */
  sizeT(i: number): number {
    return this.lo(i) + this.hi(i) * 2 ** 32;
  }

  /** As a long or loff_t. */
  long(i: number): number {
    return this.lo(i) + (this.hi(i) | 0) * 2 ** 32;
  }

  /** Halves of an opaque 64-bit value. */
  low(i: number): number {
    return this.lo(i);
  }
  high(i: number): number {
    return this.hi(i);
  }
}
