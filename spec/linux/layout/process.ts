/**
 * Processes and the system: getrusage(2), prlimit(2), uname(2), sysinfo(2), clone3(2), futex(2),
 * sched_setattr(2), capset(2), prctl(2), seccomp(2), rseq, ptrace(2).
 */

import { layout } from './layout.ts';
import { TIMEVAL } from './time.ts';

export const RUSAGE = layout('rusage', 144, {
  ru_utime: [TIMEVAL, 0],
  ru_stime: [TIMEVAL, 16],
  ru_maxrss: ['s64', 32],
  ru_ixrss: ['s64', 40],
  ru_idrss: ['s64', 48],
  ru_isrss: ['s64', 56],
  ru_minflt: ['s64', 64],
  ru_majflt: ['s64', 72],
  ru_nswap: ['s64', 80],
  ru_inblock: ['s64', 88],
  ru_oublock: ['s64', 96],
  ru_msgsnd: ['s64', 104],
  ru_msgrcv: ['s64', 112],
  ru_nsignals: ['s64', 120],
  ru_nvcsw: ['s64', 128],
  ru_nivcsw: ['s64', 136],
});

export const RLIMIT = layout('rlimit', 16, { rlim_cur: ['u64', 0], rlim_max: ['u64', 8] });

export const UTSNAME = layout('utsname', 390, {
  sysname: ['text', 0, 65],
  nodename: ['text', 65, 65],
  release: ['text', 130, 65],
  version: ['text', 195, 65],
  machine: ['text', 260, 65],
  domainname: ['text', 325, 65],
});

/** `loads` are fixed point with 16 fraction bits. */
export const SYSINFO = layout('sysinfo', 112, {
  uptime: ['s64', 0],
  loads: ['u64', 8, 3],
  totalram: ['u64', 32],
  freeram: ['u64', 40],
  sharedram: ['u64', 48],
  bufferram: ['u64', 56],
  totalswap: ['u64', 64],
  freeswap: ['u64', 72],
  procs: ['u16', 80],
  totalhigh: ['u64', 88],
  freehigh: ['u64', 96],
  mem_unit: ['u32', 104],
});

export const CLONE_ARGS = layout('clone_args', 88, {
  flags: ['u64', 0],
  pidfd: ['u64', 8],
  child_tid: ['u64', 16],
  parent_tid: ['u64', 24],
  exit_signal: ['u64', 32],
  stack: ['u64', 40],
  stack_size: ['u64', 48],
  tls: ['u64', 56],
  set_tid: ['u64', 64],
  set_tid_size: ['u64', 72],
  cgroup: ['u64', 80],
});

/** `list` is the one pointer of struct robust_list. */
export const ROBUST_LIST_HEAD = layout('robust_list_head', 24, {
  list: ['u64', 0],
  futex_offset: ['s64', 8],
  list_op_pending: ['u64', 16],
});

export const FUTEX_WAITV = layout('futex_waitv', 24, {
  val: ['u64', 0],
  uaddr: ['u64', 8],
  flags: ['u32', 16],
  __reserved: ['u32', 20],
});

export const SCHED_PARAM = layout('sched_param', 4, { sched_priority: ['s32', 0] });

export const SCHED_ATTR = layout('sched_attr', 56, {
  size: ['u32', 0],
  sched_policy: ['u32', 4],
  sched_flags: ['u64', 8],
  sched_nice: ['s32', 16],
  sched_priority: ['u32', 20],
  sched_runtime: ['u64', 24],
  sched_deadline: ['u64', 32],
  sched_period: ['u64', 40],
  sched_util_min: ['u32', 48],
  sched_util_max: ['u32', 52],
});

export const USER_CAP_HEADER = layout('__user_cap_header_struct', 8, {
  version: ['u32', 0],
  pid: ['s32', 4],
});

/** Version 2 and 3 pass two of these: the low, then the high 32 bits of each set. */
export const USER_CAP_DATA = layout('__user_cap_data_struct', 12, {
  effective: ['u32', 0],
  permitted: ['u32', 4],
  inheritable: ['u32', 8],
});

/** PR_SET_MM_MAP. */
export const PRCTL_MM_MAP = layout('prctl_mm_map', 104, {
  start_code: ['u64', 0],
  end_code: ['u64', 8],
  start_data: ['u64', 16],
  end_data: ['u64', 24],
  start_brk: ['u64', 32],
  brk: ['u64', 40],
  start_stack: ['u64', 48],
  arg_start: ['u64', 56],
  arg_end: ['u64', 64],
  env_start: ['u64', 72],
  env_end: ['u64', 80],
  auxv: ['u64', 88],
  auxv_size: ['u32', 96],
  exe_fd: ['u32', 100],
});

export const SECCOMP_DATA = layout('seccomp_data', 64, {
  nr: ['s32', 0],
  arch: ['u32', 4],
  instruction_pointer: ['u64', 8],
  args: ['u32', 16, 12],
});

export const SOCK_FILTER = layout('sock_filter', 8, {
  code: ['u16', 0],
  jt: ['u8', 2],
  jf: ['u8', 3],
  k: ['u32', 4],
});

export const SOCK_FPROG = layout('sock_fprog', 16, { len: ['u16', 0], filter: ['u64', 8] });

export const RSEQ = layout('rseq', 32, {
  cpu_id_start: ['u32', 0],
  cpu_id: ['u32', 4],
  rseq_cs: ['u64', 8],
  flags: ['u32', 16],
});

/** General registers as PTRACE_GETREGS passes them; the order of REG_* in platform.ts. */
export const USER_REGS_STRUCT = layout('user_regs_struct', 216, {
  r15: ['u64', 0],
  r14: ['u64', 8],
  r13: ['u64', 16],
  r12: ['u64', 24],
  rbp: ['u64', 32],
  rbx: ['u64', 40],
  r11: ['u64', 48],
  r10: ['u64', 56],
  r9: ['u64', 64],
  r8: ['u64', 72],
  rax: ['u64', 80],
  rcx: ['u64', 88],
  rdx: ['u64', 96],
  rsi: ['u64', 104],
  rdi: ['u64', 112],
  orig_rax: ['u64', 120],
  rip: ['u64', 128],
  cs: ['u64', 136],
  eflags: ['u64', 144],
  rsp: ['u64', 152],
  ss: ['u64', 160],
  fs_base: ['u64', 168],
  gs_base: ['u64', 176],
  ds: ['u64', 184],
  es: ['u64', 192],
  fs: ['u64', 200],
  gs: ['u64', 208],
});
