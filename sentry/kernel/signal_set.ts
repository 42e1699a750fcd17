/**
 * Sets of signals 1..64 (sigset_t): two 32-bit halves, bit (signo - 1).
 */

export class SignalSet {
  lo: number;
  hi: number;

  constructor(lo = 0, hi = 0) {
    this.lo = lo >>> 0;
    this.hi = hi >>> 0;
  }

  static of(...signals: number[]): SignalSet {
    const set = new SignalSet();
    for (const s of signals) set.add(s);
    return set;
  }

  has(signo: number): boolean {
    const bit = signo - 1;
    return bit < 32 ? ((this.lo >>> bit) & 1) !== 0 : ((this.hi >>> (bit - 32)) & 1) !== 0;
  }

  add(signo: number): void {
    const bit = signo - 1;
    if (bit < 32) this.lo = (this.lo | (1 << bit)) >>> 0;
    else this.hi = (this.hi | (1 << (bit - 32))) >>> 0;
  }

  delete(signo: number): void {
    const bit = signo - 1;
    if (bit < 32) this.lo = (this.lo & ~(1 << bit)) >>> 0;
    else this.hi = (this.hi & ~(1 << (bit - 32))) >>> 0;
  }

  get empty(): boolean {
    return this.lo === 0 && this.hi === 0;
  }

  set(lo: number, hi: number): void {
    this.lo = lo >>> 0;
    this.hi = hi >>> 0;
  }

  copyFrom(other: SignalSet): void {
    this.lo = other.lo;
    this.hi = other.hi;
  }

  copy(): SignalSet {
    return new SignalSet(this.lo, this.hi);
  }

  addAll(other: SignalSet): void {
    this.lo = (this.lo | other.lo) >>> 0;
    this.hi = (this.hi | other.hi) >>> 0;
  }

  /** Whether some signal is in this set and not in `mask`. */
  anyOutside(mask: SignalSet): boolean {
    return (this.lo & ~mask.lo) !== 0 || (this.hi & ~mask.hi) !== 0;
  }

  /** Whether some signal is in both sets. */
  intersects(other: SignalSet): boolean {
    return (this.lo & other.lo) !== 0 || (this.hi & other.hi) !== 0;
  }
}
