/**
 * clone(2), unshare(2), setns(2), sched(7), kcmp(2), pidfd_open(2), membarrier(2), rseq,
 * getpriority(2), ioprio_set(2), getrandom(2), personality(2).
 */

/** clone(2) flags; the low byte is the exit signal. */
export const CLONE_NEWTIME = 0x80;
export const CSIGNAL = 0xff;
export const CLONE_VM = 0x100;
export const CLONE_FS = 0x200;
export const CLONE_FILES = 0x400;
export const CLONE_SIGHAND = 0x800;
export const CLONE_PIDFD = 0x1000;
export const CLONE_PTRACE = 0x2000;
export const CLONE_VFORK = 0x4000;
export const CLONE_PARENT = 0x8000;
export const CLONE_THREAD = 0x10000;
export const CLONE_NEWNS = 0x20000;
export const CLONE_SYSVSEM = 0x40000;
export const CLONE_SETTLS = 0x80000;
export const CLONE_PARENT_SETTID = 0x100000;
export const CLONE_CHILD_CLEARTID = 0x200000;
export const CLONE_DETACHED = 0x400000;
export const CLONE_UNTRACED = 0x800000;
export const CLONE_CHILD_SETTID = 0x1000000;
export const CLONE_NEWCGROUP = 0x2000000;
export const CLONE_NEWUTS = 0x4000000;
export const CLONE_NEWIPC = 0x8000000;
export const CLONE_NEWUSER = 0x10000000;
export const CLONE_NEWPID = 0x20000000;
export const CLONE_NEWNET = 0x40000000;
export const CLONE_IO = 0x80000000;

/** clone3(2) only, above 32 bits: test them by division, not by &. */
export const CLONE_CLEAR_SIGHAND = 0x100000000;
export const CLONE_INTO_CGROUP = 0x200000000;

/** Sizes of struct clone_args. */
export const CLONE_ARGS_SIZE_VER0 = 64;
export const CLONE_ARGS_SIZE_VER1 = 80;
export const CLONE_ARGS_SIZE_VER2 = 88;

/** Scheduling policies. */
export const SCHED_NORMAL = 0;
export const SCHED_FIFO = 1;
export const SCHED_RR = 2;
export const SCHED_BATCH = 3;
export const SCHED_IDLE = 5;
export const SCHED_DEADLINE = 6;
export const SCHED_RESET_ON_FORK = 1073741824;

/** sched_setattr(2) flags. */
export const SCHED_FLAG_RESET_ON_FORK = 0x1;
export const SCHED_FLAG_RECLAIM = 0x2;
export const SCHED_FLAG_DL_OVERRUN = 0x4;
export const SCHED_FLAG_KEEP_POLICY = 0x8;
export const SCHED_FLAG_KEEP_PARAMS = 0x10;
export const SCHED_FLAG_KEEP_ALL = 0x18;
export const SCHED_FLAG_UTIL_CLAMP_MIN = 0x20;
export const SCHED_FLAG_UTIL_CLAMP_MAX = 0x40;
export const SCHED_FLAG_UTIL_CLAMP = 0x60;
export const SCHED_FLAG_ALL = 0x7f;

/** getpriority(2). */
export const PRIO_MIN = -20;
export const PRIO_MAX = 20;
export const PRIO_PROCESS = 0;
export const PRIO_PGRP = 1;
export const PRIO_USER = 2;

/** ioprio_set(2). */
export const IOPRIO_CLASS_SHIFT = 13;
export const IOPRIO_WHO_PROCESS = 1;
export const IOPRIO_WHO_PGRP = 2;
export const IOPRIO_WHO_USER = 3;
export const IOPRIO_CLASS_NONE = 0;
export const IOPRIO_CLASS_RT = 1;
export const IOPRIO_CLASS_BE = 2;
export const IOPRIO_CLASS_IDLE = 3;

/** pidfd_open(2). */
export const PIDFD_NONBLOCK = 0x800;

/** kcmp(2). */
export const KCMP_FILE = 0;
export const KCMP_VM = 1;
export const KCMP_FILES = 2;
export const KCMP_FS = 3;
export const KCMP_SIGHAND = 4;
export const KCMP_IO = 5;
export const KCMP_SYSVSEM = 6;
export const KCMP_EPOLL_TFD = 7;

/** membarrier(2) commands. */
export const MEMBARRIER_CMD_QUERY = 0;
export const MEMBARRIER_CMD_GLOBAL = 0x1;
export const MEMBARRIER_CMD_GLOBAL_EXPEDITED = 0x2;
export const MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED = 0x4;
export const MEMBARRIER_CMD_PRIVATE_EXPEDITED = 0x8;
export const MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED = 0x10;
export const MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE = 0x20;
export const MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE = 0x40;
export const MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ = 0x80;
export const MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ = 0x100;
export const MEMBARRIER_CMD_GET_REGISTRATIONS = 0x200;
export const MEMBARRIER_CMD_FLAG_CPU = 1;

/** rseq(2), linux/rseq.h. */
export const RSEQ_FLAG_UNREGISTER = 1;
export const RSEQ_CPU_ID_UNINITIALIZED = -1;
export const RSEQ_CPU_ID_REGISTRATION_FAILED = -2;

/** getrandom(2). */
export const GRND_NONBLOCK = 0x1;
export const GRND_RANDOM = 0x2;
export const GRND_INSECURE = 0x4;

/** personality(2). */
export const PER_LINUX = 0;
export const PER_LINUX32 = 8;
export const PER_MASK = 0xff;
export const ADDR_NO_RANDOMIZE = 0x0040000;
export const READ_IMPLIES_EXEC = 0x0400000;
export const ADDR_LIMIT_32BIT = 0x0800000;
export const ADDR_COMPAT_LAYOUT = 0x0200000;
export const MMAP_PAGE_ZERO = 0x0100000;
export const UNAME26 = 0x0020000;
export const STICKY_TIMEOUTS = 0x4000000;
export const WHOLE_SECONDS = 0x2000000;
export const SHORT_INODE = 0x1000000;
export const ADDR_LIMIT_3GB = 0x8000000;
