/*
 * Our vDSO, vdso(7): the clocks and getcpu(2) without entering the kernel, from a counter that the
 * CPU keeps and a page that the Sentry writes. What the page cannot answer goes to the kernel by the
 * system call of the same name, like any other.
 *
 * Freestanding, general registers only, no relocations, no writable data.
 */

#include "vvar.h"

#define EXPORT __attribute__((visibility("default"), used))
#define HIDDEN __attribute__((visibility("hidden")))

#define SYS_gettimeofday 96
#define SYS_time 201
#define SYS_clock_gettime 228
#define SYS_clock_getres 229
#define SYS_getcpu 309

#define CLOCK_REALTIME 0
#define CLOCK_MONOTONIC 1
#define CLOCK_REALTIME_COARSE 5
#define CLOCK_MONOTONIC_COARSE 6
#define CLOCK_BOOTTIME 7

#define NSEC_PER_SEC 1000000000ul
/* One tick at 250 Hz, what Linux tells of the coarse clocks. */
#define COARSE_RESOLUTION_NS 4000000

typedef unsigned long u64;

struct timespec {
  long tv_sec;
  long tv_nsec;
};

struct timeval {
  long tv_sec;
  long tv_usec;
};

struct timezone {
  int tz_minuteswest;
  int tz_dsttime;
};

/* Placed by vdso.lds on the page before the image. */
extern const volatile struct vvar vvar HIDDEN;

static inline long syscall3(long nr, long a, long b, long c) {
  long result;
  __asm__ volatile("syscall" : "=a"(result) : "a"(nr), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
  return result;
}

/* Not before earlier loads: else two threads could see time run backwards. */
static inline u64 read_tsc(void) {
  unsigned int lo, hi;
  __asm__ volatile("lfence\n\trdtsc" : "=a"(lo), "=d"(hi) : : "memory");
  return ((u64)hi << 32) | lo;
}

static inline void barrier(void) { __asm__ volatile("" : : : "memory"); }

/* Fills `ts` from the page and returns 1, or 0 when only the kernel knows. */
static inline int read_clock(int clock, struct timespec* ts) {
  u64 ns, sec_offset;
  unsigned int seq;
  do {
    /* While the page is being written, ask the writer: it may share this core, and spinning would
     * keep it from finishing. */
    seq = vvar.seq;
    barrier();
    if ((seq & 1) || vvar.mode != VVAR_TSC) return 0;
    u64 tsc = read_tsc();
    u64 base = vvar.tsc_base;
    u64 delta = tsc > base ? tsc - base : 0;
    ns = vvar.monotonic_base + (u64)(((unsigned __int128)delta * vvar.mult) >> 32);
    sec_offset = 0;
    if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE) {
      ns += vvar.realtime_offset_nsec;
      sec_offset = (u64)vvar.realtime_offset_sec;
    } else if (clock == CLOCK_BOOTTIME) {
      ns += vvar.boottime_offset;
    } else if (clock != CLOCK_MONOTONIC && clock != CLOCK_MONOTONIC_COARSE) {
      return 0;
    }
    barrier();
  } while (vvar.seq != seq);
  ts->tv_sec = (long)(ns / NSEC_PER_SEC + sec_offset);
  ts->tv_nsec = (long)(ns % NSEC_PER_SEC);
  return 1;
}

EXPORT int __vdso_clock_gettime(int clock, struct timespec* ts) {
  if (read_clock(clock, ts)) return 0;
  return (int)syscall3(SYS_clock_gettime, clock, (long)ts, 0);
}

EXPORT int __vdso_gettimeofday(struct timeval* tv, struct timezone* tz) {
  struct timespec now;
  if (!read_clock(CLOCK_REALTIME, &now)) {
    return (int)syscall3(SYS_gettimeofday, (long)tv, (long)tz, 0);
  }
  if (tv) {
    tv->tv_sec = now.tv_sec;
    tv->tv_usec = (long)((u64)now.tv_nsec / 1000);
  }
  if (tz) {
    tz->tz_minuteswest = 0;
    tz->tz_dsttime = 0;
  }
  return 0;
}

EXPORT long __vdso_time(long* seconds) {
  struct timespec now;
  if (!read_clock(CLOCK_REALTIME, &now)) return syscall3(SYS_time, (long)seconds, 0, 0);
  if (seconds) *seconds = now.tv_sec;
  return now.tv_sec;
}

EXPORT int __vdso_clock_getres(int clock, struct timespec* resolution) {
  long ns;
  switch (clock) {
    case CLOCK_REALTIME:
    case CLOCK_MONOTONIC:
    case CLOCK_BOOTTIME:
      ns = 1;
      break;
    case CLOCK_REALTIME_COARSE:
    case CLOCK_MONOTONIC_COARSE:
      ns = COARSE_RESOLUTION_NS;
      break;
    default:
      return (int)syscall3(SYS_clock_getres, clock, (long)resolution, 0);
  }
  if (resolution) {
    resolution->tv_sec = 0;
    resolution->tv_nsec = ns;
  }
  return 0;
}

/*
 * A host Linux keeps the CPU's number in the limit of a GDT segment that user code may read. It is
 * the host's number, folded into those that the sandbox has.
 */
EXPORT long __vdso_getcpu(unsigned* cpu, unsigned* node, void* cache) {
  unsigned int count = vvar.cpu_count, limit = 0;
  unsigned char known = 0;
  if (count != 0) {
    __asm__ volatile("lsl %2, %0\n\tsetz %1" : "+r"(limit), "=q"(known) : "r"(0x7b) : "cc");
  }
  if (!known) return syscall3(SYS_getcpu, (long)cpu, (long)node, (long)cache);
  if (cpu) *cpu = (limit & 0xfff) % count;
  if (node) *node = 0;
  return 0;
}

#define ALIAS(name) extern __typeof__(__vdso_##name) name EXPORT __attribute__((weak, alias("__vdso_" #name)))
ALIAS(clock_gettime);
ALIAS(gettimeofday);
ALIAS(time);
ALIAS(clock_getres);
ALIAS(getcpu);
