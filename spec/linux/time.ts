/**
 * Clocks and timers: clock_gettime(2), timer_create(2), timerfd_create(2), adjtimex(2).
 */

/** Clocks. */
export const CLOCK_REALTIME = 0;
export const CLOCK_MONOTONIC = 1;
export const CLOCK_PROCESS_CPUTIME_ID = 2;
export const CLOCK_THREAD_CPUTIME_ID = 3;
export const CLOCK_MONOTONIC_RAW = 4;
export const CLOCK_REALTIME_COARSE = 5;
export const CLOCK_MONOTONIC_COARSE = 6;
export const CLOCK_BOOTTIME = 7;
export const CLOCK_REALTIME_ALARM = 8;
export const CLOCK_BOOTTIME_ALARM = 9;
export const CLOCK_TAI = 11;

/** clock_nanosleep(2), timer_settime(2). */
export const TIMER_ABSTIME = 1;

/** timerfd(2). */
export const TFD_TIMER_ABSTIME = 0x1;
export const TFD_TIMER_CANCEL_ON_SET = 0x2;
export const TFD_NONBLOCK = 0x800;
export const TFD_CLOEXEC = 0x80000;

/** adjtimex(2) modes. */
export const ADJ_OFFSET = 0x1;
export const ADJ_FREQUENCY = 0x2;
export const ADJ_MAXERROR = 0x4;
export const ADJ_ESTERROR = 0x8;
export const ADJ_STATUS = 0x10;
export const ADJ_TIMECONST = 0x20;
export const ADJ_TAI = 0x80;
export const ADJ_SETOFFSET = 0x100;
export const ADJ_MICRO = 0x1000;
export const ADJ_NANO = 0x2000;
export const ADJ_TICK = 0x4000;
export const ADJ_OFFSET_SINGLESHOT = 0x8001;
export const ADJ_OFFSET_SS_READ = 0xa001;

/** adjtimex(2) status and results. */
export const STA_UNSYNC = 0x40;
export const STA_PLL = 0x1;
export const STA_NANO = 0x2000;
export const TIME_OK = 0x0;
export const TIME_ERROR = 0x5;

export const NSEC_PER_SEC = 1_000_000_000;
export const NSEC_PER_USEC = 1_000;
export const NSEC_PER_MSEC = 1_000_000;
/** Ticks per second that times(2) and /proc count in. */
export const USER_HZ = 100;
