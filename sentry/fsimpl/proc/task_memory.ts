/**
 * What /proc shows out of a process's own memory: /proc/PID/{cmdline,environ,auxv,mem} (proc_pid_mem(5)).
 * All of it is under the process's control.
 */
import { EACCES, EIO, ESRCH } from '../../../spec/linux/errno.ts';
import { S_IFREG } from '../../../spec/linux/stat.ts';
import { decodeByteString } from '../../base/byte_string.ts';
import { mayPtrace } from '../../kernel/ptrace_access.ts';
import { TASK_DEAD, type Task } from '../../kernel/task.ts';
import type { IoBuffer } from '../../mm/io_buffer.ts';
import type { MemoryManager } from '../../mm/memory_manager.ts';
import type { FsCaller } from '../../vfs/caller.ts';
import type { Path } from '../../vfs/mount.ts';
import { type OpenFile, SeekableFile } from '../../vfs/open_file.ts';
import { PseudoInode } from '../pseudo/pseudo_file_system.ts';
import type { ProcFileSystem } from './proc_file_system.ts';

/** Arguments and environment of a program are bounded by execve(2); a liar's are by this. */
const MAX_STRINGS = 8 * 2 ** 20;
const MAX_TRANSFER = 2 ** 20;

/** The bytes of [start, end) that can be read from the start. */
function memoryText(mm: MemoryManager, start: number, end: number): string {
  const length = Math.min(end - start, MAX_STRINGS);
  if (start <= 0 || length <= 0) return '';
  const source = mm.userBuffer(start, length, false);
  if (source === null) return '';
  const bytes = new Uint8Array(source.remaining);
  return decodeByteString(bytes, 0, source.read(bytes));
}

/** Arguments, each ended by NUL. A program that overwrote the last NUL continues into its environment. */
export function cmdlineText(t: Task): string {
  if (t.state === TASK_DEAD) return '';
  const { argStart, argEnd, envStart, envEnd } = t.mm;
  const args = memoryText(t.mm, argStart, argEnd);
  if (args === '' || args.endsWith('\0') || envStart !== argEnd) return args;
  const title = args + memoryText(t.mm, envStart, envEnd);
  const nul = title.indexOf('\0');
  return nul < 0 ? title : title.slice(0, nul + 1);
}

export function environText(t: Task): string {
  return t.state === TASK_DEAD ? '' : memoryText(t.mm, t.mm.envStart, t.mm.envEnd);
}

export function auxvText(t: Task): string {
  return t.state === TASK_DEAD ? '' : decodeByteString(t.mm.auxv);
}

/**
 * /proc/PID/mem. Deviation: pages are read and written with the protection the process itself has, where
 * Linux lets a tracer write to read-only ones.
 */
export class MemoryInode extends PseudoInode {
  private readonly task: Task;

  constructor(fs: ProcFileSystem, task: Task) {
    super(fs, S_IFREG | 0o600);
    this.task = task;
  }

  override open(caller: FsCaller, path: Path, flags: number): OpenFile | number {
    if (!mayPtrace(caller as Task, this.task)) return -EACCES;
    if (this.task.state === TASK_DEAD) return -ESRCH;
    return new MemoryContents(path, this, flags, this.task.mm);
  }
}

class MemoryContents extends SeekableFile {
  /** Of the program that ran at open: another execve(2) leaves an empty one. */
  private readonly mm: MemoryManager;

  constructor(path: Path, inode: MemoryInode, flags: number, mm: MemoryManager) {
    super(path, inode, flags);
    this.mm = mm;
  }

  protected size(): number {
    return 0;
  }

  override pread(_caller: FsCaller, dst: IoBuffer, offset: number): number {
    if (this.mm.dead || dst.remaining === 0) return 0;
    const from = this.mm.userBuffer(offset, Math.min(dst.remaining, MAX_TRANSFER), false);
    if (from === null) return -EIO;
    const n = from.transfer(dst);
    return n === 0 && from.faulted ? -EIO : n;
  }

  override pwrite(_caller: FsCaller, src: IoBuffer, offset: number): number {
    if (this.mm.dead || src.remaining === 0) return 0;
    const to = this.mm.userBuffer(offset, Math.min(src.remaining, MAX_TRANSFER), true);
    if (to === null) return -EIO;
    const n = src.transfer(to, to.remaining);
    return n === 0 && to.faulted ? -EIO : n;
  }
}
