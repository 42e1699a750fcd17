/** poll(2), epoll(7), inotify(7), pselect6(2). */

import { layout } from './layout.ts';

export const POLLFD = layout('pollfd', 8, {
  fd: ['s32', 0],
  events: ['s16', 4],
  revents: ['s16', 6],
});

/** Packed on x86-64; `data` is the application's, [lo, hi]. */
export const EPOLL_EVENT = layout('epoll_event', 12, { events: ['u32', 0], data: ['u32', 4, 2] });

/** The fixed part: `len` bytes of NUL-padded name follow. */
export const INOTIFY_EVENT = layout('inotify_event', 16, {
  wd: ['s32', 0],
  mask: ['u32', 4],
  cookie: ['u32', 8],
  len: ['u32', 12],
});

/** The last argument of pselect6(2): a pointer to a signal set and its size. */
export const SIGSET_ARGPACK = layout('sigset_argpack', 16, { p: ['u64', 0], size: ['u64', 8] });
