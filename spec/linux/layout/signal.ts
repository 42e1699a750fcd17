/**
 * Signals: sigaction(2), sigaltstack(2), siginfo, sigevent(7), signalfd(2), and the x86-64 signal
 * frame.
 *
 * siginfo is a union: SIGINFO holds its common head, and each SIGINFO_* one arm, all 128 bytes with
 * offsets from the start of the whole.
 */

import { layout } from './layout.ts';

/** The kernel's own, not the C library's. Signal sets are [lo, hi]. */
export const SIGACTION = layout('sigaction', 32, {
  sa_handler: ['u64', 0],
  sa_flags: ['u64', 8],
  sa_restorer: ['u64', 16],
  sa_mask: ['u32', 24, 2],
});

export const STACK_T = layout('stack_t', 24, {
  ss_sp: ['u64', 0],
  ss_flags: ['u32', 8],
  ss_size: ['u64', 16],
});

export const SIGINFO = layout('siginfo_t', 128, {
  si_signo: ['s32', 0],
  si_errno: ['s32', 4],
  si_code: ['s32', 8],
});

/** kill(2), tgkill(2), sigqueue(3): si_value is [lo, hi] and only with SI_QUEUE. */
export const SIGINFO_KILL = layout('siginfo_t', 128, {
  si_signo: ['s32', 0],
  si_errno: ['s32', 4],
  si_code: ['s32', 8],
  si_pid: ['s32', 16],
  si_uid: ['u32', 20],
  si_value: ['u32', 24, 2],
});

export const SIGINFO_TIMER = layout('siginfo_t', 128, {
  si_signo: ['s32', 0],
  si_errno: ['s32', 4],
  si_code: ['s32', 8],
  si_timerid: ['s32', 16],
  si_overrun: ['s32', 20],
  si_value: ['u32', 24, 2],
});

export const SIGINFO_CHLD = layout('siginfo_t', 128, {
  si_signo: ['s32', 0],
  si_errno: ['s32', 4],
  si_code: ['s32', 8],
  si_pid: ['s32', 16],
  si_uid: ['u32', 20],
  si_status: ['s32', 24],
  si_utime: ['s64', 32],
  si_stime: ['s64', 40],
});

export const SIGINFO_FAULT = layout('siginfo_t', 128, {
  si_signo: ['s32', 0],
  si_errno: ['s32', 4],
  si_code: ['s32', 8],
  si_addr: ['u64', 16],
  si_addr_lsb: ['s16', 24],
  si_lower: ['u64', 32],
  si_upper: ['u64', 40],
});

export const SIGINFO_POLL = layout('siginfo_t', 128, {
  si_signo: ['s32', 0],
  si_errno: ['s32', 4],
  si_code: ['s32', 8],
  si_band: ['s64', 16],
  si_fd: ['s32', 24],
});

export const SIGINFO_SYS = layout('siginfo_t', 128, {
  si_signo: ['s32', 0],
  si_errno: ['s32', 4],
  si_code: ['s32', 8],
  si_call_addr: ['u64', 16],
  si_syscall: ['s32', 24],
  si_arch: ['u32', 28],
});

/** `sigev_notify_thread_id` is meant with SIGEV_THREAD_ID only. */
export const SIGEVENT = layout('sigevent', 64, {
  sigev_value: ['u32', 0, 2],
  sigev_signo: ['s32', 8],
  sigev_notify: ['s32', 12],
  sigev_notify_thread_id: ['s32', 16],
});

export const SIGNALFD_SIGINFO = layout('signalfd_siginfo', 128, {
  ssi_signo: ['u32', 0],
  ssi_errno: ['s32', 4],
  ssi_code: ['s32', 8],
  ssi_pid: ['u32', 12],
  ssi_uid: ['u32', 16],
  ssi_fd: ['s32', 20],
  ssi_tid: ['u32', 24],
  ssi_band: ['u32', 28],
  ssi_overrun: ['u32', 32],
  ssi_trapno: ['u32', 36],
  ssi_status: ['s32', 40],
  ssi_int: ['s32', 44],
  ssi_ptr: ['u32', 48, 2],
  ssi_utime: ['u64', 56],
  ssi_stime: ['u64', 64],
  ssi_addr: ['u64', 72],
  ssi_addr_lsb: ['u16', 80],
  ssi_syscall: ['s32', 84],
  ssi_call_addr: ['u64', 88],
  ssi_arch: ['u32', 96],
});

/** General registers of the frame: 64-bit words are [lo, hi] because they must come back exactly. */
export const SIGCONTEXT = layout('sigcontext', 256, {
  r8: ['u32', 0, 2],
  r9: ['u32', 8, 2],
  r10: ['u32', 16, 2],
  r11: ['u32', 24, 2],
  r12: ['u32', 32, 2],
  r13: ['u32', 40, 2],
  r14: ['u32', 48, 2],
  r15: ['u32', 56, 2],
  rdi: ['u32', 64, 2],
  rsi: ['u32', 72, 2],
  rbp: ['u32', 80, 2],
  rbx: ['u32', 88, 2],
  rdx: ['u32', 96, 2],
  rax: ['u32', 104, 2],
  rcx: ['u32', 112, 2],
  rsp: ['u32', 120, 2],
  rip: ['u32', 128, 2],
  eflags: ['u32', 136, 2],
  cs: ['u16', 144],
  gs: ['u16', 146],
  fs: ['u16', 148],
  ss: ['u16', 150],
  err: ['u32', 152, 2],
  trapno: ['u32', 160, 2],
  oldmask: ['u32', 168, 2],
  cr2: ['u32', 176, 2],
  fpstate: ['u64', 184],
});

export const UCONTEXT = layout('ucontext', 304, {
  uc_flags: ['u64', 0],
  uc_link: ['u64', 8],
  uc_stack: [STACK_T, 16],
  uc_mcontext: [SIGCONTEXT, 40],
  uc_sigmask: ['u32', 296, 2],
});

/**
 * What the kernel pushes: a return address (sa_restorer), the context, the siginfo. The
 * floating-point state lies above it, aligned to 64 bytes, and after a call the stack pointer must be
 * 8 below a multiple of 16.
 */
export const RT_SIGFRAME = layout('rt_sigframe', 440, {
  pretcode: ['u64', 0],
  uc: [UCONTEXT, 8],
  info: ['bytes', 312, 128],
});

/** In the last 48 bytes of the 512-byte FXSAVE area: says that XSAVE state follows. */
export const FPX_SW_BYTES = layout('_fpx_sw_bytes', 48, {
  magic1: ['u32', 0],
  extended_size: ['u32', 4],
  xfeatures: ['u32', 8, 2],
  xstate_size: ['u32', 16],
});

/** The FXSAVE area, Intel SDM vol. 1 ch. 10.5. */
export const FPSTATE = layout('_fpstate_64', 512, {
  cwd: ['u16', 0],
  swd: ['u16', 2],
  twd: ['u16', 4],
  fop: ['u16', 6],
  rip: ['u32', 8, 2],
  rdp: ['u32', 16, 2],
  mxcsr: ['u32', 24],
  mxcsr_mask: ['u32', 28],
  st_space: ['bytes', 32, 128],
  xmm_space: ['bytes', 160, 256],
  sw_reserved: [FPX_SW_BYTES, 464],
});
