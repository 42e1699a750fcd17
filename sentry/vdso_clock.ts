/**
 * The kernel's clocks, and the vDSO's data page kept up to date with them: whenever the kernel asks
 * for the time it is awake, and when the page is stale it is rewritten on the way. A sandbox in which
 * nothing happens wakes for no clock.
 */
import { sampleClocks, tscInvariant } from '../native/index.ts';
import type { Clock } from './base/clock.ts';
import { type ClockSample, VvarWriter } from './loader/vdso/vvar.ts';

export class VdsoClock implements Clock {
  readonly #host: Clock;
  readonly #writer: VvarWriter;
  readonly #numbers = new Float64Array(4);
  readonly #sample: ClockSample = { tsc: 0, monotonicNs: 0, realtimeSec: 0, realtimeNsec: 0 };

  /** `vvar`: the data page in application memory. */
  constructor(host: Clock, vvar: Uint8Array, cpuCount: number) {
    this.#host = host;
    // The kernel answers CLOCK_BOOTTIME with CLOCK_MONOTONIC (syscalls/clock_id.ts).
    this.#writer = new VvarWriter(vvar, { cpuCount, boottimeOffsetNs: 0 });
    if (tscInvariant()) this.#update();
    else this.#writer.disable();
  }

  monotonicNs(): number {
    const now = this.#host.monotonicNs();
    if (this.#writer.isStale(now)) this.#update();
    return now;
  }

  realtime(): { readonly sec: number; readonly nsec: number } {
    return this.#host.realtime();
  }

  #update(): void {
    const numbers = this.#numbers;
    const sample = this.#sample;
    sampleClocks(numbers);
    sample.tsc = numbers[0]!;
    sample.monotonicNs = numbers[1]!;
    sample.realtimeSec = numbers[2]!;
    sample.realtimeNsec = numbers[3]!;
    this.#writer.update(sample);
  }
}
