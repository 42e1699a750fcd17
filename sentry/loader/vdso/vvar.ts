/**
 * The data page of the vDSO: how the time stamp counter maps to the clocks. vvar.h declares the same
 * layout for vdso.c.
 *
 * The relation is measured, not asked for: each `update` compares the counter with CLOCK_MONOTONIC
 * and draws a line through now and a moment some seconds ago. The page's clock is never set back:
 * when it has run ahead it runs slower for a second; when it has fallen behind it jumps forward, by
 * nanoseconds if updates are regular.
 *
 * The counter is given up for good when it does not behave like one (it goes back, or its rate
 * changes by more than host clocks are ever disciplined): the vDSO then makes system calls.
 *
 * Times are Numbers of nanoseconds where the value stays below 2^53 (104 days of uptime; beyond, a
 * clock is rounded to 2 ns), and seconds and nanoseconds apart for the time of day.
 */

import { layout } from '../../../spec/linux/layout/layout.ts';
import { putU32, putU64 } from '../../../spec/linux/little_endian.ts';
import { NSEC_PER_SEC } from '../../../spec/linux/time.ts';

export const VVAR_SYSCALL = 0;
export const VVAR_TSC = 1;

export const VVAR = layout('vvar', 64, {
  seq: ['u32', 0],
  mode: ['u32', 4],
  tsc_base: ['u64', 8],
  mult: ['u64', 16],
  monotonic_base: ['u64', 24],
  realtime_offset_sec: ['s64', 32],
  realtime_offset_nsec: ['u64', 40],
  boottime_offset: ['u64', 48],
  cpu_count: ['u32', 56],
  reserved: ['u32', 60],
});

/** The counter and the clocks at one moment. */
export interface ClockSample {
  /** The time stamp counter. */
  tsc: number;
  /** CLOCK_MONOTONIC as the sandbox sees it. */
  monotonicNs: number;
  /** CLOCK_REALTIME: seconds, and nanoseconds below 10^9. */
  realtimeSec: number;
  realtimeNsec: number;
}

export interface VvarOptions {
  /** CPUs that the sandbox has; 0: getcpu(2) always asks the kernel. */
  readonly cpuCount: number;
  /** CLOCK_BOOTTIME less CLOCK_MONOTONIC as the sandbox sees them. */
  readonly boottimeOffsetNs: number;
}

/** Shortest stretch of time that a rate is measured over: an error of 100 ns makes 20 ppm. */
const MIN_WINDOW_NS = 5e6;
/** Longest stretch: old enough not to matter, young enough to follow the host's discipline. */
const MAX_WINDOW_NS = 20e9;
/** From here on a measured rate is good enough to be held against the counter. */
const TRUSTED_WINDOW_NS = 200e6;
/** Largest change of a trusted rate: clock discipline stays below 500 ppm. */
const MAX_RATE_CHANGE = 1e-3;
/** When the page has run ahead, it gives the time back over this long. */
const CONVERGE_NS = 1e9;
/** More than this ahead and it is no clock. */
const MAX_AHEAD_NS = 50e6;
/** Counters run at 0.1 to 10 GHz. */
const MIN_NS_PER_TICK = 0.1;
const MAX_NS_PER_TICK = 10;

export class VvarWriter {
  readonly #page: Uint8Array;
  readonly #words: Uint32Array<ArrayBufferLike>;
  /** Where the line is drawn from, and the moment that will follow it. */
  #anchorTsc = 0;
  #anchorNs = 0;
  #nextTsc = 0;
  #nextNs = 0;
  /** The line in the page: base and rate. Zero rate: none yet. */
  #baseTsc = 0;
  #baseNs = 0;
  #nsPerTick = 0;
  /** The measured rate, and whether its window was long. */
  #rate = 0;
  #rateTrusted = false;
  #disabled = false;
  #lastUpdateNs = Number.NEGATIVE_INFINITY;

  /** `page`: VVAR_LENGTH bytes, page-aligned, which the processes map. */
  constructor(page: Uint8Array, options: VvarOptions) {
    this.#page = page;
    this.#words = new Uint32Array(page.buffer, page.byteOffset, 1);
    VVAR.encode(
      {
        mode: VVAR_SYSCALL,
        cpu_count: options.cpuCount,
        boottime_offset: options.boottimeOffsetNs,
      },
      page,
    );
  }

  /** True while the vDSO answers from the counter. */
  get usesTsc(): boolean {
    return this.#nsPerTick !== 0 && !this.#disabled;
  }

  /**
   * Whether an update is worth its microsecond. Ask when the kernel is awake anyway; never wake for
   * it: an idle sandbox reads no clocks.
   */
  isStale(monotonicNs: number, maxAgeNs = 100e6): boolean {
    if (this.#disabled) return false;
    const age = monotonicNs - this.#lastUpdateNs;
    return age >= (this.usesTsc ? maxAgeNs : MIN_WINDOW_NS);
  }

  /** Makes the vDSO ask the kernel from now on. */
  disable(): void {
    this.#disabled = true;
    const seq = this.#begin();
    putU32(this.#page, VVAR.offsets.mode, VVAR_SYSCALL);
    this.#end(seq);
  }

  /** Takes a new sample into account and rewrites the page. */
  update(sample: ClockSample): void {
    if (this.#disabled) return;
    const { tsc, monotonicNs } = sample;
    if (this.#lastUpdateNs === Number.NEGATIVE_INFINITY) {
      this.#anchorTsc = this.#nextTsc = tsc;
      this.#anchorNs = this.#nextNs = monotonicNs;
      this.#lastUpdateNs = monotonicNs;
      return;
    }
    this.#lastUpdateNs = monotonicNs;
    if (monotonicNs - this.#anchorNs < MIN_WINDOW_NS) return;
    if (!this.#measure(tsc, monotonicNs) || !this.#drawLine(tsc, monotonicNs)) {
      this.disable();
      return;
    }
    this.#write(sample);
  }

  /** Measures the rate; false when this is no counter. */
  #measure(tsc: number, monotonicNs: number): boolean {
    const window = monotonicNs - this.#anchorNs;
    const rate = window / (tsc - this.#anchorTsc);
    if (!(rate >= MIN_NS_PER_TICK && rate <= MAX_NS_PER_TICK)) return false;
    if (this.#rateTrusted && Math.abs(rate / this.#rate - 1) > MAX_RATE_CHANGE) return false;
    this.#rate = rate;
    if (window >= TRUSTED_WINDOW_NS) this.#rateTrusted = true;
    if (monotonicNs - this.#nextNs >= MAX_WINDOW_NS / 2) {
      this.#anchorTsc = this.#nextTsc;
      this.#anchorNs = this.#nextNs;
      this.#nextTsc = tsc;
      this.#nextNs = monotonicNs;
    }
    return true;
  }

  /** Joins the new line to what processes have already read; false when that is too far off. */
  #drawLine(tsc: number, monotonicNs: number): boolean {
    let base = monotonicNs;
    let nsPerTick = this.#rate;
    if (this.#nsPerTick !== 0) {
      // One more, because the vDSO rounds down on either line.
      const shown = this.#baseNs + (tsc - this.#baseTsc) * this.#nsPerTick + 1;
      const ahead = shown - monotonicNs;
      if (ahead > MAX_AHEAD_NS) return false;
      if (ahead > 0) {
        base = shown;
        nsPerTick *= 1 - ahead / CONVERGE_NS;
      }
    }
    this.#baseTsc = tsc;
    this.#baseNs = base;
    this.#nsPerTick = nsPerTick;
    return true;
  }

  #write(sample: ClockSample): void {
    let offsetSec = sample.realtimeSec - Math.floor(sample.monotonicNs / NSEC_PER_SEC);
    let offsetNsec = sample.realtimeNsec - Math.floor(sample.monotonicNs % NSEC_PER_SEC);
    if (offsetNsec < 0) {
      offsetNsec += NSEC_PER_SEC;
      offsetSec -= 1;
    }
    const seq = this.#begin();
    const page = this.#page;
    putU64(page, VVAR.offsets.tsc_base, this.#baseTsc);
    putU64(page, VVAR.offsets.mult, Math.round(this.#nsPerTick * 2 ** 32));
    putU64(page, VVAR.offsets.monotonic_base, Math.ceil(this.#baseNs));
    putU64(page, VVAR.offsets.realtime_offset_sec, offsetSec);
    putU64(page, VVAR.offsets.realtime_offset_nsec, offsetNsec);
    putU32(page, VVAR.offsets.mode, VVAR_TSC);
    this.#end(seq);
  }

  // Atomics keep the order of the stores around them; readers compare the sequence number.
  #begin(): number {
    const seq = (Atomics.load(this.#words, 0) + 1) >>> 0;
    Atomics.store(this.#words, 0, seq);
    return seq;
  }

  #end(seq: number): void {
    Atomics.store(this.#words, 0, (seq + 1) >>> 0);
  }
}
