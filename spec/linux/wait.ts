/**
 * wait4(2), waitid(2) and the status word.
 */

/** Options. */
export const WNOHANG = 0x1;
export const WUNTRACED = 0x2;
export const WSTOPPED = 0x2;
export const WEXITED = 0x4;
export const WCONTINUED = 0x8;
export const WNOWAIT = 0x1000000;
export const __WNOTHREAD = 0x20000000;
export const __WALL = 0x40000000;
export const __WCLONE = 0x80000000;

/** waitid(2) id types. */
export const P_ALL = 0;
export const P_PID = 1;
export const P_PGID = 2;
export const P_PIDFD = 3;

/** The status word of a process that called _exit(code). */
export function exitStatus(code: number): number {
  return (code & 0xff) << 8;
}

/** The status word of a process that a signal killed. */
export function signalStatus(signal: number, coreDumped = false): number {
  return (signal & 0x7f) | (coreDumped ? 0x80 : 0);
}

/** The status word of a process that a signal stopped. */
export function stopStatus(signal: number): number {
  return (signal << 8) | 0x7f;
}

/** The status word of a process that SIGCONT continued. */
export const CONTINUED_STATUS = 0xffff;
