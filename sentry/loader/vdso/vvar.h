/*
 * The data page of the vDSO: written by the Sentry (vvar.ts), mapped read-only into every process on
 * the page before the code. vvar.ts declares the same layout; vdso.test.ts compares the two.
 */

#ifndef RUNSC_VVAR_H_
#define RUNSC_VVAR_H_

/* mode */
#define VVAR_SYSCALL 0 /* ask the kernel: the time stamp counter is of no use */
#define VVAR_TSC 1

struct vvar {
  unsigned int seq; /* odd while the page is being written */
  unsigned int mode;
  /* CLOCK_MONOTONIC, ns: monotonic_base + ((TSC - tsc_base) * mult >> 32) */
  unsigned long tsc_base;
  unsigned long mult;
  unsigned long monotonic_base;
  /* To be added for CLOCK_REALTIME. */
  long realtime_offset_sec;
  unsigned long realtime_offset_nsec; /* below 10^9 */
  /* To be added for CLOCK_BOOTTIME. */
  unsigned long boottime_offset;
  /* CPUs that the sandbox has; 0: ask the kernel. */
  unsigned int cpu_count;
  unsigned int reserved;
};

#endif
