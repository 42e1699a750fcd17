/**
 * The clocks the kernel reads, injected by sentry/main.ts. See clock_gettime(2).
 */

export interface Clock {
  /** CLOCK_MONOTONIC in nanoseconds (exact for 104 days of uptime). */
  monotonicNs(): number;
  /** CLOCK_REALTIME. */
  realtime(): { readonly sec: number; readonly nsec: number };
}
