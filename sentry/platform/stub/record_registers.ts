/**
 * Registers over a platform's shared record: 27 little-endian 64-bit values in REG_* order.
 *
 * Of a call from a patched site (systrap) the record holds number and arguments alone, until another
 * register is asked for. The others lie in cache lines that the thread writes at each call, and most
 * calls need nothing of them.
 */

import { systrap } from '../../../native/systrap.ts';
import { REG_COUNT, REG_RAX, type Registers } from '../platform.ts';

export class RecordRegisters implements Registers {
  readonly words: Uint32Array;
  readonly base: number;
  /** Only number and arguments are there. A result may be set all the same. */
  callOnly = false;
  readonly #slot: number;

  constructor(words: Uint32Array, base: number, slot: number) {
    this.words = words;
    this.base = base;
    this.#slot = slot;
  }

  fetch(): void {
    if (!this.callOnly) return;
    this.callOnly = false;
    systrap.systrapRegisters(this.#slot);
  }

  get(reg: number): number {
    if (this.callOnly) this.fetch();
    const at = this.base + 2 * reg;
    return (this.words[at] as number) + (this.words[at + 1] as number) * 2 ** 32;
  }

  set(reg: number, value: number): void {
    if (this.callOnly && reg !== REG_RAX) this.fetch();
    const at = this.base + 2 * reg;
    // Stores truncate modulo 2^32, which is two's complement for negative values.
    this.words[at] = value;
    this.words[at + 1] = Math.floor(value / 2 ** 32);
  }

  copyFrom(other: Registers): void {
    this.fetch();
    other.fetch();
    const { words, base } = other;
    for (let i = 0; i < 2 * REG_COUNT; i++) this.words[this.base + i] = words[base + i] as number;
  }
}
