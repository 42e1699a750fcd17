/**
 * --strace: one readable line per system call, written when the call returns:
 *
 *     [  12:  12] bash X openat(AT_FDCWD, "/etc/passwd", O_RDONLY|O_CLOEXEC, 0) = 3 (14.2us)
 *
 * (pid, tid, program). A call that never returns (exit, a fatal signal) has an E line from its entry.
 * After gVisor's strace; see strace(1) for the look.
 */
import { errnoName, strerror } from '../../spec/linux/errno.ts';
import type { Clock } from '../base/clock.ts';
import type { SyscallObserver } from '../kernel/kernel.ts';
import type { SyscallArgs } from '../kernel/syscall_args.ts';
import type { SyscallEntry, SyscallTable } from '../kernel/syscall_table.ts';
import type { Task } from '../kernel/task.ts';
import { dataAt, formatArguments } from './format.ts';

/** Calls that do not come back: their line is written at entry. */
const NEVER_RETURN = new Set(['exit', 'exit_group', 'rt_sigreturn', 'execve', 'execveat']);
const RESTART_FIRST = 512;
const RESTART_LAST = 516;

interface Pending {
  readonly startNs: number;
  readonly args: string;
  /** Address of the `out` argument, 0 for none. */
  readonly out: number;
}

export interface StraceOptions {
  readonly table: SyscallTable;
  readonly clock: Clock;
  readonly write: (line: string) => void;
  /** Names of the calls to show; empty: all. */
  readonly only: readonly string[];
  /** Bytes of a buffer shown. */
  readonly logSize: number;
}

export class Strace implements SyscallObserver {
  private readonly options: StraceOptions;
  private readonly only: ReadonlySet<string>;
  private readonly pending = new WeakMap<Task, Pending>();
  private readonly formats = new Map<SyscallEntry, readonly string[]>();

  constructor(options: StraceOptions) {
    this.options = options;
    this.only = new Set(options.only);
  }

  enter(t: Task, number: number, a: SyscallArgs): void {
    const entry = this.options.table[number];
    const name = entry?.name ?? `sys_${number}`;
    if (this.only.size > 0 && !this.only.has(name)) return;
    const formats = entry === undefined ? [] : this.formatsOf(entry);
    const args = formatArguments(t, formats, a, this.options.logSize);
    if (NEVER_RETURN.has(name)) {
      this.line(t, 'E', `${name}(${args})`);
      return;
    }
    const out = formats.indexOf('out');
    this.pending.set(t, {
      startNs: this.options.clock.monotonicNs(),
      args: `${name}(${args})`,
      out: out < 0 ? 0 : a.addr(out),
    });
  }

  exit(t: Task, _number: number, result: number): void {
    const p = this.pending.get(t);
    if (p === undefined) return;
    this.pending.delete(t);
    const micros = (this.options.clock.monotonicNs() - p.startNs) / 1000;
    let shown = '';
    if (p.out !== 0 && result > 0) {
      shown = ` {${dataAt(t, p.out, result, this.options.logSize)}}`;
    }
    this.line(t, 'X', `${p.args}${shown} = ${resultText(result)} (${micros.toFixed(1)}us)`);
  }

  private formatsOf(entry: SyscallEntry): readonly string[] {
    let formats = this.formats.get(entry);
    if (formats === undefined) {
      formats = entry.args === '' ? [] : entry.args.split(' ');
      this.formats.set(entry, formats);
    }
    return formats;
  }

  private line(t: Task, kind: string, text: string): void {
    const ids = `${String(t.pid).padStart(4)}:${String(t.tid).padStart(4)}`;
    this.options.write(`[${ids}] ${t.name} ${kind} ${text}`);
  }
}

function resultText(result: number): string {
  if (result >= 0) return result > 0xffff ? `0x${result.toString(16)}` : String(result);
  const errno = -result;
  if (errno >= RESTART_FIRST && errno <= RESTART_LAST) return `? ${errnoName(errno)}`;
  return `-1 ${errnoName(errno)} (${strerror(errno)})`;
}
