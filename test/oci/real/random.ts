/** Random numbers that come again with the same seed (xorshift32), for checks that can be repeated. */
export class Random {
  private state: number;

  constructor(seed: number) {
    this.state = seed >>> 0 || 1;
  }

  /** 0 <= n < below. */
  below(below: number): number {
    let s = this.state;
    s ^= s << 13;
    s ^= s >>> 17;
    s ^= s << 5;
    this.state = s >>> 0;
    return this.state % below;
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)] as T;
  }
}

/** The seed, and how much more than usual is to be done: RUNSC_TEST_SEED, RUNSC_TEST_EFFORT. */
export const SEED = Number(process.env['RUNSC_TEST_SEED'] ?? 20261122);
export const EFFORT = Number(process.env['RUNSC_TEST_EFFORT'] ?? 1);
