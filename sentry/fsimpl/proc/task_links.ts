/**
 * Magic links of a process: /proc/PID/{cwd,exe,root} and /proc/PID/ns/* (proc_pid_ns(5)).
 */
import { EACCES, EINVAL, ENOENT } from '../../../spec/linux/errno.ts';
import { DT_LNK } from '../../../spec/linux/fcntl.ts';
import { S_IFDIR, S_IFLNK, S_IFREG } from '../../../spec/linux/stat.ts';
import { mayPtrace } from '../../kernel/ptrace_access.ts';
import { TASK_DEAD, type Task } from '../../kernel/task.ts';
import type { FsCaller } from '../../vfs/caller.ts';
import type { Inode } from '../../vfs/inode.ts';
import type { Path } from '../../vfs/mount.ts';
import { OpenFile } from '../../vfs/open_file.ts';
import type { DirEntry } from '../../vfs/stat.ts';
import { AnonInode, anonFileSystem } from '../anon/anon_inode.ts';
import { PseudoInode } from '../pseudo/pseudo_file_system.ts';
import { shownPath } from './path_text.ts';
import type { ProcFileSystem } from './proc_file_system.ts';

export class TaskLink extends PseudoInode {
  declare readonly fs: ProcFileSystem;
  private readonly task: Task;
  private readonly which: 'cwd' | 'exe' | 'root';

  constructor(fs: ProcFileSystem, task: Task, which: 'cwd' | 'exe' | 'root') {
    super(fs, S_IFLNK | 0o777);
    this.task = task;
    this.which = which;
  }

  private target(): Path | number {
    const { task } = this;
    if (task.state === TASK_DEAD) return -ENOENT;
    if (this.which === 'exe') return task.group.executable?.path ?? -ENOENT;
    return this.which === 'cwd' ? task.fs.cwd : task.fs.root;
  }

  override magicLink(caller: FsCaller): Path | number | null {
    return mayPtrace(caller as Task, this.task) ? this.target() : -EACCES;
  }

  override readlink(): string | number {
    const reader = this.fs.kernel.current;
    if (reader !== null && !mayPtrace(reader, this.task)) return -EACCES;
    const target = this.target();
    return typeof target === 'number' ? target : shownPath(this.fs.kernel, target);
  }
}

/** Numbers of the first namespaces, as Linux has them. A container has one of each kind. */
const NAMESPACES: ReadonlyMap<string, number> = new Map([
  ['cgroup', 0xeffffffb],
  ['ipc', 0xefffffff],
  ['mnt', 0xf0000000],
  ['net', 0xf0000018],
  ['pid', 0xeffffffc],
  ['user', 0xeffffffd],
  ['uts', 0xeffffffe],
]);

export class NamespaceDirectory extends PseudoInode {
  declare readonly fs: ProcFileSystem;
  private readonly task: Task;

  constructor(fs: ProcFileSystem, task: Task) {
    super(fs, S_IFDIR | 0o511);
    this.task = task;
    this.nlink = 2;
  }

  override lookup(name: string): Inode | number {
    const ino = NAMESPACES.get(name);
    return ino === undefined ? -ENOENT : new NamespaceLink(this.fs, this.task, name, ino);
  }

  override readdir(): readonly DirEntry[] | number {
    return [...NAMESPACES].map(([name, ino]) => ({ name, ino, type: DT_LNK }));
  }
}

class NamespaceLink extends PseudoInode {
  declare readonly fs: ProcFileSystem;
  private readonly task: Task;
  private readonly number: number;
  private readonly text: string;

  constructor(fs: ProcFileSystem, task: Task, name: string, number: number) {
    super(fs, S_IFLNK | 0o777, task.creds.euid, task.creds.egid);
    this.ino = number;
    this.task = task;
    this.number = number;
    this.text = `${name}:[${number}]`;
  }

  override magicLink(caller: FsCaller): Path | number | null {
    if (!mayPtrace(caller as Task, this.task)) return -EACCES;
    const anon = anonFileSystem(this.fs.kernel);
    return anon.place(new NamespaceInode(anon, this.number, S_IFREG | 0o444, 0, 0), this.text);
  }

  override readlink(): string | number {
    const reader = this.fs.kernel.current;
    return reader === null || mayPtrace(reader, this.task) ? this.text : -EACCES;
  }
}

/** Opened, it stands for the namespace; there is no other one to enter by setns(2). */
class NamespaceInode extends AnonInode {
  override open(_caller?: FsCaller, path?: Path, flags = 0): OpenFile | number {
    return path === undefined ? -EINVAL : new NamespaceFile(path, this, flags);
  }
}

class NamespaceFile extends OpenFile {
  override get pollable(): boolean {
    return false;
  }
}
