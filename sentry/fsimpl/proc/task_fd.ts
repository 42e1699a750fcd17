/**
 * /proc/PID/{fd,fdinfo} (proc_pid_fd(5), proc_pid_fdinfo(5)). Entries are looked up in the descriptor
 * table at each use.
 */
import { EACCES, ENOENT } from '../../../spec/linux/errno.ts';
import { DT_LNK, DT_REG, O_CLOEXEC, O_PATH } from '../../../spec/linux/fcntl.ts';
import { S_IFDIR, S_IFLNK } from '../../../spec/linux/stat.ts';
import { mayPtrace } from '../../kernel/ptrace_access.ts';
import { TASK_DEAD, type Task } from '../../kernel/task.ts';
import type { FsCaller } from '../../vfs/caller.ts';
import type { Inode } from '../../vfs/inode.ts';
import type { Path } from '../../vfs/mount.ts';
import { type OpenFile, SeekableFile } from '../../vfs/open_file.ts';
import type { DirEntry } from '../../vfs/stat.ts';
import { PseudoInode, TextFile } from '../pseudo/pseudo_file_system.ts';
import { shownPath } from './path_text.ts';
import type { ProcFileSystem } from './proc_file_system.ts';

/** Inode numbers of entries: above those of the task directories. */
const INO_BASE = 2 ** 44;
const INO_BLOCK = 2 ** 21;

function fileAt(t: Task, fd: number): OpenFile | undefined {
  return t.state === TASK_DEAD ? undefined : t.files.get(fd);
}

abstract class DescriptorDirectory extends PseudoInode {
  declare readonly fs: ProcFileSystem;
  protected readonly task: Task;
  protected abstract readonly entryType: number;
  protected abstract readonly inoOffset: number;

  constructor(fs: ProcFileSystem, task: Task, mode: number) {
    super(fs, S_IFDIR | mode);
    this.task = task;
    this.nlink = 2;
  }

  protected abstract make(fd: number): PseudoInode;

  private descriptor(name: string): number {
    if (!/^(0|[1-9]\d{0,8})$/.test(name)) return -ENOENT;
    const fd = Number(name);
    return fileAt(this.task, fd) === undefined ? -ENOENT : fd;
  }

  private inoOf(fd: number): number {
    return INO_BASE + (this.task.tid * 2 + this.inoOffset) * INO_BLOCK + fd;
  }

  override lookup(name: string): Inode | number {
    const fd = this.descriptor(name);
    if (fd < 0) return fd;
    const inode = this.make(fd);
    inode.ino = this.inoOf(fd);
    inode.uid = this.uid;
    inode.gid = this.gid;
    return inode;
  }

  override revalidateEntry(name: string, inode: Inode | null): boolean {
    const there = this.descriptor(name) >= 0;
    if (inode === null || !there) return inode === null && !there;
    inode.uid = this.uid;
    inode.gid = this.gid;
    return true;
  }

  override readdir(): readonly DirEntry[] | number {
    if (this.task.state === TASK_DEAD) return [];
    const reader = this.fs.kernel.current;
    if (reader !== null && !mayPtrace(reader, this.task)) return -EACCES;
    const list: DirEntry[] = [];
    for (const [fd] of this.task.files.entries()) {
      list.push({ name: `${fd}`, ino: this.inoOf(fd), type: this.entryType });
    }
    return list;
  }
}

export class FdDirectory extends DescriptorDirectory {
  protected readonly entryType = DT_LNK;
  protected readonly inoOffset = 0;

  constructor(fs: ProcFileSystem, task: Task) {
    super(fs, task, 0o500);
  }

  protected make(fd: number): PseudoInode {
    return new FdLink(this.fs, this.task, fd);
  }
}

/** A magic link to what a descriptor refers to. */
class FdLink extends PseudoInode {
  declare readonly fs: ProcFileSystem;
  private readonly task: Task;
  private readonly fd: number;

  constructor(fs: ProcFileSystem, task: Task, fd: number) {
    super(fs, S_IFLNK);
    this.task = task;
    this.fd = fd;
    this.showAccess();
  }

  /** The owner's permission bits tell how the file was opened. */
  private showAccess(): void {
    const file = fileAt(this.task, this.fd);
    if (file === undefined) return;
    const path = (file.flags & O_PATH) !== 0;
    const bits = (file.readable || path ? 0o500 : 0o100) | (file.writable && !path ? 0o300 : 0);
    this.mode = S_IFLNK | bits;
  }

  protected override get size(): number {
    return 64;
  }

  override getattr() {
    this.showAccess();
    return super.getattr();
  }

  override magicLink(caller: FsCaller): Path | number | null {
    if (!mayPtrace(caller as Task, this.task)) return -EACCES;
    return fileAt(this.task, this.fd)?.path ?? -ENOENT;
  }

  override readlink(): string | number {
    const reader = this.fs.kernel.current;
    if (reader !== null && !mayPtrace(reader, this.task)) return -EACCES;
    const file = fileAt(this.task, this.fd);
    return file === undefined ? -ENOENT : shownPath(this.fs.kernel, file.path);
  }
}

export class FdInfoDirectory extends DescriptorDirectory {
  protected readonly entryType = DT_REG;
  protected readonly inoOffset = 1;

  constructor(fs: ProcFileSystem, task: Task) {
    super(fs, task, 0o555);
  }

  protected make(fd: number): PseudoInode {
    const { task } = this;
    return new TextFile(this.fs, 0o400, (caller) => {
      if (!mayPtrace(caller as Task, task)) return -EACCES;
      const file = fileAt(task, fd);
      return file === undefined ? -ENOENT : fdInfoText(task, fd, file);
    });
  }
}

function fdInfoText(t: Task, fd: number, file: OpenFile): string {
  const position = file instanceof SeekableFile ? file.offset : 0;
  const flags = file.flags | (t.files.closeOnExec(fd) ? O_CLOEXEC : 0);
  const octal = flags.toString(8).padStart(6, '0');
  return `pos:\t${position}\nflags:\t0${octal}\nmnt_id:\t${file.path.mount.id}\n${file.fdinfo()}`;
}
