/**
 * /proc/PID and /proc/PID/task/TID (proc_pid(5)): made when looked up, entries likewise, valid as long as
 * the task is.
 */
import { EACCES, ENOENT } from '../../../spec/linux/errno.ts';
import { DT_DIR, DT_LNK, DT_REG } from '../../../spec/linux/fcntl.ts';
import { S_IFDIR } from '../../../spec/linux/stat.ts';
import { mayPtrace } from '../../kernel/ptrace_access.ts';
import type { Task } from '../../kernel/task.ts';
import type { FsCaller } from '../../vfs/caller.ts';
import type { Inode } from '../../vfs/inode.ts';
import type { Path } from '../../vfs/mount.ts';
import type { OpenFile } from '../../vfs/open_file.ts';
import type { DirEntry } from '../../vfs/stat.ts';
import { PseudoInode, TextFile } from '../pseudo/pseudo_file_system.ts';
import type { ProcFileSystem } from './proc_file_system.ts';
import { FdDirectory, FdInfoDirectory } from './task_fd.ts';
import { NamespaceDirectory, TaskLink } from './task_links.ts';
import { mapsText, smapsRollupText, smapsText } from './task_maps.ts';
import { auxvText, cmdlineText, environText, MemoryInode } from './task_memory.ts';
import { mountinfoText, mountsText, mountstatsText } from './task_mounts.ts';
import { netDirectory } from './task_net.ts';
import * as settings from './task_settings.ts';
import { ioText, schedstatText, statmText, statText, statusText } from './task_status.ts';

/** Inode numbers: one block of them per task directory, above all static entries. */
const INO_BASE = 2 ** 32;
const INO_BLOCK = 2 ** 10;

export function taskIno(t: Task, ofProcess: boolean): number {
  return INO_BASE + (t.tid * 2 + (ofProcess ? 0 : 1)) * INO_BLOCK;
}

export interface TaskEntry {
  /** DT_* and permission bits. */
  readonly type: number;
  readonly mode: number;
  /** Only in /proc/PID, only in task/TID, or in both. */
  readonly where: 'process' | 'thread' | 'both';
  make(dir: TaskDirectory): PseudoInode;
}

type Produce = (t: Task) => string | number;

function text(mode: number, produce: Produce, where: TaskEntry['where'] = 'both'): TaskEntry {
  return {
    type: DT_REG,
    mode,
    where,
    make: ({ fs, task }) => new TextFile(fs, mode, () => produce(task)),
  };
}

/** A file that only those may open who may trace the process. */
class GuardedFile extends TextFile {
  private readonly task: Task;

  constructor(fs: ProcFileSystem, task: Task, mode: number, produce: Produce) {
    super(fs, mode, () => produce(task));
    this.task = task;
  }

  override open(caller: FsCaller, path: Path, flags: number): OpenFile | number {
    return mayPtrace(caller as Task, this.task) ? super.open(caller, path, flags) : -EACCES;
  }
}

function guarded(mode: number, produce: Produce): TaskEntry {
  const make = ({ fs, task }: TaskDirectory) => new GuardedFile(fs, task, mode, produce);
  return { type: DT_REG, mode, where: 'both', make };
}

/** Addresses and times of stat depend on who reads and on whose directory it is in. */
const STAT: TaskEntry = {
  type: DT_REG,
  mode: 0o444,
  where: 'both',
  make: ({ fs, task, ofProcess }) =>
    new TextFile(fs, 0o444, (caller) => statText(task, ofProcess, mayPtrace(caller as Task, task))),
};

function ioFile({ fs, task, ofProcess }: TaskDirectory): GuardedFile {
  return new GuardedFile(fs, task, 0o400, (t) => ioText(t, ofProcess));
}

function setting(mode: number, produce: Produce, accept: settings.Accept): TaskEntry {
  return {
    type: DT_REG,
    mode,
    where: 'both',
    make: ({ fs, task }) =>
      new TextFile(
        fs,
        mode,
        () => produce(task),
        (caller, value) => accept(caller as Task, task, value),
      ),
  };
}

function directory(
  mode: number,
  make: TaskEntry['make'],
  where: TaskEntry['where'] = 'both',
): TaskEntry {
  return { type: DT_DIR, mode, where, make };
}

function link(which: 'cwd' | 'exe' | 'root'): TaskEntry {
  return {
    type: DT_LNK,
    mode: 0o777,
    where: 'both',
    make: ({ fs, task }) => new TaskLink(fs, task, which),
  };
}

const ENTRIES: ReadonlyMap<string, TaskEntry> = new Map<string, TaskEntry>([
  ['task', directory(0o555, (d) => new ThreadsDirectory(d.fs, d.task), 'process')],
  ['fd', directory(0o500, (d) => new FdDirectory(d.fs, d.task))],
  ['fdinfo', directory(0o555, (d) => new FdInfoDirectory(d.fs, d.task))],
  ['ns', directory(0o511, (d) => new NamespaceDirectory(d.fs, d.task))],
  ['net', directory(0o555, (d) => netDirectory(d.fs))],
  ['environ', guarded(0o400, environText)],
  ['auxv', guarded(0o400, auxvText)],
  ['status', text(0o444, statusText)],
  ['personality', guarded(0o400, () => '00000000\n')],
  ['limits', text(0o444, settings.limitsText)],
  ['comm', setting(0o644, (t) => `${t.name}\n`, settings.setComm)],
  ['cmdline', text(0o444, cmdlineText)],
  ['stat', STAT],
  ['statm', text(0o444, statmText)],
  ['maps', guarded(0o444, mapsText)],
  ['mem', { type: DT_REG, mode: 0o600, where: 'both', make: (d) => new MemoryInode(d.fs, d.task) }],
  ['cwd', link('cwd')],
  ['root', link('root')],
  ['exe', link('exe')],
  ['mounts', text(0o444, mountsText)],
  ['mountinfo', text(0o444, mountinfoText)],
  ['mountstats', text(0o400, mountstatsText, 'process')],
  ['smaps', guarded(0o444, smapsText)],
  ['smaps_rollup', guarded(0o444, smapsRollupText)],
  ['io', { type: DT_REG, mode: 0o400, where: 'both', make: (d) => ioFile(d) }],
  ['wchan', text(0o444, () => '0')],
  ['schedstat', text(0o444, schedstatText)],
  ['cgroup', text(0o444, () => '0::/\n')],
  ['oom_score', text(0o444, settings.oomScoreText)],
  ['oom_adj', setting(0o644, settings.oomAdjText, settings.setOomAdj)],
  ['oom_score_adj', setting(0o644, (t) => `${t.group.oomScoreAdj}\n`, settings.setOomScoreAdj)],
  ['loginuid', text(0o444, () => `${settings.NO_ID}`)],
  ['sessionid', text(0o444, () => `${settings.NO_ID}`)],
  ['uid_map', text(0o444, () => settings.IDENTITY_MAP)],
  ['gid_map', text(0o444, () => settings.IDENTITY_MAP)],
  ['projid_map', text(0o444, () => settings.IDENTITY_MAP)],
  ['setgroups', text(0o444, () => 'allow\n')],
  ['timerslack_ns', setting(0o666, (t) => `${t.timerSlackNs}\n`, settings.setTimerSlack)],
  ['children', text(0o444, settings.childrenText, 'thread')],
]);

const NAMES = [...ENTRIES.keys()];

export class TaskDirectory extends PseudoInode {
  declare readonly fs: ProcFileSystem;
  readonly task: Task;
  /** /proc/PID, not /proc/PID/task/TID. */
  readonly ofProcess: boolean;

  constructor(fs: ProcFileSystem, task: Task, ofProcess: boolean) {
    super(fs, S_IFDIR | 0o555);
    this.task = task;
    this.ofProcess = ofProcess;
    this.ino = taskIno(task, ofProcess);
    this.nlink = 7;
    ownBy(this, task);
  }

  /** Whether this directory is still about what its name stands for. */
  isFor(t: Task | undefined): boolean {
    if (t !== this.task) return false;
    ownBy(this, t);
    return true;
  }

  private entry(name: string): TaskEntry | undefined {
    const e = ENTRIES.get(name);
    if (e === undefined || e.where === (this.ofProcess ? 'thread' : 'process')) return undefined;
    return e;
  }

  override lookup(name: string): Inode | number {
    const e = this.entry(name);
    if (e === undefined) return -ENOENT;
    const inode = e.make(this);
    inode.ino = this.ino + 1 + NAMES.indexOf(name);
    ownBy(inode, this.task);
    return inode;
  }

  override revalidateEntry(_name: string, inode: Inode | null): boolean {
    if (inode !== null) ownBy(inode, this.task);
    return true;
  }

  override readdir(): readonly DirEntry[] | number {
    const list: DirEntry[] = [];
    NAMES.forEach((name, i) => {
      const e = this.entry(name);
      if (e !== undefined) list.push({ name, ino: this.ino + 1 + i, type: e.type });
    });
    return list;
  }
}

/** Files of a task belong to who it acts as; to root when it must not be looked into. */
function ownBy(inode: Inode, t: Task): void {
  const { creds, group } = t;
  inode.uid = group.dumpable === 1 ? creds.euid : 0;
  inode.gid = group.dumpable === 1 ? creds.egid : 0;
}

/** /proc/PID/task. */
class ThreadsDirectory extends PseudoInode {
  declare readonly fs: ProcFileSystem;
  private readonly task: Task;

  constructor(fs: ProcFileSystem, task: Task) {
    super(fs, S_IFDIR | 0o555);
    this.task = task;
  }

  private find(name: string): Task | undefined {
    if (!/^[1-9]\d{0,9}$/.test(name)) return undefined;
    const { group, container } = this.task;
    const t = container.pids.tasks.get(Number(name));
    return t?.group === group ? t : undefined;
  }

  override lookup(name: string): Inode | number {
    const t = this.find(name);
    return t === undefined ? -ENOENT : new TaskDirectory(this.fs, t, false);
  }

  override revalidateEntry(name: string, inode: Inode | null): boolean {
    const t = this.find(name);
    return inode instanceof TaskDirectory ? inode.isFor(t) : t === undefined;
  }

  override readdir(): readonly DirEntry[] | number {
    const list: DirEntry[] = [];
    for (const t of this.task.group.tasks) {
      list.push({ name: `${t.tid}`, ino: taskIno(t, false), type: DT_DIR });
    }
    return list;
  }
}
