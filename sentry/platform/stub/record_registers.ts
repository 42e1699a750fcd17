/** Registers over a platform's shared record: 27 little-endian 64-bit values in REG_* order. */

import { REG_COUNT, type Registers } from '../platform.ts';

export class RecordRegisters implements Registers {
  readonly words: Uint32Array;
  readonly base: number;

  constructor(words: Uint32Array, base: number) {
    this.words = words;
    this.base = base;
  }

  get(reg: number): number {
    const at = this.base + 2 * reg;
    return (this.words[at] as number) + (this.words[at + 1] as number) * 2 ** 32;
  }

  set(reg: number, value: number): void {
    const at = this.base + 2 * reg;
    // Stores truncate modulo 2^32, which is two's complement for negative values.
    this.words[at] = value;
    this.words[at + 1] = Math.floor(value / 2 ** 32);
  }

  copyFrom(other: Registers): void {
    const { words, base } = other;
    for (let i = 0; i < 2 * REG_COUNT; i++) this.words[this.base + i] = words[base + i] as number;
  }
}
