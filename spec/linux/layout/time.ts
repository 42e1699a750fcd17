/** Times: clock_gettime(2), setitimer(2), adjtimex(2), times(2), utime(2). */

import { layout } from './layout.ts';

export const TIMESPEC = layout('timespec', 16, { tv_sec: ['s64', 0], tv_nsec: ['s64', 8] });

export const TIMEVAL = layout('timeval', 16, { tv_sec: ['s64', 0], tv_usec: ['s64', 8] });

export const TIMEZONE = layout('timezone', 8, {
  tz_minuteswest: ['s32', 0],
  tz_dsttime: ['s32', 4],
});

export const ITIMERSPEC = layout('itimerspec', 32, {
  it_interval: [TIMESPEC, 0],
  it_value: [TIMESPEC, 16],
});

export const ITIMERVAL = layout('itimerval', 32, {
  it_interval: [TIMEVAL, 0],
  it_value: [TIMEVAL, 16],
});

/** Clock ticks, USER_HZ per second. */
export const TMS = layout('tms', 32, {
  tms_utime: ['s64', 0],
  tms_stime: ['s64', 8],
  tms_cutime: ['s64', 16],
  tms_cstime: ['s64', 24],
});

export const UTIMBUF = layout('utimbuf', 16, { actime: ['s64', 0], modtime: ['s64', 8] });

export const TIMEX = layout('timex', 208, {
  modes: ['u32', 0],
  offset: ['s64', 8],
  freq: ['s64', 16],
  maxerror: ['s64', 24],
  esterror: ['s64', 32],
  status: ['s32', 40],
  constant: ['s64', 48],
  precision: ['s64', 56],
  tolerance: ['s64', 64],
  time: [TIMEVAL, 72],
  tick: ['s64', 88],
  ppsfreq: ['s64', 96],
  jitter: ['s64', 104],
  shift: ['s32', 112],
  stabil: ['s64', 120],
  jitcnt: ['s64', 128],
  calcnt: ['s64', 136],
  errcnt: ['s64', 144],
  stbcnt: ['s64', 152],
  tai: ['s32', 160],
});
