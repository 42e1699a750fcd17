/**
 * The layout of the memory the native half of a platform shares with us, in 32-bit words
 * (native/src/tracer.h):
 *
 *   header   0 resuming   1 running   2 cost of waking, ns   3 looking out, ns   4-63 unused
 *            64... slots that wait to be resumed
 *   record   0-53 registers   54 state   55 reason   56 fault signal   57 fault code
 *            58-59 fault address   60 flags   61 tid   62-63 unused
 */

export const HEADER_RESUMING = 0;
export const HEADER_RUNNING = 1;
export const HEADER_WAKE_NS = 2;
export const HEADER_SPIN_NS = 3;
export const HEADER_SLOTS = 64;

export const RECORD_WORDS = 64;
export const RECORD_STATE = 54;
export const RECORD_REASON = 55;
export const RECORD_FAULT_SIGNAL = 56;
export const RECORD_FAULT_CODE = 57;
export const RECORD_FAULT_ADDRESS = 58;
export const RECORD_FLAGS = 60;

export const STATE_STOPPED = 1;
export const STATE_RESUMING = 2;
export const STATE_RUNNING = 3;

/** The part of a reason that is a STOP_*. */
export const REASON_STOP = 0xff;
/** Come with STOP_SYSCALL on systrap: kHotSite and kCallOnly of native/src/systrap/systrap.h. */
export const REASON_HOT_SITE = 0x100;
export const REASON_CALL_ONLY = 0x200;

export const FLAG_SINGLE_STEP = 1;

/** One operation of the list: a system call number and six arguments of 64 bits. */
export const OP_WORDS = 14;
