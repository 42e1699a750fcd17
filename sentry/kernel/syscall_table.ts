/**
 * The type of the system call table. Its contents are in sentry/syscalls; sentry/main.ts wires them in.
 */
import type { SyscallArgs } from './syscall_args.ts';
import type { Task } from './task.ts';

/** A handler returns a value >= 0, -errno, or one of the two markers below. */
export type SyscallHandler = (t: Task, a: SyscallArgs) => number;

/** The task sleeps; its wait supplies the result later. */
export const BLOCKED = -0x10000;
/** The handler has set the registers itself (rt_sigreturn, execve) or the task is gone (exit). */
export const NO_RESULT = -0x10001;

export interface SyscallEntry {
  readonly name: string;
  /**
   * Space-separated argument formats for strace, in order: fd, path, buf (data read by the call),
   * out (data written by the call, shown after it), size, int, hex, flags names and so on; see
   * sentry/strace/format.ts.
   */
  readonly args: string;
  readonly fn: SyscallHandler;
  /** What is missing compared with Linux; shown by `runsc help syscalls`. */
  readonly gap?: string;
}

/** By system call number; a missing entry answers ENOSYS. */
export type SyscallTable = readonly (SyscallEntry | undefined)[];

/** One family's part of the table; sentry/syscalls/table.ts merges them. */
export type SyscallFragment = Readonly<Record<number, SyscallEntry>>;
