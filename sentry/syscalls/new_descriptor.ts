/** Handing a new open file to the caller as a descriptor (the end of every call that makes one). */
import { RLIMIT_NOFILE } from '../../spec/linux/resource.ts';
import type { Task } from '../kernel/task.ts';
import type { OpenFile } from '../vfs/open_file.ts';

/** The descriptor, or -EMFILE, after which the file is closed. */
export function newDescriptor(t: Task, file: OpenFile, closeOnExec: boolean): number {
  const fd = t.files.add(file, closeOnExec, t.group.limits.soft(RLIMIT_NOFILE));
  if (fd < 0) file.close();
  return fd;
}
