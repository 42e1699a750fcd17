/**
 * The root of /proc: one directory per process, and the files about the whole system.
 */

import { ENOENT } from '../../../spec/linux/errno.ts';
import { DT_DIR } from '../../../spec/linux/fcntl.ts';
import type { Inode } from '../../vfs/inode.ts';
import type { DirEntry } from '../../vfs/stat.ts';
import { PseudoDirectory, PseudoSymlink } from '../pseudo/pseudo_file_system.ts';
import type { ProcFileSystem } from './proc_file_system.ts';
import { addSysctl } from './sysctl.ts';
import { addSystemFiles } from './system_files.ts';
import { addSysvIpc } from './sysvipc.ts';
import { TaskDirectory, taskIno } from './task_directory.ts';

/** A process id as a file name: no sign, no leading zero. */
const PID = /^[1-9]\d{0,9}$/;

export class ProcRoot extends PseudoDirectory {
  declare readonly fs: ProcFileSystem;

  constructor(fs: ProcFileSystem) {
    super(fs);
    const { kernel } = fs;
    const ofCaller = (text: (pid: number, tid: number) => string) => () => {
      const t = kernel.current;
      if (t === null || t.container !== fs.container) return -ENOENT;
      return text(t.pid, t.tid);
    };
    this.add(
      'self',
      new PseudoSymlink(
        fs,
        ofCaller((pid) => `${pid}`),
      ),
    );
    this.add(
      'thread-self',
      new PseudoSymlink(
        fs,
        ofCaller((pid, tid) => `${pid}/task/${tid}`),
      ),
    );
    this.addSymlink('mounts', 'self/mounts');
    this.addSymlink('net', 'self/net');
    addSystemFiles(this, fs);
    addSysvIpc(this.addDirectory('sysvipc'), fs.container);
    addSysctl(this.addDirectory('sys'), fs);
  }

  override lookup(name: string): Inode | number {
    const found = this.entries.get(name);
    if (found !== undefined) return found;
    if (!PID.test(name)) return -ENOENT;
    // Threads that are not leaders are found too, though not listed.
    const t = this.taskOf(Number(name));
    return t === undefined ? -ENOENT : new TaskDirectory(this.fs, t, true);
  }

  private taskOf(id: number) {
    const { pids } = this.fs.container;
    return pids.groups.get(id)?.leader ?? pids.tasks.get(id);
  }

  override revalidateEntry(name: string, inode: Inode | null): boolean {
    if (this.entries.has(name)) return inode !== null;
    if (!PID.test(name)) return inode === null;
    const t = this.taskOf(Number(name));
    if (!(inode instanceof TaskDirectory)) return t === undefined;
    return inode.isFor(t);
  }

  override readdir(): readonly DirEntry[] | number {
    const list = [...(super.readdir() as readonly DirEntry[])];
    for (const [pid, group] of this.fs.container.pids.groups) {
      list.push({ name: `${pid}`, ino: taskIno(group.leader, true), type: DT_DIR });
    }
    return list;
  }
}
